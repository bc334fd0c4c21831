"""Claim owed calls, lane by lane, so that a long queue of one DC costs its neighbours nothing.

A lane is what waits at one destination for one location with one urgency. The lanes that exist are found by leaping
through the index, so nobody has to list them, and held, open or not yet due ones cost a leap each.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from gateway.domain.deliveries import NEWSTORE, Operation
from gateway.ledger.database.connections import Connection
from gateway.ledger.database.seen import Position
from gateway.settings.shapes import Brake
from gateway.telemetry import metrics
from gateway.telemetry.logs import log

from .urgency import BRAKED, HEAD_START, TOLD

GRACE = 5.0
"""Seconds after `call_ends_at` in which a process that is connected has stored what became of the call."""
_UNBOUNDED = 1_000_000

# Planned once, maybe while nothing is owed yet: a plan that suits an empty table takes seconds when half a million
# calls wait, so only the indexes are left to choose from.
_PREPARE = """
SET plan_cache_mode = force_generic_plan;
SET jit = off;
SET enable_seqscan = off;
SET enable_bitmapscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
"""

# What waits is handed on by its place in the table: no plan can then look for it in another way than the shortest.
# statement_timestamp() and not clock_timestamp(): only what stays the same can be looked up in an index.
_CLAIM = """
WITH RECURSIVE free AS MATERIALIZED (
    SELECT r.name, least(r.room, r.concurrency - (
        SELECT count(*) FROM deliveries WHERE destination = r.name AND owner IS NOT NULL) - (
        SELECT count(*) FROM polls p WHERE p.provider = r.name AND (
            p.owner <> $3 AND p.ends_at > clock_timestamp() OR p.owner IS NULL AND p.due_at <= clock_timestamp()
        ))) AS room -- a poll that is due has a place, or it would find none beside a long queue
    FROM unnest($1::text[], $2::int[], $11::int[]) AS r(name, room, concurrency)
), room AS (
    SELECT free.name, CASE WHEN s.is_open THEN least(free.room, 1) ELSE free.room END AS room
    FROM free LEFT JOIN destinations s USING (name)
    WHERE free.room > 0 AND (s.name IS NULL OR NOT s.is_open OR s.half_open_owner = $3)
        AND (s.name IS NULL OR s.not_before <= clock_timestamp())
), hold AS (
    SELECT scope, name FROM holds
    WHERE scope <> 'request' AND released_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
), lane AS (
    SELECT first.* FROM room CROSS JOIN LATERAL (
        SELECT destination, location, urgency FROM deliveries
        WHERE ready AND owner IS NULL AND destination = room.name
        ORDER BY destination, location, urgency LIMIT 1
    ) first
    UNION ALL
    SELECT next.* FROM lane CROSS JOIN LATERAL (
        SELECT destination, location, urgency FROM deliveries
        WHERE ready AND owner IS NULL AND destination = lane.destination
            AND (location, urgency) > (lane.location, lane.urgency)
        ORDER BY destination, location, urgency LIMIT 1
    ) next
), open_lane AS (
    SELECT lane.*, room.room, head.start
    FROM lane
    JOIN room ON room.name = lane.destination
    JOIN unnest($4::smallint[], $5::float8[]) AS head(urgency, start) ON head.urgency = lane.urgency
    WHERE NOT EXISTS (
        SELECT FROM hold
        WHERE scope = 'everything' OR (scope = 'destination' AND name = lane.destination)
            OR (scope = 'location' AND name = lane.location)
            OR (scope = 'rejections' AND name = lane.location AND lane.urgency = ANY($6::smallint[])))
        AND (lane.destination <> $12 OR EXISTS (
            SELECT FROM unnest($13::text[], $14::smallint[]) AS may(operation, urgency)
            WHERE may.urgency = lane.urgency
                AND NOT EXISTS (SELECT FROM hold WHERE scope = 'operation' AND name = may.operation)))
        AND NOT (lane.urgency = ANY($6) AND is_braked(lane.location, $8, $9, $10))
), waiting AS (
    SELECT d.row, open_lane.room,
        row_number() OVER (
            PARTITION BY open_lane.destination ORDER BY d.due_at - make_interval(secs => open_lane.start)) AS place
    FROM open_lane CROSS JOIN LATERAL (
        SELECT ctid AS row, due_at FROM deliveries
        WHERE ready AND owner IS NULL AND destination = open_lane.destination AND location = open_lane.location
            AND urgency = open_lane.urgency AND due_at <= statement_timestamp()
            AND NOT EXISTS (SELECT FROM hold WHERE scope = 'operation' AND name = operation)
            AND NOT EXISTS (
                SELECT FROM holds
                WHERE scope = 'request' AND name = request_id AND released_at IS NULL
                    AND (expires_at IS NULL OR expires_at > clock_timestamp()))
        ORDER BY due_at
        LIMIT open_lane.room
    ) d
), picked AS MATERIALIZED (
    SELECT waiting.row FROM waiting CROSS JOIN LATERAL (
        SELECT FROM deliveries WHERE ctid = waiting.row AND ready AND owner IS NULL FOR UPDATE SKIP LOCKED
    ) locked
    WHERE waiting.place <= waiting.room
), claimed AS (
    UPDATE deliveries d
    SET owner = $3, attempt = d.attempt + 1, call_ends_at = clock_timestamp() + make_interval(secs => $7 + (
        SELECT each.seconds * CASE WHEN d.doubt OR d.is_read THEN 2 ELSE 1 END
        FROM unnest($1::text[], $15::float8[]) AS each(name, seconds) WHERE each.name = d.destination))
    FROM picked
    WHERE d.ctid = picked.row AND d.ready AND d.owner IS NULL
        AND EXISTS (SELECT FROM processes WHERE owner = $3)
    RETURNING d.request_id, d.operation, d.seq, d.destination, d.location, d.month, d.attempt, d.tries, d.doubt,
        d.owner, coalesce(d.verify_by <= clock_timestamp(), false) AS overdue, d.trace, d.blocks,
        extract(epoch FROM d.call_ends_at - clock_timestamp())::float8 AS seconds,
        greatest(0, coalesce(extract(epoch FROM d.sure_at - clock_timestamp()), 0))::float8 AS unsure_for
), counted AS (
    UPDATE positions SET number = $17, at = clock_timestamp() WHERE name = $16 AND EXISTS (SELECT FROM claimed)
)
SELECT * FROM claimed
"""

_FREE_LOST = """
WITH lost AS (
    SELECT d.request_id, d.operation, d.seq
    FROM deliveries d JOIN processes p USING (owner)
    WHERE greatest(d.call_ends_at, p.started_at) < p.heartbeat_at - make_interval(secs => $1)
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE deliveries d
SET owner = NULL, call_ends_at = NULL, doubt = NOT d.is_read, sure_at = clock_timestamp() + make_interval(secs => $2)
FROM lost
WHERE (d.request_id, d.operation, d.seq) = (lost.request_id, lost.operation, lost.seq)
RETURNING d.request_id
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """A delivery that this process may try now, until `call_ends_at`."""

    request_id: str
    operation: Operation
    seq: int
    destination: str
    location: str
    month: date
    attempt: int  # this one, counted from 1
    tries: int  # earlier ones that used up a step of the schedule
    doubt: bool  # the last one may have happened
    owner: str
    overdue: bool  # the time-box for a proof had passed, by the database's clock
    trace: str | None = None  # of what owes it
    blocks: int = 0  # earlier ones that were turned away while other calls passed
    seconds: float = 0.0  # from the claim until `call_ends_at`
    unsure_for: float = 0.0  # seconds in which an earlier call may yet arrive, or be done


async def prepare(connection: Connection) -> None:
    """Make a connection ready for claims, and for nothing else."""
    await connection.execute(_PREPARE)


async def claim(
    connection: Connection,
    room: Mapping[str, int],
    *,
    owner: str,
    seconds: float,
    brake: Brake,
    concurrency: Mapping[str, int] | None = None,
    call_seconds: Mapping[str, float] | None = None,
    position: Position | None = None,
) -> list[Claim]:
    """Claim due calls, the most urgent first, up to the room at each destination.

    A claim holds for `seconds` and those of one call there (`call_seconds`); of two where a look goes before the
    call, or may be made at two places.

    `concurrency` bounds what all processes together have claimed at a destination. Nothing is claimed for an owner
    whom the others have expired.
    """
    position = position or Position()
    at_once = [(concurrency or {}).get(name, _UNBOUNDED) for name in room]
    rows = await connection.fetch(
        _CLAIM, list(room), list(room.values()), owner, list(HEAD_START), list(HEAD_START.values()), BRAKED, seconds,
        brake.units, brake.share, brake.seconds, at_once, NEWSTORE, [each for each, _ in TOLD], [at for _, at in TOLD],
        [(call_seconds or {}).get(name, 0.0) for name in room], position.name, position.number + 1,
    )  # fmt: skip
    position.number += bool(rows)
    return [Claim(**{**row, "operation": Operation(row["operation"])}) for row in rows]


async def free_lost(connection: Connection, *, grace: float) -> int:
    """Give back the calls that their own process lost sight of; each write among them may have happened.

    It must have lived and stayed connected for a while after the call ended: one that could not reach Postgres keeps
    what it has to tell. Such a write is looked for at once, and has `grace` seconds to show up until it counts as
    absent.
    """
    freed = len(await connection.fetch(_FREE_LOST, GRACE, grace))
    metrics.TAKEOVERS.inc(freed)
    if freed:
        log("claims.taken_over", count=freed)
    return freed
