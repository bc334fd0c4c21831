"""The composition root: open things in order, close them in reverse."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import version
from platform import python_version
from typing import Any

import aiohttp
import asyncpg
from aiohttp import web

from gateway import migrations, postgres
from gateway.calls import CallError
from gateway.dispatch.calls import Road
from gateway.dispatch.dispatcher import Dispatcher
from gateway.domain.commands import Assign
from gateway.inbound.internal import internal_app
from gateway.inbound.public import public_app
from gateway.inbound.rejoin import rejoin
from gateway.ledger import claims, holds, processes, stories
from gateway.ledger.entries import LedgerUnavailable
from gateway.ledger.processes import Membership
from gateway.ledger.writer import DATABASE_AWAY, Writer
from gateway.newstore.client import Client
from gateway.providers import ADAPTERS
from gateway.settings import Listener, Settings
from gateway.telemetry import lag, metrics, trace
from gateway.telemetry.logs import log

_SWEEP = 2.0  # seconds between looks for what no event in this process announces
_WATCH = 0.5  # seconds between looks for claims of processes that are gone
# A host that vanished is noticed by the server, which then frees its lock and its claims.
_KEEP_ALIVE = {"tcp_keepalives_idle": "3", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "2"}
_CALL_TIME = 15.0  # seconds that a stop waits for calls in flight


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway and where it listens."""

    public_url: str
    internal_url: str
    writer: Writer
    dispatcher: Dispatcher
    newstore: Client
    broke: asyncio.Event
    """Set when a part that must always run has died of a fault of its own: the process should end."""


@asynccontextmanager
async def database(settings: Settings) -> AsyncIterator[str]:
    """Give the DSN of the configured Postgres, or of our own, which is started, migrated and stopped here."""
    if settings.database.url is not None:
        yield settings.database.url.reveal()
        return
    async with postgres.running(settings.database.data_dir) as dsn:
        connection = await asyncpg.connect(dsn)
        try:
            await migrations.migrate(connection)
        finally:
            await connection.close()
        yield dsn


@asynccontextmanager
async def running(settings: Settings, dsn: str) -> AsyncIterator[Gateway]:
    """Run a gateway on a migrated database. Raises `SchemaMismatch` for one it can't run on."""
    metrics.BUILD.labels(version("newstore-fulfillment-gateway"), str(migrations.PROGRAM), python_version()).set(1)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(trace.exporting(settings.telemetry))
        pool = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=2, max_size=16, command_timeout=10))
        async with pool.acquire() as connection:
            await migrations.check(connection)
        await ensure_partitions(pool)
        await holds.confirm_first(
            pool, list(settings.locations), [each.confirm_first for each in settings.locations.values()]
        )
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False)
        )
        newstore = Client(session, settings.newstore)
        adapters = {each.name: ADAPTERS[each.adapter](session, each) for each in settings.providers.values()}

        async def connect() -> asyncpg.Connection:
            return await asyncpg.connect(dsn, timeout=4, command_timeout=10, server_settings=_KEEP_ALIVE)

        membership = Membership(connect)
        await membership.join()
        stack.push_async_callback(membership.leave)
        broke = asyncio.Event()
        _keep_running(stack, membership.run(), broke)
        _keep_running(stack, lag.watch(), broke)
        writer = Writer(connect, verify_within=settings.newstore.verify_within, express=settings.express_service_levels)
        dispatcher = Dispatcher(Road(newstore, adapters), writer, settings, membership, connect)
        writer.on_ready = dispatcher.wake
        _keep_running(stack, writer.run(), broke)
        stack.push_async_callback(writer.drained)

        async def join(request_ids: Sequence[str] | None) -> None:
            await rejoin(pool, writer, settings, request_ids)

        joins: set[asyncio.Task[None]] = set()

        def received(request_ids: list[str]) -> None:
            task = asyncio.create_task(_quietly(join, request_ids))
            joins.add(task)
            task.add_done_callback(joins.discard)

        writer.on_received = received
        _keep_running(stack, _sweep(pool, writer, settings, join), broke)
        _keep_running(stack, _watch(pool, settings, dispatcher), broke)
        stack.push_async_callback(_drained, dispatcher)
        _keep_running(stack, dispatcher.run(), broke)
        public_url = await _listen(stack, public_app(settings, writer, pool, join), settings.public)
        internal_url = await _listen(stack, internal_app(settings, pool, writer, adapters), settings.internal)
        yield Gateway(public_url, internal_url, writer, dispatcher, newstore, broke)


async def ensure_partitions(pool: asyncpg.Pool, today: date | None = None) -> None:
    """Make the partitions of this month and the next, before anything can land in the default one."""
    this = (today or datetime.now(UTC).date()).replace(day=1)
    for month in (this, (this + timedelta(days=32)).replace(day=1)):
        await pool.execute("SELECT ensure_partitions($1)", month)


async def _sweep(
    pool: asyncpg.Pool,
    writer: Writer,
    settings: Settings,
    join: Callable[[Sequence[str] | None], Awaitable[None]],
) -> None:
    while True:
        await _quietly(ensure_partitions, pool)
        await _quietly(assign_unroutable, pool, writer, settings)
        await _quietly(join, None)
        await asyncio.sleep(_SWEEP)


async def _watch(pool: asyncpg.Pool, settings: Settings, dispatcher: Dispatcher) -> None:
    """Look after the calls of processes that are gone, and after the brakes."""
    while True:
        await _quietly(_take_over, pool, settings.newstore.unknown_grace, dispatcher)
        await _quietly(holds.trip, pool, settings.brake)
        await asyncio.sleep(_WATCH)


async def _take_over(pool: asyncpg.Pool, grace: float, dispatcher: Dispatcher) -> None:
    async with pool.acquire() as connection:
        if await processes.take_over(connection, grace=grace) + await claims.free_lost(connection, grace=grace):
            dispatcher.wake()


async def assign_unroutable(pool: asyncpg.Pool, writer: Writer, settings: Settings) -> int:
    """Route what was parked while its location had no provider, once the settings name one."""
    assigned = 0
    for location in settings.locations.values():
        if location.provider is None:
            continue
        for request_id in await stories.unroutable(pool, location.id):
            await writer.apply(Assign(request_id=request_id, at=datetime.now(UTC), provider=location.provider))
            assigned += 1
    return assigned


async def open_work_without_provider(settings: Settings) -> dict[str, int]:
    """Count the open requests of providers that the settings do not name: nobody makes their calls."""
    if settings.database.url is None:
        return {}
    connection = await asyncpg.connect(settings.database.url.reveal())
    try:
        return await stories.open_elsewhere(connection, list(settings.providers))
    finally:
        await connection.close()


async def reach(settings: Settings) -> dict[str, str]:
    """Get a NewStore token and reach each provider; what failed is said in words, an empty text means reached."""
    found: dict[str, str] = {}
    async with aiohttp.ClientSession() as session:
        checks: dict[str, Awaitable[None]] = {"newstore": Client(session, settings.newstore).check()}
        checks |= {each.name: ADAPTERS[each.adapter](session, each).check() for each in settings.providers.values()}
        for name, check in checks.items():
            try:
                await check
            except CallError as error:
                found[name] = str(error)
            else:
                found[name] = ""
    return found


async def _quietly(work: Callable[..., Awaitable[object]], *arguments: object) -> None:
    """A sweep that the database interrupts comes round again."""
    try:
        await work(*arguments)
    except (*DATABASE_AWAY, LedgerUnavailable) as error:
        log("sweep.interrupted", error)


async def _listen(stack: AsyncExitStack, app: web.Application, at: Listener) -> str:
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=_CALL_TIME)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, at.host, at.port)
    await site.start()
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _keep_running(stack: AsyncExitStack, work: Coroutine[Any, Any, None], broke: asyncio.Event) -> None:
    """Run until the stack closes; whatever ends it earlier is a fault that the process must not outlive."""
    task = asyncio.create_task(work)
    stack.push_async_callback(_ended, task)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log("process.broke", error)
            broke.set()

    task.add_done_callback(ended)


async def _drained(dispatcher: Dispatcher) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_CALL_TIME):
            await dispatcher.settled()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
