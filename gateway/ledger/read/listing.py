"""What people ask: lists by keyset, and one request's whole story. No personal data."""

from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

import orjson
from asyncpg import Pool, Record

from gateway.domain.events import FACTS
from gateway.domain.reports import ABOUT_PARCELS, parcels
from gateway.domain.requests import Request
from gateway.domain.waiting import waiting_for
from gateway.ledger.codec import decode_delivery, decode_event, decode_request
from gateway.ledger.queue.urgency import BRAKED
from gateway.telemetry import trace

from . import request_reads
from .reading import reading

FILTERS = (
    "status", "order", "reference", "tracking_code", "product", "location", "provider", "since", "until",
    "service_level", "failure", "taken_by", "changed_since", "text",
)  # fmt: skip
STATUSES = ("pending", "failed", "rejected", "unroutable", "shipped", "cancelled")
OPEN_STATUSES = frozenset({"pending", "failed", "rejected", "unroutable"})
"""These have few rows, so that what no index knows may be asked of them."""

# An IN below an OR is run for each row of the log; an array is looked up first, and then found by the index.
_CHOSEN = """
FROM requests r
WHERE ($1::timestamptz IS NULL OR (r.received_at, r.id) < ($1, $2))
    AND ($3::text IS NULL OR CASE $3 WHEN 'pending' THEN r.pending WHEN 'failed' THEN r.failure IS NOT NULL
        WHEN 'rejected' THEN r.rejected WHEN 'shipped' THEN r.shipped WHEN 'cancelled' THEN r.cancelled
        ELSE r.provider IS NULL AND r.pending END)
    AND ($4::text IS NULL OR r.order_id = $4)
    AND ($5::text IS NULL OR r.reference = $5)
    AND ($6::text IS NULL OR r.id = ANY(ARRAY(
        SELECT request_id FROM request_keys WHERE value = $6 AND kind = 'tracking_code')))
    AND ($7::text IS NULL OR r.products @> jsonb_build_array($7::text))
    AND ($8::text IS NULL OR r.location = $8)
    AND ($9::text IS NULL OR r.provider = $9)
    AND ($10::text IS NULL OR r.received_at >= $10::timestamptz)
    AND ($11::text IS NULL OR r.received_at < $11::timestamptz)
    AND ($12::text IS NULL OR r.service_level = $12)
    AND ($13::text IS NULL OR r.failure = $13)
    AND ($14::text IS NULL OR r.taken_by = $14)
    AND ($15::text IS NULL OR r.changed_at >= $15::timestamptz)
    AND ($16::text IS NULL OR r.id = ANY(ARRAY(
        SELECT $16 UNION ALL SELECT id FROM requests WHERE order_id = $16
        UNION ALL SELECT id FROM requests WHERE reference = upper($16)
        UNION ALL SELECT request_id FROM request_keys WHERE value = $16
        UNION ALL SELECT id FROM requests WHERE products @> jsonb_build_array($16::text))))
"""
_LIST = f"""
SELECT
    -- make sql: read
    r.id, r.month, r.location, r.order_id, r.service_level, r.reference, r.fingerprint, r.products, r.received_at,
    r.trace, r.version, r.provider, r.assignment, r.units, r.changed_at, r.submitted_at, r.accepted_at, r.shipped_at,
    r.settled_at, r.surplus, r.conflicts, r.quarantined, r.dead, r.closed, r.taken_by, r.withdrawal, r.withdrawn,
    r.refused, r.former, r.untold, r.missed, r.backordered, r.backordered_at, r.restored
    -- end
{_CHOSEN} ORDER BY r.received_at DESC, r.id DESC LIMIT $17
"""
_COUNT = f"SELECT count(*) {_CHOSEN}"
_OWED = """
SELECT request_id, operation, seq, destination, owner, doubt, is_read, ready, (
    SELECT min(h.id) FROM holds h
    WHERE h.released_at IS NULL AND (h.expires_at IS NULL OR h.expires_at > clock_timestamp())
        AND (h.scope, h.name) IN (('everything', ''), ('destination', d.destination), ('location', d.location),
            ('request', d.request_id), ('operation', d.operation),
            (CASE WHEN d.urgency = ANY($2) THEN 'rejections' END, d.location))
) AS hold, (
    SELECT not_before FROM destinations WHERE name = d.destination AND not_before > clock_timestamp()
) AS not_before, unmapped
FROM deliveries d WHERE request_id = ANY($1::text[]) ORDER BY seq
"""
_EVENTS = """
SELECT version, kind, at, cause, fingerprint, fact FROM events
WHERE month = $1 AND request_id = $2 ORDER BY version
"""
_ATTEMPTS = """
SELECT operation, seq, attempt, destination, at, seconds, outcome, status, detail, mappings, trace_id, is_late
FROM attempts WHERE month = $1 AND request_id = $2 ORDER BY at
"""


def cursor(row: Record) -> str:
    """Name the place after a row of a list."""
    return f"{int(row['received_at'].timestamp() * 1_000_000)}:{row['id']}"


def position_of(cursor: str | None) -> tuple[datetime | None, str]:
    """Read a cursor. Raises `ValueError` for one that `cursor` did not write."""
    if cursor is None:
        return None, ""
    micros, _, request_id = cursor.partition(":")
    return datetime.fromtimestamp(int(micros) / 1_000_000, UTC), request_id


async def requests(
    pool: Pool,
    filters: Mapping[str, str],
    after: str | None = None,
    limit: int = 50,
    providers: Collection[str] | None = None,
) -> tuple[list[dict[str, Any]], str | None]:
    """List requests, newest first, each with what it waits for; the second value names the next page."""
    async with reading(pool) as connection:
        rows = await connection.fetch(_LIST, *_chosen(filters, after), limit + 1)
        page = rows[:limit]
        owed = await connection.fetch(_OWED, [row["id"] for row in page], BRAKED)
    shown = [_show(row, [each for each in owed if each["request_id"] == row["id"]], providers) for row in page]
    return shown, cursor(page[-1]) if len(rows) > limit else None


async def count(pool: Pool, filters: Mapping[str, str], after: str | None = None) -> int:
    """Count what a list would show from a place on."""
    async with reading(pool) as connection:
        found: int = await connection.fetchval(_COUNT, *_chosen(filters, after))
    return found


def _chosen(filters: Mapping[str, str], after: str | None) -> list[object]:
    """Give the arguments of `_CHOSEN`."""
    return [*position_of(after), *(filters.get(name) for name in FILTERS)]


async def story(pool: Pool, request_id: str, providers: Collection[str] | None = None) -> dict[str, Any] | None:
    """Tell one request whole: units, parcels, and the timeline of its events and attempts."""
    async with reading(pool) as connection:
        found = await request_reads.rows_of(connection, [request_id])
        if not found:
            return None
        (row,) = found
        owed = await connection.fetch(_OWED, [request_id], BRAKED)
        events = await connection.fetch(_EVENTS, row["month"], request_id)
        attempts = await connection.fetch(_ATTEMPTS, row["month"], request_id)
    request = decode_request(row)
    moments = {event["version"]: event["at"] for event in events}
    return {
        **_show(row, owed, providers),
        "units": [
            {
                "product_id": unit.product,
                "said": unit.said,
                "confirmed": unit.confirmed,
                "accepted_at": moments.get(unit.accepted),
                "backordered": index in request.backordered,
                "reported_by": unit.reported_by or None,
            }
            for index, unit in enumerate(request.units)
        ],
        "parcels": _parcels(request, events),
        "events": [_event(event) for event in events],
        "attempts": [dict(attempt) for attempt in attempts],
        "owed": _owed(owed),
        "trace_id": _trace_id(row["trace"]),
    }


def _event(event: Record) -> dict[str, Any]:
    return {
        **{name: event[name] for name in ("version", "kind", "at", "cause")},
        "hands_to": FACTS[event["kind"]].hands_to,
        "fact": orjson.loads(event["fact"]),
    }


def _parcels(request: Request, events: list[Record]) -> list[dict[str, Any]]:
    """Show each parcel as NewStore was last told of it."""
    last = {unit.reported_by for unit in request.units}
    told = parcels([decode_event(event) for event in events if event["kind"] in ABOUT_PARCELS])
    return [{"reported_by": seq, **asdict(parcel)} for seq, parcel in told.items() if seq in last]


def _trace_id(traceparent: str | None) -> str | None:
    """Name the trace in which a request began, where the gateway took part in it."""
    began = trace.read(traceparent)
    return began.trace_id if began and began.sampled else None


def _owed(owed: list[Record]) -> list[dict[str, Any]]:
    """Show the calls that are owed, which of them waits for which, and what is held back."""
    ready = {each["destination"]: each["operation"] for each in owed if each["ready"] and not each["is_read"]}
    return [
        {
            "operation": each["operation"],
            "seq": each["seq"],
            "destination": each["destination"],
            "waits_for": None if each["ready"] else ready.get(each["destination"]),
            "hold": each["hold"],
        }
        for each in owed
    ]


def _show(row: Record, owed: list[Record], providers: Collection[str] | None) -> dict[str, Any]:
    request = decode_request(row, [decode_delivery(each) for each in owed])
    waiting = waiting_for(request, providers)
    return {
        "id": request.id,
        "order_id": request.order_id,
        "location": request.location,
        "provider": request.provider,
        "reference": request.reference,
        "service_level": request.service_level,
        "status": request.status,
        "pending": request.is_pending,
        "failure": request.failure,
        "rejected": request.is_rejected,
        "conflicts": request.conflicts,
        "taken_by": request.taken_by,
        "closed": request.closed,
        "received_at": request.received_at,
        "submitted_at": request.submitted_at,
        "accepted_at": request.accepted_at,
        "shipped_at": request.shipped_at,
        "settled_at": request.settled_at,
        "waiting_for": waiting and {"who": waiting.who, "since": waiting.since, "next": waiting.next},
    }
