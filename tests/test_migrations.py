import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest

from gateway.ledger.database.migrations import PROGRAM, SchemaMismatch, check, migrate, read, sql_folder

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]

Act = Callable[["Connection", Path], Awaitable[object]]


@pytest.fixture(scope="module")
async def dsn(new_database: Callable[[str], Awaitable[str]]) -> str:
    return await new_database("gateway_migrations_test")


@pytest.fixture
async def connection(dsn: str) -> "AsyncIterator[Connection]":
    connection = await asyncpg.connect(dsn)
    await connection.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    yield connection
    await connection.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "0001_boxes.sql", "CREATE TABLE boxes (id int PRIMARY KEY);")
    write(tmp_path, "0002_labels.sql", "ALTER TABLE boxes ADD label text; CREATE INDEX ON boxes (label);")
    return tmp_path


def write(folder: Path, name: str, sql: str, oldest_program: int = 1) -> None:
    (folder / name).write_text(f"-- What this is for.\n-- oldest program: {oldest_program}\n\n{sql}\n")


async def test_the_files_are_applied_once_each_and_in_order(connection: "Connection", folder: Path) -> None:
    first = await migrate(connection, folder)
    second = await migrate(connection, folder)

    assert [migration.name for migration in first] == ["0001_boxes.sql", "0002_labels.sql"]
    assert second == []
    await connection.execute("INSERT INTO boxes (id, label) VALUES (1, 'a')")
    rows = await connection.fetch("SELECT number, name, oldest_program, applied_at FROM migrations ORDER BY applied_at")
    assert [tuple(row)[:3] for row in rows] == [(1, "0001_boxes.sql", 1), (2, "0002_labels.sql", 1)]


async def test_a_later_file_is_added_to_a_migrated_database(connection: "Connection", folder: Path) -> None:
    await migrate(connection, folder)
    write(folder, "0003_weights.sql", "ALTER TABLE boxes ADD grams int;")

    with pytest.raises(SchemaMismatch, match=r"lacks 0003_weights\.sql: run `gateway migrate`"):
        await check(connection, folder)
    assert [migration.number for migration in await migrate(connection, folder)] == [3]
    await check(connection, folder)


async def test_a_database_without_migrations_is_told_to_migrate(connection: "Connection", folder: Path) -> None:
    with pytest.raises(SchemaMismatch, match=r"was never migrated: run `gateway migrate`"):
        await check(connection, folder)


@pytest.mark.parametrize("fault", ["SELECT no_such_column;", "INSERT INTO migrations VALUES (3, 'twin', '', 1);"])
async def test_a_file_that_fails_leaves_no_trace_and_the_ones_before_it_stay(
    connection: "Connection", folder: Path, fault: str
) -> None:
    write(folder, "0003_half.sql", f"CREATE TABLE half (); {fault}")

    with pytest.raises((asyncpg.UndefinedColumnError, asyncpg.UniqueViolationError)) as failure:
        await migrate(connection, folder)

    assert any("0003_half.sql" in note for note in failure.value.__notes__)
    assert await connection.fetchval("SELECT to_regclass('half')") is None
    assert await connection.fetchval("SELECT max(number) FROM migrations") == 2
    write(folder, "0003_half.sql", "CREATE TABLE half ();")
    assert [migration.number for migration in await migrate(connection, folder)] == [3]


@pytest.mark.parametrize("act", [migrate, check])
async def test_an_applied_file_that_was_changed_is_named_with_the_remedy(
    connection: "Connection", folder: Path, act: Act
) -> None:
    await migrate(connection, folder)
    write(folder, "0001_boxes.sql", "CREATE TABLE boxes (id bigint PRIMARY KEY);")

    with pytest.raises(SchemaMismatch, match=r"0001_boxes\.sql differs .*restore the file, .*new migration"):
        await act(connection, folder)


async def test_a_newer_database_that_still_suits_this_program_is_fine(connection: "Connection", folder: Path) -> None:
    write(folder, "0003_newer.sql", "ALTER TABLE boxes ADD grams int;", oldest_program=PROGRAM)
    await migrate(connection, folder)
    (folder / "0003_newer.sql").unlink()

    await check(connection, folder)
    assert await migrate(connection, folder) == []


@pytest.mark.parametrize("act", [migrate, check])
async def test_a_database_that_needs_a_newer_program_is_refused(
    connection: "Connection", folder: Path, act: Act
) -> None:
    write(folder, "0003_contract.sql", "ALTER TABLE boxes DROP label;", oldest_program=PROGRAM + 1)
    await migrate(connection, folder)
    (folder / "0003_contract.sql").unlink()

    with pytest.raises(
        SchemaMismatch, match=rf"0003_contract\.sql needs program {PROGRAM + 1} and this is {PROGRAM}: upgrade"
    ):
        await act(connection, folder)


async def test_two_migrators_at_once_apply_each_file_once(connection: "Connection", folder: Path, dsn: str) -> None:
    holder, other = await asyncpg.connect(dsn), await asyncpg.connect(dsn)
    try:
        await holder.execute("SELECT pg_advisory_lock(x'67617465'::int)")
        both = asyncio.gather(migrate(connection, folder), migrate(other, folder))
        await until_waiting_on_a_lock(holder, 2)
        assert await holder.fetchval("SELECT to_regclass('migrations')") is None
        await holder.execute("SELECT pg_advisory_unlock(x'67617465'::int)")
        applied = await both
    finally:
        await holder.close()
        await other.close()

    assert sorted(len(migrations) for migrations in applied) == [0, 2]


async def test_a_migration_gives_up_on_a_busy_table_and_frees_the_lock(
    connection: "Connection", folder: Path, dsn: str
) -> None:
    await migrate(connection, folder)
    write(folder, "0003_busy.sql", "SET LOCAL lock_timeout = '10ms'; ALTER TABLE boxes ADD grams int;")
    reader = await asyncpg.connect(dsn)
    try:
        async with reader.transaction():
            await reader.execute("SELECT * FROM boxes")
            with pytest.raises(asyncpg.LockNotAvailableError):
                await migrate(connection, folder)
            assert await reader.fetchval("SELECT pg_try_advisory_xact_lock(x'67617465'::int)")
    finally:
        await reader.close()
    assert [migration.number for migration in await migrate(connection, folder)] == [3]


async def test_a_migration_waits_five_seconds_for_a_lock_and_the_session_is_as_before(
    connection: "Connection", folder: Path
) -> None:
    write(folder, "0003_tell.sql", "CREATE TABLE told AS SELECT current_setting('lock_timeout') AS timeout;")

    await migrate(connection, folder)

    assert await connection.fetchval("SELECT timeout FROM told") == "5s"
    assert await connection.fetchval("SHOW lock_timeout") == "0"


@pytest.mark.parametrize("name", ["0004_gap.sql", "0002_twin.sql", "3_short.sql", "notes.sql"])
def test_a_misnamed_file_is_refused(folder: Path, name: str) -> None:
    write(folder, name, "SELECT 1;")

    with pytest.raises(SchemaMismatch, match=r"name it 000\d_what_it_does\.sql"):
        read(folder)


def test_a_file_must_name_the_oldest_program_at_its_head(folder: Path) -> None:
    (folder / "0003_mute.sql").write_text("SELECT 1;\n-- oldest program: 1\n")

    with pytest.raises(SchemaMismatch, match=re.escape("0003_mute.sql: write `-- oldest program: N` at its head")):
        read(folder)


def test_an_empty_folder_holds_no_migrations(tmp_path: Path) -> None:
    assert read(tmp_path) == []


def test_this_checkouts_files_are_found_and_read() -> None:
    assert sql_folder() == Path(__file__).parents[1] / "sql"
    read(sql_folder())


async def test_the_test_database_is_migrated(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    async with pool.acquire() as connection:
        await check(connection)


async def until_waiting_on_a_lock(observer: "Connection", sessions: int) -> None:
    waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    while await observer.fetchval(waiting) < sessions:
        pass
