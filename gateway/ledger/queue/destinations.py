"""The desk of a destination: its budget and breaker, one row that all processes visit one after another.

Nobody holds the row while it decides: a process that stands still there would stop all others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from gateway.ledger.database.connections import Connection

_READ = "SELECT *, clock_timestamp() AS now FROM destinations WHERE name = $1"
_OPEN = "INSERT INTO destinations (name) VALUES ($1) ON CONFLICT DO NOTHING"
_WRITE = """
UPDATE destinations
SET tokens = $2, long_tokens = $3, refilled_at = coalesce($4::timestamptz, '-infinity'),
    not_before = coalesce($5::timestamptz, '-infinity'),
    shut = $6::timestamptz IS NOT NULL, shut_at = $6, probe_at = $7, shut_for = $8, prober = $9, calls = $10,
    failures = $11, window_at = coalesce($12::timestamptz, '-infinity'), visits = visits + 1, wait = $14
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS relaxed -- a crash may lose a reservation
WHERE name = $1 AND visits = $13
"""
_ALL = "SELECT * FROM destinations ORDER BY name"


@dataclass(frozen=True, slots=True)
class Destination:
    """The shared state of one destination."""

    name: str
    tokens: float
    long_tokens: float
    refilled_at: datetime | None  # None before the first visit
    not_before: datetime | None = None
    wait: float = 0.0
    shut_at: datetime | None = None
    probe_at: datetime | None = None
    shut_for: float = 0.0
    prober: str | None = None
    calls: int = 0
    failures: int = 0
    window_at: datetime | None = None

    @property
    def is_shut(self) -> bool:
        return self.shut_at is not None


Decide = Callable[[Destination, datetime], tuple[Destination, int]]


async def visit(connection: Connection, name: str, decide: Decide) -> tuple[Destination, int]:
    """Change the state of a destination, and decide anew whenever another process was quicker.

    Gives the new state, and what `decide` granted.
    """
    while True:
        row = await connection.fetchrow(_READ, name)
        if row is None:
            await connection.execute(_OPEN, name)
            continue
        after, granted = decide(_decode(row), row["now"])
        written = await connection.execute(
            _WRITE, name, after.tokens, after.long_tokens, after.refilled_at, after.not_before, after.shut_at,
            after.probe_at, after.shut_for, after.prober, after.calls, after.failures, after.window_at, row["visits"],
            after.wait,
        )  # fmt: skip
        if written == "UPDATE 1":
            return after, granted


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
        wait=row["wait"],
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
