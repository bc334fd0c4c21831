"""One batch as one statement: events, states, deliveries and bodies are stored together or, request by request, not.

A request is written only if its version is the one that was read, nobody else holds its row, every claim that the
batch settles for it is still ours, and every order that it calls off (a fence without an owner) is not on its way.
What was not written is not in the answer; the writer reads it again.
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
        $22::bool[], $23::bool[], $24::bool[], $25::int[], $26::int[], $27::text[],
        $28::bool[], $29::text[], $30::jsonb[], $31::bool[])
    AS n(id, month, location, order_id, service_level, reference, fingerprint, products, received_at,
        version, provider, assignment, units, changed_at, submitted_at, accepted_at, shipped_at, settled_at,
        pending, failure, rejected, shipped, cancelled, surplus, conflicts, quarantined, dead, closed, taken_by,
        withdrawal, withdrawn)
), inserted AS (
    INSERT INTO requests (id, month, location, order_id, service_level, reference, fingerprint, products, received_at,
        version, provider, assignment, units, changed_at, submitted_at, accepted_at, shipped_at, settled_at,
        pending, failure, rejected, shipped, cancelled, surplus, conflicts, quarantined, dead, closed, taken_by,
        withdrawal, withdrawn)
    SELECT * FROM incoming ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING id
), wanted AS (
    SELECT * FROM unnest($32::text[], $33::int[],
        $34::int[], $35::text[], $36::smallint[], $37::text[], $38::timestamptz[], $39::timestamptz[],
        $40::timestamptz[], $41::timestamptz[], $42::timestamptz[], $43::bool[], $44::text[], $45::bool[],
        $46::bool[], $47::bool[], $48::bool[], $49::int[], $50::int[], $51::text[],
        $52::bool[], $53::text[], $54::jsonb[], $55::bool[])
    AS w(id, was,
        version, provider, assignment, units, changed_at, submitted_at, accepted_at, shipped_at, settled_at,
        pending, failure, rejected, shipped, cancelled, surplus, conflicts, quarantined, dead, closed, taken_by,
        withdrawal, withdrawn)
), fences AS (
    SELECT * FROM unnest($56::text[], $57::text[], $58::int[], $59::text[], $60::bool[], $61::bool[], $62::float8[],
        $63::bool[], $64::bool[])
    AS f(request_id, operation, seq, owner, guards, again, delay, doubt, counts)
), held AS (
    SELECT d.request_id, d.operation, d.seq
    FROM deliveries d JOIN fences f USING (request_id, operation, seq)
    WHERE d.owner = f.owner OR (f.owner IS NULL AND d.owner IS NULL AND d.doubt <= f.doubt)
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
        conflicts = w.conflicts, quarantined = w.quarantined, dead = w.dead,
        closed = w.closed, taken_by = w.taken_by, withdrawal = w.withdrawal, withdrawn = w.withdrawn
    FROM wanted w JOIN locked l USING (id)
    WHERE r.id = w.id
    RETURNING r.id
), written AS (
    SELECT id FROM inserted UNION ALL SELECT id FROM updated
), new_events AS (
    INSERT INTO events (month, request_id, version, kind, at, cause, fingerprint, fact)
    SELECT e.* FROM unnest($65::date[], $66::text[], $67::int[], $68::text[], $69::timestamptz[], $70::text[],
        $71::text[], $72::jsonb[]) AS e(month, request_id, version, kind, at, cause, fingerprint, fact)
    JOIN written ON written.id = e.request_id
    ORDER BY e.request_id, e.version
), new_payloads AS (
    INSERT INTO payloads (month, request_id, hash, at, body)
    SELECT p.month, p.request_id, p.hash, p.at, p.body
    FROM unnest($73::date[], $74::text[], $75::text[], $76::timestamptz[], $77::bytea[], $78::bool[])
        AS p(month, request_id, hash, at, body, guards)
    LEFT JOIN written ON written.id = p.request_id
    WHERE written.id IS NOT NULL OR NOT p.guards
    ON CONFLICT DO NOTHING
), new_keys AS (
    INSERT INTO request_keys (request_id, kind, value)
    SELECT k.* FROM unnest($79::text[], $80::text[], $81::text[]) AS k(request_id, kind, value)
    JOIN written ON written.id = k.request_id
), new_deliveries AS (
    INSERT INTO deliveries AS d (request_id, operation, seq, destination, location, month, is_read, ready, due_at,
        verify_by, doubt)
    SELECT o.request_id, o.operation, o.seq, o.destination, o.location, o.month, o.is_read, o.ready,
        clock_timestamp() + make_interval(secs => o.delay), clock_timestamp() + make_interval(secs => o.within),
        o.doubt
    FROM unnest($82::text[], $83::text[], $84::int[], $85::text[], $86::text[], $87::date[], $88::bool[], $89::bool[],
        $90::float8[], $91::float8[], $92::bool[])
        AS o(request_id, operation, seq, destination, location, month, is_read, ready, delay, within, doubt)
    JOIN written ON written.id = o.request_id
    ON CONFLICT (request_id, operation, seq)
    DO UPDATE SET due_at = excluded.due_at, verify_by = excluded.verify_by, tries = 0
), gone AS (
    DELETE FROM deliveries d
    USING unnest($93::text[], $94::text[], $95::int[]) AS g(request_id, operation, seq)
    JOIN written ON written.id = g.request_id
    WHERE (d.request_id, d.operation, d.seq) = (g.request_id, g.operation, g.seq)
), readied AS (
    UPDATE deliveries d SET ready = true, due_at = clock_timestamp()
    FROM unnest($96::text[], $97::text[], $98::int[]) AS g(request_id, operation, seq)
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
    SELECT x.* FROM unnest($99::text[], $100::text[], $101::int[], $102::text[], $103::text[], $104::int[],
        $105::timestamptz[], $106::text[], $107::text[])
        AS x(request_id, operation, seq, destination, location, attempts, died_at, why, detail)
    JOIN written ON written.id = x.request_id
), alive AS (
    DELETE FROM dead_deliveries d
    USING unnest($108::text[], $109::text[], $110::int[]) AS x(request_id, operation, seq)
    JOIN written ON written.id = x.request_id
    WHERE (d.request_id, d.operation, d.seq) = (x.request_id, x.operation, x.seq)
), new_attempts AS (
    INSERT INTO attempts (month, request_id, operation, seq, attempt, destination, at, seconds, outcome, status,
        detail, response, is_late)
    SELECT a.month, a.request_id, a.operation, a.seq, a.attempt, a.destination, a.at, a.seconds, a.outcome, a.status,
        a.detail, a.response, h.request_id IS NULL
    FROM unnest($111::date[], $112::text[], $113::text[], $114::int[], $115::int[], $116::text[], $117::timestamptz[],
        $118::float8[], $119::text[], $120::smallint[], $121::text[], $122::text[], $123::bool[])
        AS a(month, request_id, operation, seq, attempt, destination, at, seconds, outcome, status, detail, response,
            guards)
    LEFT JOIN held h USING (request_id, operation, seq)
    LEFT JOIN written ON written.id = a.request_id
    WHERE written.id IS NOT NULL OR NOT a.guards
), quarantined AS (
    INSERT INTO quarantine (source, event_id, fingerprint, request_id, reason, detail, at, body, command)
    SELECT q.* FROM unnest($124::text[], $125::text[], $126::text[], $127::text[], $128::text[], $129::text[],
        $130::timestamptz[], $131::bytea[], $132::jsonb[])
        AS q(source, event_id, fingerprint, request_id, reason, detail, at, body, command)
    JOIN written ON written.id = q.request_id
    ON CONFLICT (source, event_id, fingerprint) DO UPDATE SET reason = excluded.reason, detail = excluded.detail
), released AS (
    UPDATE quarantine q SET resolved_at = clock_timestamp()
    FROM unnest($133::text[], $134::text[]) AS x(request_id, event_id)
    JOIN written ON written.id = x.request_id
    WHERE (q.request_id, q.event_id) = (x.request_id, x.event_id) AND q.resolved_at IS NULL
)
SELECT id FROM written
"""

_WIDTHS = (31, 24, 9, 8, 6, 3, 11, 3, 3, 9, 3, 13, 9, 2)


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
    alive: list[tuple[Any, ...]] = field(default_factory=list)
    attempts: list[tuple[Any, ...]] = field(default_factory=list)
    quarantine: list[tuple[Any, ...]] = field(default_factory=list)
    released: list[tuple[Any, ...]] = field(default_factory=list)

    async def commit(self, connection: Connection) -> set[str]:
        """Write the batch and return the ids of the requests that were written."""
        inputs = (
            self.incoming, self.wanted, self.fences, self.events, self.payloads, self.keys, self.owed, self.gone,
            self.readied, self.dead, self.alive, self.attempts, self.quarantine, self.released,
        )  # fmt: skip
        columns: list[tuple[Any, ...]] = []
        for rows, width in zip(inputs, _WIDTHS, strict=True):
            columns += zip(*rows, strict=True) if rows else [()] * width
        return {row["id"] for row in await connection.fetch(STATEMENT, *columns)}
