-- One batch: $1 has the documents, $2 the bodies of `payloads`, $3 those of `quarantine`; $4 and $5 are the position.
WITH input AS NOT MATERIALIZED ( -- or each of its readers would copy all documents
    SELECT
        -- make sql: documents
        document[1] AS incoming, document[2] AS updates, document[3] AS claim_checks, document[4] AS events,
        document[5] AS payloads, document[6] AS keys, document[7] AS recent_outcomes, document[8] AS deliveries,
        document[9] AS settled, document[10] AS ready, document[11] AS dead, document[12] AS no_longer_dead,
        document[13] AS attempts, document[14] AS quarantine, document[15] AS left_quarantine, document[16] AS audit
        -- end
    FROM (SELECT $1::json[]) AS documents(document)

-- New requests

), incoming AS (
    SELECT * FROM json_to_recordset((SELECT incoming FROM input)) AS n(
        -- make sql: incoming
        id text, month date, location text, order_id text, service_level text, reference text, fingerprint text,
        products jsonb, received_at timestamptz, trace text, version int, provider text, assignment smallint,
        units text, changed_at timestamptz, submitted_at timestamptz, accepted_at timestamptz, shipped_at timestamptz,
        settled_at timestamptz, pending bool, failure text, rejected bool, shipped bool, cancelled bool, surplus bool,
        conflicts int, quarantined int, dead text, closed bool, taken_by text, withdrawal jsonb, withdrawn bool,
        refused jsonb, former text[], untold int[], silence text
        -- end
    )
), inserted AS (
    INSERT INTO requests (restored,
        -- make sql: inserted
        id, month, location, order_id, service_level, reference, fingerprint, products, received_at, trace, version,
        provider, assignment, units, changed_at, submitted_at, accepted_at, shipped_at, settled_at, pending, failure,
        rejected, shipped, cancelled, surplus, conflicts, quarantined, dead, closed, taken_by, withdrawal, withdrawn,
        refused, former, untold, silence
        -- end
    )
    SELECT EXISTS (
        SELECT FROM holds WHERE scope = 'everything' AND who = 'serve --paused' AND released_at IS NULL), incoming.*
    FROM incoming
    ORDER BY id -- in every process: two that insert the same ids never wait for each other in a circle
    ON CONFLICT DO NOTHING
    RETURNING id, restored

-- Claim checks

), claim_checks AS (
    SELECT * FROM json_to_recordset((SELECT claim_checks FROM input)) AS c(
        request_id text, operation text, seq int, owner text, attempt int, guards bool, doubt bool, reschedules bool,
        delay float8, counts bool, blocked bool, unsure_for float8)
), held AS ( -- each row by its key: LATERAL and FOR UPDATE leave the planner no way to read a table whole
    SELECT c.request_id, c.operation, c.seq
    FROM claim_checks c CROSS JOIN LATERAL (
        SELECT FROM deliveries d
        WHERE (d.request_id, d.operation, d.seq) = (c.request_id, c.operation, c.seq)
            AND ((d.owner = c.owner AND d.attempt = c.attempt)
                OR (c.owner IS NULL AND d.owner IS NULL AND d.doubt <= c.doubt))
        FOR UPDATE SKIP LOCKED
    ) d
), busy AS ( -- a call that is still ours, whose row another statement has in hand: a claim that came too late
    SELECT c.request_id, c.operation, c.seq
    FROM claim_checks c CROSS JOIN LATERAL (
        SELECT FROM deliveries d
        WHERE (d.request_id, d.operation, d.seq) = (c.request_id, c.operation, c.seq)
            AND d.owner = c.owner AND d.attempt = c.attempt
    ) d
    WHERE NOT c.guards AND NOT EXISTS (
        SELECT FROM held h WHERE (h.request_id, h.operation, h.seq) = (c.request_id, c.operation, c.seq))

-- Changed requests

), updates AS (
    SELECT * FROM json_to_recordset((SELECT updates FROM input)) AS w(
        id text, expected_version int,
        -- make sql: updates
        version int, provider text, assignment smallint, units text, changed_at timestamptz, submitted_at timestamptz,
        accepted_at timestamptz, shipped_at timestamptz, settled_at timestamptz, pending bool, failure text,
        rejected bool, shipped bool, cancelled bool, surplus bool, conflicts int, quarantined int, dead text,
        closed bool, taken_by text, withdrawal jsonb, withdrawn bool, refused jsonb, former text[], untold int[],
        silence text
        -- end
    )
), locked AS ( -- waits for nobody: a row that somebody else has in hand is read again
    SELECT w.id
    FROM updates w CROSS JOIN LATERAL (
        SELECT FROM requests r WHERE r.id = w.id AND r.version = w.expected_version FOR UPDATE SKIP LOCKED
    ) r
    WHERE w.id NOT IN ( -- hashed once: looking through all claim checks for each took half of a batch of 64
        SELECT c.request_id FROM claim_checks c LEFT JOIN held h USING (request_id, operation, seq)
        WHERE c.guards AND h.request_id IS NULL)
), updated AS (
    UPDATE requests r
    SET
        -- make sql: set
        version = w.version, provider = w.provider, assignment = w.assignment, units = w.units,
        changed_at = w.changed_at, submitted_at = w.submitted_at, accepted_at = w.accepted_at,
        shipped_at = w.shipped_at, settled_at = w.settled_at, pending = w.pending, failure = w.failure,
        rejected = w.rejected, shipped = w.shipped, cancelled = w.cancelled, surplus = w.surplus,
        conflicts = w.conflicts, quarantined = w.quarantined, dead = w.dead, closed = w.closed, taken_by = w.taken_by,
        withdrawal = w.withdrawal, withdrawn = w.withdrawn, refused = w.refused, former = w.former, untold = w.untold,
        silence = w.silence
        -- end
    FROM updates w JOIN locked l USING (id)
    WHERE r.id = w.id
    RETURNING r.id, r.restored
), written AS (
    SELECT id, restored FROM inserted UNION ALL SELECT id, restored FROM updated

-- Events, payloads, keys, outcomes

), new_events AS (
    INSERT INTO events (month, request_id, version, kind, at, cause, fingerprint, fact, incarnation)
    SELECT e.*, (SELECT max(number) FROM incarnations)
    FROM json_to_recordset((SELECT events FROM input)) AS e(
        month date, request_id text, version int, kind text, at timestamptz, cause text, fingerprint text, fact jsonb)
    JOIN written ON written.id = e.request_id
    ORDER BY e.request_id, e.version -- their ids rise with the versions of a request
), new_payloads AS (
    INSERT INTO payloads (month, request_id, hash, at, body)
    SELECT p.month, p.request_id, p.hash, p.at, p.body
    FROM ROWS FROM (
        json_to_recordset((SELECT payloads FROM input)) AS (
            month date, request_id text, hash text, at timestamptz, guards bool),
        unnest($2::bytea[])
    ) AS p(month, request_id, hash, at, guards, body)
    LEFT JOIN written ON written.id = p.request_id
    WHERE written.id IS NOT NULL OR NOT p.guards
    ON CONFLICT DO NOTHING
), new_keys AS (
    INSERT INTO request_keys (request_id, kind, value)
    SELECT k.*
    FROM json_to_recordset((SELECT keys FROM input)) AS k(request_id text, kind text, value text)
    JOIN written ON written.id = k.request_id
), new_outcomes AS (
    INSERT INTO recent_outcomes (location, at, said, units)
    SELECT o.location, clock_timestamp(), o.said, o.units
    FROM json_to_recordset((SELECT recent_outcomes FROM input)) AS o(
        request_id text, location text, said text, units int)
    JOIN written ON written.id = o.request_id

-- Deliveries

), new_deliveries AS (
    INSERT INTO deliveries AS d (request_id, operation, seq, destination, location, month, is_read, ready, urgency,
        due_at, verify_by, doubt, trace)
    SELECT n.request_id, n.operation, n.seq, n.destination, n.location, n.month, n.is_read, n.ready, n.urgency,
        clock_timestamp() + make_interval(secs => n.delay), clock_timestamp() + make_interval(secs => n.within),
        n.doubt OR (written.restored AND NOT n.is_read), n.trace
    FROM json_to_recordset((SELECT deliveries FROM input)) AS n(
        request_id text, operation text, seq int, destination text, location text, month date, is_read bool,
        ready bool, urgency smallint, delay float8, within float8, doubt bool, trace text)
    JOIN written ON written.id = n.request_id
    ON CONFLICT (request_id, operation, seq)
    DO UPDATE SET due_at = excluded.due_at, verify_by = excluded.verify_by, tries = 0,
        trace = coalesce(excluded.trace, d.trace)
), settled AS (
    DELETE FROM deliveries d
    USING json_to_recordset((SELECT settled FROM input)) AS s(request_id text, operation text, seq int)
    JOIN written ON written.id = s.request_id
    WHERE (d.request_id, d.operation, d.seq) = (s.request_id, s.operation, s.seq)
    RETURNING d.seq
), made_ready AS (
    UPDATE deliveries d SET ready = true, due_at = greatest(d.due_at, clock_timestamp())
    FROM json_to_recordset((SELECT ready FROM input)) AS n(request_id text, operation text, seq int)
    JOIN written ON written.id = n.request_id
    WHERE (d.request_id, d.operation, d.seq) = (n.request_id, n.operation, n.seq) AND NOT d.ready
), rescheduled AS (
    UPDATE deliveries d
    SET owner = NULL, call_ends_at = NULL, doubt = c.doubt, tries = d.tries + c.counts::int,
        blocks = d.blocks + c.blocked::int, due_at = clock_timestamp() + make_interval(secs => c.delay),
        sure_at = CASE WHEN c.unsure_for > 0
            THEN greatest(d.sure_at, clock_timestamp() + make_interval(secs => c.unsure_for)) ELSE d.sure_at END
    FROM claim_checks c JOIN held h USING (request_id, operation, seq)
    WHERE (d.request_id, d.operation, d.seq) = (c.request_id, c.operation, c.seq) AND c.reschedules
        AND (NOT c.guards OR EXISTS (SELECT FROM written WHERE written.id = c.request_id))
        AND (SELECT count(*) FROM settled) >= 0 -- those first: a row changes once, and what is settled stays gone

-- Dead deliveries

), newly_dead AS (
    INSERT INTO dead_deliveries (request_id, operation, seq, destination, location, attempts, died_at, why, detail)
    SELECT x.*
    FROM json_to_recordset((SELECT dead FROM input)) AS x(
        request_id text, operation text, seq int, destination text, location text, attempts int, died_at timestamptz,
        why text, detail text)
    JOIN written ON written.id = x.request_id
), no_longer_dead AS (
    DELETE FROM dead_deliveries d
    USING json_to_recordset((SELECT no_longer_dead FROM input)) AS x(request_id text, operation text, seq int)
    JOIN written ON written.id = x.request_id
    WHERE (d.request_id, d.operation, d.seq) = (x.request_id, x.operation, x.seq)

-- Attempts

), new_attempts AS (
    INSERT INTO attempts (month, request_id, operation, seq, attempt, destination, at, seconds, outcome, status,
        detail, response, sent, trace_id, is_late)
    SELECT a.month, a.request_id, a.operation, a.seq, a.attempt, a.destination, a.at, a.seconds, a.outcome, a.status,
        a.detail, a.response, a.sent, a.trace_id, h.request_id IS NULL
    FROM json_to_recordset((SELECT attempts FROM input)) AS a(
        month date, request_id text, operation text, seq int, attempt int, destination text, at timestamptz,
        seconds float8, outcome text, status smallint, detail text, response text, sent text, trace_id text,
        guards bool)
    LEFT JOIN held h USING (request_id, operation, seq)
    LEFT JOIN written ON written.id = a.request_id
    LEFT JOIN busy b ON (b.request_id, b.operation, b.seq) = (a.request_id, a.operation, a.seq)
    WHERE (written.id IS NOT NULL OR NOT a.guards) AND b.request_id IS NULL

-- Quarantine and audit

), quarantined AS (
    INSERT INTO quarantine (source, event_id, fingerprint, request_id, reason, detail, at, command, body)
    SELECT q.*
    FROM ROWS FROM (
        json_to_recordset((SELECT quarantine FROM input)) AS (
            source text, event_id text, fingerprint text, request_id text, reason text, detail text, at timestamptz,
            command jsonb),
        unnest($3::bytea[])
    ) AS q(source, event_id, fingerprint, request_id, reason, detail, at, command, body)
    JOIN written ON written.id = q.request_id
    ON CONFLICT (source, event_id, fingerprint) DO UPDATE SET reason = excluded.reason, detail = excluded.detail
), left_quarantine AS (
    UPDATE quarantine q SET resolved_at = clock_timestamp()
    FROM json_to_recordset((SELECT left_quarantine FROM input)) AS x(request_id text, event_id text)
    JOIN written ON written.id = x.request_id
    WHERE (q.request_id, q.event_id) = (x.request_id, x.event_id) AND q.resolved_at IS NULL
), audited AS (
    INSERT INTO audit (who, action, subject, reason, outcome)
    SELECT x.who, x.action, x.request_id, x.reason, x.outcome
    FROM json_to_recordset((SELECT audit FROM input)) AS x(
        who text, action text, request_id text, reason text, outcome text)
    JOIN written ON written.id = x.request_id

-- Position

), counted AS (
    UPDATE positions SET number = $5, at = clock_timestamp() WHERE name = $4
)
SELECT id, NULL AS operation, NULL AS seq FROM written UNION ALL SELECT * FROM busy
