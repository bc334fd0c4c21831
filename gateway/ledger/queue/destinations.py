"""The budget and the breaker of a destination: one row, which all processes change one after another.

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
SET tokens = $2, five_minute_tokens = $3, refilled_at = coalesce($4::timestamptz, '-infinity'),
    not_before = coalesce($5::timestamptz, '-infinity'),
    is_open = $6::timestamptz IS NOT NULL, opened_at = $6, half_open_at = $7, open_for = $8, half_open_owner = $9,
    calls = $10, failures = $11, window_at = coalesce($12::timestamptz, '-infinity'), changes = changes + 1, wait = $14
FROM (SELECT set_config('synchronous_commit', 'off', true)) AS relaxed -- a crash may lose a reservation
WHERE name = $1 AND changes = $13
"""
_ALL = "SELECT * FROM destinations ORDER BY name"


@dataclass(frozen=True, slots=True)
class Destination:
    """The shared state of one destination."""

    name: str
    tokens: float
    five_minute_tokens: float
    refilled_at: datetime | None  # None before the first report
    not_before: datetime | None = None
    wait: float = 0.0
    opened_at: datetime | None = None
    half_open_at: datetime | None = None
    open_for: float = 0.0
    half_open_owner: str | None = None
    calls: int = 0
    failures: int = 0
    window_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.opened_at is not None


Decide = Callable[[Destination, datetime], tuple[Destination, int]]


async def change(connection: Connection, name: str, decide: Decide) -> tuple[Destination, int]:
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
            _WRITE, name, after.tokens, after.five_minute_tokens, after.refilled_at, after.not_before, after.opened_at,
            after.half_open_at, after.open_for, after.half_open_owner, after.calls, after.failures,
            after.window_at, row["changes"], after.wait,
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
        five_minute_tokens=row["five_minute_tokens"],
        refilled_at=_moment(row["refilled_at"]),
        not_before=_moment(row["not_before"]),
        wait=row["wait"],
        opened_at=row["opened_at"],
        half_open_at=row["half_open_at"],
        open_for=row["open_for"],
        half_open_owner=row["half_open_owner"],
        calls=row["calls"],
        failures=row["failures"],
        window_at=_moment(row["window_at"]),
    )


def _moment(value: datetime) -> datetime | None:
    """Read a time; asyncpg gives Postgres' -infinity as the year 1."""
    return value if value.year > 1 else None
