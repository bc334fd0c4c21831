"""The loop that makes owed calls: reserve, claim what is due, send it, settle it."""

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from time import monotonic
from typing import Any

import asyncpg

from gateway.call_errors import CallError, Unknown
from gateway.domain.commands import CallEnded, CallTaken, ReadBack
from gateway.domain.decide import Command
from gateway.domain.deliveries import NEWSTORE, READ_BACKS, READS, Operation
from gateway.ledger.database.connections import DATABASE_AWAY, Connect
from gateway.ledger.database.seen import Position
from gateway.ledger.queue import destinations, holds
from gateway.ledger.queue.claims import Claim, prepare
from gateway.ledger.queue.claims import claim as claim_calls
from gateway.ledger.queue.processes import Membership
from gateway.ledger.read import request_reads
from gateway.ledger.read.request_reads import DeliveryContext
from gateway.ledger.write.queued import Attempt, Reschedule
from gateway.ledger.write.writer import Writer
from gateway.newstore.errors import Disliked, Unreadable
from gateway.sending import NotDispatched, may_leave
from gateway.settings import Settings
from gateway.telemetry import metrics, trace
from gateway.telemetry.logs import log

from . import calls, read_backs
from .limiter import DestinationLimiter
from .limits import Limits
from .outcomes import FAILURES, HeldBack, Undecidable, after, held_back, is_late, next_look, outcome_of, success_of

_POLL_AFTER_SOME = 0.004  # seconds between two looks: what comes meanwhile is claimed in one
_POLL_AFTER_NONE = 0.02  # likewise, after one that found nothing: what comes in may all be held
_LEARN = 10.0  # seconds between looks at what other processes have found out
_NO_BETTER = (Unreadable, Disliked)  # answers to a look that will be the same next time
_POLL = 0.25  # seconds between looks when nothing in this process says that there is work
_START_WITHIN = 5.0  # seconds after its claim in which a call may start; the claim outlives it by the call's time-out


def limiters(settings: Settings) -> dict[str, DestinationLimiter]:
    """Say which calls this process can make; what belongs to others it leaves alone."""
    newstore = settings.newstore
    limits = Limits(newstore.concurrency, newstore.calls_per_second, newstore.calls_per_five_minutes)
    found = {NEWSTORE: DestinationLimiter(NEWSTORE, limits, newstore.timeout)}
    for each in settings.providers.values():
        found[each.name] = DestinationLimiter(each.name, Limits(each.concurrency, each.calls_per_second), each.timeout)
    return found


class Dispatcher:
    """Make the owed calls of the destinations in `settings`, as a member of all processes that do."""

    def __init__(
        self,
        clients: calls.OutboundClients,
        writer: Writer,
        settings: Settings,
        membership: Membership,
        connect: Connect,
        *,
        position: Position | None = None,
    ) -> None:
        self._clients = clients
        self._writer = writer
        self._membership = membership
        self._connect = connect
        self._position = position or Position()
        self._connection: asyncpg.Connection | None = None
        self._grace = settings.newstore.unknown_grace
        self._brake = settings.brake
        self.limiters = limiters(settings)
        self._tasks: set[asyncio.Task[object]] = set()
        self._wake = asyncio.Event()
        self._has_room = asyncio.Event()  # at a destination that had none
        self._is_stopping = False
        self._held_back: list[HeldBack] = []
        self._learns_at = float("-inf")

    def wake(self) -> None:
        """Look for work now rather than at the next poll."""
        self._wake.set()

    def stop(self) -> None:
        """Claim nothing more, and let no call leave that has not left yet: it might not end before this process does.

        A claim that is under way is still made: cancelled, nobody would know whether it was.
        """
        self._is_stopping = True
        self.wake()

    async def run(self) -> None:
        """Claim and send until stopped; the calls in flight then go on until `settled`."""
        try:
            while not self._is_stopping:
                self._wake.clear()
                self._has_room.clear()
                try:
                    found = await self.run_once()
                except DATABASE_AWAY as error:
                    log("dispatch.interrupted", error)
                    self.close()
                    found = 0
                if found:
                    await asyncio.sleep(_POLL_AFTER_SOME)
                elif not await _happens(self._has_room, _POLL_AFTER_NONE):
                    await _happens(self._wake, _POLL)
        finally:
            self.close()

    async def run_once(self) -> int:
        """Claim one batch over all destinations with room, start the calls, and return how many."""
        if not self._membership.is_alive:
            return 0
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
            await prepare(self._connection)
        await self._report_and_reserve(self._connection)
        room = {limiter.name: limiter.room for limiter in self.limiters.values() if limiter.room}
        if not room:
            return 0
        began = monotonic()
        claimed = await claim_calls(
            self._connection, room, owner=self._membership.owner, seconds=_START_WITHIN, brake=self._brake,
            call_seconds={name: self.limiters[name].seconds * (1 + self.limiters[name].is_open) for name in room},
            concurrency={name: self.limiters[name].most_claimed for name in room}, position=self._position,
        )  # fmt: skip
        try:
            delivery_contexts = await request_reads.delivery_contexts(self._connection, claimed) if claimed else {}
        except DATABASE_AWAY as error:
            self._give_back(claimed, f"the database went away ({type(error).__name__})")
            raise
        for each in claimed:
            if context := delivery_contexts.get(each.request_id):
                self._start(each, context, began)
        return len(claimed)

    def _give_back(self, claimed: Sequence[Claim], why: str) -> None:
        """Settle, once that is possible, that calls were claimed and not made: else they would count as unknown."""
        attempt = Attempt(datetime.now(UTC), 0.0, "not_made", None, why)
        for each in claimed:
            self._keep(self._writer.settle(each, attempt, Reschedule(0.0, doubt=each.doubt, counts=False)))

    def _keep(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _report_and_reserve(self, connection: asyncpg.Connection) -> None:
        """Report and reserve where a limiter has reason to, and share what was found out."""
        loop = asyncio.get_running_loop()
        while self._held_back:
            held = self._held_back[0]
            await holds.place_once(connection, held.scope, held.name, held.reason)
            del self._held_back[0]
        if self._clients.newstore.taught.news or loop.time() >= self._learns_at:
            await read_backs.share(connection, self._clients.newstore.taught)
            self._learns_at = loop.time() + _LEARN
        self.limiters[NEWSTORE].made(self._clients.newstore.calls.total())
        for limiter in self.limiters.values():
            if limiter.is_due(loop.time()):
                state, granted = await destinations.change(
                    connection, limiter.name, limiter.decide(self._membership.owner)
                )  # fmt: skip
                limiter.take(state, granted, loop.time())

    async def settled(self, within: float | None = None) -> None:
        """Wait for the calls in flight, and cut off those that take longer: their claims are taken over as unknown."""
        while self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=within)
            if cut := sum(limiter.in_flight for limiter in self.limiters.values()) if late else 0:
                log("calls.cut", count=cut)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    def _start(self, claim: Claim, context: DeliveryContext, claimed_at: float) -> None:
        reserved = self.limiters[claim.destination].start(doubt=claim.doubt)
        self._keep(self._run_attempt(claim, context, claimed_at, reserved))

    async def _run_attempt(self, claim: Claim, context: DeliveryContext, claimed_at: float, reserved: int) -> None:
        limiter = self.limiters[claim.destination]
        if not self._is_ours(claim, claimed_at, _START_WITHIN):
            limiter.release(reserved)
            self._give_back([claim], "this process stops, stood still, or lost sight of the others")
            return
        span = trace.attempt(
            claim.trace, continues=claim.attempt == 1 and claim.operation not in READS, destination=claim.destination,
            operation=claim.operation, location=claim.location, request_id=claim.request_id, attempt=claim.attempt,
        )  # fmt: skip
        try:
            attempt, then = await self._call(limiter, claim, context, claimed_at, reserved)
            self._tell(claim, attempt, then, span)
            if kept := trace.kept(span):
                attempt = replace(attempt, trace_id=kept)
            await self._writer.settle(claim, attempt, then, context.request, next_look=next_look(claim))
        except Exception as error:  # noqa: BLE001 - see below
            # The one broad except of the program: whatever one call does, the others go on. The claim runs out by
            # itself and is then taken as unknown.
            metrics.of(metrics.ATTEMPTS, claim.destination, claim.operation, "broke").inc()
            log(
                "call.broke",
                error,
                destination=claim.destination,
                operation=claim.operation,
                request_id=claim.request_id,
            )
            trace.end(span, failed=True, outcome="broke")
        finally:
            limiter.settled()
            self.wake()

    def _tell(self, claim: Claim, attempt: Attempt, then: Command | Reschedule, span: trace.Span | None) -> None:
        """Count, log and trace how a try went; nothing of what the destination said goes into that."""
        metrics.of(metrics.ATTEMPTS, claim.destination, claim.operation, attempt.outcome).inc()
        is_last = isinstance(then, CallEnded)
        facts: dict[str, trace.Fact] = {"outcome": attempt.outcome, "is_last": is_last}
        if attempt.status is not None:
            facts["status"] = attempt.status
        is_failure = attempt.outcome in FAILURES
        if is_failure:
            log(
                "attempt.failed", destination=claim.destination, operation=claim.operation, location=claim.location,
                request_id=claim.request_id, attempt=claim.attempt, seconds=round(attempt.seconds, 3), **facts,
            )  # fmt: skip
        kept = trace.end(span, failed=is_failure, **facts)
        metrics.of(metrics.ATTEMPT_SECONDS, claim.destination, claim.operation).observe(attempt.seconds, kept)

    async def _call(
        self, limiter: DestinationLimiter, claim: Claim, context: DeliveryContext, claimed_at: float, reserved: int
    ) -> tuple[Attempt, Command | Reschedule]:  # fmt: skip
        """Make the call; the destination is free for the next one before the outcome is stored."""
        error: Exception | None = None
        try:
            attempt, then, error = await self._try(claim, context, claimed_at, is_probe=limiter.is_open)
            if isinstance(then, CallTaken) and claim.operation is Operation.CREATE:
                _note_its_time(limiter, claim, attempt, then)
            if held := held_back(error, claim, datetime.now(UTC)):
                self._held_back.append(held)
        except asyncio.CancelledError:
            metrics.of(metrics.ATTEMPTS, claim.destination, claim.operation, "unknown").inc()
            raise
        except Exception as broke:
            error = broke
            raise
        finally:
            was_full = not limiter.room
            limiter.end(error, reserved, tells=not self._is_only_slow(error, claim))
            if was_full and limiter.room:
                self._has_room.set()
                self.wake()
        return attempt, then

    def _is_only_slow(self, error: Exception | None, claim: Claim) -> bool:
        """Tell whether a provider only took too long over an order: the look-up that follows says how it is."""
        is_first = claim.operation is Operation.CREATE and not claim.doubt
        return is_first and is_late(error) and self._clients.adapters[claim.destination].can.look_up

    def _is_ours(self, claim: Claim, claimed_at: float, within: float) -> bool:
        """Whether nobody can have taken the claim over: this process goes on, did not stand still, is not expired."""
        goes_on = not self._is_stopping and monotonic() - claimed_at <= within
        return goes_on and self._membership.is_alive and self._membership.owner == claim.owner

    async def _try(
        self, claim: Claim, context: DeliveryContext, claimed_at: float, *, is_probe: bool
    ) -> tuple[Attempt, Command | Reschedule, Exception | None]:
        at, started = datetime.now(UTC), monotonic()
        try:
            command = await self._within(claim, context, claimed_at, is_probe=is_probe)
        except (CallError, NotDispatched, Undecidable) as error:
            seconds, name = monotonic() - started, outcome_of(error).name
            response = getattr(error, "body", None) or None
            status, sent, new_body = getattr(error, "status", None), *_what_was_sent(context)
            attempt = Attempt(at, seconds, name, status, str(error)[:500], response, sent=sent, new_body=new_body)
            return attempt, self._after(error, claim), error
        seconds, (sent, new_body) = monotonic() - started, _what_was_sent(context)
        attempt = Attempt(at, seconds, success_of(command), None, "", _answer(command), sent=sent, new_body=new_body)
        return attempt, command, None

    async def _within(self, claim: Claim, context: DeliveryContext, claimed_at: float, *, is_probe: bool) -> Command:
        """Make a call that ends before its claim does, so that nobody takes it over under way."""
        may_leave.set(partial(self._is_ours, claim, claimed_at, claim.seconds))
        limit = asyncio.timeout(claimed_at + claim.seconds - monotonic())
        try:
            async with limit:
                if is_probe and claim.destination == NEWSTORE:
                    await self._clients.newstore.look()
                return await calls.make(self._clients, claim, context)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise Unknown("not done before its claim ran out") from error

    def _after(self, error: Exception, claim: Claim) -> Command | Reschedule:
        then = after(error, claim, datetime.now(UTC), self._grace)
        if claim.operation is Operation.CREATE and isinstance(error, Unknown) and isinstance(then, Reschedule):
            then = replace(then, unsure_for=self.limiters[claim.destination].may_go_on(late=is_late(error)))
        is_over = claim.operation in READ_BACKS and claim.overdue
        # Units are judged by a look: one that brought no answer says nothing of them, however late it is. An answer
        # that can't be read will be no better next time, and a recheck tells whoever asked that there was none.
        return calls.nothing_shown(claim) if is_over and (claim.seq or isinstance(error, _NO_BETTER)) else then


def _note_its_time(limiter: DestinationLimiter, claim: Claim, attempt: Attempt, taken: CallTaken) -> None:
    """Learn how long a provider took over an order; of one that was found, what has passed of the time it was given."""
    if not taken.found:
        limiter.took(attempt.seconds)
    elif claim.unsure_for:
        limiter.took(limiter.may_go_on(late=True) - claim.unsure_for)


def _what_was_sent(context: DeliveryContext) -> tuple[str | None, bytes | None]:
    """Name what an adapter wrote, and give it; of one that passes NewStore's body on, that is kept already."""
    if not context.sent:
        return None, None
    body = context.sent[-1]
    return (context.request.fingerprint, None) if body == context.body else (sha256(body).hexdigest(), body)


def _answer(command: Command) -> bytes | None:
    """Give what of an answer is kept with the try."""
    if isinstance(command, ReadBack):
        return command.refusals or None
    return command.answer or None if isinstance(command, CallTaken) else None


async def _happens(event: asyncio.Event, seconds: float) -> bool:
    """Wait for an event; tells whether it came in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            return await event.wait()
    return False
