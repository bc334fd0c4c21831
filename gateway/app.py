"""The composition root: open things in order, close them in reverse."""

import asyncio
import logging
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

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
from gateway.ledger import stories
from gateway.ledger.entries import LedgerUnavailable
from gateway.ledger.writer import DATABASE_AWAY, Writer
from gateway.newstore.client import Client
from gateway.providers import ADAPTERS
from gateway.settings import Listener, Settings

_log = logging.getLogger(__name__)
_SWEEP = 2.0  # seconds between looks for what no event in this process announces
_CALL_TIME = 15.0  # seconds that a stop waits for calls in flight


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway and where it listens."""

    public_url: str
    internal_url: str
    writer: Writer
    dispatcher: Dispatcher
    newstore: Client


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
    async with AsyncExitStack() as stack:
        pool = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=2, max_size=16, command_timeout=10))
        async with pool.acquire() as connection:
            await migrations.check(connection)
        await ensure_partitions(pool)
        session = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False)
        )
        newstore = Client(session, settings.newstore)
        adapters = {each.name: ADAPTERS[each.adapter](session, each) for each in settings.providers.values()}
        writer = Writer(lambda: asyncpg.connect(dsn, command_timeout=10), verify_within=settings.newstore.verify_within)
        owner = f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"
        dispatcher = Dispatcher(Road(pool, newstore, adapters), writer, settings, owner)
        writer.on_ready = dispatcher.wake
        writing = asyncio.create_task(writer.run())
        stack.push_async_callback(_ended, writing)
        stack.push_async_callback(writer.drained)

        async def join(request_ids: Sequence[str] | None) -> None:
            await rejoin(pool, writer, settings, request_ids)

        joins: set[asyncio.Task[None]] = set()

        def received(request_ids: list[str]) -> None:
            task = asyncio.create_task(_quietly(join, request_ids))
            joins.add(task)
            task.add_done_callback(joins.discard)

        writer.on_received = received
        sweeping = asyncio.create_task(_sweep(pool, writer, settings, dispatcher, join))
        stack.push_async_callback(_ended, sweeping)
        dispatching = asyncio.create_task(dispatcher.run())
        stack.push_async_callback(_drained, dispatcher)
        stack.push_async_callback(_ended, dispatching)
        public_url = await _listen(stack, public_app(settings, writer, pool, join), settings.public)
        internal_url = await _listen(stack, internal_app(settings, pool), settings.internal)
        yield Gateway(public_url, internal_url, writer, dispatcher, newstore)


async def ensure_partitions(pool: asyncpg.Pool, today: date | None = None) -> None:
    """Make the partitions of this month and the next, before anything can land in the default one."""
    this = (today or datetime.now(UTC).date()).replace(day=1)
    for month in (this, (this + timedelta(days=32)).replace(day=1)):
        await pool.execute("SELECT ensure_partitions($1)", month)


async def _sweep(
    pool: asyncpg.Pool,
    writer: Writer,
    settings: Settings,
    dispatcher: Dispatcher,
    join: Callable[[Sequence[str] | None], Awaitable[None]],
) -> None:
    while True:
        await _quietly(ensure_partitions, pool)
        await _quietly(dispatcher.free_lost)
        await _quietly(assign_unroutable, pool, writer, settings)
        await _quietly(join, None)
        await asyncio.sleep(_SWEEP)


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
        _log.warning("sweep.interrupted %s", type(error).__name__)


async def _listen(stack: AsyncExitStack, app: web.Application, at: Listener) -> str:
    runner = web.AppRunner(app, access_log=None, handler_cancellation=False, shutdown_timeout=_CALL_TIME)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    site = web.TCPSite(runner, at.host, at.port)
    await site.start()
    host, port = runner.addresses[0][:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _drained(dispatcher: Dispatcher) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_CALL_TIME):
            await dispatcher.settled()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
