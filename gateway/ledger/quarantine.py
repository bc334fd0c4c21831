"""Keep what can't be applied, and find what can be by now."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from asyncpg import Pool

from gateway.domain.commands import ProviderSaid
from gateway.telemetry.logs import log

from .codec import decode_command, encode

_KEEP = """
INSERT INTO quarantine (source, event_id, fingerprint, request_id, reason, detail, at, body, command, names)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT DO NOTHING
"""
_WAITING = """
SELECT q.id, q.command, q.body FROM quarantine q JOIN requests r ON r.id = q.request_id
WHERE q.resolved_at IS NULL AND q.reason = 'unknown_request' AND ($1::text[] IS NULL OR q.request_id = ANY($1))
    AND q.id > $2
ORDER BY q.id
LIMIT 500
"""
_WAITING_NAMED = """
SELECT id, source, names, command, body FROM quarantine
WHERE names IS NOT NULL AND resolved_at IS NULL AND reason = 'unknown_request'
    AND at > clock_timestamp() - interval '1 day' AND id > $1
ORDER BY id
LIMIT 500
"""
_RESOLVE = """
UPDATE quarantine SET resolved_at = clock_timestamp()
WHERE id = $1 AND resolved_at IS NULL AND reason = 'unknown_request'
"""
_PAGE = """
SELECT id, source, event_id, request_id, reason, detail, at FROM quarantine
WHERE resolved_at IS NULL AND ($1::bigint IS NULL OR id > $1)
ORDER BY id
LIMIT $2
"""
_FIND = "SELECT * FROM quarantine WHERE id = $1"
_SETTLE = """
WITH settled AS (
    UPDATE quarantine SET resolved_at = clock_timestamp() WHERE id = $1 AND resolved_at IS NULL RETURNING id
), audited AS (
    INSERT INTO audit (who, action, subject, reason, outcome) SELECT $2, $3, $4, $5, $6 FROM settled
)
SELECT id FROM settled
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A message that can't be applied, as it came."""

    source: str
    event_id: str
    fingerprint: str
    request_id: str | None
    reason: str
    detail: str
    at: datetime
    body: bytes
    command: ProviderSaid | None = None
    names: Mapping[str, str] | None = None  # by which its request is to be found; None where it names its id


async def keep(pool: Pool, kept: Kept) -> None:
    """Store a message once, however often it comes."""
    command = encode(kept.command) if kept.command else None
    written = await pool.execute(
        _KEEP, kept.source, kept.event_id, kept.fingerprint, kept.request_id, kept.reason, kept.detail, kept.at,
        kept.body, command, encode(kept.names) if kept.names else None,
    )  # fmt: skip
    if written == "INSERT 0 1":
        log("message.quarantined", source=kept.source, reason=kept.reason, request_id=kept.request_id)


async def joinable(
    pool: Pool, request_ids: Sequence[str] | None = None
) -> AsyncIterator[tuple[int, ProviderSaid, bytes]]:
    """Find, in arrival order, messages whose request has arrived by now; None looks at all of them."""
    last = 0
    while rows := await pool.fetch(_WAITING, request_ids, last):
        for row in rows:
            yield row["id"], decode_command(row["command"]), row["body"]
        last = rows[-1]["id"]


async def named(pool: Pool) -> AsyncIterator[list[tuple[int, str, dict[str, str], ProviderSaid, bytes]]]:
    """Find, page by page, messages of the last day that name their request by another name than NewStore's id."""
    last = 0
    while rows := await pool.fetch(_WAITING_NAMED, last):
        yield [
            (row["id"], row["source"], msgspec.json.decode(row["names"]), decode_command(row["command"]), row["body"])
            for row in rows
        ]
        last = rows[-1]["id"]


async def page(pool: Pool, *, after: int | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """List what waits for a decision, oldest first; without the bytes, which may hold personal data."""
    return [dict(row) for row in await pool.fetch(_PAGE, after, limit)]


async def find(pool: Pool, quarantine_id: int) -> dict[str, Any] | None:
    """Give one message with its bytes and, where it has them, our words for it."""
    row = await pool.fetchrow(_FIND, quarantine_id)
    return {**row, "command": decode_command(row["command"]) if row["command"] else None} if row else None


async def settle(pool: Pool, quarantine_id: int, *, who: str, action: str, reason: str, outcome: str) -> bool:
    """Take a message off the list by a person's decision; False where it is off it already."""
    subject = f"quarantine {quarantine_id}"
    return await pool.fetchval(_SETTLE, quarantine_id, who, action, subject, reason, outcome) is not None


async def resolve(pool: Pool, quarantine_id: int) -> None:
    """Take a message off the list: it was applied."""
    await pool.execute(_RESOLVE, quarantine_id)
