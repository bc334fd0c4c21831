"""Postgres servers that a test stops, kills, and puts behind one another."""

import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from urllib.parse import parse_qs, urlsplit

import asyncpg

from gateway.ledger.database.migrations import migrate
from gateway.postgres import find_binaries, running
from tests.processes import until

SQL = Path(__file__).parents[2] / "sql"
IS_SYSTEM = os.environ.get("GATEWAY_TEST_PG") == "system"
_NONE: Mapping[str, str] = MappingProxyType({})
_MIGRATED: dict[bool, Path] = {}


class Server:
    """A server on a data folder of its own; its DSN stays the same from start to start."""

    def __init__(self, folder: Path, settings: Mapping[str, str] = _NONE, *, prefer_system: bool = IS_SYSTEM) -> None:
        self.folder = folder
        self.dsn = ""
        self.settings = settings
        self._prefer_system = prefer_system
        self._stack = AsyncExitStack()

    async def start(self) -> None:
        run = running(self.folder, durable=False, prefer_system=self._prefer_system, settings=self.settings)
        self.dsn = await self._stack.enter_async_context(run)

    async def stop(self) -> None:
        await self._stack.aclose()

    async def kill(self) -> None:
        """End it as a crash does: nothing is written any more, and nobody is told."""
        os.kill(self._pid, signal.SIGQUIT)
        await self.stop()

    def promote(self) -> None:
        """End its recovery, of which it lets nobody ask it."""
        (self.folder / "cluster" / "promote").touch()
        os.kill(self._pid, signal.SIGUSR1)

    @property
    def _pid(self) -> int:
        return int((self.folder / "cluster" / "postmaster.pid").read_text().split()[0])

    @property
    def socket(self) -> str:
        """The path of its socket."""
        named = parse_qs(urlsplit(self.dsn).query)
        return f"{named['host'][0]}/.s.PGSQL.{named['port'][0]}"

    def dsn_by(self, *ports: int) -> str:
        """Name it by TCP ports of this machine that lead to it, as if each were a host of its own."""
        credentials = urlsplit(self.dsn).netloc
        return f"postgresql://{credentials}{','.join(f'127.0.0.1:{port}' for port in ports)}/postgres"

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def server(
    folder: Path, settings: Mapping[str, str] = _NONE, *, prefer_system: bool = IS_SYSTEM
) -> AsyncIterator[Server]:
    """A migrated server. All are copies of one cluster: to copy it takes a tenth of what it takes to make it."""
    await asyncio.to_thread(shutil.copytree, await _migrated(prefer_system=prefer_system), folder, symlinks=True)
    made = Server(folder, settings, prefer_system=prefer_system)
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


async def _migrated(*, prefer_system: bool) -> Path:
    """The folder of a server that has been migrated and then stopped; made once in a run."""
    if prefer_system not in _MIGRATED:
        place = tempfile.mkdtemp(prefix="gateway-test-")
        atexit.register(shutil.rmtree, place)
        made = Server(Path(place) / "a", prefer_system=prefer_system)
        await made.start()
        async with made.connected() as connection:
            await migrate(connection, SQL)
        await made.stop()
        _MIGRATED[prefer_system] = made.folder
    return _MIGRATED[prefer_system]


async def back_up(of: Server, folder: Path, *options: str) -> Server:
    """Copy a running server into a folder, as it is now; not yet started."""
    folder.mkdir(mode=0o700)  # noqa: ASYNC240 - nothing else runs yet
    shutil.copy(of.folder / "password", folder / "password")
    program = find_binaries(prefer_system=IS_SYSTEM) / "pg_basebackup"
    command: list[str | Path] = [program, "-d", of.dsn, "-D", folder / "cluster", "-X", "stream", "-c", "fast"]
    await asyncio.to_thread(subprocess.check_call, [*command, "--no-sync", *options])
    (folder / "cluster" / ".s.PGSQL.5432.lock").unlink(missing_ok=True)  # the primary's, whose socket lies there
    return Server(folder)


@asynccontextmanager
async def standby(of: Server, folder: Path) -> AsyncIterator[Server]:
    """A standby on which every commit of its primary waits from now on."""
    made = await back_up(of, folder, "-R")
    await made.start()
    try:
        async with of.connected() as primary:
            await until(lambda: primary.fetchval("SELECT 1 FROM pg_stat_replication WHERE state = 'streaming'"))
            await primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            await primary.execute("SELECT pg_reload_conf()")
        yield made
    finally:
        await made.stop()


def dsn_of(*servers: Server) -> str:
    """One DSN that names several servers by their sockets."""
    named = [parse_qs(urlsplit(each.dsn).query)["host"][0] for each in servers]
    return f"postgresql://{urlsplit(servers[0].dsn).netloc}/postgres?host={','.join(named)}&target_session_attrs=read-write"
