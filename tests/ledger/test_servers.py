import asyncpg
import pytest

from gateway.ledger.database.servers import NoServer, Servers
from gateway.ledger.write.queued import LedgerUnavailable
from gateway.ledger.write.writer import Writer
from gateway.settings.database_url import one_by_one
from tests.requests import receive

SOCKETS = "postgresql://u:p@/db?host=/run/a,/run/b"


@pytest.mark.parametrize(
    ("dsn", "each"),
    [
        ("postgresql://u:p@one:5432/db", ["postgresql://u:p@one:5432/db"]),
        ("postgresql://one,two:6432/db?x=1", ["postgresql://one/db?x=1", "postgresql://two:6432/db?x=1"]),
        ("postgresql://u:p@/db?host=/run/a", ["postgresql://u:p@/db?host=/run/a"]),
        ("postgresql:///db", ["postgresql:///db"]),
        (SOCKETS, ["postgresql://u:p@/db?host=%2Frun%2Fa", "postgresql://u:p@/db?host=%2Frun%2Fb"]),
        (
            f"{SOCKETS}&port=5432,6432",
            ["postgresql://u:p@/db?host=%2Frun%2Fa&port=5432", "postgresql://u:p@/db?host=%2Frun%2Fb&port=6432"],
        ),
        (
            f"{SOCKETS}&port=6432",
            ["postgresql://u:p@/db?host=%2Frun%2Fa&port=6432", "postgresql://u:p@/db?host=%2Frun%2Fb&port=6432"],
        ),
    ],
)
def test_each_host_of_a_dsn_gets_one_of_its_own(dsn: str, each: list[str]) -> None:
    assert one_by_one(dsn) == each


async def test_what_every_server_did_is_told_without_the_password(database: str) -> None:
    wrong = database.replace("postgres:", "postgres:not-the-", 1)
    with pytest.raises(NoServer, match="InvalidPasswordError") as told:
        await Servers(wrong).connect()
    assert "not-the-" not in str(told.value)


async def test_a_server_that_only_reads_is_no_server(database: str) -> None:
    with pytest.raises(NoServer, match="TargetServerAttributeNotMatched"):
        await Servers(database).connect(server_settings={"default_transaction_read_only": "on"})


async def test_a_missing_table_is_not_the_fault_of_what_was_sent(writer: Writer, pool: asyncpg.Pool) -> None:
    await pool.execute("ALTER TABLE recent_outcomes RENAME TO lost_finals")
    try:
        with pytest.raises(LedgerUnavailable):
            await writer.apply(receive("r-1"))
    finally:
        await pool.execute("ALTER TABLE lost_finals RENAME TO recent_outcomes")
    assert (await writer.apply(receive("r-1"))).request is not None
