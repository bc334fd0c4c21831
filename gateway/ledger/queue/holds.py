"""What is kept from going out: holds by people, and brakes by the gateway itself."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asyncpg import Pool

from gateway.ledger.database.connections import Connection
from gateway.settings.shapes import Brake
from gateway.telemetry.logs import log

SCOPES = ("everything", "destination", "location", "request", "rejections", "operation")
BRAKE = "gateway"
"""Who puts a hold where a brake has tripped, or where a destination's answer asks for a person."""
RESTORE = "serve --paused"
"""Who puts one on everything after a restore, asked to or by itself."""

_PLACE = """
WITH placed AS (
    INSERT INTO holds (scope, name, reason, who, expires_at)
    VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5))
    RETURNING *
), audited AS (
    INSERT INTO audit (who, action, subject, reason, outcome)
    SELECT who, 'hold', 'hold ' || id, reason, trim(scope || ' ' || name) FROM placed
)
SELECT * FROM placed
"""
_PLACE_ONCE = """
INSERT INTO holds (scope, name, reason, who) VALUES ($1, $2, $3, $4)
ON CONFLICT (scope, name) WHERE scope IN ('destination', 'operation') AND who = 'gateway' AND released_at IS NULL
DO NOTHING
RETURNING id
"""
_RELEASE = """
WITH released AS (
    UPDATE holds SET released_at = clock_timestamp(), released_by = $2
    WHERE id = $1 AND released_at IS NULL
    RETURNING *
), audited AS (
    INSERT INTO audit (who, action, subject, reason, outcome)
    SELECT $2, 'release', 'hold ' || id, $3, trim(scope || ' ' || name) FROM released
)
SELECT * FROM released
"""
_ACTIVE = """
SELECT * FROM holds
WHERE released_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
ORDER BY id
"""
# Whoever else holds them back, a tripped brake has a hold of its own: the others may expire or be released.
_TRIP = """
WITH suspect AS MATERIALIZED (
    SELECT DISTINCT location FROM recent_outcomes
    WHERE said <> 'shipped' AND at > statement_timestamp() - make_interval(secs => $3)
), tripped AS MATERIALIZED (
    SELECT location FROM suspect
    WHERE NOT EXISTS (
            SELECT FROM holds WHERE scope = 'rejections' AND name = location AND who = $4 AND released_at IS NULL)
        AND is_braked(location, $1, $2, $3)
)
INSERT INTO holds (scope, name, reason, who)
SELECT 'rejections', location, format(
    '%s of %s units rejected or cancelled within %s minutes: release it, or settle them by hand',
    sum(units) FILTER (WHERE said <> 'shipped'), sum(units), round($3 / 60)), $4
FROM tripped JOIN recent_outcomes USING (location)
WHERE at > statement_timestamp() - make_interval(secs => $3)
GROUP BY location
ON CONFLICT DO NOTHING
RETURNING *
"""
_FORGET = "DELETE FROM recent_outcomes WHERE at < statement_timestamp() - make_interval(secs => $1)"
_CONFIRM_FIRST = """
INSERT INTO holds (scope, name, reason, who)
SELECT 'rejections', location, format('a new location: look at its first %s rejections, then release it', most), $3
FROM unnest($1::text[], $2::int[]) AS fresh(location, most)
WHERE most > 0 AND NOT EXISTS (SELECT FROM holds WHERE scope = 'rejections' AND name = location)
ON CONFLICT DO NOTHING
RETURNING *
"""


@dataclass(frozen=True, slots=True)
class Hold:
    """Something is kept from going out until it is released or expires."""

    id: int
    scope: str
    name: str
    reason: str
    who: str
    at: datetime
    expires_at: datetime | None
    released_at: datetime | None
    released_by: str | None


async def place(
    connection: Connection | Pool, scope: str, name: str, *, reason: str, who: str, seconds: float | None = None
) -> Hold:
    """Hold something back; several holds may lie on one thing."""
    (row,) = await connection.fetch(_PLACE, scope, name, reason, who, seconds)
    return Hold(**row)


async def place_once(connection: Connection | Pool, scope: str, name: str, reason: str) -> None:
    """Hold a destination or an operation back in the gateway's own name, unless that is done already."""
    if hold_id := await connection.fetchval(_PLACE_ONCE, scope, name, reason, BRAKE):
        log("hold.placed", scope=scope, name=name, hold=hold_id)


async def release(connection: Connection | Pool, hold_id: int, who: str, reason: str) -> Hold | None:
    """Release a hold; None where none of this id is active."""
    row = await connection.fetchrow(_RELEASE, hold_id, who, reason)
    return Hold(**row) if row else None


async def active(connection: Connection | Pool) -> list[Hold]:
    """List what holds now, oldest first."""
    return [Hold(**row) for row in await connection.fetch(_ACTIVE)]


async def trip(connection: Connection | Pool, brake: Brake) -> list[Hold]:
    """Put a hold where a brake has tripped, and forget what no brake looks at any more."""
    tripped = await connection.fetch(_TRIP, brake.units, brake.share, brake.seconds, BRAKE)
    await connection.execute(_FORGET, brake.seconds)
    for each in tripped:
        log("brake.tripped", location=each["name"], hold=each["id"])
    return [Hold(**row) for row in tripped]


async def confirm_first(connection: Connection | Pool, locations: Sequence[str], most: Sequence[int]) -> list[Hold]:
    """Hold the first rejections of locations that were never held before, where the settings ask for it."""
    return [Hold(**row) for row in await connection.fetch(_CONFIRM_FIRST, locations, most, BRAKE)]
