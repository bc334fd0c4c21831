"""Where the story of a month lies."""

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime

import asyncpg

from gateway.ledger.database.months import ensure_partitions
from gateway.ledger.write.writer import Writer
from tests.processes import until
from tests.requests import receive

WAITING = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


async def test_a_month_whose_rows_lie_in_the_default_partition_stops_no_gateway(
    writer: Writer, pool: asyncpg.Pool
) -> None:
    """They came while a clock was wrong."""
    await writer.apply(replace(receive(), at=datetime(2031, 5, 20, tzinfo=UTC)), b"{}")

    await ensure_partitions(pool, date(2031, 4, 30))
    await writer.apply(replace(receive("r-2"), at=datetime(2031, 5, 21, tzinfo=UTC)), b"{}")

    assert await pool.fetchval("SELECT to_regclass('events_2031_04') IS NOT NULL")
    assert await pool.fetchval("SELECT to_regclass('events_2031_05') IS NULL")
    assert await pool.fetchval("SELECT count(*) FROM events_default") == 2


async def test_processes_that_start_together_make_a_month_one_after_the_other(pool: asyncpg.Pool) -> None:
    async with pool.acquire() as first, first.transaction():
        await first.execute("SELECT pg_advisory_xact_lock(hashtext('gateway.ensure_partitions'))")
        second = asyncio.create_task(ensure_partitions(pool, date(2031, 7, 5)))
        await until(lambda: pool.fetchval(WAITING))
        await first.execute("SELECT ensure_partitions('2031-07-01')")
    await second
    assert await pool.fetchval("SELECT to_regclass('events_2031_08') IS NOT NULL")
