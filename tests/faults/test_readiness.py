"""`/readyz` says why nothing can be stored, also while nobody sends anything, and takes it back by itself."""

import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from gateway.ledger.database.grants import give
from gateway.simulator.orders import orders
from tests.processes import until

from .servers import Server, server
from .site import Site, site

STREAM = orders(seed=11)


@pytest.fixture
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of its own that a test can fill."""
    place = folder / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", place], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("only root may mount a disk")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Leave no room on a disk."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(4096)):
            pass
    yield
    ballast.unlink()


async def is_ready(at: Site) -> bool:
    return (await at.ask("GET", "/readyz"))[0] == 200


def says(at: Site, *words: str) -> Callable[[], Awaitable[bool]]:
    """Whether the gateway is not ready for this reason, and its metric names the kind."""
    reason, kind = words

    async def look() -> bool:
        status, told = await at.ask("GET", "/readyz")
        _, shown = await at.ask("GET", "/metrics")
        failing = f'gateway_commits_failing{{reason="{kind}"}} 1.0' in shown
        return status == 503 and reason in told["detail"] and failing

    return look


async def recovers(at: Site) -> None:
    """Nobody sends anything meanwhile; then a request is stored."""
    await until(lambda: is_ready(at))
    _, shown = await at.ask("GET", "/metrics")
    assert "} 1.0" not in "".join(line for line in shown.splitlines() if line.startswith("gateway_commits_failing"))
    assert (await at.post(next(STREAM)))[0] == 200


async def test_a_full_disk_is_told_and_so_is_that_there_is_room_again(folder: Path, small_disk: Path) -> None:
    small = {"max_wal_size": "64MB", "shared_buffers": "16MB"}
    async with server(small_disk / "a", small) as postgres, site(folder, postgres.dsn) as at:
        await at.start()
        await until(lambda: is_ready(at))
        with filled(small_disk):
            await until(says(at, "disk is full", "full_disk"))
        await recovers(at)


async def test_a_server_that_only_reads_is_told(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at, postgres.connected() as connection:
        await at.start()
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await connection.execute("SELECT pg_reload_conf()")
        await until(says(at, "only reads", "only_reads"))
        await connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        await connection.execute("SELECT pg_reload_conf()")
        await recovers(at)


async def test_a_server_that_is_away_is_told(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at:
        await at.start()
        await postgres.stop()
        await until(says(at, "can't be reached", "away"))
        await postgres.start()
        await recovers(at)


@asynccontextmanager
async def least(postgres: Server) -> AsyncIterator[tuple[asyncpg.Connection, str]]:
    """The owner's connection, and the DSN of a role that has rights and owns nothing."""
    parts = urlsplit(postgres.dsn)
    async with postgres.connected() as owner:
        await owner.execute("CREATE ROLE least LOGIN PASSWORD 'least'")
        await give(owner, "least")
        yield owner, parts._replace(netloc="least:least@").geturl()


@pytest.mark.parametrize(("right", "table"), [("INSERT", "audit"), ("UPDATE", "processes")])
async def test_a_grant_that_is_taken_away_is_told_by_its_table(folder: Path, right: str, table: str) -> None:
    async with server(folder / "a") as postgres, least(postgres) as (owner, dsn), site(folder, dsn) as at:
        await at.start()
        await until(lambda: is_ready(at))
        await owner.execute(f"REVOKE {right} ON {table} FROM least")
        await until(says(at, f"permission denied for table {table}", "missing_grant"))
        await owner.execute(f"GRANT {right} ON {table} TO least")
        await recovers(at)


async def test_a_schema_that_is_not_ours_any_more_is_told(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at, postgres.connected() as connection:
        await at.start()
        await connection.execute("ALTER TABLE quarantine RENAME COLUMN detail TO details")
        await until(says(at, "schema is not this program's", "schema"))
        await connection.execute("ALTER TABLE quarantine RENAME COLUMN details TO detail")
        await recovers(at)
