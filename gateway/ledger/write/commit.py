"""One batch as one statement: events, states, deliveries and bodies are stored together or, request by request, not.

A request is written only if its version is the one that was read, nobody else holds its row, every claim that the
batch settles for it is still ours, and every call that it calls off (a claim check without an owner) is not on its way.
What was not written is not in the answer; the writer reads it again. So it does with the outcome of a call that changes
no request, while somebody else holds the row of the call: that one is in the answer, as busy.

Each input is one JSON document with a row for each object: Postgres reads thousands of values faster from one text
than the driver writes them one by one. Only bodies, which are bytes, go as arrays.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

import orjson
from asyncpg import Connection

from gateway.ledger.database.seen import Position

STATEMENT = """
WITH incoming AS (
    SELECT * FROM json_to_recordset($1::json) AS n(id text, month date, location text, order_id text,
        service_level text, reference text, fingerprint text, products jsonb, received_at timestamptz,
        version int, provider text, assignment smallint, units text, changed_at timestamptz,
        submitted_at timestamptz, accepted_at timestamptz, shipped_at timestamptz, settled_at timestamptz,
        pending bool, failure text, rejected bool, shipped bool, cancelled bool, surplus bool, conflicts int,
        quarantined int, dead text,
        closed bool, taken_by text, withdrawal jsonb, withdrawn bool, refused jsonb, former text[], untold int[],
        trace text)
), inserted AS (
    INSERT INTO requests (id, month, location, order_id, service_level, reference, fingerprint, products, received_at,
        version, provider, assignment, units, changed_at, submitted_at, accepted_at, shipped_at, settled_at,
        pending, failure, rejected, shipped, cancelled, surplus, conflicts, quarantined, dead, closed, taken_by,
        withdrawal, withdrawn, refused, former, untold, trace, restored)
    SELECT incoming.*, EXISTS (
        SELECT FROM holds WHERE scope = 'everything' AND who = 'serve --paused' AND released_at IS NULL)
    FROM incoming ORDER BY id
    ON CONFLICT DO NOTHING
    RETURNING id, restored
), updates AS (
    SELECT * FROM json_to_recordset($2::json) AS w(id text, expected_version int,
        version int, provider text, assignment smallint, units text, changed_at timestamptz,
        submitted_at timestamptz, accepted_at timestamptz, shipped_at timestamptz, settled_at timestamptz,
        pending bool, failure text, rejected bool, shipped bool, cancelled bool, surplus bool, conflicts int,
        quarantined int, dead text,
        closed bool, taken_by text, withdrawal jsonb, withdrawn bool, refused jsonb, former text[], untold int[])
), claim_checks AS (
    SELECT * FROM json_to_recordset($3::json) AS f(request_id text, operation text, seq int, owner text, attempt int,
        guards bool, again bool, delay float8, doubt bool, counts bool, blocked bool)
), held AS ( -- each row by its key: LATERAL and FOR UPDATE leave the planner no way to read a table whole
    SELECT f.request_id, f.operation, f.seq
    FROM claim_checks f CROSS JOIN LATERAL (
        SELECT FROM deliveries d
        WHERE (d.request_id, d.operation, d.seq) = (f.request_id, f.operation, f.seq)
            AND ((d.owner = f.owner AND d.attempt = f.attempt)
                OR (f.owner IS NULL AND d.owner IS NULL AND d.doubt <= f.doubt))
        FOR UPDATE SKIP LOCKED
    ) d
), busy AS ( -- a call that is still ours, whose row another statement has in hand: a claim that came too late
    SELECT f.request_id, f.operation, f.seq
    FROM claim_checks f CROSS JOIN LATERAL (
        SELECT FROM deliveries d
        WHERE (d.request_id, d.operation, d.seq) = (f.request_id, f.operation, f.seq)
            AND d.owner = f.owner AND d.attempt = f.attempt
    ) d
    WHERE NOT f.guards AND NOT EXISTS (
        SELECT FROM held h WHERE (h.request_id, h.operation, h.seq) = (f.request_id, f.operation, f.seq))
), locked AS (
    SELECT w.id
    FROM updates w CROSS JOIN LATERAL (
        SELECT FROM requests r WHERE r.id = w.id AND r.version = w.expected_version FOR UPDATE SKIP LOCKED
    ) r
    WHERE w.id NOT IN ( -- hashed once: looking through all claim_checks for each took half of a batch of 64
        SELECT f.request_id FROM claim_checks f LEFT JOIN held h USING (request_id, operation, seq)
        WHERE f.guards AND h.request_id IS NULL)
), updated AS (
    UPDATE requests r
    SET version = w.version, provider = w.provider, assignment = w.assignment, units = w.units,
        changed_at = w.changed_at, submitted_at = w.submitted_at, accepted_at = w.accepted_at,
        shipped_at = w.shipped_at, settled_at = w.settled_at, pending = w.pending, failure = w.failure,
        rejected = w.rejected, shipped = w.shipped, cancelled = w.cancelled, surplus = w.surplus,
        conflicts = w.conflicts, quarantined = w.quarantined, dead = w.dead,
        closed = w.closed, taken_by = w.taken_by, withdrawal = w.withdrawal, withdrawn = w.withdrawn,
        refused = w.refused, former = w.former, untold = w.untold
    FROM updates w JOIN locked l USING (id)
    WHERE r.id = w.id
    RETURNING r.id, r.restored
), written AS (
    SELECT id, restored FROM inserted UNION ALL SELECT id, restored FROM updated
), new_events AS (
    INSERT INTO events (month, request_id, version, kind, at, cause, fingerprint, fact, incarnation)
    SELECT e.*, (SELECT max(number) FROM incarnations)
    FROM json_to_recordset($4::json) AS e(month date, request_id text, version int, kind text,
        at timestamptz, cause text, fingerprint text, fact jsonb)
    JOIN written ON written.id = e.request_id
    ORDER BY e.request_id, e.version
), new_payloads AS (
    INSERT INTO payloads (month, request_id, hash, at, body)
    SELECT p.month, p.request_id, p.hash, p.at, p.body
    FROM unnest($14::date[], $15::text[], $16::text[], $17::timestamptz[], $18::bytea[], $19::bool[])
        AS p(month, request_id, hash, at, body, guards)
    LEFT JOIN written ON written.id = p.request_id
    WHERE written.id IS NOT NULL OR NOT p.guards
    ON CONFLICT DO NOTHING
), new_keys AS (
    INSERT INTO request_keys (request_id, kind, value)
    SELECT k.* FROM json_to_recordset($5::json) AS k(request_id text, kind text, value text)
    JOIN written ON written.id = k.request_id
), new_deliveries AS (
    INSERT INTO deliveries AS d (request_id, operation, seq, destination, location, month, is_read, ready, urgency,
        due_at, verify_by, doubt, trace)
    SELECT o.request_id, o.operation, o.seq, o.destination, o.location, o.month, o.is_read, o.ready, o.urgency,
        clock_timestamp() + make_interval(secs => o.delay), clock_timestamp() + make_interval(secs => o.within),
        o.doubt OR (written.restored AND NOT o.is_read), o.trace
    FROM json_to_recordset($6::json) AS o(request_id text, operation text, seq int, destination text, location text,
        month date, is_read bool, ready bool, urgency smallint, delay float8, within float8,
        doubt bool, trace text)
    JOIN written ON written.id = o.request_id
    ON CONFLICT (request_id, operation, seq)
    DO UPDATE SET due_at = excluded.due_at, verify_by = excluded.verify_by, tries = 0,
        trace = coalesce(excluded.trace, d.trace)
), new_outcomes AS (
    INSERT INTO recent_outcomes (location, at, said, units)
    SELECT f.location, clock_timestamp(), f.said, f.units
    FROM json_to_recordset($13::json) AS f(request_id text, location text, said text, units int)
    JOIN written ON written.id = f.request_id
), gone AS (
    DELETE FROM deliveries d
    USING json_to_recordset($7::json) AS g(request_id text, operation text, seq int)
    JOIN written ON written.id = g.request_id
    WHERE (d.request_id, d.operation, d.seq) = (g.request_id, g.operation, g.seq)
    RETURNING d.seq
), readied AS (
    UPDATE deliveries d SET ready = true, due_at = greatest(d.due_at, clock_timestamp())
    FROM json_to_recordset($8::json) AS g(request_id text, operation text, seq int)
    JOIN written ON written.id = g.request_id
    WHERE (d.request_id, d.operation, d.seq) = (g.request_id, g.operation, g.seq) AND NOT d.ready
), again AS (
    UPDATE deliveries d
    SET owner = NULL, call_ends_at = NULL, doubt = f.doubt, tries = d.tries + f.counts::int,
        blocks = d.blocks + f.blocked::int, due_at = clock_timestamp() + make_interval(secs => f.delay)
    FROM claim_checks f JOIN held h USING (request_id, operation, seq)
    WHERE (d.request_id, d.operation, d.seq) = (f.request_id, f.operation, f.seq) AND f.again
        AND (NOT f.guards OR EXISTS (SELECT FROM written WHERE written.id = f.request_id))
        AND (SELECT count(*) FROM gone) >= 0 -- gone first: a row changes once, and what goes must not come back
), dead AS (
    INSERT INTO dead_deliveries (request_id, operation, seq, destination, location, attempts, died_at, why, detail)
    SELECT x.* FROM json_to_recordset($9::json) AS x(request_id text, operation text, seq int, destination text,
        location text, attempts int, died_at timestamptz, why text, detail text)
    JOIN written ON written.id = x.request_id
), revived AS (
    DELETE FROM dead_deliveries d
    USING json_to_recordset($11::json) AS x(request_id text, operation text, seq int)
    JOIN written ON written.id = x.request_id
    WHERE (d.request_id, d.operation, d.seq) = (x.request_id, x.operation, x.seq)
), new_attempts AS (
    INSERT INTO attempts (month, request_id, operation, seq, attempt, destination, at, seconds, outcome, status,
        detail, response, trace_id, is_late)
    SELECT a.month, a.request_id, a.operation, a.seq, a.attempt, a.destination, a.at, a.seconds, a.outcome, a.status,
        a.detail, a.response, a.trace_id, h.request_id IS NULL
    FROM json_to_recordset($10::json) AS a(month date, request_id text, operation text, seq int, attempt int,
        destination text, at timestamptz, seconds float8, outcome text, status smallint, detail text, response text,
        trace_id text, guards bool)
    LEFT JOIN held h USING (request_id, operation, seq)
    LEFT JOIN written ON written.id = a.request_id
    LEFT JOIN busy b ON (b.request_id, b.operation, b.seq) = (a.request_id, a.operation, a.seq)
    WHERE (written.id IS NOT NULL OR NOT a.guards) AND b.request_id IS NULL
), quarantined AS (
    INSERT INTO quarantine (source, event_id, fingerprint, request_id, reason, detail, at, body, command)
    SELECT q.* FROM unnest($20::text[], $21::text[], $22::text[], $23::text[], $24::text[], $25::text[],
        $26::timestamptz[], $27::bytea[], $28::jsonb[])
        AS q(source, event_id, fingerprint, request_id, reason, detail, at, body, command)
    JOIN written ON written.id = q.request_id
    ON CONFLICT (source, event_id, fingerprint) DO UPDATE SET reason = excluded.reason, detail = excluded.detail
), released AS (
    UPDATE quarantine q SET resolved_at = clock_timestamp()
    FROM json_to_recordset($12::json) AS x(request_id text, event_id text)
    JOIN written ON written.id = x.request_id
    WHERE (q.request_id, q.event_id) = (x.request_id, x.event_id) AND q.resolved_at IS NULL
), audited AS (
    INSERT INTO audit (who, action, subject, reason, outcome)
    SELECT x.who, x.action, x.request_id, x.reason, x.outcome
    FROM json_to_recordset($29::json) AS x(who text, action text, request_id text, reason text, outcome text)
    JOIN written ON written.id = x.request_id
), counted AS (
    UPDATE positions SET number = $31, at = clock_timestamp() WHERE name = $30
)
SELECT id, NULL AS operation, NULL AS seq FROM written UNION ALL SELECT * FROM busy
"""

Row = dict[str, Any]
DeliveryKey = tuple[str, str, int]
"""Which call: its request, operation and number."""
Payload = tuple[date, str, str, datetime, bytes, bool]
"""month, request id, hash, time, body, and whether it is stored only together with its request's state."""


@dataclass(slots=True)
class Batch:
    """The rows of one statement, a list for each of its inputs, in their order."""

    incoming: list[Row] = field(default_factory=list)
    updates: list[Row] = field(default_factory=list)
    claim_checks: list[Row] = field(default_factory=list)
    events: list[Row] = field(default_factory=list)
    keys: list[Row] = field(default_factory=list)
    owed: list[Row] = field(default_factory=list)
    gone: list[Row] = field(default_factory=list)
    readied: list[Row] = field(default_factory=list)
    dead: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    revived: list[Row] = field(default_factory=list)
    released: list[Row] = field(default_factory=list)
    recent_outcomes: list[Row] = field(default_factory=list)
    audit: list[Row] = field(default_factory=list)
    payloads: list[Payload] = field(default_factory=list)
    quarantine: list[tuple[Any, ...]] = field(default_factory=list)

    async def commit(self, connection: Connection, position: Position) -> tuple[set[str], set[DeliveryKey]]:
        """Write the batch and return the ids of the requests that were written, and the calls that were busy."""
        documents = (
            self.incoming, self.updates, self.claim_checks, self.events, self.keys, self.owed, self.gone, self.readied,
            self.dead, self.attempts, self.revived, self.released, self.recent_outcomes,
        )  # fmt: skip
        payloads = zip(*self.payloads, strict=True) if self.payloads else [()] * 6
        quarantine = zip(*self.quarantine, strict=True) if self.quarantine else [()] * 9
        audit = orjson.dumps(self.audit).decode()
        inputs = [orjson.dumps(rows).decode() for rows in documents]
        number = position.number + 1
        rows = await connection.fetch(STATEMENT, *inputs, *payloads, *quarantine, audit, position.name, number)
        position.number = number
        written = {row["id"] for row in rows if row["operation"] is None}
        return written, {(row["id"], row["operation"], row["seq"]) for row in rows if row["operation"]}
