"""The loop that makes owed calls: claim what is due, send it, settle it."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.calls import CallError
from gateway.domain.commands import Command
from gateway.domain.deliveries import NEWSTORE
from gateway.ledger.claims import claim as claim_calls
from gateway.ledger.claims import free_lost
from gateway.ledger.entries import Again, Attempt, Claim
from gateway.ledger.writer import DATABASE_AWAY, Writer
from gateway.settings import Settings

from . import calls
from .outcomes import Undecidable, after, name

_log = logging.getLogger(__name__)
_POLL = 0.25  # seconds between looks when nothing in this process says that there is work
_START_WITHIN = 5.0  # seconds after its claim in which a call may start; the claim outlives it by the call's time-out


@dataclass(frozen=True, slots=True)
class Lane:
    """One destination: how many calls at once, how long each may take, and which DCs it serves."""

    destination: str
    concurrency: int
    seconds: float
    locations: tuple[str, ...]


def lanes(settings: Settings) -> list[Lane]:
    """Say which calls this process can make; what belongs to others it leaves alone."""
    every = tuple(settings.locations)
    return [
        Lane(NEWSTORE, settings.newstore.concurrency, settings.newstore.timeout, every),
        *(Lane(each.name, each.concurrency, each.timeout, every) for each in settings.providers.values()),
    ]


class Dispatcher:
    """Make the owed calls of the destinations in `settings`, as `owner`."""

    def __init__(self, road: calls.Road, writer: Writer, settings: Settings, owner: str) -> None:
        self._road = road
        self._writer = writer
        self._owner = owner
        self._grace = settings.newstore.unknown_grace
        self._lanes = lanes(settings)
        self._flying: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self.outcomes: Counter[tuple[str, str]] = Counter()

    def wake(self) -> None:
        """Look for work now rather than at the next poll."""
        self._wake.set()

    async def run(self) -> None:
        """Claim and send until cancelled; the calls in flight then go on until `drained`."""
        while True:
            self._wake.clear()
            try:
                found = await self.run_once()
            except DATABASE_AWAY as error:
                _log.warning("dispatch.database_away %s", type(error).__name__)
                found = 0
            if not found:
                try:
                    async with asyncio.timeout(_POLL):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def run_once(self) -> int:
        """Claim one batch for every destination with room, start the calls, and return how many."""
        started = 0
        async with self._road.pool.acquire() as connection:
            for lane in self._lanes:
                for reads in (False, True):
                    free = lane.concurrency - self._flying[lane.destination]
                    if free < max(1, lane.concurrency // 4) or (reads and lane.destination != NEWSTORE):
                        continue
                    claimed = await claim_calls(
                        connection,
                        [(lane.destination, location) for location in lane.locations],
                        reads=reads,
                        limit=free,
                        owner=self._owner,
                        seconds=lane.seconds * 2 + _START_WITHIN,  # a look-up and the call
                    )
                    started += len(claimed)
                    for each in claimed:
                        self._start(each)
        return started

    async def free_lost(self) -> None:
        """Give back the claims of processes that died in a call."""
        async with self._road.pool.acquire() as connection:
            if await free_lost(connection):
                self.wake()

    async def settled(self) -> None:
        """Wait for the calls in flight."""
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self, claim: Claim) -> None:
        self._flying[claim.destination] += 1
        task = asyncio.create_task(self._fly(claim, asyncio.get_running_loop().time()))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _fly(self, claim: Claim, claimed_at: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            if loop.time() - claimed_at > _START_WITHIN:
                return  # this process stood still: the claim may be somebody else's by now
            attempt, then = await self._try(claim)
            self.outcomes[claim.destination, attempt.outcome] += 1
            await self._writer.settle(claim, attempt, then)
        except Exception:  # noqa: BLE001 - see below
            # The one broad except of the program: whatever one call does, the others go on. The claim runs out by
            # itself and is then taken as unknown.
            _log.exception("dispatch.call_broke operation=%s request=%s", claim.operation, claim.request_id)
        finally:
            self._flying[claim.destination] -= 1
            self.wake()

    async def _try(self, claim: Claim) -> tuple[Attempt, Command | Again]:
        loop = asyncio.get_running_loop()
        at, started = datetime.now(UTC), loop.time()
        try:
            command = await calls.make(self._road, claim)
        except (CallError, Undecidable) as error:
            seconds = loop.time() - started
            response = getattr(error, "body", None) or None
            attempt = Attempt(at, seconds, name(error), getattr(error, "status", None), str(error)[:500], response)
            then = after(error, claim, datetime.now(UTC), self._grace)
            if claim.verify_by is None:
                return attempt, then
            overdue = calls.is_overdue(claim)
            return attempt, then if isinstance(then, Again) and not overdue else calls.nothing_shown(claim)
        return Attempt(at, loop.time() - started, "done", None, ""), command
