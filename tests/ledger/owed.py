"""Owed calls for tests, straight into their table: one statement makes a hundred thousand."""

from collections.abc import Mapping
from typing import Any

import asyncpg

from gateway.domain.deliveries import READS, Operation
from gateway.ledger.database.connections import Connection
from gateway.ledger.queue.claims import Claim, claim, prepare
from gateway.ledger.queue.urgency import urgency
from gateway.settings.shapes import Brake

_OWE = """
INSERT INTO deliveries (request_id, operation, seq, destination, location, month, is_read, ready, urgency, due_at)
SELECT CASE WHEN $9 = 1 THEN $1 ELSE $1 || n END, $2, 1, $3, $4, '2026-11-01', $5, $6, $7,
    clock_timestamp() - make_interval(secs => $8)
FROM generate_series(1, $9) n
"""
_JOIN = """
INSERT INTO processes (owner, key, started_at) VALUES ($1, hashtext($1), now() - interval '1 minute')
ON CONFLICT DO NOTHING
"""
BRAKE = Brake(units=4, share=0.3, seconds=900.0)


async def owe(
    pool: asyncpg.Pool,
    request_id: str = "r-1",
    operation: Operation = Operation.SHIP,
    *,
    destination: str = "newstore",
    location: str = "DC01",
    age: float = 1.0,
    express: bool = False,
    ready: bool = True,
    count: int = 1,
) -> None:
    """Owe a call that has been due for `age` seconds."""
    rank = urgency(operation, is_express=express)
    is_read = operation in READS
    await pool.execute(_OWE, request_id, operation, destination, location, is_read, ready, rank, age, count)


async def claimed(
    connection: Connection, room: Mapping[str, int] | None = None, *, owner: str = "me", joins: bool = True, **how: Any
) -> list[Claim]:
    """Claim as a living process does."""
    if joins:
        await connection.execute(_JOIN, owner)
    await prepare(connection)
    return await claim(connection, room or {"newstore": 100, "acme": 100}, owner=owner, seconds=10, brake=BRAKE, **how)


def ids(claims: list[Claim]) -> list[str]:
    return sorted(each.request_id for each in claims)
