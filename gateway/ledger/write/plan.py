"""Turn decided commands into the rows of one statement."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import date
from hashlib import sha256

import orjson

from gateway.domain.acts.act import Act
from gateway.domain.commands import SHOWN, ProviderSaid, ReadBack, Receive
from gateway.domain.deliveries import READ_BACK, READ_BACKS, REVERSALS, Delivery, Operation
from gateway.domain.events.calls import DeliveryDied, Reported
from gateway.domain.events.event import Event
from gateway.domain.events.messages import CallbackQuarantined, QuarantineLeft
from gateway.domain.handle import handle
from gateway.domain.requests import Request
from gateway.ledger import codec
from gateway.ledger.queue.claims import Claim
from gateway.ledger.queue.urgency import urgency

from .commit import Batch, DeliveryKey, Row
from .queued import Attempt, CommitResult, QueuedCommand, Reschedule

Claimed = Mapping[DeliveryKey, tuple[str | None, int, bool]]
"""Who has a delivery, in which attempt, and whether its time-box has passed."""
_UNCLAIMED = (None, 0, False)
_FIRST_READ_BACK = 1.0  # seconds after a report was taken
_WHILE_OPEN = 4.0  # likewise, while more reports may follow that the same look can prove


class Plan:
    """What one batch writes, and what each of its entries is answered."""

    def __init__(self, verify_within: float, express: Collection[str] = ()) -> None:
        self.batch = Batch()
        self.results: list[tuple[QueuedCommand, CommitResult, bool]] = []
        self.changed: list[tuple[Request | None, Request, list[Event], str | None]] = []
        self._verify_within = verify_within
        self._express = express

    @property
    def has_rows(self) -> bool:
        batch = self.batch
        return bool(batch.incoming or batch.updates or batch.claim_checks)

    def add(
        self,
        before: Request | None,
        group: list[QueuedCommand],
        claims: Claimed,
        began: str | None = None,
    ) -> None:
        """Fold one request's commands in order and add what they change; `began` is where its trace did."""
        request = before
        events: list[Event] = []
        decided: list[tuple[QueuedCommand, list[Event]]] = []
        for entry in group:
            claim, command = entry.claim, entry.command
            owner, attempt, is_overdue = claims.get(key_of(claim), _UNCLAIMED) if claim else _UNCLAIMED
            # What is only known from the claim is fenced by the statement: a claim that was lost writes nothing.
            late = claim is not None and command is not None and not entry.known and (
                request is None or (owner, attempt) != (claim.owner, claim.attempt)
            )  # fmt: skip
            if command is None or late or (request is None and not isinstance(command, Receive)):
                self._unchanged(entry, request)
                continue
            if isinstance(command, ReadBack) and not entry.known and not is_overdue:
                command = replace(command, overdue=False)  # a report that was taken meanwhile has its own time
            request, new = handle(request, command)
            events += new
            decided.append((entry, new))
        writes = bool(events)
        for entry, new in decided:
            self.results.append((entry, CommitResult(request, tuple(new), began), writes))
            if entry.claim is not None and request is not None:
                self._check_claim(entry, entry.claim, guards=writes, request=request)
        if request is not None and events:
            owing = next((entry.trace for entry, new in reversed(decided) if new and entry.trace), began)
            self._state(before, request, events, owing)
            self.changed.append((before, request, events, owing))
            for entry, new in decided:
                self._bodies(request, entry, new)

    def _unchanged(self, entry: QueuedCommand, request: Request | None) -> None:
        """A rescheduling, a late outcome, or a message for a request that nobody has: no state changes."""
        self.results.append((entry, CommitResult(request, ()), False))
        if entry.claim is not None:
            self._check_claim(entry, entry.claim, guards=False, request=None)

    def _check_claim(self, entry: QueuedCommand, claim: Claim, *, guards: bool, request: Request | None) -> None:
        reschedule = entry.reschedule
        if reschedule is None and request is not None:
            delivery = Delivery(claim.destination, claim.operation, claim.seq)
            if delivery in request.owed:  # a read-back that has not seen everything yet
                reschedule = Reschedule(entry.next_look, doubt=False, counts=True)
        self.batch.claim_checks.append(
            {
                **_key(claim),
                "owner": claim.owner,
                "attempt": claim.attempt,
                "guards": guards,
                "reschedules": reschedule is not None,
                "delay": reschedule.delay if reschedule else 0.0,
                "doubt": bool(reschedule and reschedule.doubt),
                "counts": bool(reschedule and reschedule.counts),
                "blocked": bool(reschedule and reschedule.blocked),
                "unsure_for": reschedule.unsure_for if reschedule else 0.0,
            }
        )
        if entry.attempt is not None:
            self._attempt(claim, entry.attempt, guards=guards)

    def _attempt(self, claim: Claim, attempt: Attempt, *, guards: bool) -> None:
        hashed = sha256(attempt.response).hexdigest() if attempt.response else None
        self.batch.attempts.append(
            {
                **_key(claim),
                "month": claim.month,
                "attempt": claim.attempt,
                "destination": claim.destination,
                "at": attempt.at,
                "seconds": attempt.seconds,
                "outcome": attempt.outcome,
                "status": attempt.status,
                "detail": attempt.detail,
                "response": hashed,
                "sent": attempt.sent,
                "trace_id": attempt.trace_id,
                "guards": guards,
            }
        )
        for each, body in ((hashed, attempt.response), (attempt.sent, attempt.new_body)):
            if each and body:
                self.batch.add_payload(claim.month, claim.request_id, each, attempt.at, body, guards=guards)

    def _state(self, before: Request | None, after: Request, events: list[Event], trace: str | None) -> None:
        batch, month = self.batch, codec.month_of(after)
        if before is None:
            batch.incoming.append({**codec.written_once(after), **codec.changing(after), "trace": trace})
        else:
            batch.updates.append({"id": after.id, "expected_version": before.version, **codec.changing(after)})
        for event in events:
            batch.events.append(codec.encode_event(after.id, month, event))
            said = event.fact.final
            if said and not event.cause.startswith(SHOWN):  # what NewStore shows after a restore was said long ago
                units = event.fact.counted(after)
                batch.recent_outcomes.append(
                    {"request_id": after.id, "location": after.location, "said": said, "units": units}
                )
            for kind, value in event.fact.search_keys:
                batch.keys.append({"request_id": after.id, "kind": kind, "value": value})
        still_dead = {(dead.operation, dead.seq) for dead in after.dead}
        batch.no_longer_dead += [
            {"request_id": after.id, "operation": dead.operation, "seq": dead.seq}
            for dead in (before.dead if before else ())
            if (dead.operation, dead.seq) not in still_dead
        ]
        self._deliveries(before, after, month, events, trace)

    def _deliveries(
        self, before: Request | None, after: Request, month: date, events: list[Event], trace: str | None
    ) -> None:
        batch, was_owed, ready = self.batch, before.owed if before else (), after.ready
        free = {owed.destination for owed in was_owed if not owed.is_read and owed not in after.owed}
        moved = {READ_BACK[e.fact.operation] for e in events if isinstance(e.fact, Reported) and e.fact.verifiable}
        for owed in after.owed:
            key = {"request_id": after.id, "operation": owed.operation, "seq": owed.seq}
            if owed not in was_owed or (owed.operation in moved and owed.seq == 0):
                batch.deliveries.append(
                    {
                        **key,
                        "destination": owed.destination,
                        "location": after.location,
                        "month": month,
                        "is_read": owed.is_read,
                        "ready": owed in ready,
                        "urgency": urgency(owed.operation, is_express=after.service_level in self._express),
                        "delay": _first_look(after) if owed.is_read and owed.seq == 0 else 0.0,
                        "doubt": owed.in_doubt,
                        "within": self._verify_within if owed.operation in READ_BACKS else None,
                        "trace": trace,
                    }
                )
            elif owed.destination in free and owed in ready and not owed.is_read:
                batch.ready.append(key)  # also the one that was overtaken by what is settled now
        for owed in was_owed:
            if owed not in after.owed:
                self._settled(after, owed)

    def _settled(self, after: Request, owed: Delivery) -> None:
        key = {"request_id": after.id, "operation": owed.operation, "seq": owed.seq}
        self.batch.settled.append(key)
        if owed.operation in _CALLED_OFF and not owed.in_flight:
            # What was decided of a call that nobody was making is void once somebody does.
            self.batch.claim_checks.append(
                {**key, "owner": None, "guards": True, "reschedules": False, "delay": 0.0, "doubt": owed.in_doubt}
            )

    def _bodies(self, request: Request, entry: QueuedCommand, events: list[Event]) -> None:
        batch, month, command = self.batch, codec.month_of(request), entry.command
        if entry.body is not None and command is not None and events:
            batch.add_payload(month, request.id, command.fingerprint, command.at, entry.body, guards=True)
        if isinstance(command, Act) and events:
            batch.audit.append(
                {
                    "who": command.who,
                    "action": command.action,
                    "request_id": request.id,
                    "reason": command.reason,
                    "outcome": codec.outcome(events),
                }
            )
        for event in events:
            if isinstance(event.fact, DeliveryDied) and entry.claim is not None:
                if not any((d.operation, d.seq) == (event.fact.operation, event.fact.seq) for d in request.dead):
                    continue
                batch.dead.append(
                    {
                        "request_id": request.id,
                        "operation": event.fact.operation,
                        "seq": event.fact.seq,
                        "destination": entry.claim.destination,
                        "location": request.location,
                        "attempts": entry.claim.attempt,
                        "died_at": event.at,
                        "why": event.fact.end,
                        "detail": event.fact.detail,
                    }
                )
            elif isinstance(event.fact, CallbackQuarantined) and isinstance(command, ProviderSaid):
                batch.quarantine.append(
                    {
                        "source": command.provider,
                        "event_id": command.cause,
                        "fingerprint": command.fingerprint,
                        "request_id": request.id,
                        "reason": event.fact.reason,
                        "detail": event.fact.detail,
                        "at": command.at,
                        "command": orjson.Fragment(codec.encode(command)),
                    }
                )
                batch.quarantine_bodies.append(entry.body or b"")
            elif isinstance(event.fact, QuarantineLeft):
                batch.left_quarantine.append({"request_id": request.id, "event_id": event.fact.message})


def _first_look(request: Request) -> float:
    return _WHILE_OPEN if request.open_units else _FIRST_READ_BACK


_CALLED_OFF = frozenset({Operation.CREATE, *REVERSALS})
"""The calls that are called off only while they have not begun."""


def key_of(claim: Claim) -> DeliveryKey:
    """Say which call was claimed."""
    return claim.request_id, claim.operation, claim.seq


def _key(claim: Claim) -> Row:
    return {"request_id": claim.request_id, "operation": claim.operation, "seq": claim.seq}
