"""Let a request's other writes go before a rejection or cancellation that is held back.

Of the writes that a request owes to NewStore only one is ready. While a brake, or a person, holds the reversals of its
location, such a head hands that over to the first write behind it that may go. What settles that one makes the
lowest number ready again, as ever.
"""

from asyncpg import Pool

from gateway.domain.deliveries import NEWSTORE
from gateway.domain.urgency import BRAKED

from .connections import Connection

# Both rows are locked before either is changed, and a row that somebody else has in hand is left to the next look:
# a call that is being claimed, settled or called off right now stays what it is.
_STEP_ASIDE = """
WITH held AS MATERIALIZED (
    SELECT DISTINCT name FROM holds
    WHERE scope = 'rejections' AND released_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
), behind AS MATERIALIZED (
    SELECT DISTINCT ON (request_id) request_id, operation, seq
    FROM held JOIN deliveries d ON d.location = held.name AND d.destination = $1 AND NOT d.ready
    WHERE NOT d.is_read AND d.urgency <> ALL($2)
    ORDER BY request_id, seq
), pair AS MATERIALIZED (
    SELECT head.request_id, head.operation, head.seq, behind.operation AS next_operation, behind.seq AS next_seq
    FROM behind JOIN deliveries head USING (request_id)
    WHERE head.destination = $1 AND head.ready AND head.owner IS NULL AND head.urgency = ANY($2)
), locked AS MATERIALIZED (
    SELECT pair.* FROM pair CROSS JOIN LATERAL (
        SELECT FROM deliveries d
        WHERE (d.request_id, d.operation, d.seq) = (pair.request_id, pair.operation, pair.seq)
            AND d.ready AND d.owner IS NULL
        FOR UPDATE SKIP LOCKED
    ) head CROSS JOIN LATERAL (
        SELECT FROM deliveries d
        WHERE (d.request_id, d.operation, d.seq) = (pair.request_id, pair.next_operation, pair.next_seq)
            AND NOT d.ready
        FOR UPDATE SKIP LOCKED
    ) next
)
UPDATE deliveries d
SET ready = NOT d.ready, due_at = CASE WHEN d.ready THEN d.due_at ELSE clock_timestamp() END
FROM locked
WHERE d.request_id = locked.request_id
    AND (d.operation, d.seq) IN ((locked.operation, locked.seq), (locked.next_operation, locked.next_seq))
RETURNING d.ready
"""


async def step_aside(connection: Connection | Pool) -> int:
    """Let what may go pass what is held, and count the requests of which it did."""
    return sum(row["ready"] for row in await connection.fetch(_STEP_ASIDE, NEWSTORE, BRAKED))
