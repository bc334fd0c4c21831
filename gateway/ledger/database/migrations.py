"""Numbered SQL files, applied once each and forward only; each names the oldest program that can run on it."""

import hashlib
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Applied = dict[int, asyncpg.Record]

PROGRAM = 1
"""This program's number: raise it when an older program could not run on the newest migration."""

GRANTS = "grants.sql"
"""No migration: what the role that serves may do, in the same folder."""

_LOCK = 0x6761_7465  # one migrator at a time
_FILE_NAME = re.compile(r"(\d{4})_\w+\.sql", re.ASCII)
_OLDEST_PROGRAM = re.compile(r"(?:--.*\n|\s*\n)*?-- oldest program: (\d+)\s*$", re.MULTILINE)


class SchemaMismatch(Exception):  # said of the database, not of the code
    """The database and the SQL files do not belong together; the text names the file and what to do."""


@dataclass(frozen=True)
class Migration:
    number: int
    name: str
    oldest_program: int
    sql: str

    @property
    def checksum(self) -> bytes:
        return hashlib.sha256(self.sql.encode()).digest()


def sql_folder() -> Path:
    """In an installed package the files lie inside it, in a checkout beside it."""
    package = Path(__file__).parents[2]
    return package / "sql" if (package / "sql").is_dir() else package.parent / "sql"


def read(folder: Path) -> list[Migration]:
    migrations = []
    files = sorted(file for file in folder.glob("*.sql") if file.name != GRANTS)
    for number, file in enumerate(files, start=1):
        named = _FILE_NAME.fullmatch(file.name)
        if named is None or int(named[1]) != number:
            raise SchemaMismatch(f"{file}: name it {number:04}_what_it_does.sql, numbers have no gaps and no twins")
        sql = file.read_text(encoding="utf-8")
        head = _OLDEST_PROGRAM.match(sql)
        if head is None:
            raise SchemaMismatch(f"{file}: write `-- oldest program: N` at its head")
        migrations.append(Migration(number, file.name, int(head[1]), sql))
    return migrations


async def migrate(connection: "Connection", folder: Path | None = None) -> list[Migration]:
    """Apply what is missing, each file in its own transaction, and return what was applied."""
    known = read(folder or sql_folder())
    async with _alone(connection):
        await connection.execute(_CREATE)
        applied = await _applied(connection)
        _refuse_strangers(known, applied)
        missing = [migration for migration in known if migration.number not in applied]
        for migration in missing:
            await _apply(connection, migration)
    return missing


async def check(connection: "Connection", folder: Path | None = None) -> None:
    """Refuse to run on a database that is behind us, was altered, or has left us behind."""
    known = read(folder or sql_folder())
    if await connection.fetchval("SELECT to_regclass('migrations') IS NULL"):
        raise SchemaMismatch("the database was never migrated: run `gateway migrate`")
    applied = await _applied(connection)
    _refuse_strangers(known, applied)
    missing = [migration.name for migration in known if migration.number not in applied]
    if missing:
        raise SchemaMismatch(f"the database lacks {', '.join(missing)}: run `gateway migrate`")


_CREATE = """
CREATE TABLE IF NOT EXISTS migrations (
    number int PRIMARY KEY,
    name text NOT NULL,
    checksum bytea NOT NULL,
    oldest_program int NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
)
"""


@asynccontextmanager
async def _alone(connection: "Connection") -> AsyncIterator[None]:
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)


async def _applied(connection: "Connection") -> "Applied":
    rows = await connection.fetch("SELECT number, name, checksum, oldest_program FROM migrations")
    return {row["number"]: row for row in rows}


async def _apply(connection: "Connection", migration: Migration) -> None:
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '5s'")
            await connection.execute(migration.sql)
            await connection.execute(
                "INSERT INTO migrations (number, name, checksum, oldest_program) VALUES ($1, $2, $3, $4)",
                migration.number,
                migration.name,
                migration.checksum,
                migration.oldest_program,
            )
    except asyncpg.PostgresError as error:
        error.add_note(f"while applying {migration.name}: it was rolled back, the files before it stay applied")
        raise


def _refuse_strangers(known: Iterable[Migration], applied: "Applied") -> None:
    for migration in known:
        row = applied.get(migration.number)
        if row is not None and row["checksum"] != migration.checksum:
            raise SchemaMismatch(
                f"{migration.name} differs from {row['name']} as it was applied: "
                "restore the file, and write what it should change as a new migration"
            )
    strictest = max(applied.values(), key=lambda row: row["oldest_program"], default=None)
    if strictest is not None and strictest["oldest_program"] > PROGRAM:
        raise SchemaMismatch(
            f"the database's {strictest['name']} needs program {strictest['oldest_program']} and this is {PROGRAM}: "
            "upgrade the program"
        )
