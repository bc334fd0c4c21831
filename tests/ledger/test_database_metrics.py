"""The numbers of the database, as a scrape gets them."""

import asyncio
from dataclasses import replace
from os import statvfs
from pathlib import Path
from time import perf_counter

import asyncpg
import pytest

from gateway.domain.commands import RejectionReason, Word
from gateway.ledger.database.connections import Connection
from gateway.ledger.queue import holds, restored
from gateway.ledger.read import database_metrics
from gateway.ledger.read.database_metrics import Numbers
from gateway.ledger.write.writer import Writer
from gateway.settings import Database, Secret
from tests.requests import receive, said
from tests.served import SETTINGS
from tests.telemetry.counted import value

from .owed import owe

Pool = asyncpg.Pool
LOSE_SIGHT = "UPDATE requests SET {} = now() - interval '1 h' WHERE id = 'r-1'"


async def look(pool: Pool) -> None:
    await Numbers(pool, SETTINGS).refresh()


async def test_what_needs_attention_is_told_by_location_and_provider(writer: Writer, pool: Pool) -> None:
    for number in range(3):
        await writer.apply(receive(f"r-{number}"))
    await writer.apply(receive("lost", location="DC02", provider=None))
    await writer.apply(said(Word.REJECTED, "r-1", items={"TEE": 1}, reason=RejectionReason.NO_INVENTORY))
    await pool.execute("UPDATE requests SET failure = 'refused' WHERE id = 'r-2'")
    await look(pool)

    acme = {"location": "DC01", "provider": "acme"}
    assert value("pending_shipments", **acme) == 3
    assert value("pending_shipments", location="DC02", provider="none") == 1
    assert value("pending_shipments", location="DC03", provider="acme") == 0
    assert value("failed_shipments", **acme, reason="refused") == 1
    assert value("failed_shipments", **acme, reason="unverified") == 0
    assert value("rejected_shipments", **acme) == 1
    assert value("gateway_unroutable_requests", location="DC02") == 1
    assert value("gateway_unroutable_requests", location="DC01") == 0


async def test_open_requests_of_a_provider_that_the_settings_do_not_name_go_nowhere(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive("r-1", provider="former"))
    await writer.apply(receive("r-2", provider="former"))
    await writer.apply(said(Word.SHIPPED, "r-2", provider="former"))
    await look(pool)
    assert value("gateway_unroutable_requests", location="DC01") == 1


async def test_what_failed_after_it_was_settled_still_waits_for_a_person(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await pool.execute("UPDATE requests SET pending = false, settled_at = now(), failure = 'surplus'")
    await look(pool)
    assert value("failed_shipments", location="DC01", provider="acme", reason="surplus") == 1
    assert value("pending_shipments", location="DC01", provider="acme") == 0


@pytest.mark.parametrize(
    ("name", "clock", "word"),
    [
        ("gateway_oldest_pending_seconds", "received_at", Word.ACCEPTED),
        ("gateway_oldest_unaccepted_seconds", "received_at", None),
        ("gateway_sibling_wait_seconds", "changed_at", Word.REJECTED),
    ],
)
async def test_an_age_is_that_of_the_request_that_waits_longest(
    writer: Writer, pool: Pool, name: str, clock: str, word: Word | None
) -> None:
    for each in ("r-1", "r-2"):
        await writer.apply(receive(each))
        if word:
            reason = RejectionReason.CANNOT_FULFILL if word is Word.REJECTED else None
            await writer.apply(said(word, each, items={"TEE": 1}, reason=reason))
    await pool.execute("UPDATE requests SET received_at = now(), changed_at = now()")
    await pool.execute(LOSE_SIGHT.format(clock))
    await look(pool)
    age = value(name, location="DC01")
    assert age is not None
    assert 3600 <= age < 3660
    assert value(name, location="DC03") == 0


async def test_a_failure_is_as_old_as_its_last_change(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await pool.execute("UPDATE requests SET failure = 'refused', changed_at = now() - interval '1 h'")
    await look(pool)
    age = value("gateway_oldest_failed_seconds", location="DC01")
    assert age is not None
    assert 3600 <= age < 3660


async def test_accepted_requests_and_rejections_without_open_siblings_have_no_such_age(
    writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive())
    await writer.apply(said(Word.ACCEPTED))
    await writer.apply(said(Word.REJECTED, event="e2", reason=RejectionReason.NO_INVENTORY))
    await writer.apply(receive("r-2"))
    await writer.apply(said(Word.ACCEPTED, "r-2"))
    await look(pool)
    assert value("gateway_oldest_unaccepted_seconds", location="DC01") == 0
    assert value("gateway_sibling_wait_seconds", location="DC01") == 0


async def test_unverified_units_are_counted_by_what_was_reported_of_them(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive("r-1", "A", "B", "C", "D"))
    await pool.execute("UPDATE requests SET failure = 'unverified', units = 'su2.3 su2.3 ru2.4 sp2.5'")
    await look(pool)
    shown = {each: value("gateway_unverified", operation=each) for each in ("ship", "reject", "cancel")}
    assert shown == {"ship": 2, "reject": 1, "cancel": 0}


async def test_owed_calls_are_told_by_destination(pool: Pool) -> None:
    await owe(pool, "due-", count=3, age=90)
    await owe(pool, "later", age=-60)
    await owe(pool, "all-later", destination="zen", age=-60)
    await owe(pool, "behind", ready=False)
    await owe(pool, "claimed", destination="acme")
    await pool.execute("UPDATE deliveries SET owner = 'me', call_ends_at = now() WHERE request_id = 'claimed'")
    await pool.execute(
        "INSERT INTO dead_deliveries VALUES ('r-9', 'ship', 3, 'newstore', 'DC01', 2, now(), 'refused', '')"
    )
    await pool.execute(
        "INSERT INTO destinations (name, tokens, five_minute_tokens, is_open, opened_at, half_open_at) "
        "VALUES ('acme', 7, 90, true, now(), now())"
    )
    await look(pool)

    assert value("gateway_waiting_deliveries", destination="newstore") == 3
    assert value("gateway_waiting_deliveries", destination="acme") == 0
    assert value("gateway_oldest_waiting_seconds", destination="zen") == 0
    oldest = value("gateway_oldest_waiting_seconds", destination="newstore")
    assert oldest is not None
    assert 90 <= oldest < 120
    assert value("gateway_claimed_deliveries", destination="acme") == 1
    assert value("gateway_dead_deliveries", destination="newstore", operation="ship") == 1
    assert value("gateway_dead_deliveries", destination="acme", operation="create") == 0
    assert value("gateway_breaker_open", destination="acme") == 1
    assert value("gateway_breaker_open", destination="newstore") == 0
    assert value("gateway_budget_left", destination="acme", budget="second") == 7
    assert value("gateway_budget_left", destination="acme", budget="five_minutes") == 90


async def test_holds_quarantine_and_misplaced_rows_are_told(pool: Pool) -> None:
    await holds.place(pool, "location", "DC01", reason="strike", who="kim")
    await holds.place(pool, "request", "r-1", reason="strike", who="kim", seconds=-1)
    await holds.place(pool, "destination", "acme", reason="stocktaking", who="kim", seconds=60)
    await holds.place(pool, "rejections", "DC02", reason="strike", who="kim")
    await holds.place(pool, "rejections", "DC03", reason="many", who=holds.BRAKE)
    await holds.place_once(pool, "operation", "ship", "410")
    await holds.place(pool, "operation", "cancel", reason="a look", who="kim")
    await pool.execute(
        "INSERT INTO quarantine (source, event_id, fingerprint, reason, detail, at, body) "
        "VALUES ('acme', 'e', 'f', 'malformed', '', now() - interval '1 h', '')"
    )
    await pool.execute("INSERT INTO payloads VALUES ('2001-01-01', 'r-1', 'h', now(), '')")
    await pool.execute("INSERT INTO processes (owner, key) VALUES ('me', 1)")
    await look(pool)

    assert value("gateway_holds_active", scope="location", name="DC01") == 1
    assert value("gateway_holds_active", scope="request", name="") == 0
    assert value("gateway_holds_active", scope="destination", name="acme") == 1
    assert (value("gateway_oldest_hold_seconds", scope="location", name="DC01") or 0) > 0
    assert value("gateway_oldest_hold_seconds", scope="destination", name="acme") is None
    assert value("gateway_brake_tripped", location="DC03") == 1
    assert value("gateway_brake_tripped", location="DC02") == 0
    assert value("gateway_own_holds", scope="operation", name="ship") == 1
    assert value("gateway_own_holds", scope="operation", name="cancel") == 0
    assert value("gateway_own_holds", scope="destination", name="acme") == 0
    assert value("gateway_own_holds", scope="everything", name="") == 0
    await restored.pause(pool)
    await look(pool)
    assert value("gateway_own_holds", scope="everything", name="") == 1
    assert value("gateway_quarantined", source="acme") == 1
    age = value("gateway_oldest_quarantined_seconds", source="acme")
    assert age is not None
    assert 3600 <= age < 3660
    assert value("gateway_default_partition_rows", table="payloads") == 1
    assert value("gateway_default_partition_rows", table="events") == 0
    assert value("gateway_processes") == 1


async def test_what_is_over_is_no_longer_shown(pool: Pool) -> None:
    await pool.execute("INSERT INTO dead_deliveries VALUES ('r', 'ship', 3, 'left', 'DC01', 2, now(), 'refused', '')")
    await look(pool)
    assert value("gateway_dead_deliveries", destination="left", operation="ship") == 1
    await pool.execute("DELETE FROM dead_deliveries")
    await look(pool)
    assert value("gateway_dead_deliveries", destination="left", operation="ship") is None


async def test_many_scrapes_ask_the_database_once(writer: Writer, pool: Pool) -> None:
    told = Numbers(pool, SETTINGS)
    await asyncio.gather(*(told.refresh() for _ in range(5)))
    await writer.apply(receive())
    await told.refresh()
    assert value("pending_shipments", location="DC01", provider="acme") == 0
    assert value("gateway_database_up") == 1


async def test_a_database_that_does_not_answer_leaves_the_last_numbers_and_says_so(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await look(pool)
    told = Numbers(pool, SETTINGS)
    async with pool.acquire() as other, other.transaction():
        await other.execute("LOCK TABLE requests IN ACCESS EXCLUSIVE MODE")
        began = perf_counter()
        await told.refresh()
        await asyncio.gather(told.refresh(), told.refresh())
        took = perf_counter() - began
        assert value("gateway_database_up") == 0
        assert value("pending_shipments", location="DC01", provider="acme") == 1
        await told.close()
    assert took < 2.5
    await told.refresh()
    assert value("gateway_database_up") == 1


async def test_a_closed_pool_is_a_database_that_is_down(database: str, pool: Pool) -> None:
    async with asyncpg.create_pool(database, min_size=1, max_size=1) as gone:
        told = Numbers(gone, SETTINGS)
    await told.refresh()
    assert value("gateway_database_up") == 0


async def test_the_size_of_the_database_is_told(pool: Pool) -> None:
    await look(pool)
    before = value("gateway_database_bytes")
    assert before is not None
    await pool.execute(FILL_PAYLOADS)
    await look(pool)
    assert (value("gateway_database_bytes") or 0) - before > 9_000_000


@pytest.mark.parametrize("is_superuser", [True, False])
async def test_every_connection_of_whomever_is_one_less(database: str, pool: Pool, *, is_superuser: bool) -> None:
    async def left(connection: Connection) -> float:
        return (await database_metrics.read(connection, []))["gateway_connections_left", ()]

    async with asyncpg.create_pool(database, min_size=5, max_size=5) as others, pool.acquire() as looking:
        if not is_superuser:
            await looking.execute("DROP ROLE IF EXISTS looker; CREATE ROLE looker; GRANT pg_read_all_data TO looker")
            await looking.execute("SET ROLE looker")
        before = await left(looking)
        assert before > 6
        await others.close()
        assert await left(looking) == before + 5
        await looking.execute("RESET ROLE")


async def test_room_on_the_disk_is_told_of_our_own_postgres_alone(pool: Pool, tmp_path: Path) -> None:
    for url, name in ((None, "ours"), (Secret("postgresql://"), "yours")):
        (tmp_path / name).mkdir()
        await Numbers(pool, replace(SETTINGS, database=Database(url, tmp_path / name))).refresh()
    disk = statvfs(tmp_path)
    room = value("gateway_free_disk_bytes", folder=str(tmp_path / "ours"))
    assert room is not None
    assert abs(room - disk.f_bavail * disk.f_frsize) < 1e9
    assert value("gateway_free_disk_bytes", folder=str(tmp_path / "yours")) is None


FILL_PAYLOADS = """
INSERT INTO payloads
SELECT '2001-01-01', 'r', n, now(), repeat('x', 1000)::bytea FROM generate_series(1, 9000) n
"""
FILL = """
INSERT INTO requests (id, month, location, reference, provider, assignment, fingerprint, products, units, version,
    received_at, changed_at, settled_at, pending, failure, rejected, shipped, cancelled)
SELECT 'r-' || n, '2026-11-01', 'DC' || n % 20, 'R' || n, 'acme', 1, '', '["TEE"]',
    CASE WHEN n <= 5000 THEN 'o-0.0' ELSE 'sp2.2' END, 5, now(), now(), CASE WHEN n > 5000 THEN now() END, n <= 5000,
    CASE WHEN n <= 500 THEN 'refused' END, n BETWEEN 500 AND 1000, n > 5000, false
FROM generate_series(1, $1::int) n
"""
FILL_EVENTS = """
INSERT INTO events (month, request_id, version, kind, at, cause, fingerprint, fact)
SELECT '2026-11-01', 'r-' || n, 1, 'units_shipped', now(), 'c', '', '{}' FROM generate_series(1, $1::int) n
"""


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_million_settled_requests_and_half_a_million_waiting_calls_cost_a_scrape_little(
    database: str, pool: Pool
) -> None:
    await pool.execute(FILL, 1_000_000, timeout=200)
    await pool.execute("SELECT ensure_partitions('2026-11-01')")
    await pool.execute(FILL_EVENTS, 300_000, timeout=100)
    for number in range(20):
        destination = "newstore" if number % 2 else "acme"
        await owe(pool, f"w-{number}-", destination=destination, location=f"DC{number}", count=25_000)
    connection = await asyncpg.connect(database)
    await connection.execute("VACUUM ANALYZE", timeout=100)
    async with connection.transaction():
        await connection.execute(database_metrics.ALONG_INDEXES)
        explain = "EXPLAIN (ANALYZE) " + database_metrics._NUMBERS  # noqa: SLF001 - the SQL itself
        rows = await connection.fetch(explain, holds.BRAKE, ["acme"], holds.RESTORE)
    plan = "\n".join(row[0] for row in rows)
    took = []
    for _ in range(5):
        began = perf_counter()
        found = await database_metrics.read(connection, ["acme"])
        took.append(perf_counter() - began)
    await connection.close()
    assert found["pending_shipments", ("DC1", "acme")] == 250
    assert "Seq Scan on requests" not in plan, plan
    assert "Seq Scan on events_2026_11" not in plan, plan
    assert min(took) < 0.05, f"{min(took) * 1e3:.1f} ms\n{plan}"


async def test_news_are_as_old_as_the_last_poll_that_went_well_of_providers_that_are_polled(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO polls (provider, every, since, polled_at, due_at) VALUES "
        "('acme', 60, now() - interval '1 day', now() - interval '100 s', now()), "
        "('zen', 60, now() - interval '50 s', NULL, now()), "
        "('gone', 60, now(), NULL, now()), ('sig', 60, now(), NULL, 'infinity')"
    )
    await look(pool)
    assert 100 <= (value("gateway_poll_age_seconds", provider="acme") or 0) < 110
    assert 50 <= (value("gateway_poll_age_seconds", provider="zen") or 0) < 60
    assert value("gateway_poll_interval_seconds", provider="acme") == 60
    assert value("gateway_poll_age_seconds", provider="gone") is None  # the settings name it no more
    assert value("gateway_poll_age_seconds", provider="sig") is None  # it is polled no more
