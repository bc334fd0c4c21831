"""The desk of a destination: its budget and breaker, one row that all processes visit one after another."""

from collections.abc import Callable
from datetime import datetime

import asyncpg

from gateway.domain.destinations import Destination

from .connections import Connection

# What a crash may lose here is a reservation: not worth waiting for the disk.
_RELAXED = "SET LOCAL synchronous_commit = off"
_READ = """
SELECT *, clock_timestamp() AS now,
    (SELECT count(*) FROM deliveries d WHERE d.destination = s.name AND d.owner IS NOT NULL) AS flying
FROM destinations s WHERE name = $1
FOR UPDATE
"""
_OPEN = "INSERT INTO destinations (name) VALUES ($1) ON CONFLICT DO NOTHING"
_WRITE = """
UPDATE destinations
SET tokens = $2, long_tokens = $3, refilled_at = $4, not_before = coalesce($5::timestamptz, '-infinity'),
    shut = $6::timestamptz IS NOT NULL, shut_at = $6, probe_at = $7, shut_for = $8, prober = $9, calls = $10,
    failures = $11, window_at = coalesce($12::timestamptz, '-infinity')
WHERE name = $1
"""
_ALL = "SELECT * FROM destinations ORDER BY name"

Decide = Callable[[Destination, datetime], tuple[Destination, int]]


async def visit(connection: Connection, name: str, decide: Decide) -> tuple[Destination, int, int]:
    """Change the state of a destination while nobody else can.

    Gives the new state, what `decide` granted, and how many calls of all processes are claimed.
    """
    async with connection.transaction():
        await connection.execute(_RELAXED)
        row = await connection.fetchrow(_READ, name)
        if row is None:
            await connection.execute(_OPEN, name)
            row = await connection.fetchrow(_READ, name)
        assert row is not None  # noqa: S101 - it was made if it was missing
        after, granted = decide(_decode(row), row["now"])
        await connection.execute(
            _WRITE, name, after.tokens, after.long_tokens, after.refilled_at, after.not_before, after.shut_at,
            after.probe_at, after.shut_for, after.prober, after.calls, after.failures, after.window_at,
        )  # fmt: skip
    return after, granted, row["flying"]


async def every(connection: Connection | asyncpg.Pool) -> list[Destination]:
    """Show the state of all destinations."""
    return [_decode(row) for row in await connection.fetch(_ALL)]


def _decode(row: asyncpg.Record) -> Destination:
    return Destination(
        name=row["name"],
        tokens=row["tokens"],
        long_tokens=row["long_tokens"],
        refilled_at=_moment(row["refilled_at"]),
        not_before=_moment(row["not_before"]),
        shut_at=row["shut_at"],
        probe_at=row["probe_at"],
        shut_for=row["shut_for"],
        prober=row["prober"],
        calls=row["calls"],
        failures=row["failures"],
        window_at=_moment(row["window_at"]),
    )


def _moment(value: datetime) -> datetime | None:
    """Read a time; asyncpg gives Postgres' -infinity as the year 1."""
    return value if value.year > 1 else None
