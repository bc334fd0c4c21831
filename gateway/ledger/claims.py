"""Claim owed calls, lane by lane, so that a long queue of one DC costs its neighbours nothing."""

from collections.abc import Sequence

from asyncpg import Connection
from asyncpg.pool import PoolConnectionProxy

from gateway.domain.deliveries import Operation

from .entries import Claim

GRACE = 5.0
"""Seconds after `call_ends_at` from which a claim counts as lost: no call lives that long."""

_CLAIM = """
WITH picked AS (
    SELECT d.request_id, d.operation, d.seq
    FROM unnest($1::text[], $2::text[]) AS lane(destination, location)
    CROSS JOIN LATERAL (
        SELECT request_id, operation, seq
        FROM deliveries
        WHERE destination = lane.destination AND location = lane.location AND is_read = $3
            AND ready AND owner IS NULL AND due_at <= now()
        ORDER BY due_at
        LIMIT $4
        FOR UPDATE SKIP LOCKED
    ) d
    LIMIT $4
)
UPDATE deliveries d
SET owner = $5, call_ends_at = clock_timestamp() + make_interval(secs => $6), attempt = d.attempt + 1
FROM picked p
WHERE (d.request_id, d.operation, d.seq) = (p.request_id, p.operation, p.seq)
RETURNING d.request_id, d.operation, d.seq, d.destination, d.location, d.month, d.attempt, d.tries, d.doubt, d.owner,
    d.verify_by
"""

_FREE_LOST = """
UPDATE deliveries
SET owner = NULL, call_ends_at = NULL, doubt = NOT is_read
WHERE owner IS NOT NULL AND call_ends_at < clock_timestamp() - make_interval(secs => $1)
RETURNING request_id
"""


async def claim(
    connection: Connection | PoolConnectionProxy,
    lanes: Sequence[tuple[str, str]],
    *,
    reads: bool,
    limit: int,
    owner: str,
    seconds: float,
) -> list[Claim]:
    """Claim up to `limit` due calls over lanes of (destination, location), for at most `seconds` each."""
    destinations = [destination for destination, _ in lanes]
    locations = [location for _, location in lanes]
    rows = await connection.fetch(_CLAIM, destinations, locations, reads, limit, owner, seconds)
    return [Claim(**{**row, "operation": Operation(row["operation"])}) for row in rows]


async def free_lost(connection: Connection | PoolConnectionProxy) -> int:
    """Give back the calls of processes that died in them; each write among them may have happened."""
    return len(await connection.fetch(_FREE_LOST, GRACE))
