"""The partitions of the log: one for each month of receipt."""

from datetime import UTC, date, datetime, timedelta

import asyncpg

_STRAYED = """
SELECT EXISTS (
    SELECT FROM events_default WHERE month = $1 UNION ALL SELECT FROM attempts_default WHERE month = $1
    UNION ALL SELECT FROM payloads_default WHERE month = $1)
"""
# A statement of its own: one that has looked into a table while it waits for another process is in that one's way.
_ENSURE_PARTITIONS = "SELECT ensure_partitions($1)"


async def ensure_partitions(pool: asyncpg.Pool, today: date | None = None) -> None:
    """Make the partitions of this month and the next, before anything can land in the default one.

    A month whose rows lie there already, because a clock was wrong, stays there until a person has moved them.
    """
    this = (today or datetime.now(UTC).date()).replace(day=1)
    for month in (this, (this + timedelta(days=32)).replace(day=1)):
        if not await pool.fetchval(_STRAYED, month):
            await pool.execute(_ENSURE_PARTITIONS, month)
