# ruff: noqa: ASYNC240  # a test has its loop to itself and may block it
"""A gateway runs on sessions of its own, and sees where a pooler shares them."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import asyncpg
import pytest

from gateway.ledger.database.servers import NoServer, Servers
from gateway.ledger.database.sessions import SharedSessions, are_shared, refuse_shared
from tests.processes import free_port, until

from .servers import Server, server
from .site import site

PGBOUNCER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed")


class Pooler:
    """Deals sessions by the transaction, from either end of its stock."""

    def __init__(self, sessions: int, end: Literal["last", "first"]) -> None:
        self.free = list(range(sessions))
        self.locked: set[int] = set()
        self._end = end

    def deal(self) -> int:
        return self.free.pop(-1 if self._end == "last" else 0)


class Client:
    """What a pooler's client sees of PostgreSQL: a session for each transaction."""

    def __init__(self, pooler: Pooler) -> None:
        self._pooler = pooler
        self._kept: int | None = None

    async def execute(self, query: str, /) -> str:
        session = self._pooler.deal() if self._kept is None else self._kept
        self._kept = session if query == "BEGIN" else None if query == "COMMIT" else self._kept
        if "_lock_" in query:
            self._pooler.locked.add(session)
        if self._kept is None:
            self._pooler.free.append(session)
        return f"SELECT {int(session in self._pooler.locked)}"


@pytest.mark.parametrize("end", ["last", "first"])
@pytest.mark.parametrize("sessions", [2, 3, 10])
async def test_however_a_pooler_deals_its_sessions_it_is_seen(end: Literal["last", "first"], sessions: int) -> None:
    pooler = Pooler(sessions, end)
    assert await are_shared(Client(pooler), Client(pooler))


async def test_a_pooler_with_a_single_session_is_seen_without_waiting_for_it() -> None:
    pooler = Pooler(1, "last")
    assert await are_shared(Client(pooler), Client(pooler))


async def test_sessions_of_ones_own_are_seen_and_nothing_stays_behind(database: str) -> None:
    first, second = await asyncpg.connect(database), await asyncpg.connect(database)
    try:
        assert not await are_shared(first, second)
        assert not await are_shared(second, first)
        assert await first.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2") == 0
    finally:
        await first.close()
        await second.close()


async def test_two_gateways_look_at_the_same_time(database: str) -> None:
    sessions = [await asyncpg.connect(database) for _ in range(4)]
    try:
        await sessions[0].execute("SELECT pg_advisory_lock_shared(1734440040, 1)")
        assert not await are_shared(*sessions[1:3])
        assert await are_shared(sessions[3], sessions[0])  # as if the other's session had been dealt to both
    finally:
        for each in sessions:
            await each.close()


@asynccontextmanager
async def pooled(folder: Path, mode: str, *options: str) -> AsyncIterator[tuple[Server, str]]:
    """A migrated server, and a DSN that leads to it through a PgBouncer."""
    assert PGBOUNCER
    async with server(folder / "a"):
        pass
    postgres = Server(folder / "a", {"listen_addresses": "127.0.0.1", "port": str(free_port())})
    await postgres.start()
    password, port, settings = urlsplit(postgres.dsn).password, free_port(), folder / "pool.ini"
    there = f"host=127.0.0.1 port={postgres.settings['port']} dbname=postgres user=postgres password={password}"
    lines = [f"[databases]\ngw = {there}\n[pgbouncer]\nlisten_addr = 127.0.0.1", f"listen_port = {port}"]
    lines += ["auth_type = any", f"pool_mode = {mode}", "unix_socket_dir =", *options]
    settings.write_text("\n".join(lines))
    settings.chmod(0o644)
    folder.chmod(0o711)
    as_who = {"user": "nobody"} if os.geteuid() == 0 else {}  # it refuses to run as root
    process = subprocess.Popen([PGBOUNCER, settings], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **as_who)  # type: ignore[call-overload]  # noqa: ASYNC220
    dsn = f"postgresql://postgres@127.0.0.1:{port}/gw"

    async def answers() -> bool:
        try:
            connection = await Servers(dsn).connect(statement_cache_size=0)
        except NoServer:
            return False
        connection.terminate()
        return True

    try:
        await until(answers)
        yield postgres, dsn
    finally:
        process.kill()
        process.wait()
        await postgres.stop()


@needs_pgbouncer
@pytest.mark.parametrize("option", ["", "server_round_robin = 1", "default_pool_size = 1"])
async def test_a_pgbouncer_that_shares_sessions_is_seen(folder: Path, option: str) -> None:
    async with pooled(folder, "transaction", option) as (_, dsn):
        for _ in range(3):  # its stock is then no longer new
            with pytest.raises(SharedSessions, match=r"name Postgres itself in database\.url or DATABASE_URL"):
                await refuse_shared(Servers(dsn).connect)


@needs_pgbouncer
async def test_a_pgbouncer_that_keeps_sessions_is_taken(folder: Path) -> None:
    async with pooled(folder, "session") as (_, dsn):
        await refuse_shared(Servers(dsn).connect)


@needs_pgbouncer
async def test_a_pgbouncer_that_does_not_pass_on_what_we_set_is_not_waited_for(folder: Path) -> None:
    async with pooled(folder, "session") as (_, dsn):
        with pytest.raises(NoServer, match=r"tcp_keepalives_idle .*ignore_startup_parameters") as told:
            await Servers(dsn).connect(server_settings={"tcp_keepalives_idle": "3"})
    assert not told.value.passes


@needs_pgbouncer
@pytest.mark.parametrize("command", ["serve", "migrate", "check-config --online"])
async def test_no_command_works_behind_a_pooler_and_all_say_so_in_a_line(folder: Path, command: str) -> None:
    async with pooled(folder, "transaction") as (_, dsn), site(folder, dsn) as at:
        code, said = await at.said(*command.split(), dsn=dsn)
    (line,) = [line for line in said.splitlines() if "pooler" in line]
    assert "set the pooler to pool_mode = session" in line
    assert code == (1 if "online" in command else 2)
