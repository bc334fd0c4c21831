"""How far the comparison with NewStore is that follows a restore, once the hold of the paused start is released.

The hold numbers the comparison, so that a second restore has a second one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from asyncpg import Pool

from gateway.ledger.database.connections import Connection

from .holds import RESTORE

# The newest first: they changed last, and may wait for their order to be sent. What is being asked is bounded, and so
# is what a look costs: of all that is restored it reads what it gives.
_NEXT = """
WITH hold AS (
    SELECT id, released_at FROM holds WHERE scope = 'everything' AND who = $1 ORDER BY id DESC LIMIT 1
), under_way AS (
    SELECT count(DISTINCT request_id) AS requests FROM deliveries
    WHERE is_read AND seq > 0 AND operation <> 'read_order'
), first AS (
    SELECT min(compared) AS compared FROM requests WHERE restored AND pending
)
SELECT hold.id AS hold, next.id
FROM hold CROSS JOIN under_way CROSS JOIN first CROSS JOIN LATERAL (
    SELECT id FROM requests WHERE restored AND pending AND compared = first.compared
    ORDER BY received_at DESC LIMIT greatest(0, $2 - under_way.requests)
) next
WHERE hold.released_at IS NOT NULL AND first.compared < hold.id
"""
_ASKED = "UPDATE requests SET compared = $1 WHERE id = ANY($2::text[]) AND compared < $1"
_PROGRESS = """
WITH hold AS (
    SELECT id FROM holds WHERE scope = 'everything' AND who = $1 ORDER BY id DESC LIMIT 1
)
SELECT
    (SELECT count(*) FROM requests WHERE restored AND compared = hold.id) AS asked,
    (SELECT count(*) FROM requests WHERE restored AND pending AND compared < hold.id) AS unasked,
    (SELECT count(DISTINCT d.request_id) FROM deliveries d JOIN requests r ON r.id = d.request_id
        WHERE d.is_read AND d.seq > 0 AND d.operation <> 'read_order'
            AND r.restored AND r.compared = hold.id) AS under_way
FROM hold
"""


@dataclass(frozen=True, slots=True)
class Progress:
    """How many requests that a restore left open have been compared with NewStore, of how many."""

    compared: int
    of: int

    @property
    def is_over(self) -> bool:
        return self.compared == self.of


async def next_to_ask(pool: Pool, most: int) -> tuple[int, list[str]]:
    """Give the hold whose release began it, and requests to ask about, so that it is `most` at once."""
    rows = await pool.fetch(_NEXT, RESTORE, most)
    return (rows[0]["hold"], [row["id"] for row in rows]) if rows else (0, [])


async def asked(pool: Pool, hold: int, request_ids: Sequence[str]) -> None:
    """Keep that NewStore is asked about these."""
    await pool.execute(_ASKED, hold, list(request_ids))


async def progress(connection: Connection | Pool) -> Progress | None:
    """Tell how far it is, also before it begins; None after no restore, or one that left nothing open."""
    row = await connection.fetchrow(_PROGRESS, RESTORE)
    of = row["asked"] + row["unasked"] if row else 0
    return Progress(row["asked"] - row["under_way"], of) if row and of else None
