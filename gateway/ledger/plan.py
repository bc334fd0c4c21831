"""Turn decided commands into the rows of one statement."""

from hashlib import sha256
from random import random

from gateway.domain.commands import ProviderSaid, Receive
from gateway.domain.deliveries import READ_BACK, Delivery, Operation
from gateway.domain.events import (
    CallbackQuarantined,
    DeliveryDied,
    Event,
    QuarantineLeft,
    Reported,
    Submitted,
    UnitsShipped,
)
from gateway.domain.handle import handle
from gateway.domain.requests import Request
from gateway.domain.retry import delay

from . import codec
from .commit import Batch
from .entries import Again, Applied, Claim, Entry

_FIRST_READ_BACK = 1.0  # seconds after a report was taken


class Plan:
    """What one batch writes, and what each of its entries is answered."""

    def __init__(self, verify_within: float) -> None:
        self.batch = Batch()
        self.results: list[tuple[Entry, Applied, bool]] = []
        self._verify_within = verify_within

    @property
    def has_rows(self) -> bool:
        batch = self.batch
        return bool(batch.incoming or batch.wanted or batch.fences)

    def add(self, before: Request | None, group: list[Entry], owners: dict[tuple[str, str, int], str | None]) -> None:
        """Fold one request's commands in order and add what they change."""
        request = before
        events: list[Event] = []
        decided: list[tuple[Entry, list[Event]]] = []
        for entry in group:
            claim, command = entry.claim, entry.command
            late = claim is not None and command is not None and (
                request is None or owners.get((claim.request_id, claim.operation, claim.seq)) != claim.owner
            )  # fmt: skip
            if command is None or late or (request is None and not isinstance(command, Receive)):
                self._outside(entry, request)
                continue
            request, new = handle(request, command)
            events += new
            decided.append((entry, new))
        writes = bool(events)
        for entry, new in decided:
            self.results.append((entry, Applied(request, tuple(new)), writes))
            if entry.claim is not None and request is not None:
                self._fence(entry, entry.claim, guards=writes, request=request)
        if request is not None and events:
            self._state(before, request, events)
            for entry, new in decided:
                self._bodies(request, entry, new)

    def _outside(self, entry: Entry, request: Request | None) -> None:
        """A rescheduling, a late outcome, or a message for a request that nobody has: no state changes."""
        self.results.append((entry, Applied(request, ()), False))
        if entry.claim is not None:
            self._fence(entry, entry.claim, guards=False, request=None)

    def _fence(self, entry: Entry, claim: Claim, *, guards: bool, request: Request | None) -> None:
        again = entry.again
        if again is None and request is not None:
            delivery = Delivery(claim.destination, claim.operation, claim.seq)
            if delivery in request.owed:  # a read-back that has not seen everything yet
                again = Again(self._next_look(claim), doubt=False, counts=True)
        self.batch.fences.append(
            (claim.request_id, claim.operation, claim.seq, claim.owner, guards, again is not None,
             again.delay if again else 0.0, bool(again and again.doubt), bool(again and again.counts))
        )  # fmt: skip
        attempt = entry.attempt
        if attempt is None:
            return
        hashed = sha256(attempt.response).hexdigest() if attempt.response else None
        self.batch.attempts.append(
            (claim.month, claim.request_id, claim.operation, claim.seq, claim.attempt, claim.destination, attempt.at,
             attempt.seconds, attempt.outcome, attempt.status, attempt.detail, hashed, guards)
        )  # fmt: skip
        if hashed:
            self.batch.payloads.append((claim.month, claim.request_id, hashed, attempt.at, attempt.response, guards))

    @staticmethod
    def _next_look(claim: Claim) -> float:
        return delay(claim.destination, claim.operation, claim.tries + 1, random()) or 0.0  # noqa: S311 - jitter

    def _state(self, before: Request | None, after: Request, events: list[Event]) -> None:
        batch, month = self.batch, codec.month_of(after)
        if before is None:
            batch.incoming.append(
                (after.id, month, after.location, after.order_id, after.service_level, after.reference,
                 after.fingerprint, codec.encode([unit.product for unit in after.units]), after.received_at,
                 *codec.changing(after))
            )  # fmt: skip
        else:
            batch.wanted.append((after.id, before.version, *codec.changing(after)))
        batch.events += [
            (month, after.id, event.version, codec.kind(event.fact), event.at, event.cause, event.fingerprint,
             codec.encode(event.fact))
            for event in events
        ]  # fmt: skip
        self._deliveries(before.owed if before else (), before.ready if before else (), after, events)
        still_dead = {(dead.operation, dead.seq) for dead in after.dead}
        batch.alive += [
            (after.id, dead.operation, dead.seq)
            for dead in (before.dead if before else ())
            if (dead.operation, dead.seq) not in still_dead
        ]
        for event in events:
            if isinstance(event.fact, UnitsShipped):
                batch.keys.append((after.id, "tracking_code", event.fact.parcel.tracking_code))
            elif isinstance(event.fact, Submitted) and event.fact.provider_order:
                batch.keys.append((after.id, "provider_order", event.fact.provider_order))

    def _deliveries(
        self, was_owed: tuple[Delivery, ...], was_ready: tuple[Delivery, ...], after: Request, events: list[Event]
    ) -> None:
        batch, month = self.batch, codec.month_of(after)
        moved = {READ_BACK[e.fact.operation] for e in events if isinstance(e.fact, Reported) and e.fact.verifiable}
        for owed in after.owed:
            if owed not in was_owed or (owed.operation in moved and owed.seq == 0):
                batch.owed.append(
                    (after.id, owed.operation, owed.seq, owed.destination, after.location, month, owed.is_read,
                     owed in after.ready, _FIRST_READ_BACK if owed.is_read and owed.seq == 0 else 0.0,
                     self._verify_within if owed.is_read else None, owed.in_doubt)
                )  # fmt: skip
            elif owed in after.ready and owed not in was_ready:
                batch.readied.append((after.id, owed.operation, owed.seq))
        gone = [owed for owed in was_owed if owed not in after.owed]
        batch.gone += [(after.id, owed.operation, owed.seq) for owed in gone]
        # What was decided of an order that nobody was sending is void once somebody does.
        batch.fences += [
            (after.id, owed.operation, owed.seq, None, True, False, 0.0, owed.in_doubt, False)
            for owed in gone
            if owed.operation is Operation.CREATE and not owed.in_flight
        ]

    def _bodies(self, request: Request, entry: Entry, events: list[Event]) -> None:
        batch, month, command = self.batch, codec.month_of(request), entry.command
        if entry.body is not None and command is not None and events:
            batch.payloads.append((month, request.id, command.fingerprint, command.at, entry.body, True))
        for event in events:
            if isinstance(event.fact, DeliveryDied) and entry.claim is not None:
                if not any((d.operation, d.seq) == (event.fact.operation, event.fact.seq) for d in request.dead):
                    continue
                batch.dead.append(
                    (request.id, event.fact.operation, event.fact.seq, entry.claim.destination, request.location,
                     entry.claim.attempt, event.at, event.fact.end, event.fact.detail)
                )  # fmt: skip
            elif isinstance(event.fact, CallbackQuarantined) and isinstance(command, ProviderSaid):
                batch.quarantine.append(
                    (command.provider, command.cause, command.fingerprint, request.id, event.fact.reason,
                     event.fact.detail, command.at, entry.body or b"", codec.encode(command))
                )  # fmt: skip
            elif isinstance(event.fact, QuarantineLeft):
                batch.released.append((request.id, event.fact.message))
