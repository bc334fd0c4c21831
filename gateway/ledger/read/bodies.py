"""Bodies as they came: the one place that holds personal data."""

from dataclasses import dataclass
from datetime import datetime

from asyncpg import Pool

from .reading import reading

_MOST = 50
OURS = "gateway"
"""The sender of what we have written."""
_REQUEST = "SELECT month, fingerprint FROM requests WHERE id = $1"
_BODIES = """
SELECT p.at, p.body,
    CASE WHEN e.cause IS NOT NULL THEN split_part(e.cause, ':', 1) WHEN NOT a.is_answer THEN $5
        ELSE coalesce(a.destination, '') END AS sender,
    e.cause IS NULL AND coalesce(a.is_answer, true) AS is_answer,
    coalesce(e.kind, a.operation || ' ' || a.attempt, '') AS about, coalesce(a.destination, '') AS destination
FROM payloads p
LEFT JOIN LATERAL (
    SELECT cause, kind FROM events
    WHERE month = p.month AND request_id = p.request_id AND fingerprint = p.hash ORDER BY version LIMIT 1
) e ON true
LEFT JOIN LATERAL (
    SELECT destination, operation, attempt, response IS NOT DISTINCT FROM p.hash AS is_answer FROM attempts
    WHERE month = p.month AND request_id = p.request_id AND p.hash IN (response, sent) ORDER BY at LIMIT 1
) a ON true
WHERE p.month = $1 AND p.request_id = $2
ORDER BY p.hash <> $3, p.at DESC
LIMIT $4
"""


@dataclass(frozen=True, slots=True)
class Body:
    """What NewStore or a provider sent, or we to a provider (`destination`).

    `about` is the event that it led to, or the call and try that it answers, or in which it was sent.
    """

    at: datetime
    body: bytes
    sender: str
    is_answer: bool
    about: str
    destination: str = ""


async def kept(pool: Pool, request_id: str) -> list[Body] | None:
    """Give the bodies of a request, its own first and then the newest; None where nobody has the request."""
    async with reading(pool) as connection:
        row = await connection.fetchrow(_REQUEST, request_id)
        if row is None:
            return None
        rows = await connection.fetch(_BODIES, row["month"], request_id, row["fingerprint"], _MOST, OURS)
    return [Body(**each) for each in rows]
