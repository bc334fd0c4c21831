import os
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from gateway.ledger.database.migrations import migrate
from gateway.postgres import running

SQL = Path(__file__).parents[1] / "sql"
LONGEST = [
    f"tests/{each}"
    for each in (
        "dashboard/", "test_readme_commands.py", "faults/", "grafana/", "demo/", "cli/", "ledger/", "dispatch/",
        "test_road", "test_postgres.py", "test_first_dc.py", "telemetry/",
    )
]  # fmt: skip

SERVES_ITS_OWN_PAGES = {f"tests/dashboard/test_{each}.py" for each in ("hostile", "oidc", "under_a_path")}

# TRUNCATE makes new files for a table and each of its indexes, which takes longer than most tests do.
EMPTY_TABLES = """
DO $$
DECLARE
    each record;
BEGIN
    FOR each IN
        SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables
        WHERE schemaname = 'public' AND tablename NOT IN ('migrations', 'incarnations')
    LOOP
        IF pg_relation_size(each.name) > 65536 THEN
            EXECUTE 'TRUNCATE ' || each.name || ' CASCADE';
        ELSE
            EXECUTE 'DELETE FROM ' || each.name;
        END IF;
    END LOOP;
    PERFORM setval(format('%I.%I', schemaname, sequencename), 1, false) FROM pg_sequences WHERE schemaname = 'public';
END $$
"""


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[str]:
    """The DSN of a server for this run: DATABASE_URL, or one of our own."""
    if given := os.environ.get("DATABASE_URL"):
        yield given
        return
    # Not pytest's folder: that is closed to the account a server started by root may have to run as.
    with tempfile.TemporaryDirectory(prefix="gateway-test-") as folder:
        system = os.environ.get("GATEWAY_TEST_PG") == "system"
        async with running(Path(folder), durable=False, prefer_system=system) as dsn:
            yield dsn


@pytest.fixture(scope="session")
def new_database(postgres: str) -> Callable[[str], Awaitable[str]]:
    """Makes an empty database of that name and of this part of the run, and tells its DSN."""
    part = os.environ.get("PYTEST_XDIST_WORKER", "")

    async def make(name: str) -> str:
        name += part
        connection = await asyncpg.connect(postgres)
        try:
            await connection.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            await connection.execute(f'CREATE DATABASE "{name}"')
        finally:
            await connection.close()
        server = urlsplit(postgres)
        return f"postgresql://{server.netloc}/{name}?{server.query}"

    return make


@pytest.fixture(scope="session")
async def database(new_database: Callable[[str], Awaitable[str]]) -> str:
    dsn = await new_database("gateway_test")
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection, SQL)
    finally:
        await connection.close()
    return dsn


@pytest.fixture
async def pool(database: str) -> "AsyncIterator[asyncpg.Pool[asyncpg.Record]]":
    async with asyncpg.create_pool(database, min_size=1, max_size=10) as pool:
        await pool.execute(EMPTY_TABLES)
        yield pool


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, so that all parts of a run end at the same time."""

    def place(item: pytest.Item) -> int:
        return next((n for n, each in enumerate(LONGEST) if item.nodeid.startswith(each)), len(LONGEST))

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)  # without xdist nobody asks
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file's tests in one part of a run, and those of all pages in two: no more browsers at once."""
    from xdist.scheduler import LoadFileScheduling  # type: ignore[import-untyped]  # noqa: PLC0415

    class Scheduling(LoadFileScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            file: str = super()._split_scope(nodeid)
            if not file.startswith("tests/dashboard/"):
                return file
            return "pages of their own" if file in SERVES_ITS_OWN_PAGES else "the pages that all share"

    return Scheduling(config, log)
