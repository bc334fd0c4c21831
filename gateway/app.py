"""The composition root: open things in order, close them in reverse."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from platform import python_version
from typing import Any

import asyncpg
from aiohttp import web

from gateway import postgres, sending, sweeps
from gateway.call_errors import CallError
from gateway.dispatch.calls import OutboundClients
from gateway.dispatch.dispatcher import Dispatcher
from gateway.dispatch.polling import Poller
from gateway.intake.early import apply_early_callbacks
from gateway.intake.hearing import Hearing
from gateway.ledger.database import grants, migrations, months
from gateway.ledger.database.connections import Connect
from gateway.ledger.database.readiness import Readiness
from gateway.ledger.database.seen import UnusableStateDir
from gateway.ledger.database.servers import REFUSALS, NoServer, Servers, passes
from gateway.ledger.database.sessions import SharedSessions, refuse_shared
from gateway.ledger.queue import holds
from gateway.ledger.queue.processes import Membership
from gateway.ledger.queue.restored import RestoreDetector
from gateway.ledger.read import request_reads
from gateway.ledger.write.writer import Writer
from gateway.listeners import internal_app, public_app
from gateway.newstore.client import Client
from gateway.operations.reloading import Reloading
from gateway.providers.port import Adapter
from gateway.providers.registry import Registry
from gateway.providers.transports.http import session_to
from gateway.settings import LONGEST_CALL, Listener, ProviderSettings, Settings, SettingsError
from gateway.telemetry import lag, metrics, trace
from gateway.telemetry.logs import log
from gateway.web.listening import listen

# A host that vanished is noticed by the server, which then frees its lock and its claims.
_KEEP_ALIVE = {"tcp_keepalives_idle": "3", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "2"}
_STATEMENT_TIME = 6.0  # seconds after which a server that says nothing counts as gone
_POLL = 0.5  # seconds between looks for a database that is away as we start
GRACE = 2.0  # seconds in which a balancer sees that this process is about to stop
_LISTENER_TIME = 10.0  # seconds that a stop waits for whoever is still sending a body
_CALL_TIME = LONGEST_CALL + 0.5  # seconds that a stop waits for calls; those that may take longer are cut off
_DRAIN_TIME = 22.0  # seconds that it takes at most: the calls, and storing what came of them
_YOUNG = 10_000  # objects that gather until the youngest of them are looked through for garbage
_CLOSE_TIME = 1.0  # seconds for each good-bye to a database that may not answer


class Unreached(Exception):  # said of the world, not of the code
    """A database or a collector does not answer as it should; the text says where, why, and what to do."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """A running gateway and where it listens."""

    public_url: str
    internal_url: str
    writer: Writer
    dispatcher: Dispatcher
    newstore: Client
    reload: Reloading
    broke: asyncio.Event
    """Set when a part that must always run has died of a fault of its own: the process should end."""


@asynccontextmanager
async def database(settings: Settings, on_end: Callable[[], object] = lambda: None) -> AsyncIterator[str]:
    """Give the DSN of the configured Postgres, or of our own, which is started, migrated and stopped here.

    `on_end` is called should our own end by itself.
    """
    if settings.database.url is not None:
        yield settings.database.url.reveal()
        return

    def ended() -> None:
        log("postgres.ended", data_dir=str(settings.database.data_dir))
        on_end()

    async with postgres.running(settings.database.data_dir, on_end=ended) as dsn:
        connection = await servers(settings, dsn).connect()
        try:
            await migrations.migrate(connection)
        finally:
            await connection.close()
        yield dsn


def servers(settings: Settings, dsn: str) -> Servers:
    """Give who connects to the database, encrypted as the settings have it."""
    return Servers(dsn, settings.database.plain_hosts, settings.database.ca)


@asynccontextmanager
async def running(
    settings: Settings,
    dsn: str,
    *,
    paused: bool = False,
    grace: float = 0.0,
    read_again: Callable[[], Settings] | None = None,
    registry: Registry | None = None,
) -> AsyncIterator[Gateway]:
    """Run a gateway on a migrated database, once that is there. Raises `SchemaMismatch` for one it can't run on.

    `paused` is for a start after a restore: nothing is sent until a person releases the hold that is then placed.
    `read_again` reads the settings as they are by then, for a reload; without it there is none. `registry` is the one
    by which the settings were read, where they name adapters in files.
    """
    metrics.BUILD.labels(version("newstore-fulfillment-gateway"), str(migrations.PROGRAM), python_version()).set(1)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(trace.exporting(settings.telemetry))
        pool, connect, detector, membership = await _joined(stack, settings, dsn, paused=paused)
        newstore, adapters, adapter_for = await _callers(stack, settings, registry or Registry())
        broke = asyncio.Event()
        _keep_running(stack, detector.keep(), broke)
        _keep_running(stack, membership.run(), broke)
        _keep_running(stack, lag.watch(), broke)
        writer = Writer(
            connect,
            verify_within=settings.newstore.verify_within,
            express=settings.express_service_levels,
            position=detector.seen.commits,
        )
        join = partial(apply_early_callbacks, pool, writer, settings)
        hearing = Hearing(settings, pool, writer, adapters, join)
        clients = OutboundClients(newstore, adapters, partial(hearing.hear, is_answer=True))
        dispatcher = Dispatcher(clients, writer, settings, membership, connect, position=detector.seen.claims)
        writer.on_ready = dispatcher.wake
        writer.on_away = pool.expire_connections
        readiness = Readiness()
        writer.on_commit = partial(readiness.note, "writer")
        membership.on_beat = partial(readiness.note, "heartbeat")
        _keep_running(stack, writer.run(), broke)
        writer.on_received = sweeps.gathered(join)
        _keep_running(stack, sweeps.sweep(pool, writer, settings, adapters, join), broke)
        _keep_running(stack, sweeps.watch(pool, settings, dispatcher, membership), broke)
        dispatching = _keep_running(stack, dispatcher.run(), broke)
        poller = Poller(adapters, hearing.hear_news, pool, membership, dispatcher.limiters)
        _keep_running(stack, poller.run(), broke)
        draining = asyncio.Event()
        reload = Reloading(settings, read_again or (lambda: settings), pool, adapters, adapter_for)
        inside = internal_app(settings, pool, writer, adapters, draining, readiness=readiness, reload=reload)
        internal_url, _ = await _listen(stack, inside, "internal", settings.internal, _CLOSE_TIME)
        outside = public_app(settings, writer, pool, hearing, draining=draining)
        public_url, public = await _listen(stack, outside, "public", settings.public, _LISTENER_TIME)

        async def drain() -> None:
            draining.set()
            dispatcher.stop()
            poller.stop()
            await asyncio.gather(_turned_away(public, grace), _settled(dispatching, dispatcher), poller.settled())
            await writer.drained()

        stack.push_async_callback(_within, _DRAIN_TIME, drain)
        yield Gateway(public_url, internal_url, writer, dispatcher, newstore, reload, broke)


async def _joined(
    stack: AsyncExitStack, settings: Settings, dsn: str, *, paused: bool
) -> tuple[asyncpg.Pool, Connect, RestoreDetector, Membership]:
    """Find the database, see that this program can run on it, and become one of its processes."""
    there = servers(settings, dsn)
    pool = await asyncpg.create_pool(connect=there.connect, max_size=16, min_size=0, command_timeout=_STATEMENT_TIME)
    stack.push_async_callback(_within, _CLOSE_TIME, pool.close)
    detector = RestoreDetector(settings.state_dir)
    stack.push_async_callback(detector.close)
    own = partial(there.connect, command_timeout=_STATEMENT_TIME)
    connect = detector.connecting(partial(own, server_settings=_KEEP_ALIVE))
    membership = Membership(connect, detector.seen)
    await _patiently(there, partial(refuse_shared, own))
    try:
        await _patiently(there, partial(_begin, pool, settings, membership, detector, paused=paused))
    except UnusableStateDir as error:
        raise SettingsError((str(error),)) from error
    stack.push_async_callback(_within, _CLOSE_TIME, membership.leave)
    return pool, connect, detector, membership


async def _patiently(there: Servers, begin: Callable[[], Awaitable[None]]) -> None:
    """Begin as soon as the database is there, and say once what is waited for; what no waiting mends is raised."""
    told = False
    while True:
        try:
            await begin()
        except REFUSALS as error:
            if not passes(error):
                raise
            if not told:
                log("database.awaited", servers=_said(there, error))
                told = True
            await asyncio.sleep(_POLL)
        else:
            return


def _said(there: Servers, error: Exception) -> str:
    """Say where the database is, and what it did there."""
    return str(error) if isinstance(error, NoServer) else f"{there}: {type(error).__name__}"


async def _begin(
    pool: asyncpg.Pool, settings: Settings, membership: Membership, detector: RestoreDetector, *, paused: bool
) -> None:
    """Make ready a database that this program can run on; what was done before is found done."""
    async with pool.acquire() as connection:
        await grants.check(connection)
        await migrations.check(connection)
        await detector.begin(connection, paused=paused)
    await months.ensure_partitions(pool)
    await _confirm_first(pool, settings)
    await membership.join()


async def _confirm_first(pool: asyncpg.Pool, settings: Settings) -> None:
    """Hold back what a person is to look at first, before anything can be sent."""
    confirm_first = {each.id: each.confirm_first for each in settings.locations.values()}
    await holds.confirm_first(pool, list(confirm_first), list(confirm_first.values()))


async def _callers(
    stack: AsyncExitStack, settings: Settings, registry: Registry
) -> tuple[Client, dict[str, Adapter], Callable[[ProviderSettings], Adapter]]:
    """Make what calls NewStore, what calls each provider, and how another such is made."""
    sessions = {each.name: await stack.enter_async_context(session_to(each)) for each in settings.providers.values()}

    def adapter_for(provider: ProviderSettings) -> Adapter:
        adapter = registry.find(provider.adapter)(provider, sessions[provider.name])
        if fault := patience(adapter):
            raise SettingsError((fault,))
        return adapter

    newstore = await stack.enter_async_context(sending.session(settings.newstore))
    adapters = {each.name: adapter_for(each) for each in settings.providers.values()}
    return Client(newstore, settings.newstore), adapters, adapter_for


def patience(adapter: Adapter) -> str:
    """Say what is wrong with a time-out that a stop would not wait for; nothing where all is well."""
    provider, can = adapter.provider, adapter.can
    if provider.timeout <= LONGEST_CALL or can.look_up or can.idempotent:
        return ""
    why = "a call that a stop cuts off could neither be looked up nor repeated there"
    return f"providers.{provider.name}.timeout: is above {LONGEST_CALL:g} seconds, and {why}; choose one up to that"


def collect_rarely() -> None:
    """Leave what the program itself consists of out of each search for garbage, which is a pause for every call."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG)


async def open_work_without_provider(settings: Settings) -> dict[str, int]:
    """Count the open requests of providers that the settings do not name: nobody makes their calls.

    Raises `Unreached` where the database can't tell.
    """
    if settings.database.url is None:
        return {}
    async with _asking(settings, settings.database.url.reveal()) as connection:
        return await request_reads.open_elsewhere(connection, list(settings.providers))


async def make_adapters(settings: Settings, registry: Registry) -> None:
    """Make each adapter and let go of it. Raises `SettingsError` for what only an adapter can tell of its settings."""
    async with AsyncExitStack() as stack:
        await _callers(stack, settings, registry)


async def reach(settings: Settings, registry: Registry | None = None) -> dict[str, str]:
    """Look at the database, get a NewStore token, reach each provider and the collector of traces.

    What failed is said in words, an empty text means reached.
    """
    found: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        newstore, adapters, _ = await _callers(stack, settings, registry or Registry())
        checks: dict[str, Awaitable[None]] = {}
        if settings.database.url is not None:
            checks["database"] = _check_database(settings, settings.database.url.reveal())
        checks["newstore"] = newstore.check()
        checks |= {name: adapter.check() for name, adapter in adapters.items()}
        if settings.telemetry.otlp_endpoint is not None:
            checks["otlp"] = _check_collector(settings.telemetry.otlp_endpoint)
        for name, check in checks.items():
            try:
                await check
            except (CallError, Unreached) as error:
                found[name] = str(error)
            else:
                found[name] = ""
    return found


async def _check_collector(endpoint: str) -> None:
    from gateway.telemetry.otlp import ask  # noqa: PLC0415 - an extra that nobody pays for who does not use it

    if wrong := await ask(endpoint):
        raise Unreached(wrong)


async def _check_database(settings: Settings, dsn: str) -> None:
    async with _asking(settings, dsn) as connection:
        await grants.check(connection)
        await migrations.check(connection)


@asynccontextmanager
async def _asking(settings: Settings, dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """Ask a database something; whatever it does instead of an answer is `Unreached`, with its place and what to do."""
    there = servers(settings, dsn)
    try:
        await refuse_shared(partial(there.connect, command_timeout=_STATEMENT_TIME))
        connection = await there.connect(command_timeout=_STATEMENT_TIME)
        try:
            yield connection
        finally:
            await _within(_CLOSE_TIME, connection.close)
    except (migrations.SchemaMismatch, SharedSessions) as error:
        raise Unreached(f"{there}: {error}") from error
    except REFUSALS as error:
        raise Unreached(f"{_said(there, error)}; mend it, or database.url or DATABASE_URL") from error


async def _listen(
    stack: AsyncExitStack, app: web.Application, table: str, at: Listener, patience: float
) -> tuple[str, web.AppRunner]:
    try:
        runner, url = await listen(app, table, at, patience)
    except OSError as error:
        fault = f"{table}: can't listen on {at.host}, port {at.port}: {error.strerror}; give a free one of this machine"
        raise SettingsError((fault,)) from error
    stack.push_async_callback(runner.cleanup)
    return url, runner


def _keep_running(stack: AsyncExitStack, work: Coroutine[Any, Any, None], broke: asyncio.Event) -> asyncio.Task[None]:
    """Run until the stack closes; whatever ends it earlier is a fault that the process must not outlive."""
    task = asyncio.create_task(work)
    stack.push_async_callback(_ended, task)

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log("process.broke", error)
            broke.set()

    task.add_done_callback(ended)
    return task


async def _turned_away(listener: web.AppRunner, grace: float) -> None:
    """Answer on while a balancer learns that it should ask another process, then close the door."""
    await asyncio.sleep(grace)
    await listener.cleanup()


async def _settled(dispatching: asyncio.Task[None], dispatcher: Dispatcher) -> None:
    await asyncio.wait([dispatching])
    await dispatcher.settled(_CALL_TIME)


async def _within(seconds: float, work: Callable[[], Awaitable[object]]) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await work()


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
