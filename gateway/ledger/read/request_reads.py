"""Read requests: their states and events, and what the calls that they owe must know."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime

from asyncpg import Pool, Record

from gateway.domain.commands import ProviderSaid
from gateway.domain.deliveries import READ_BACK, Operation, Parcel
from gateway.domain.events.assignment import ProviderAssigned, RequestReceived
from gateway.domain.events.calls import Redriven, Submitted
from gateway.domain.events.event import Event
from gateway.domain.events.provider import UnitsShipped
from gateway.domain.handle import conflict_cause
from gateway.domain.reports import ABOUT_PARCELS, ABOUT_REPORTS
from gateway.domain.requests import Request
from gateway.ledger.codec import decode_delivery, decode_event, decode_fact, decode_request
from gateway.ledger.database.connections import Connection
from gateway.ledger.queue import holds
from gateway.ledger.queue.claims import Claim

_ROWS = """
SELECT
    -- make sql: read
    r.id, r.month, r.location, r.order_id, r.service_level, r.reference, r.fingerprint, r.products, r.received_at,
    r.trace, r.version, r.provider, r.assignment, r.units, r.changed_at, r.submitted_at, r.accepted_at, r.shipped_at,
    r.settled_at, r.surplus, r.conflicts, r.quarantined, r.dead, r.closed, r.taken_by, r.withdrawal, r.withdrawn,
    r.refused, r.former, r.untold, r.missed, r.backordered, r.backordered_at, r.restored
    -- end
FROM requests r WHERE r.id = ANY($1::text[])
"""
_LOCATION = "SELECT location FROM requests WHERE id = $1"
_BEGAN = "SELECT coalesce(trace, '') FROM requests WHERE id = $1"
_DELIVERIES = (
    "SELECT operation, seq, destination, owner, doubt, unmapped FROM deliveries WHERE request_id = $1 ORDER BY seq"
)
_EVENTS = """
SELECT version, at, cause, fingerprint, kind, fact FROM events
WHERE month = date_trunc('month', $2::timestamptz AT TIME ZONE 'UTC')::date AND request_id = $1 ORDER BY version
"""
_CAUSED = """
SELECT version, at, cause, fingerprint, kind, fact FROM events
WHERE month = date_trunc('month', $2::timestamptz AT TIME ZONE 'UTC')::date AND request_id = $1
    AND cause = ANY($3::text[]) AND fingerprint = $4
ORDER BY version
"""
_CONTEXTS = """
SELECT p.body, d.operation, d.seq, d.destination, d.owner, d.doubt,
    r.restored AND r.compared < (SELECT max(id) FROM holds WHERE scope = 'everything' AND who = $3) AS uncompared,
    -- make sql: read
    r.id, r.month, r.location, r.order_id, r.service_level, r.reference, r.fingerprint, r.products, r.received_at,
    r.trace, r.version, r.provider, r.assignment, r.units, r.changed_at, r.submitted_at, r.accepted_at, r.shipped_at,
    r.settled_at, r.surplus, r.conflicts, r.quarantined, r.dead, r.closed, r.taken_by, r.withdrawal, r.withdrawn,
    r.refused, r.former, r.untold, r.missed, r.backordered, r.backordered_at, r.restored
    -- end
FROM unnest($1::text[], $2::bool[]) AS asked(id, sends_body)
JOIN requests r ON r.id = asked.id
JOIN deliveries d ON d.request_id = r.id
LEFT JOIN payloads p
    ON asked.sends_body AND p.month = r.month AND p.request_id = r.id AND p.hash = r.fingerprint
ORDER BY d.seq
"""
_REPORTS = """
SELECT e.request_id, e.version, e.at, e.cause, e.fingerprint, e.kind, e.fact
FROM unnest($1::text[], $2::date[]) AS asked(id, month)
JOIN events e ON e.month = asked.month AND e.request_id = asked.id
WHERE e.kind = ANY($3::text[])
ORDER BY e.request_id, e.version
"""
_PARCELS = """
SELECT e.request_id, e.kind, e.fact
FROM unnest($1::text[], $2::date[]) AS asked(id, month)
JOIN events e ON e.month = asked.month AND e.request_id = asked.id
WHERE e.kind = ANY($3::text[])
ORDER BY e.request_id, e.version
"""
_NAMED_THERE = """
SELECT e.request_id, e.kind, e.fact
FROM unnest($1::text[], $2::date[]) AS asked(id, month)
JOIN events e ON e.month = asked.month AND e.request_id = asked.id
WHERE e.kind = ANY($3::text[])
ORDER BY e.request_id, e.version
"""
# Of a call in doubt also those before it count, which it repeats: only what was definitely refused is written anew.
_SENT = """
SELECT DISTINCT ON (a.request_id) a.request_id, p.body, a.mappings
FROM unnest($1::text[], $2::date[], $3::text[], $4::int[]) AS asked(id, month, destination, seq)
JOIN attempts a ON a.month = asked.month AND a.request_id = asked.id AND a.destination = asked.destination
    AND a.operation = 'create' AND a.seq >= asked.seq
JOIN payloads p ON p.month = a.month AND p.request_id = a.request_id AND p.hash = a.sent
ORDER BY a.request_id, a.at DESC
"""
_ABOUT_NAMES = (RequestReceived.kind, ProviderAssigned.kind, Submitted.kind)
_BY_NAME = frozenset({Operation.LOOK_UP, Operation.WITHDRAW, Operation.READ_ORDER})
"""The calls that may name an order as its provider does."""
_REPORTING = frozenset({*READ_BACK, *READ_BACK.values()})

_ELSEWHERE = """
SELECT provider, count(*) FROM requests
WHERE pending AND provider <> ALL($1::text[]) GROUP BY provider ORDER BY provider
"""
_UNROUTABLE = """
SELECT id FROM requests
WHERE provider IS NULL AND location = $1 AND pending AND NOT rejected ORDER BY received_at LIMIT 500
"""


async def rows_of(connection: Connection, request_ids: Sequence[str]) -> list[Record]:
    """Load the rows of requests, for `decode_request`."""
    return await connection.fetch(_ROWS, request_ids)


# A request has waited since it last changed for somebody to take it, and since it was taken for its acceptance.
_NOT_TAKEN = """
SELECT id, provider, assignment, changed_at FROM requests
WHERE provider = $1 AND pending AND changed_at < statement_timestamp() - make_interval(secs => $2)
    AND submitted_at IS NULL AND dead = '' AND missed NOT LIKE '%acknowledge%'
    AND NOT withdrawn AND withdrawal IS NULL AND units !~ '(^| )([src]|o.[1-9])' -- nothing is said of it
ORDER BY changed_at LIMIT $3
"""
_NOT_ACCEPTED = """
SELECT id, provider, assignment, submitted_at FROM requests
WHERE provider = $1 AND pending AND submitted_at < statement_timestamp() - make_interval(secs => $2)
    AND accepted_at IS NULL AND missed NOT LIKE '%accept%'
    AND NOT withdrawn AND withdrawal IS NULL AND ' ' || units LIKE '% o%'
ORDER BY submitted_at LIMIT $3
"""

_NOT_IN_STOCK = """
SELECT id, provider, assignment, backordered_at FROM requests
WHERE location = $1 AND pending AND backordered_at < statement_timestamp() - make_interval(secs => $2)
    AND missed NOT LIKE '%backorder%' AND NOT withdrawn AND withdrawal IS NULL
ORDER BY backordered_at LIMIT $3
"""


async def request(pool: Pool, request_id: str) -> Request | None:
    """Load the state of a request with the deliveries it owes and its parcels."""
    async with pool.acquire() as connection:
        found = await rows_of(connection, [request_id])
        if not found:
            return None
        (row,) = found
        owed = [decode_delivery(each) for each in await connection.fetch(_DELIVERIES, request_id)]
        shipped = await parcels(connection, {request_id: row["month"]})
    return decode_request(row, owed, parcels=shipped.get(request_id))


async def parcels(connection: Connection, months: Mapping[str, date]) -> dict[str, dict[int, Parcel]]:
    """Load the parcel of each shipped unit, as last told; `months` are those of the requests' stories."""
    found: dict[str, dict[int, Parcel]] = {}
    for row in await connection.fetch(_PARCELS, list(months), list(months.values()), ABOUT_PARCELS):
        fact = decode_fact(row["kind"], row["fact"])
        if isinstance(fact, UnitsShipped | Redriven) and fact.parcel:
            found.setdefault(row["request_id"], {}).update(dict.fromkeys(fact.units, fact.parcel))
    return found


async def began(pool: Pool, request_id: str) -> str | None:
    """Say where the trace of a request began: an empty text where nobody traces it, None where there is no such one."""
    found: str | None = await pool.fetchval(_BEGAN, request_id)
    return found


async def events(pool: Pool, of: Request) -> list[Event]:
    """Load the whole story of a request, in order."""
    return [decode_event(row) for row in await pool.fetch(_EVENTS, of.id, of.received_at)]


async def caused_by(pool: Pool, of: Request, command: ProviderSaid) -> list[Event]:
    """Load what a message led to when it came before."""
    causes = [command.cause, conflict_cause(command)]
    rows = await pool.fetch(_CAUSED, of.id, of.received_at, causes, command.fingerprint)
    return [decode_event(row) for row in rows]


@dataclass(frozen=True, slots=True)
class Sent:
    """What an adapter wrote, and the version of the mappings by which it did."""

    body: bytes
    mappings: int


@dataclass(frozen=True, slots=True)
class DeliveryContext:
    """What a call must know of its request: the body only to send it, the reports only to compare them."""

    request: Request
    body: bytes
    reports: Sequence[Event]
    provider_orders: Mapping[str, str] = field(default_factory=dict)
    """By provider its own id of the order, of those that have told one; only for calls after the order was sent."""
    sent: list[Sent] = field(default_factory=list)
    """What a call to a provider sends is left here for its attempt."""
    sent_before: Sent | None = None
    """What an earlier try of this call has sent: a repetition sends the same."""
    is_unasked: bool = False  # NewStore is yet to be asked what it shows of it beyond a restored log

    @property
    def is_comparing(self) -> bool:
        """What NewStore shows of it beyond a restored log is not known yet."""
        return self.request.is_cut_off and (self.is_unasked or self.request.is_asking)


async def delivery_contexts(connection: Connection, claims: Sequence[Claim]) -> dict[str, DeliveryContext]:
    """Load what a batch of claimed calls must know, by request."""
    sends_body = {claim.request_id: False for claim in claims}
    sends_body |= {claim.request_id: True for claim in claims if claim.operation is Operation.CREATE}
    rows: dict[str, list[Record]] = {}  # one for each delivery that a request owes
    for row in await connection.fetch(_CONTEXTS, list(sends_body), list(sends_body.values()), holds.RESTORE):
        rows.setdefault(row["id"], []).append(row)
    reporting = [claim for claim in claims if claim.operation in _REPORTING]
    reports: dict[str, list[Event]] = {}
    if reporting:
        asked = [claim.request_id for claim in reporting], [claim.month for claim in reporting]
        for row in await connection.fetch(_REPORTS, *asked, ABOUT_REPORTS):
            reports.setdefault(row["request_id"], []).append(decode_event(row))
    by_name = {claim.request_id: claim.month for claim in claims if claim.operation in _BY_NAME}
    orders = await _provider_orders(connection, by_name) if by_name else {}
    creates = [each for each in claims if each.operation is Operation.CREATE and (each.attempt > 1 or each.doubt)]
    sent_before = await _sent_before(connection, creates) if creates else {}
    return {
        request_id: DeliveryContext(
            decode_request(owing[0], [decode_delivery(row) for row in owing]),
            owing[0]["body"] or b"",
            reports.get(request_id, ()),
            orders.get(request_id, {}),
            sent_before=sent_before.get(request_id),
            is_unasked=bool(owing[0]["uncompared"]),
        )
        for request_id, owing in rows.items()
    }


async def _sent_before(connection: Connection, claims: Sequence[Claim]) -> dict[str, Sent]:
    """Find what was sent in earlier tries of creates."""
    asked = [(each.request_id, each.month, each.destination, 0 if each.doubt else each.seq) for each in claims]
    rows = await connection.fetch(_SENT, *map(list, zip(*asked, strict=True)))
    return {row["request_id"]: Sent(row["body"], row["mappings"] or 0) for row in rows}


async def _provider_orders(connection: Connection, months: Mapping[str, date]) -> dict[str, dict[str, str]]:
    """Find what each provider of a request called the order, in the request's own story: a key does not tell whose."""
    found: dict[str, dict[str, str]] = {}
    provider = ""
    for row in await connection.fetch(_NAMED_THERE, list(months), list(months.values()), _ABOUT_NAMES):
        fact = decode_fact(row["kind"], row["fact"])
        if isinstance(fact, RequestReceived | ProviderAssigned):
            provider = fact.provider or ""
        elif isinstance(fact, Submitted) and fact.provider_order:
            found.setdefault(row["request_id"], {})[provider] = fact.provider_order
    return found


async def unroutable(pool: Pool, location: str) -> list[str]:
    """Find requests of a location that were parked because it had no provider."""
    return [row["id"] for row in await pool.fetch(_UNROUTABLE, location)]


Waits = tuple[str, str, int, datetime]
"""A request, its provider, its assignment, and since when it waits."""


async def not_taken(pool: Pool, provider: str, seconds: float, most: int) -> list[Waits]:
    """Find requests that their provider has not taken for so long."""
    return [tuple(row) for row in await pool.fetch(_NOT_TAKEN, provider, seconds, most)]


async def not_accepted(pool: Pool, provider: str, seconds: float, most: int) -> list[Waits]:
    """Likewise those that their provider has for so long, and accepted nothing of."""
    return [tuple(row) for row in await pool.fetch(_NOT_ACCEPTED, provider, seconds, most)]


async def not_in_stock(pool: Pool, location: str, seconds: float, most: int) -> list[Waits]:
    """Likewise those of a location of which units have been on back order for so long."""
    return [tuple(row) for row in await pool.fetch(_NOT_IN_STOCK, location, seconds, most)]


async def location_of(pool: Pool, request_id: str) -> str | None:
    """Tell which location a request is for; None where nobody has the request."""
    found: str | None = await pool.fetchval(_LOCATION, request_id)
    return found


async def open_elsewhere(connection: Connection, providers: list[str]) -> dict[str, int]:
    """Count the open requests of every provider that is not among these; before the first migration there are none."""
    if await connection.fetchval("SELECT to_regclass('requests') IS NULL"):
        return {}
    return {row["provider"]: row["count"] for row in await connection.fetch(_ELSEWHERE, providers)}
