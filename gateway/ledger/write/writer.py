"""The one writer of a process: commands wait here, are decided in order, and committed as one batch."""

import asyncio
import contextlib
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from time import perf_counter

import asyncpg
import orjson

from gateway.domain.commands import Command, ProviderSaid, Receive, Redrive
from gateway.domain.deliveries import READS, Delivery
from gateway.domain.handle import conflict_cause
from gateway.domain.requests import Request
from gateway.ledger import codec
from gateway.ledger.database.connections import DATABASE_AWAY
from gateway.ledger.database.seen import Position
from gateway.ledger.database.servers import NoServer
from gateway.ledger.queue.claims import Claim
from gateway.ledger.read import request_reads
from gateway.telemetry import lifecycle_metrics, metrics, trace
from gateway.telemetry.logs import log

from .commit import Batch, DeliveryKey
from .plan import Claimed, Plan, key_of
from .queued import Attempt, CommitResult, LedgerUnavailable, QueuedCommand, Reschedule, Unstorable

_MOST_COMMANDS = 500
_MOST_BYTES = 8 * 1024 * 1024
_MOST_WAITING = 20_000
_MOST_WAITING_BYTES = 256 * 1024 * 1024
_MOST_SECONDS = 4.5  # until a sender is told to come again
_WATCH = 0.25
_TRY_AFTER = 2.0  # seconds without a commit after which the writer tries whether it still could
_TRY_AGAIN_AFTER = 0.5  # likewise, while it could not
_MESSAGES: dict[type, str] = {Receive: "request", ProviderSaid: "callback"}

# The statement is long and its inputs always alike: planning it for each batch costs more than running it. The plan
# may be made while the tables are empty, and has to do when half a million calls wait.
_PLAN_ONCE = "SET plan_cache_mode = force_generic_plan; SET jit = off; SET enable_seqscan = off"

# A commit may fit into what its tables have; this needs new room, leaves nothing behind, and asks for no right.
_SPILL_TO_DISK = "SET LOCAL work_mem = '64kB'; SELECT count(*) FROM generate_series(1, 30000)"

_READ_DELIVERIES = """
SELECT request_id, operation, seq, destination, owner, attempt, doubt, verify_by <= clock_timestamp() AS overdue
FROM deliveries
WHERE request_id = ANY($1::text[]) ORDER BY seq
"""
_READ_CAUSES = """
SELECT e.request_id, e.cause, e.fingerprint
FROM unnest($1::text[], $2::text[]) AS asked(request_id, cause)
JOIN requests r ON r.id = asked.request_id
JOIN events e ON e.month = r.month AND e.request_id = asked.request_id AND e.cause = asked.cause
"""


@dataclass(slots=True)
class _Read:
    """What the database held when a batch was decided."""

    requests: dict[str, Request]
    claims: Claimed
    traces: dict[str, str]  # where a request's trace began


class Writer:
    """Take commands, answer when they are committed. `run` must be running."""

    def __init__(
        self,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        *,
        verify_within: float = 900.0,
        express: Collection[str] = (),
        position: Position | None = None,
    ) -> None:
        self._connect = connect
        self._verify_within = verify_within
        self._express = express
        self._position = position or Position()
        self._connection: asyncpg.Connection | None = None
        self._urgent: deque[QueuedCommand] = deque()
        self._settlements: deque[QueuedCommand] = deque()
        self._waiting_bytes = 0  # of commands whose sender may be told to come again
        self._writing: list[QueuedCommand] = []
        self._is_failing = False
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.on_ready: Callable[[], None] = lambda: None  # calls are owed that were not before
        self.on_received: Callable[[list[str]], None] = lambda _ids: None  # these requests are new
        self.on_batch: Callable[[int, float], None] = lambda _size, _seconds: None  # a commit of this size and time
        self.on_commit: Callable[[Exception | None], None] = lambda _error: None  # how it went, in earnest or tried
        self.on_away: Callable[[], Awaitable[object]] = _no_listener  # whoever else holds connections may want new ones

    @property
    def waiting(self) -> int:
        return len(self._urgent) + len(self._settlements)

    async def apply(self, command: Command, body: bytes | None = None) -> CommitResult:
        """Decide and store a command with the bytes it came in.

        Raises `LedgerUnavailable` when the queue is full, the database is away or a commit takes too long (it may
        still come), `Unstorable` when it never can.
        """
        if self.waiting >= _MOST_WAITING or self._waiting_bytes >= _MOST_WAITING_BYTES:
            raise LedgerUnavailable("too many commands are waiting")
        entry = QueuedCommand(
            command.request_id, command, body=body, trace=trace.current(), optimistic=isinstance(command, Receive)
        )
        self._waiting_bytes += entry.size
        self._urgent.append(entry)
        self._wake.set()
        return await entry.done

    async def settle(
        self,
        claim: Claim,
        attempt: Attempt,
        then: Command | Reschedule,
        known: Request | None = None,
        *,
        next_look: float = 0.0,
    ) -> CommitResult:
        """Store how a claimed call went. A late outcome, whose claim was lost, is kept and changes nothing.

        `next_look` is in how many seconds a read-back looks again that has not seen everything.
        `known` is the state when it was claimed: where it still is the state, it need not be read again.
        """
        reschedule = then if isinstance(then, Reschedule) else None
        command = None if isinstance(then, Reschedule) else then
        optimistic = known is not None and command is not None
        entry = QueuedCommand(
            claim.request_id, command, claim=claim, attempt=attempt, reschedule=reschedule, trace=trace.current(),
            known=known, next_look=next_look, optimistic=optimistic,
        )  # fmt: skip
        self._settlements.append(entry)
        self._wake.set()
        return await entry.done

    async def drained(self) -> None:
        """Wait until nothing is waiting for its commit."""
        await self._idle.wait()

    async def run(self) -> None:
        """Commit batch after batch until cancelled."""
        watching = asyncio.create_task(self._watch())
        try:
            while True:
                if not await self._is_woken():
                    await self._try_commit()
                    continue
                self._wake.clear()
                self._idle.clear()
                while batch := self._next():
                    self._writing = batch
                    await self.run_once(batch)
                self._writing = []
                self._idle.set()
        finally:
            watching.cancel()
            if self._connection is not None:
                self._connection.terminate()

    async def _is_woken(self) -> bool:
        """Wait for a command, for as long as it is known without one whether commits succeed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TRY_AGAIN_AFTER if self._is_failing else _TRY_AFTER):
                return await self._wake.wait()
        return False

    async def _try_commit(self) -> None:
        """Commit nothing by all that a commit needs: whoever is told that we can't store anything sends nothing."""
        try:
            connection = await self._connected()
            await Batch().commit(connection, Position())
            await connection.execute(_SPILL_TO_DISK)
        except DATABASE_AWAY as error:
            await self._disconnect(error)
        else:
            self._note(None)

    def _note(self, error: Exception | None) -> None:
        self._is_failing = error is not None
        self.on_commit(error)

    async def _disconnect(self, error: Exception) -> None:
        """Leave a connection on which no commit succeeds."""
        if not self._is_failing:
            # What it was told when it tried to connect names servers, and nothing of anybody's data.
            log("commit.interrupted", error, servers=str(error) if isinstance(error, NoServer) else None)
        self._note(error)
        await self.on_away()
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
            await self._connection.execute(_PLAN_ONCE)
        return self._connection

    async def _watch(self) -> None:
        """Tell senders to come again when a commit takes too long; what they sent stays in its place."""
        while True:
            await asyncio.sleep(_WATCH)
            too_old = asyncio.get_running_loop().time() - _MOST_SECONDS
            for entry in (*self._writing, *self._urgent):
                if entry.claim is None and entry.since < too_old:
                    _fail(entry, LedgerUnavailable("the commit takes too long"))

    def _next(self) -> list[QueuedCommand]:
        """Take the next batch, bounded in number and bytes: in turn what came in and what came of calls.

        Neither may wait for the other to run dry: a claim whose outcome is not stored in time is lost.
        """
        batch: list[QueuedCommand] = []
        size = 0
        while (self._urgent or self._settlements) and len(batch) < _MOST_COMMANDS and size < _MOST_BYTES:
            for queue in (self._urgent, self._settlements):
                if queue:
                    entry = queue.popleft()
                    size += entry.size
                    batch.append(entry)
                    self._waiting_bytes -= 0 if entry.claim else entry.size
        return batch

    async def run_once(self, batch: list[QueuedCommand]) -> None:
        """Write one batch; a command that the database can't store fails alone."""
        try:
            left = await self._write(batch)
        except asyncpg.TransactionRollbackError:
            await self._requeue(batch, batch)  # a deadlock: the statement of whoever was in the way goes on
        except DATABASE_AWAY as error:
            await self._interrupt(batch, error)
        except (asyncpg.PostgresError, orjson.JSONEncodeError, ValueError, LookupError, OverflowError) as error:
            if len(batch) == 1:
                log(
                    "command.unstorable", error, request_id=batch[0].request_id, command=type(batch[0].command).__name__
                )
                _fail(batch[0], Unstorable(f"{type(error).__name__}: the command can't be stored"), error)
                return
            middle = len(batch) // 2
            await self.run_once(batch[:middle])
            await self.run_once(batch[middle:])
        else:
            if left:
                await self._requeue(left, batch)

    async def _requeue(self, left: list[QueuedCommand], batch: list[QueuedCommand]) -> None:
        """What was not written goes first in the next batch."""
        if len(left) == len(batch):
            await asyncio.sleep(0.005)  # somebody else holds every one of these rows
        for entry in reversed(left):
            (self._settlements if entry.claim else self._urgent).appendleft(entry)
            self._waiting_bytes += 0 if entry.claim else entry.size

    async def _interrupt(self, batch: list[QueuedCommand], error: Exception) -> None:
        """The database is away: senders are told, outcomes of calls wait for its return."""
        await self._disconnect(error)
        for entry in batch:
            if entry.claim is None:
                _fail(entry, LedgerUnavailable(f"the database is away ({type(error).__name__})"), error)
        self._settlements.extendleft(entry for entry in reversed(batch) if entry.claim is not None)
        await asyncio.sleep(0.2)

    async def _write(self, entries: list[QueuedCommand]) -> list[QueuedCommand]:
        """Decide and commit; returns the entries that must be read again."""
        connection = await self._connected()
        started = perf_counter()
        now, later = _defer_reads(entries)
        groups = _by_request(now)
        read = await self._read(connection, now)
        plan = Plan(self._verify_within, self._express)
        for request_id, group in groups.items():
            claim = group[0].claim if group[0].known else None
            traced = claim.trace if claim else read.traces.get(request_id)
            plan.add(read.requests.get(request_id) or group[0].known, group, read.claims, traced)
        written, busy = set[str](), set[DeliveryKey]()
        if plan.has_rows:
            written, busy = await plan.batch.commit(connection, self._position)
            self._note(None)
        seconds = perf_counter() - started
        metrics.BATCH_COMMANDS.observe(len(now))
        metrics.COMMIT_SECONDS.observe(seconds)
        self.on_batch(len(now), seconds)
        return [*self._answer(plan, written, busy), *later]

    def _answer(self, plan: Plan, written: set[str], busy: set[DeliveryKey]) -> list[QueuedCommand]:
        left: list[QueuedCommand] = []
        for entry, applied, needs_write in plan.results:
            is_busy = entry.claim is not None and key_of(entry.claim) in busy
            if is_busy or (needs_write and entry.request_id not in written):
                entry.optimistic, entry.known = False, None
                left.append(entry)
                continue
            if applied.request is not None and not applied.events and (kind := _MESSAGES.get(type(entry.command))):
                lifecycle_metrics.came_again(applied.request, kind)
            if not entry.done.done():
                entry.done.set_result(applied)
        for before, after, events, traced in plan.changed:
            if after.id in written:
                lifecycle_metrics.passed(before, after, events, traced)
        if plan.batch.deliveries or plan.batch.ready or plan.batch.settled:
            self.on_ready()
        if new := [row["id"] for row in plan.batch.incoming if row["id"] in written]:
            self.on_received(new)
        return left

    async def _read(self, connection: asyncpg.Connection, entries: list[QueuedCommand]) -> _Read:
        asked = {entry.request_id for entry in entries if entry.command and not entry.optimistic}
        if not asked:
            return _Read({}, {}, {})
        ids = list(asked)
        rows = await request_reads.rows_of(connection, ids)
        deliveries = await connection.fetch(_READ_DELIVERIES, ids)
        commands = [entry.command for entry in entries if entry.command]
        asked_causes = [(each.request_id, cause) for each in commands for cause in (each.cause, conflict_cause(each))]
        causes = await connection.fetch(_READ_CAUSES, *zip(*asked_causes, strict=True))
        owed = defaultdict[str, list[Delivery]](list)
        for row in deliveries:
            owed[row["request_id"]].append(codec.decode_delivery(row))
        seen: dict[str, dict[str, str]] = {}
        for row in causes:
            seen.setdefault(row["request_id"], {})[row["cause"]] = row["fingerprint"]
        about_parcels = {each.request_id for each in commands if _is_about_a_parcel(each)}
        asked_parcels = {row["id"]: row["month"] for row in rows if row["id"] in about_parcels}
        parcels = await request_reads.parcels(connection, asked_parcels) if asked_parcels else {}
        return _Read(
            {
                row["id"]: codec.decode_request(row, owed[row["id"]], seen.get(row["id"]), parcels.get(row["id"]))
                for row in rows
            },
            {
                (row["request_id"], row["operation"], row["seq"]): (row["owner"], row["attempt"], bool(row["overdue"]))
                for row in deliveries
            },
            {row["id"]: row["trace"] for row in rows if row["trace"]},
        )


def _is_about_a_parcel(command: Command) -> bool:
    return isinstance(command, Redrive) or (isinstance(command, ProviderSaid) and command.parcel is not None)


async def _no_listener() -> None:
    """Stand for a listener that is not there."""


def _by_request(entries: list[QueuedCommand]) -> dict[str, list[QueuedCommand]]:
    """Group a batch by request; several entries of one must start from one state, so it is read."""
    groups: dict[str, list[QueuedCommand]] = {}
    for entry in entries:
        groups.setdefault(entry.request_id, []).append(entry)
    for group in groups.values():
        if len(group) > 1 and any(entry.known for entry in group):
            for entry in group:
                entry.optimistic, entry.known = False, None
    return groups


def _defer_reads(entries: list[QueuedCommand]) -> tuple[list[QueuedCommand], list[QueuedCommand]]:
    """A read-back's outcome shares no statement with other commands of its request: both would move one row."""
    crowded = {entry.request_id for entry in entries if not _is_read(entry)}
    now: list[QueuedCommand] = []
    later: list[QueuedCommand] = []
    for entry in entries:
        is_read = _is_read(entry)
        (later if is_read and entry.request_id in crowded else now).append(entry)
        if is_read:
            crowded.add(entry.request_id)
    return now, later


def _is_read(entry: QueuedCommand) -> bool:
    return entry.claim is not None and entry.claim.operation in READS


def _fail(entry: QueuedCommand, error: Exception, cause: Exception | None = None) -> None:
    if not entry.done.done():
        error.__cause__ = cause
        entry.done.set_exception(error)
        with contextlib.suppress(Exception):
            entry.done.exception()  # a sender who hung up does not ask
