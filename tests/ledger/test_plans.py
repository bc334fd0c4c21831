"""No question of the dashboard reads the whole log."""

# ruff: noqa: SLF001 - the SQL itself is what is judged

import json
from typing import Any

import asyncpg
import pytest

from gateway.ledger import audit
from gateway.ledger.queue import holds
from gateway.ledger.read import database_metrics, listing, overview
from gateway.ledger.read.reading import reading
from tests.ledger.many import fill
from tests.ledger.owed import owe

SIZE, MOST = 40_000, 10_100
SERVED = [f"wms-{number}" for number in range(5)]
ALL_VISIBLE = "SELECT relallvisible = relpages FROM pg_class WHERE oid = 'requests'::regclass"
LISTS: tuple[dict[str, str], ...] = (
    {}, {"status": "pending"}, {"status": "failed"}, {"status": "rejected"}, {"status": "unroutable"},
    {"status": "shipped"}, {"status": "cancelled"}, {"status": "failed", "failure": "refused", "location": "DC04"},
    {"location": "DC07"}, {"status": "shipped", "location": "DC07"}, {"order": "SO-4711"}, {"reference": "NS4711"},
    {"tracking_code": "1Z4711"}, {"product": "SKU-47"}, {"text": "SO-4711"}, {"text": "r-4711"},
)  # fmt: skip


async def test_no_question_reads_the_whole_log(database: str, pool: asyncpg.Pool) -> None:
    questions: list[tuple[str, tuple[Any, ...]]] = [
        *((listing._LIST, (None, "", *(each.get(name) for name in listing.FILTERS), 51)) for each in LISTS),
        (overview._OPEN, (None,)), (overview._TAKEN, ()), (overview._CAUSES, ()), (overview._BESIDE, ()),
        (overview._SPEEDS, (5_000,)), (overview._FLOW, (5_000, 3_600)),
        (audit._PAGE, (None, None, None, None, 51)), (audit._PAGE, (None, "r-47", None, None, 51)),
        (audit._PAGE, (None, None, "person-7", None, 51)), (audit._PAGE, (None, None, None, "redrive", 51)),
    ]  # fmt: skip
    filling = await asyncpg.connect(database)
    await fill(filling, 30)
    async with pool.acquire() as other, other.transaction():
        await other.execute("SELECT pg_current_xact_id()")  # whoever else is at work, from before to after
        await filling.execute("UPDATE requests SET version = version + 1")
        await fill(filling, SIZE)
        await filling.close()
        for question, arguments in questions:
            async with reading(pool) as connection:
                plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {question}", *arguments)
            assert most_read(json.loads(plan)[0]["Plan"]) <= MOST, (question, arguments)


@pytest.mark.parametrize("is_counted", [False, True])
async def test_a_scrape_reads_no_long_queue_whole(database: str, pool: asyncpg.Pool, *, is_counted: bool) -> None:
    filling = await asyncpg.connect(database)
    await fill(filling, SIZE)
    await filling.close()
    if not is_counted:
        await pool.execute("ANALYZE deliveries")  # while it is empty: so it is remembered when it is long
    await owe(pool, "w-", count=SIZE, age=60)
    await owe(pool, "first", age=90)
    await owe(pool, "elsewhere", location="DC02")
    if is_counted:
        await pool.execute("ANALYZE deliveries")
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(database_metrics.ALONG_INDEXES)
        for question, arguments in (
            (database_metrics._NUMBERS, (holds.BRAKE, (), holds.RESTORE)),
            (overview._WAITING, ()),
        ):
            plan = await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {question}", *arguments)
            assert most_read(json.loads(plan)[0]["Plan"]) <= MOST, question
        told = await database_metrics.read(connection, ())
    queue = (await overview.queues(pool, ["newstore"]))["newstore"]
    assert told["gateway_waiting_deliveries", ("newstore",)] == 5_001
    assert 90 <= told["gateway_oldest_waiting_seconds", ("newstore",)] < 150
    assert (queue.waiting, queue.more_waiting) == (5_001, True)


async def test_what_is_open_is_counted_without_reading_it(database: str, pool: asyncpg.Pool) -> None:
    filling = await asyncpg.connect(database)
    await fill(filling, SIZE)
    await filling.execute(
        "UPDATE requests SET pending = true, settled_at = NULL, accepted_at = NULL, units = 'o-0.0', failure = NULL, "
        "rejected = false"
    )
    await filling.execute("VACUUM ANALYZE requests")
    while not await filling.fetchval(ALL_VISIBLE):  # whoever counts for the planner just now still sees the old rows
        await filling.execute("VACUUM requests")
    async with filling.transaction():
        await filling.execute(database_metrics.ALONG_INDEXES)
        scrape, arguments = (
            f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {database_metrics._NUMBERS}",
            (holds.BRAKE, SERVED, holds.RESTORE),
        )
        plan = json.loads(await filling.fetchval(scrape, *arguments))[0]["Plan"]
        told = await database_metrics.read(filling, SERVED)
    await filling.close()
    assert sum(value for (name, _), value in told.items() if name == "pending_shipments") == SIZE
    assert plan["Shared Hit Blocks"] + plan["Shared Read Blocks"] < SIZE / 10


async def test_a_list_that_no_index_serves_ends_by_itself(pool: asyncpg.Pool) -> None:
    async with reading(pool) as connection:
        assert await connection.fetchval("SHOW statement_timeout") == "3s"
        assert await connection.fetchval("SHOW transaction_read_only") == "on"


def most_read(plan: dict[str, Any]) -> float:
    """How many rows the greediest step of a plan looked at."""
    left_out = sum(plan.get(f"Rows Removed by {reason}", 0) for reason in ("Filter", "Index Recheck"))
    here: float = (plan["Actual Rows"] + left_out) * plan["Actual Loops"]
    return max([here, *(most_read(part) for part in plan.get("Plans", ()))])
