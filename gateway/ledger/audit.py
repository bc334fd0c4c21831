"""Who did what and why; acts on requests are written beside their events, in the same commit."""

from typing import Any

from asyncpg import Pool

from gateway.ledger.database.connections import Connection
from gateway.ledger.read.reading import reading

_WRITE = "INSERT INTO audit (who, action, subject, reason, outcome) VALUES ($1, $2, $3, $4, $5)"
_PAGE = """
SELECT id, at, who, action, subject, reason, outcome FROM audit
WHERE ($1::bigint IS NULL OR id < $1) AND ($2::text IS NULL OR subject = $2) AND ($3::text IS NULL OR who = $3)
    AND ($4::text IS NULL OR action = $4)
ORDER BY id DESC
LIMIT $5
"""


async def write(
    connection: Connection | Pool, *, who: str, action: str, subject: str, reason: str, outcome: str
) -> None:
    """Add an entry."""
    await connection.execute(_WRITE, who, action, subject, reason, outcome)


async def page(
    pool: Pool, *, before: int | None, subject: str | None, who: str | None, action: str | None, limit: int
) -> list[dict[str, Any]]:
    """List entries, newest first."""
    async with reading(pool) as connection:
        return [dict(row) for row in await connection.fetch(_PAGE, before, subject, who, action, limit)]
