"""Let a request's other writes go before one that is held back: a rejection or cancellation, or a whole operation.

Of the writes that a request owes to NewStore only one is ready. While a brake, or a person, holds the reversals of its
location, or NewStore has an operation no more, such a head hands that over to the first write behind it that may go.
What settles that one makes the lowest number ready again, as ever.
"""

from asyncpg import Pool

from gateway.domain.deliveries import NEWSTORE
from gateway.ledger.database.connections import Connection

from .urgency import BRAKED

# Looked for from what stands behind: of all that is held, little has anything behind it. Both rows are locked before
# either is changed, and a row that somebody else has in hand is left to the next look: a call that is being claimed,
# settled or called off right now stays what it is. Rows are handed on by their place in the table, and a request's by
# its id alone, so that no plan looks for them among all that is ready.
_OVERTAKE = """
WITH held AS MATERIALIZED (
    SELECT DISTINCT name FROM holds
    WHERE scope = 'rejections' AND released_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
), stopped AS MATERIALIZED (
    SELECT array_agg(name) AS operations FROM holds
    WHERE scope = 'operation' AND released_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
    HAVING count(*) > 0
), pair AS MATERIALIZED (
    SELECT head.row AS head, behind.row AS next
    FROM held CROSS JOIN LATERAL (
        SELECT DISTINCT ON (request_id) request_id, ctid AS row FROM deliveries
        WHERE destination = $1 AND location = held.name AND NOT ready AND NOT is_read AND urgency <> ALL($2)
            AND operation <> ALL(coalesce((SELECT operations FROM stopped), '{}'))
        ORDER BY request_id, seq
    ) behind CROSS JOIN LATERAL (
        SELECT ctid AS row, destination, ready, owner, urgency FROM deliveries d
        WHERE d.request_id = behind.request_id OFFSET 0
    ) head
    WHERE head.destination = $1 AND head.ready AND head.owner IS NULL AND head.urgency = ANY($2)
    UNION
    SELECT head.row, behind.row
    FROM stopped CROSS JOIN LATERAL (
        SELECT DISTINCT ON (request_id) request_id, ctid AS row FROM deliveries
        WHERE destination = $1 AND NOT ready AND NOT is_read AND operation <> ALL(stopped.operations)
            AND NOT (urgency = ANY($2) AND location IN (SELECT name FROM held))
        ORDER BY request_id, seq
    ) behind CROSS JOIN LATERAL (
        SELECT ctid AS row, destination, ready, owner, operation FROM deliveries d
        WHERE d.request_id = behind.request_id OFFSET 0
    ) head
    WHERE head.destination = $1 AND head.ready AND head.owner IS NULL AND head.operation = ANY(stopped.operations)
), locked AS MATERIALIZED (
    SELECT pair.* FROM pair CROSS JOIN LATERAL (
        SELECT FROM deliveries WHERE ctid = pair.head AND ready AND owner IS NULL FOR UPDATE SKIP LOCKED
    ) head CROSS JOIN LATERAL (
        SELECT FROM deliveries WHERE ctid = pair.next AND NOT ready FOR UPDATE SKIP LOCKED
    ) next
)
UPDATE deliveries d
SET ready = NOT d.ready, due_at = CASE WHEN d.ready THEN d.due_at ELSE clock_timestamp() END
FROM (SELECT head AS row FROM locked UNION ALL SELECT next FROM locked) AS turned
WHERE d.ctid = turned.row
RETURNING d.ready
"""

# A program from before there was any of this takes for ready what is overtaken, and gives it no turn when it settles
# what overtook it. One that is first of its request while none is ready gets it here, also after its hold.
_GIVE_TURN_BACK = """
WITH first AS MATERIALIZED (
    SELECT overtaken.row
    FROM (SELECT DISTINCT name FROM holds WHERE scope = 'rejections') held CROSS JOIN LATERAL (
        SELECT ctid AS row, request_id, seq FROM deliveries
        WHERE destination = $1 AND location = held.name AND NOT ready AND urgency = ANY($2) OFFSET 0
    ) overtaken CROSS JOIN LATERAL (
        SELECT bool_or(ready OR seq < overtaken.seq) AS are_before FROM deliveries
        WHERE request_id = overtaken.request_id AND destination = $1 AND NOT is_read
    ) others
    WHERE NOT others.are_before
), locked AS MATERIALIZED (
    SELECT first.row FROM first CROSS JOIN LATERAL (
        SELECT FROM deliveries WHERE ctid = first.row AND NOT ready FOR UPDATE SKIP LOCKED
    ) here
)
UPDATE deliveries d SET ready = true FROM locked WHERE d.ctid = locked.row
"""


async def overtake_held(connection: Connection | Pool) -> int:
    """Let what may go pass what is held, and count the requests of which it did."""
    await connection.execute(_GIVE_TURN_BACK, NEWSTORE, BRAKED)
    return sum(row["ready"] for row in await connection.fetch(_OVERTAKE, NEWSTORE, BRAKED))
