"""The state of a destination, changed by several processes at once."""

import asyncio
import os
from collections import Counter
from dataclasses import replace
from datetime import datetime
from threading import Thread

import asyncpg

from gateway.dispatch.limits import Limits, Observation, report_and_reserve
from gateway.ledger.queue import destinations
from gateway.ledger.queue.claims import claim, prepare
from gateway.ledger.queue.destinations import Destination
from gateway.settings.shapes import Brake
from tests.dispatch.processes import in_processes

Pool = asyncpg.Pool
PROCESSES, VISITS, CLAIMS, SLAB = 4, 150, 40, 4
LIMITS = Limits(10, 100.0, 600.0)
START = "INSERT INTO processes (owner, key) VALUES ($1, hashtext($1))"
FILL = """
INSERT INTO deliveries (request_id, operation, seq, destination, location, month, is_read, ready, urgency, due_at)
SELECT 'r-' || n, 'create', 1, 'acme', 'DC01', '2026-11-01', false, true, 1, now()
FROM generate_series(1, 2000) n
"""


def change_often(dsn: str) -> list[tuple[datetime, int]]:
    return asyncio.run(_change_often(dsn))


async def _change_often(dsn: str) -> list[tuple[datetime, int]]:
    connection = await asyncpg.connect(dsn)
    granted: list[tuple[datetime, int]] = []
    times: list[datetime] = []

    def decide(was: Destination, now: datetime) -> tuple[Destination, int]:
        times.append(now)
        return report_and_reserve(was, LIMITS, Observation(0, 0), owner=str(os.getpid()), wanted=7, now=now)

    for _ in range(VISITS):
        _, count = await destinations.change(connection, "acme", decide)
        granted.append((times[-1], count))
    await connection.close()
    return granted


def claim_often(dsn: str) -> list[int]:
    return asyncio.run(_claim_often(dsn))


async def _claim_often(dsn: str) -> list[int]:
    """Claim as much as is allowed, and give it back: how many were claimed by all after each claim."""
    connection = await asyncpg.connect(dsn)
    await prepare(connection)
    owner, in_flight = str(os.getpid()), list[int]()
    await connection.execute(START, owner)
    for _ in range(CLAIMS):
        for _ in range(5):
            at_once = {"acme": LIMITS.concurrency}
            await claim(connection, {"acme": SLAB}, owner=owner, seconds=10, brake=Brake(), concurrency=at_once)
            in_flight.append(await connection.fetchval("SELECT count(*) FROM deliveries WHERE owner IS NOT NULL"))
        await connection.execute("UPDATE deliveries SET owner = NULL, call_ends_at = NULL WHERE owner = $1", owner)
    await connection.close()
    return in_flight


async def test_four_processes_that_hammer_one_destination_are_granted_its_budget_and_no_more(
    pool: Pool, database: str
) -> None:
    granted = sorted(each for one in await in_processes(PROCESSES, change_often, database) for each in one)

    first, last = granted[0][0], granted[-1][0]
    seconds = (last - first).total_seconds()
    earned = LIMITS.per_second * (0.2 + 0.8 * seconds)
    total = sum(count for _, count in granted)
    assert total <= min(earned, 600) + 1e-6
    assert total > 0.5 * min(earned, 120)  # and it was worth a fight
    for at, count in granted:
        if count:
            within = sum(n for t, n in granted if 0 <= (at - t).total_seconds() < 1)
            assert within <= LIMITS.per_second
    assert await pool.fetchval("SELECT changes FROM destinations") == PROCESSES * VISITS


async def test_four_processes_that_claim_at_once_stay_within_the_concurrency_and_a_slab_each(
    pool: Pool, database: str
) -> None:
    await pool.execute(FILL)
    in_flight = Counter(each for one in await in_processes(PROCESSES, claim_often, database) for each in one)

    assert max(in_flight) <= LIMITS.concurrency + (PROCESSES - 1) * SLAB
    assert in_flight[LIMITS.concurrency]


async def _leave(dsn: str, tokens: float) -> None:
    connection = await asyncpg.connect(dsn)
    await destinations.change(connection, "acme", lambda was, _now: (replace(was, tokens=tokens), 0))
    await connection.close()


async def test_a_process_that_stands_still_while_it_decides_stops_nobody_and_decides_anew(
    pool: Pool, database: str
) -> None:
    await _leave(database, 5.0)
    seen: list[float] = []

    def decide(was: Destination, _now: datetime) -> tuple[Destination, int]:
        seen.append(was.tokens)
        if len(seen) == 1:
            other = Thread(target=asyncio.run, args=(_leave(database, 9.0),))
            other.start()
            other.join(10)
            assert not other.is_alive()
        return replace(was, tokens=was.tokens - 1), 1

    async with pool.acquire() as connection:
        await destinations.change(connection, "acme", decide)

    assert seen == [5.0, 9.0]
    assert await pool.fetchval("SELECT tokens FROM destinations") == 8.0
