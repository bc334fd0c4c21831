"""One batch as one statement: events, states, deliveries and bodies are stored together or, request by request, not.

A request is written only if its version is the one that was read, nobody else holds its row, and every claim that
the batch settles for it is still ours. What was not written is not in the answer; the writer reads it again.
"""

from dataclasses import dataclass, field
from typing import Any

from asyncpg import Connection

STATEMENT = """
WITH incoming AS (
    SELECT * FROM unnest($1::text[], $2::date[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
        $8::jsonb[], $9::timestamptz[],
        $10::int[], $11::text[], $12::smallint[], $13::text[], $14::timestamptz[], $15::timestamptz[],
        $16::timestamptz[], $17::timestamptz[], $18::timestamptz[], $19::bool[], $20::text[], $21::bool[],
        $22::bool[], $23::bool[], $24::bool[], $25::int[], $26::int[], $27::text[])
    AS n(id, month, location, order_id, service_level, reference, fingerprint, products, received_at,
        version, provider, assignment, units, changed_at, submitted_at, accepted_at, shipped_at, settled_at,
        pending, failure, rejected, shipped, cancelled, surplus, conflicts, quarantined, dead)
), inserted AS (
    INSERT INTO requests (id, month, location, order_id, service_level, reference, fingerprint, products, received_at,
        version, provider, assignment, units, changed_at, submitted_at, accepted_at, shipped_at, settled_at,
        pending, failure, rejected, shipped, cancelled, surplus, conflicts, quarantined, dead)
    SELECT * FROM incoming ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING id
), wanted AS (
    SELECT * FROM unnest($28::text[], $29::int[],
        $30::int[], $31::text[], $32::smallint[], $33::text[], $34::timestamptz[], $35::timestamptz[],
        $36::timestamptz[], $37::timestamptz[], $38::timestamptz[], $39::bool[], $40::text[], $41::bool[],
        $42::bool[], $43::bool[], $44::bool[], $45::int[], $46::int[], $47::text[])
    AS w(id, was,
        version, provider, assignment, units, changed_at, submitted_at, accepted_at, shipped_at, settled_at,
        pending, failure, rejected, shipped, cancelled, surplus, conflicts, quarantined, dead)
), fences AS (
    SELECT * FROM unnest($48::text[], $49::text[], $50::int[], $51::text[], $52::bool[], $53::bool[], $54::float8[],
        $55::bool[], $56::bool[])
    AS f(request_id, operation, seq, owner, guards, again, delay, doubt, counts)
), held AS (
    SELECT d.request_id, d.operation, d.seq
    FROM deliveries d JOIN fences f USING (request_id, operation, seq)
    WHERE d.owner = f.owner
    ORDER BY d.request_id, d.operation, d.seq
    FOR UPDATE OF d SKIP LOCKED
), locked AS (
    SELECT r.id
    FROM requests r JOIN wanted w ON w.id = r.id AND w.was = r.version
    WHERE NOT EXISTS (
        SELECT FROM fences f
        WHERE f.request_id = r.id AND f.guards AND NOT EXISTS (
            SELECT FROM held h
            WHERE (h.request_id, h.operation, h.seq) = (f.request_id, f.operation, f.seq)))
    ORDER BY r.id
    FOR UPDATE OF r SKIP LOCKED
), updated AS (
    UPDATE requests r
    SET version = w.version, provider = w.provider, assignment = w.assignment, units = w.units,
        changed_at = w.changed_at, submitted_at = w.submitted_at, accepted_at = w.accepted_at,
        shipped_at = w.shipped_at, settled_at = w.settled_at, pending = w.pending, failure = w.failure,
        rejected = w.rejected, shipped = w.shipped, cancelled = w.cancelled, surplus = w.surplus,
        conflicts = w.conflicts, quarantined = w.quarantined, dead = w.dead
    FROM wanted w JOIN locked l USING (id)
    WHERE r.id = w.id
    RETURNING r.id
), written AS (
    SELECT id FROM inserted UNION ALL SELECT id FROM updated
), new_events AS (
    INSERT INTO events (month, request_id, version, kind, at, cause, fingerprint, fact)
    SELECT e.* FROM unnest($57::date[], $58::text[], $59::int[], $60::text[], $61::timestamptz[], $62::text[],
        $63::text[], $64::jsonb[]) AS e(month, request_id, version, kind, at, cause, fingerprint, fact)
    JOIN written ON written.id = e.request_id
    ORDER BY e.request_id, e.version
), new_payloads AS (
    INSERT INTO payloads (month, request_id, hash, at, body)
    SELECT p.month, p.request_id, p.hash, p.at, p.body
    FROM unnest($65::date[], $66::text[], $67::text[], $68::timestamptz[], $69::bytea[], $70::bool[])
        AS p(month, request_id, hash, at, body, guards)
    LEFT JOIN written ON written.id = p.request_id
    WHERE written.id IS NOT NULL OR NOT p.guards
    ON CONFLICT DO NOTHING
), new_keys AS (
    INSERT INTO request_keys (request_id, kind, value)
    SELECT k.* FROM unnest($71::text[], $72::text[], $73::text[]) AS k(request_id, kind, value)
    JOIN written ON written.id = k.request_id
), new_deliveries AS (
    INSERT INTO deliveries AS d (request_id, operation, seq, destination, location, month, is_read, ready, due_at,
        verify_by)
    SELECT o.request_id, o.operation, o.seq, o.destination, o.location, o.month, o.is_read, o.ready,
        clock_timestamp() + make_interval(secs => o.delay), clock_timestamp() + make_interval(secs => o.within)
    FROM unnest($74::text[], $75::text[], $76::int[], $77::text[], $78::text[], $79::date[], $80::bool[], $81::bool[],
        $82::float8[], $83::float8[])
        AS o(request_id, operation, seq, destination, location, month, is_read, ready, delay, within)
    JOIN written ON written.id = o.request_id
    ON CONFLICT (request_id, operation, seq)
    DO UPDATE SET due_at = excluded.due_at, verify_by = excluded.verify_by, tries = 0
), gone AS (
    DELETE FROM deliveries d
    USING unnest($84::text[], $85::text[], $86::int[]) AS g(request_id, operation, seq)
    JOIN written ON written.id = g.request_id
    WHERE (d.request_id, d.operation, d.seq) = (g.request_id, g.operation, g.seq)
), readied AS (
    UPDATE deliveries d SET ready = true, due_at = clock_timestamp()
    FROM unnest($87::text[], $88::text[], $89::int[]) AS g(request_id, operation, seq)
    JOIN written ON written.id = g.request_id
    WHERE (d.request_id, d.operation, d.seq) = (g.request_id, g.operation, g.seq)
), again AS (
    UPDATE deliveries d
    SET owner = NULL, call_ends_at = NULL, doubt = f.doubt, tries = d.tries + f.counts::int,
        due_at = clock_timestamp() + make_interval(secs => f.delay)
    FROM fences f JOIN held h USING (request_id, operation, seq)
    WHERE (d.request_id, d.operation, d.seq) = (f.request_id, f.operation, f.seq) AND f.again
        AND (NOT f.guards OR EXISTS (SELECT FROM written WHERE written.id = f.request_id))
), dead AS (
    INSERT INTO dead_deliveries (request_id, operation, seq, destination, location, attempts, died_at, why, detail)
    SELECT x.* FROM unnest($90::text[], $91::text[], $92::int[], $93::text[], $94::text[], $95::int[],
        $96::timestamptz[], $97::text[], $98::text[])
        AS x(request_id, operation, seq, destination, location, attempts, died_at, why, detail)
    JOIN written ON written.id = x.request_id
), new_attempts AS (
    INSERT INTO attempts (month, request_id, operation, seq, attempt, destination, at, seconds, outcome, status,
        detail, response, is_late)
    SELECT a.month, a.request_id, a.operation, a.seq, a.attempt, a.destination, a.at, a.seconds, a.outcome, a.status,
        a.detail, a.response, h.request_id IS NULL
    FROM unnest($99::date[], $100::text[], $101::text[], $102::int[], $103::int[], $104::text[], $105::timestamptz[],
        $106::float8[], $107::text[], $108::smallint[], $109::text[], $110::text[], $111::bool[])
        AS a(month, request_id, operation, seq, attempt, destination, at, seconds, outcome, status, detail, response,
            guards)
    LEFT JOIN held h USING (request_id, operation, seq)
    LEFT JOIN written ON written.id = a.request_id
    WHERE written.id IS NOT NULL OR NOT a.guards
), quarantined AS (
    INSERT INTO quarantine (source, event_id, fingerprint, request_id, reason, detail, at, body, command)
    SELECT q.* FROM unnest($112::text[], $113::text[], $114::text[], $115::text[], $116::text[], $117::text[],
        $118::timestamptz[], $119::bytea[], $120::jsonb[])
        AS q(source, event_id, fingerprint, request_id, reason, detail, at, body, command)
    JOIN written ON written.id = q.request_id
    ON CONFLICT (source, event_id, fingerprint) DO UPDATE SET reason = excluded.reason, detail = excluded.detail
)
SELECT id FROM written
"""

_WIDTHS = (27, 20, 9, 8, 6, 3, 10, 3, 3, 9, 13, 9)


@dataclass(slots=True)
class Batch:
    """The rows of one statement, a list for each of its inputs, in their order."""

    incoming: list[tuple[Any, ...]] = field(default_factory=list)
    wanted: list[tuple[Any, ...]] = field(default_factory=list)
    fences: list[tuple[Any, ...]] = field(default_factory=list)
    events: list[tuple[Any, ...]] = field(default_factory=list)
    payloads: list[tuple[Any, ...]] = field(default_factory=list)
    keys: list[tuple[Any, ...]] = field(default_factory=list)
    owed: list[tuple[Any, ...]] = field(default_factory=list)
    gone: list[tuple[Any, ...]] = field(default_factory=list)
    readied: list[tuple[Any, ...]] = field(default_factory=list)
    dead: list[tuple[Any, ...]] = field(default_factory=list)
    attempts: list[tuple[Any, ...]] = field(default_factory=list)
    quarantine: list[tuple[Any, ...]] = field(default_factory=list)

    async def commit(self, connection: Connection) -> set[str]:
        """Write the batch and return the ids of the requests that were written."""
        inputs = (
            self.incoming, self.wanted, self.fences, self.events, self.payloads, self.keys, self.owed, self.gone,
            self.readied, self.dead, self.attempts, self.quarantine,
        )  # fmt: skip
        columns: list[tuple[Any, ...]] = []
        for rows, width in zip(inputs, _WIDTHS, strict=True):
            columns += zip(*rows, strict=True) if rows else [()] * width
        return {row["id"] for row in await connection.fetch(STATEMENT, *columns)}
