"""Half a million waiting calls cost a claim no more than a thousand."""

from statistics import median
from time import perf_counter

import asyncpg
import pytest

from gateway.ledger.queue.claims import claim, prepare
from gateway.ledger.queue.holds import place
from gateway.settings.shapes import Brake

FILL = """
INSERT INTO deliveries (request_id, operation, seq, destination, location, month, is_read, ready, urgency, due_at)
SELECT 'r-' || n, CASE n % 3 WHEN 0 THEN 'ship' WHEN 1 THEN 'reject' ELSE 'acknowledge' END, 1,
    CASE WHEN n % 8 < 6 THEN 'newstore' ELSE 'down' END,
    CASE WHEN n % 8 < 4 THEN 'HELD' || n % 20 ELSE 'DC' || n % 20 END, '2026-11-01', false, true,
    (ARRAY[1, 3, 5])[n % 3 + 1],
    now() + CASE WHEN n % 8 = 4 AND n > 1000 THEN interval '1 hour' ELSE interval '-1 minute' END
FROM generate_series($1::int, $2::int) n
"""
OPEN = "INSERT INTO destinations (name, is_open, opened_at, half_open_at) VALUES ('down', true, now(), now())"
FREE = "UPDATE deliveries SET owner = NULL, call_ends_at = NULL WHERE owner IS NOT NULL"


async def seconds(pool: asyncpg.Pool, connection: asyncpg.Connection, rounds: int = 30) -> float:
    took: list[float] = []
    for _ in range(rounds):
        began = perf_counter()
        found = await claim(connection, {"newstore": 18, "down": 5}, owner="me", seconds=10, brake=Brake())
        took.append(perf_counter() - began)
        assert len(found) == 18
        await pool.execute(FREE)
    return median(took)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_half_a_million_calls_that_are_held_not_due_or_shut_off_cost_a_claim_nothing(
    database: str, pool: asyncpg.Pool
) -> None:
    await pool.execute("INSERT INTO processes (owner, key) VALUES ('me', 1)")
    await pool.execute(OPEN)
    for number in range(20):
        await place(pool, "location", f"HELD{number}", reason="strike", who="kim")
    await place(pool, "operation", "acknowledge", reason="410", who="gateway")
    connection = await asyncpg.connect(database)
    await prepare(connection)
    await pool.execute("ALTER TABLE deliveries SET (autovacuum_enabled = false)")  # the planner learns nothing
    assert await claim(connection, {"newstore": 18, "down": 5}, owner="me", seconds=10, brake=Brake()) == []
    await pool.execute(FILL, 1, 1_000)
    few = await seconds(pool, connection)
    await pool.execute(FILL, 1_001, 500_000)
    many = await seconds(pool, connection)
    await pool.execute("ALTER TABLE deliveries RESET (autovacuum_enabled)")
    await connection.close()
    assert many < 2 * few, f"{few * 1e3:.2f} ms became {many * 1e3:.2f} ms"
