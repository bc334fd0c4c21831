"""A gateway that starts before its Postgres waits for it, and only for what waiting can mend."""

import asyncio
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests import processes
from tests.processes import GATEWAY, LONG, free_port

from .proxies import Proxy
from .servers import Server, server
from .site import site

AWAITED = '"event":"database.awaited"'


@asynccontextmanager
async def starting(folder: Path, dsn: str) -> AsyncIterator[Process]:
    """A gateway on this database, as it starts."""
    async with site(folder, dsn) as at:
        environ = {**processes.without_database(), **at.keys, "DATABASE_URL": dsn}
        words = (*GATEWAY, "serve", "--config", str(at.config))
        async with processes.running(*words, log=folder / "log", environ=environ, stdout=PIPE, stderr=PIPE) as process:
            yield process


async def awaited(process: Process) -> str:
    """Read what it says until it waits."""
    assert process.stderr
    async with asyncio.timeout(LONG):
        said = ""
        while AWAITED not in said:
            line = (await process.stderr.readline()).decode()
            assert line, said
            said += line
    return said.splitlines()[-1]


async def listens(process: Process) -> None:
    """It starts, and ends in peace; it has said once that it waited."""
    assert process.stdout
    assert process.stderr
    async with asyncio.timeout(LONG):
        assert (await process.stdout.readline()).startswith(b"public ")
        process.terminate()
        rest = (await process.stderr.read()).decode()
        assert await process.wait() == 0
    assert (AWAITED in rest, "Traceback" in rest) == (False, False)


async def ended(process: Process) -> tuple[int, str]:
    async with asyncio.timeout(LONG):
        _, errors = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in errors
    return process.returncode, errors.decode()


def password(postgres: Server) -> str:
    return urlsplit(postgres.dsn).password or ""


async def test_a_postgres_that_starts_after_the_gateway_is_waited_for(folder: Path) -> None:
    async with server(folder / "a") as postgres:
        port = free_port()
        dsn = postgres.dsn_by(port)
    late = Server(folder / "a", {"listen_addresses": "127.0.0.1", "port": str(port)})
    async with starting(folder, dsn) as gateway:
        said = await awaited(gateway)
        assert f"127.0.0.1:{port}: ConnectionRefusedError" in said
        assert password(postgres) not in said
        await late.start()
        try:
            await listens(gateway)
        finally:
            await late.stop()


async def test_a_postgres_that_is_starting_up_is_waited_for(folder: Path) -> None:
    async with server(folder / "a"):
        pass
    recovering = Server(folder / "a", {"hot_standby": "off"})
    cluster = folder / "a" / "cluster"
    (cluster / "standby.signal").touch()
    await recovering.start()
    try:
        async with starting(folder, recovering.dsn) as gateway:
            assert "CannotConnectNowError" in await awaited(gateway)
            recovering.promote()
            await listens(gateway)
    finally:
        await recovering.stop()


async def test_a_postgres_that_says_nothing_is_waited_for(folder: Path) -> None:
    async with server(folder / "a") as postgres, proxy(postgres) as (port, between):
        between.cut()
        async with starting(folder, postgres.dsn_by(port)) as gateway:
            assert f"127.0.0.1:{port}: TimeoutError" in await awaited(gateway)
            between.mend()
            await listens(gateway)


async def test_a_postgres_that_falls_silent_after_a_connection_is_waited_for(folder: Path) -> None:
    async with server(folder / "a") as postgres, postgres.connected() as other:
        locked = other.transaction()
        await locked.start()
        await other.execute("LOCK TABLE migrations")
        async with starting(folder, postgres.dsn) as gateway:
            assert "TimeoutError" in await awaited(gateway)
            await locked.rollback()
            await listens(gateway)


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
async def test_who_waits_for_a_name_that_does_not_resolve_ends_in_peace_when_told(
    folder: Path, told: signal.Signals
) -> None:
    async with starting(folder, "postgresql://gateway:hunter2@nobody.invalid:5432/gateway") as gateway:
        said = await awaited(gateway)
        assert ("nobody.invalid:5432: gaierror" in said, "hunter2" in said) == (True, False)
        gateway.send_signal(told)
        code, errors = await ended(gateway)
    assert (code, '"event":"gateway.stopped"' in errors) == (0, True)


async def test_what_no_waiting_mends_ends_the_start_and_is_named(folder: Path) -> None:
    async with server(folder / "a") as postgres, proxy(postgres) as (port, _), site(folder, "") as at:
        dsn, right = postgres.dsn_by(port), password(postgres)
        other = dsn.removesuffix("postgres")
        async with postgres.connected() as connection:
            await connection.execute("CREATE DATABASE never_migrated")
        for url, code, words in (
            (dsn.replace(right, "hunter2"), 1, f"127.0.0.1:{port}: InvalidPasswordError"),
            (f"{other}nothing", 1, "InvalidCatalogNameError"),
            (f"{dsn}?sslmode=require", 1, "rejected SSL upgrade"),
            (f"{dsn}?sslmode=verify-full&sslrootcert=/nowhere", 1, "FileNotFoundError"),
            (f"{other}never_migrated", 2, "run `gateway migrate`"),
        ):
            ended_with, errors = await at.said("serve", dsn=url)
            assert (ended_with, words in errors, AWAITED in errors) == (code, True, False), errors
            assert (right in errors, "hunter2" in errors) == (False, False)
            assert code == 2 or "mend it, or database.url or DATABASE_URL" in errors


@asynccontextmanager
async def proxy(postgres: Server) -> AsyncIterator[tuple[int, Proxy]]:
    async with Proxy(partial(asyncio.open_unix_connection, postgres.socket)).running() as between:
        yield between.port, between
