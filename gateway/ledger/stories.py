"""Read one request: its state, its events, and the body it came in."""

from asyncpg import Connection, Pool

from gateway.domain.events import Event
from gateway.domain.requests import Request

from .codec import decode_delivery, decode_event, decode_request

_REQUEST = "SELECT * FROM requests WHERE id = $1"
_LOCATION = "SELECT location FROM requests WHERE id = $1"
_DELIVERIES = "SELECT operation, seq, destination, owner, doubt FROM deliveries WHERE request_id = $1 ORDER BY seq"
_EVENTS = """
SELECT version, at, cause, fingerprint, kind, fact FROM events
WHERE month = date_trunc('month', $2::timestamptz AT TIME ZONE 'UTC')::date AND request_id = $1 ORDER BY version
"""
_BODY = """
SELECT body FROM payloads
WHERE month = date_trunc('month', $2::timestamptz AT TIME ZONE 'UTC')::date AND request_id = $1 AND hash = $3
"""

_ELSEWHERE = """
SELECT provider, count(*) FROM requests
WHERE pending AND provider <> ALL($1::text[]) GROUP BY provider ORDER BY provider
"""
_UNROUTABLE = """
SELECT id FROM requests
WHERE provider IS NULL AND location = $1 AND pending AND NOT rejected ORDER BY received_at LIMIT 500
"""


async def request(pool: Pool, request_id: str) -> Request | None:
    """Load the state of a request with the deliveries it owes."""
    row = await pool.fetchrow(_REQUEST, request_id)
    if row is None:
        return None
    return decode_request(row, [decode_delivery(each) for each in await pool.fetch(_DELIVERIES, request_id)])


async def events(pool: Pool, of: Request) -> list[Event]:
    """Load the whole story of a request, in order."""
    return [decode_event(row) for row in await pool.fetch(_EVENTS, of.id, of.received_at)]


async def body(pool: Pool, of: Request) -> bytes:
    """Load the bytes that NewStore sent."""
    found: bytes = await pool.fetchval(_BODY, of.id, of.received_at, of.fingerprint)
    return found


async def unroutable(pool: Pool, location: str) -> list[str]:
    """Find requests of a location that were parked because it had no provider."""
    return [row["id"] for row in await pool.fetch(_UNROUTABLE, location)]


async def location_of(pool: Pool, request_id: str) -> str | None:
    """Tell which location a request is for; None where nobody has the request."""
    found: str | None = await pool.fetchval(_LOCATION, request_id)
    return found


async def open_elsewhere(connection: Connection, providers: list[str]) -> dict[str, int]:
    """Count the open requests of every provider that is not among these."""
    return {row["provider"]: row["count"] for row in await connection.fetch(_ELSEWHERE, providers)}
