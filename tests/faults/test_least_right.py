"""`gateway serve` runs as a role that owns nothing: so it does all its work, and it can't do more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from gateway.ledger.database.grants import MissingGrants, check, give, needed
from gateway.ledger.database.migrations import GRANTS, SchemaMismatch, migrate
from gateway.ledger.database.months import ensure_partitions
from gateway.postgres import find_binaries
from gateway.simulator.orders import orders
from tests.processes import running, until

from .gated import Gated
from .servers import IS_SYSTEM, SQL, server
from .site import site
from .test_postgres_away import settled

BECAUSE = {"reason": "a trial"}
OURS = """
SELECT relname::text FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v')
    AND (NOT relispartition OR relname LIKE '%\\_default')
UNION ALL
SELECT proname::text FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""
MADE = "SELECT pg_get_userbyid(relowner) FROM pg_class WHERE oid = to_regclass($1)"
OWNED = "SELECT count(*) FROM pg_class WHERE pg_get_userbyid(relowner) = 'serving'"
REFUSED = (
    "UPDATE audit SET reason = 'another'", "DELETE FROM audit", "TRUNCATE audit", "DELETE FROM events",
    "UPDATE events SET fact = '{}'", "UPDATE payloads SET body = ''", "DELETE FROM requests", "TRUNCATE requests",
    "UPDATE migrations SET checksum = ''", "INSERT INTO events_default (month) VALUES ('2001-01-01')",
    "CREATE TABLE mine (id int)", "ALTER TABLE requests ADD mine int", "DROP TABLE audit",
    "ALTER TABLE events DETACH PARTITION events_default", "CREATE INDEX ON requests (location)",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION ensure_partitions",
    "CREATE ROLE another", "COPY audit TO PROGRAM 'cat'", "SET ROLE owning",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Database:
    """One database as three people see it."""

    superuser: asyncpg.Connection
    owner: asyncpg.Connection
    owners_dsn: str
    dsn: str  # of the role that serves

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.dsn)
        try:
            yield connection
        finally:
            await connection.close()


@asynccontextmanager
async def database(folder: Path) -> AsyncIterator[Database]:
    """A migrated database of an owner who is no superuser, and a role that may do nothing yet."""
    async with server(folder / "a") as postgres, postgres.connected() as superuser:
        await superuser.execute("CREATE ROLE owning LOGIN PASSWORD 'o'; CREATE ROLE serving LOGIN PASSWORD 's'")
        await superuser.execute("CREATE DATABASE shop OWNER owning")
        owners, dsn = [
            urlsplit(postgres.dsn)._replace(netloc=f"{each}@", path="/shop").geturl()
            for each in ("owning:o", "serving:s")
        ]
        owner = await asyncpg.connect(owners)
        try:
            await migrate(owner, SQL)
            yield Database(superuser, owner, owners, dsn)
        finally:
            await owner.close()


async def test_a_gateway_does_all_its_work_as_a_role_that_owns_nothing(folder: Path) -> None:
    stream = orders(seed=3)
    async with database(folder) as base, site(folder, base.dsn, kind=Gated) as at:
        code, told = await at.said("migrate", "--grant-to", "serving", dsn=base.owners_dsn)
        assert (code, told.splitlines()[-1]) == (0, "serving may serve")
        warehouse = at.warehouses["DC01"]
        assert isinstance(warehouse, Gated)
        first = await at.start()
        await at.newstore.place(next(stream))
        await warehouse.until(lambda: warehouse.waiting == 1)
        await at.start()
        await at.end(first, kill=True)
        await until(lambda: base.owner.fetchval("SELECT NOT EXISTS (SELECT FROM deliveries WHERE owner IS NOT NULL)"))
        warehouse.gate.set()
        for _ in range(10):
            await at.newstore.place(next(stream))

        stranger = {"event_id": "e-1", "type": "accepted", "fulfillment_request_id": "nobody-has-this"}
        assert (await at.call_back(stranger))[0] == 202
        assert (await at.ask("POST", "/v1/quarantine/1/discard", json=BECAUSE))[0] == 200
        status, hold = await at.ask("POST", "/v1/holds", json={"scope": "location", "name": "DC01", **BECAUSE})
        assert status == 201
        assert (await at.ask("POST", f"/v1/holds/{hold['id']}/release", json=BECAUSE))[0] == 200
        await settled(at, base.owners_dsn)

        kept = await base.owner.fetch("SELECT action FROM audit ORDER BY id")
        assert [each["action"] for each in kept] == ["discard", "hold", "release"]
        assert await base.owner.fetchval(OWNED) == 0
        assert (await at.ask("GET", "/readyz"))[0] == 200
        assert "interrupted" not in at.config.with_suffix(".log").read_text()


async def test_a_month_begins_though_the_role_may_make_no_table(folder: Path) -> None:
    async with database(folder) as base:
        await give(base.owner, "serving")
        async with asyncpg.create_pool(base.dsn, min_size=1, max_size=1) as pool:
            await pool.execute(
                "CREATE TEMP TABLE events (month date) PARTITION BY RANGE (month)"
            )  # in its way, if it can
            await ensure_partitions(pool, date(2031, 12, 31))
            with pytest.raises(asyncpg.RaiseError, match="not the first of a month"):
                await pool.execute("SELECT ensure_partitions('2032-03-05')")
        for month in ("events_2031_12", "events_2032_01", "payloads_2032_01"):
            assert await base.owner.fetchval(MADE, month) == "owning"


async def is_refused(connection: asyncpg.Connection, statement: str) -> bool:
    try:
        await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return True
    return False


async def test_the_role_can_change_no_table_and_take_nothing_back(folder: Path) -> None:
    async with database(folder) as base:
        await give(base.owner, "serving")
        async with base.serving() as connection:
            assert [each for each in REFUSED if not await is_refused(connection, each)] == []
            await connection.execute(
                "INSERT INTO audit (who, action, subject, reason, outcome) VALUES ('', '', '', '', '')"
            )
            assert await connection.fetchval("SELECT count(*) FROM audit") == 1


async def test_what_was_granted_beyond_the_list_is_taken(folder: Path) -> None:
    async with database(folder) as base:
        await base.owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO serving")
        await give(base.owner, "serving")
        await give(base.owner, "serving")
        async with base.serving() as connection:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute("DELETE FROM audit")
            await check(connection)


async def test_the_list_names_all_that_the_migrations_make(folder: Path) -> None:
    async with database(folder) as base:
        made = {row[0] for row in await base.owner.fetch(OURS)}
    assert made == {name.partition("(")[0] for _, _, name in needed()}
    revoked = (SQL / GRANTS).read_text().partition("REVOKE ALL ON\n")[2].partition("\nFROM")[0]
    assert {each.strip() for each in revoked.split(",")} == {name for _, function, name in needed() if not function}


async def test_serve_names_the_grants_that_are_missing_in_one_sentence(folder: Path) -> None:
    async with database(folder) as base, site(folder, base.dsn) as at:
        await give(base.owner, "serving")
        await base.owner.execute("REVOKE INSERT ON audit, events FROM serving")
        await base.owner.execute("REVOKE ALL ON FUNCTION ensure_partitions FROM serving")
        code, told = await at.said("serve", dsn=base.dsn)
    assert code == 2
    assert told == (
        "the role serving lacks INSERT on events, INSERT on audit, EXECUTE on ensure_partitions(date): "
        "as the owner of the tables, run `gateway migrate --grant-to serving`\n"
    )


async def test_a_role_that_nobody_has_granted_anything_is_told_so(folder: Path) -> None:
    async with database(folder) as base, base.serving() as connection:
        with pytest.raises(MissingGrants, match="lacks SELECT on migrations, SELECT on lanes"):
            await check(connection)
        await base.superuser.execute("ALTER ROLE serving IN DATABASE shop SET search_path = elsewhere")
        async with base.serving() as stranger:
            with pytest.raises(MissingGrants, match="lacks USAGE on the schema"):
                await check(stranger)


@pytest.mark.parametrize(
    ("role", "says"), [("nobody-here", 'CREATE ROLE "nobody-here" LOGIN'), ("owning", "owning owns the tables")]
)
async def test_only_another_role_that_exists_can_be_granted_anything(folder: Path, role: str, says: str) -> None:
    async with database(folder) as base:
        with pytest.raises(SchemaMismatch, match=says):
            await give(base.owner, role)


async def test_a_database_administrator_may_run_the_file_as_it_says(folder: Path) -> None:
    told = (SQL / GRANTS).read_text()
    command = told.partition("--   psql ")[2].partition("\n")[0].replace("gateway_serve", "serving")
    async with database(folder) as base:
        psql = find_binaries(prefer_system=IS_SYSTEM) / "psql"
        words = [psql, "-q", *command.replace("sql/grants.sql", str(SQL / GRANTS)).split(), base.owners_dsn]
        await until_ended([str(word) for word in words], folder)
        async with base.serving() as connection:
            await check(connection)


async def until_ended(words: list[str], folder: Path) -> None:
    async with running(*words, log=folder / "command.log") as process:
        assert await process.wait() == 0, (folder / "command.log").read_text()
