"""What is looked for again and again, because no event in this process announces it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import asyncpg

from gateway import mapping_sweep
from gateway.comparison import Comparing
from gateway.dispatch.dispatcher import Dispatcher
from gateway.domain.commands import Assign, Deadline, Overdue
from gateway.ledger.database import months
from gateway.ledger.database.connections import DATABASE_AWAY
from gateway.ledger.queue import claims, holds, overtake, processes
from gateway.ledger.queue.processes import Membership
from gateway.ledger.read import request_reads
from gateway.ledger.write.queued import LedgerUnavailable
from gateway.ledger.write.writer import Writer
from gateway.providers.port import Adapter
from gateway.settings import Settings
from gateway.telemetry.logs import log

_SWEEP = 2.0  # seconds between looks for what no event in this process announces
_MOST_OVERDUE = 200  # of one provider that a sweep finds: the next one goes on
_GATHER = 0.05  # seconds in which new requests gather for one look at what came before them
_WATCH = 0.5  # seconds between looks for claims of processes that are gone


async def sweep(
    pool: asyncpg.Pool,
    writer: Writer,
    settings: Settings,
    adapters: Mapping[str, Adapter],
    join: Callable[[Sequence[str] | None], Awaitable[None]],
) -> None:
    """Look after months, requests without a provider, early messages, mappings, deadlines, holds, restored work."""
    comparing = Comparing(pool, writer, settings)
    while True:
        await _quietly(months.ensure_partitions, pool)
        await _quietly(_assign_unroutable, pool, writer, settings)
        await _quietly(join, None)
        await _quietly(_map, pool, writer, settings, adapters)
        await _quietly(find_overdue, pool, writer, settings, adapters)
        await _quietly(overtake.overtake_held, pool)
        await _quietly(comparing.run_once)
        await asyncio.sleep(_SWEEP)


async def watch(pool: asyncpg.Pool, settings: Settings, dispatcher: Dispatcher, membership: Membership) -> None:
    """Look after the calls of processes that are gone, and after the brakes."""
    others = processes.Others()
    while True:
        if membership.is_alive:  # whoever is cut off itself knows nothing of the others
            await _quietly(_take_over, pool, settings.newstore.unknown_grace, dispatcher, membership, others)
        await _quietly(holds.trip, pool, settings.brake)
        await asyncio.sleep(_WATCH)


async def _take_over(
    pool: asyncpg.Pool, grace: float, dispatcher: Dispatcher, membership: Membership, others: processes.Others
) -> None:
    try:
        async with pool.acquire() as connection:
            silent = await others.silent(connection, membership.owner)
            taken = await processes.take_over(connection, grace=grace, back_at=membership.back_at, silent=silent)
            if taken + await claims.free_lost(connection, grace=grace):
                dispatcher.wake()
    except DATABASE_AWAY:
        await pool.expire_connections()  # they may lead to a server that is gone, or that only reads by now
        raise


async def _assign_unroutable(pool: asyncpg.Pool, writer: Writer, settings: Settings) -> None:
    """Route what was parked while its location had no provider, once the settings name one."""
    for location in settings.locations.values():
        if location.provider is None:
            continue
        for request_id in await request_reads.unroutable(pool, location.id):
            await writer.apply(Assign(request_id=request_id, at=datetime.now(UTC), provider=location.provider))


async def _map(pool: asyncpg.Pool, writer: Writer, settings: Settings, adapters: Mapping[str, Adapter]) -> None:
    await mapping_sweep.refresh(pool, adapters)
    if await mapping_sweep.let_go_on(pool, writer, settings, adapters):
        writer.on_ready()


async def find_overdue(pool: asyncpg.Pool, writer: Writer, settings: Settings, adapters: Mapping[str, Adapter]) -> None:
    """Tell the requests whose providers have missed a deadline that they have."""
    for name, adapter in adapters.items():
        for deadline, seconds in adapter.provider.deadlines.items():
            found = await _OF_A_PROVIDER[deadline](pool, name, seconds, _MOST_OVERDUE)
            await asyncio.gather(*(writer.apply(each) for each in _told(adapters, found, deadline, seconds)))
    for place in settings.locations.values():
        grace, then = place.backorder_grace, place.after_backorder_grace
        found = await request_reads.not_in_stock(pool, place.id, grace, _MOST_OVERDUE)
        told = _told(adapters, found, Deadline.BACKORDER, grace)
        await asyncio.gather(*(writer.apply(replace(each, after=then)) for each in told))


def _told(
    adapters: Mapping[str, Adapter], found: Iterable[request_reads.Waits], deadline: Deadline, seconds: float
) -> Iterator[Overdue]:
    at = datetime.now(UTC)
    for request_id, provider, assignment, since in found:
        if provider in adapters:
            can = adapters[provider].can
            yield Overdue(
                request_id=request_id, at=at, deadline=deadline, provider=provider, assignment=assignment, since=since,
                seconds=seconds, can_read=can.read, can_withdraw=can.withdraw,
            )  # fmt: skip


_OF_A_PROVIDER = {Deadline.ACKNOWLEDGE: request_reads.not_taken, Deadline.ACCEPT: request_reads.not_accepted}


def gathered(join: Callable[[Sequence[str]], Awaitable[None]]) -> Callable[[list[str]], None]:
    """Look once for all requests of a moment: what has come before them is rare, and the sweep looks too."""
    fresh: set[str] = set()
    looking: set[asyncio.Task[None]] = set()

    async def look() -> None:
        await asyncio.sleep(_GATHER)
        found = list(fresh)
        fresh.clear()
        await _quietly(join, found)

    def received(request_ids: list[str]) -> None:
        if not fresh:
            task = asyncio.create_task(look())
            looking.add(task)
            task.add_done_callback(looking.discard)
        fresh.update(request_ids)

    return received


async def _quietly(work: Callable[..., Awaitable[object]], *arguments: object) -> None:
    """A sweep that the database interrupts comes round again."""
    try:
        await work(*arguments)
    except (*DATABASE_AWAY, LedgerUnavailable) as error:
        log("sweep.interrupted", error)
