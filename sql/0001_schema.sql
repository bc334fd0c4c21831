-- oldest program: 1
-- Postgres 15 or newer. One row per fulfillment request, its story in monthly partitions, and the calls it owes.
-- A fingerprint, and the hash of a body, name what it says, not how it is spelled.

CREATE TABLE requests (
    id            text COLLATE "C" PRIMARY KEY CONSTRAINT id_is_short CHECK (length(id) <= 255),
    month         date NOT NULL,              -- of receipt; names the partition that holds the whole story
    location      text NOT NULL,
    order_id      text,                       -- NULL where NewStore sent none
    service_level text,                       -- NULL where NewStore sent none
    reference     text NOT NULL UNIQUE CONSTRAINT reference_fits_a_warehouse CHECK (length(reference) <= 20),
    provider      text,                       -- NULL while no provider serves the location
    assignment    smallint NOT NULL,
    fingerprint   text NOT NULL,              -- hex SHA-256 of the body as it came
    products      jsonb NOT NULL,             -- one per unit, written once
    units         text NOT NULL,              -- a few characters per unit, see domain/units.py
    version       int NOT NULL,
    received_at   timestamptz NOT NULL,
    changed_at    timestamptz NOT NULL,
    submitted_at  timestamptz,                -- NULL until the provider has taken it
    accepted_at   timestamptz,                -- NULL until the first unit is accepted
    shipped_at    timestamptz,                -- NULL until the first unit is shipped
    settled_at    timestamptz,                -- NULL until every unit is proved
    pending       boolean NOT NULL,
    failure       text,                       -- NULL unless a person must look
    rejected      boolean NOT NULL,
    shipped       boolean NOT NULL,
    cancelled     boolean NOT NULL,
    surplus       boolean NOT NULL DEFAULT false,
    conflicts     int NOT NULL DEFAULT 0,
    quarantined   int NOT NULL DEFAULT 0,
    dead          text NOT NULL DEFAULT '',   -- "create@1:refused ship@7:undecidable": ended without being taken
    closed        boolean NOT NULL DEFAULT false,
    taken_by      text,                       -- NULL until somebody sees to it
    withdrawal    jsonb,                      -- NULL unless the provider is being asked to stop: what then follows
    withdrawn     boolean NOT NULL DEFAULT false, -- the provider will do nothing more with the open units
    former        text[] NOT NULL DEFAULT '{}', -- providers it was taken from: one that knows its id never ships it
    refused       jsonb NOT NULL DEFAULT '[]', -- callbacks that nobody has answered: message, word, our sentence
    trace         text,                       -- NULL unless the request is traced; a `traceparent`
    restored      boolean NOT NULL DEFAULT false, -- its log may lack what was sent: what it owes is looked for first
    compared      bigint NOT NULL DEFAULT 0,  -- the hold after whose release it was; 0 where it never was
    untold        int[] NOT NULL DEFAULT '{}', -- units that NewStore showed beyond the log, until the provider does
    silence       text NOT NULL DEFAULT ''    -- its provider should have accepted it by now; '' while it is in time
        CONSTRAINT silence_is_known CHECK (silence IN ('', 'overdue', 'answered')),
    CONSTRAINT settled_or_pending_not_both CHECK (pending <> (settled_at IS NOT NULL)),
    CONSTRAINT closed_is_not_pending CHECK (NOT (closed AND pending))
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1, autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE INDEX requests_by_age ON requests (received_at DESC, id DESC);
CREATE INDEX requests_pending ON requests (received_at DESC, id DESC) WHERE pending;
CREATE INDEX requests_failed ON requests (received_at DESC, id DESC) WHERE failure IS NOT NULL;
CREATE INDEX requests_rejected ON requests (received_at DESC, id DESC) WHERE rejected;
CREATE INDEX requests_shipped ON requests (received_at DESC, id DESC) WHERE shipped;
CREATE INDEX requests_cancelled ON requests (received_at DESC, id DESC) WHERE cancelled;
CREATE INDEX requests_unroutable ON requests (location) WHERE provider IS NULL;
CREATE INDEX requests_by_order ON requests USING hash (order_id);
CREATE INDEX requests_by_product ON requests USING gin (products jsonb_path_ops); -- hashes: a product id may be long
CREATE INDEX requests_by_location ON requests (location, received_at DESC, id DESC);
CREATE INDEX requests_open ON requests (location, provider, received_at) WHERE pending; -- counts come from it alone
CREATE INDEX requests_taken ON requests (taken_by) WHERE taken_by IS NOT NULL AND (pending OR failure IS NOT NULL);
CREATE INDEX requests_awaited ON requests (provider, submitted_at)
    WHERE pending AND submitted_at IS NOT NULL AND accepted_at IS NULL AND silence = '';
CREATE INDEX requests_restored ON requests (compared) WHERE restored;
CREATE INDEX requests_to_compare ON requests (compared, received_at DESC) WHERE restored AND pending;

-- Keys that arrive after the request: tracking codes and the provider's own order ids.
CREATE TABLE request_keys (
    request_id text COLLATE "C" NOT NULL,
    kind       text NOT NULL CONSTRAINT kind_is_known CHECK (kind IN ('tracking_code', 'provider_order')),
    value      text NOT NULL
);
CREATE INDEX request_keys_by_value ON request_keys USING hash (value);

CREATE TABLE events (
    month       date NOT NULL,
    request_id  text COLLATE "C" NOT NULL,
    version     int NOT NULL,
    kind        text NOT NULL,
    at          timestamptz NOT NULL,
    cause       text NOT NULL,                -- the message it came from
    fingerprint text NOT NULL,                -- that message's content; '' where the cause says it all
    fact        jsonb NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    xid         xid8 NOT NULL DEFAULT pg_current_xact_id(),
    incarnation int NOT NULL DEFAULT 1,       -- with id and xid what a reader of the log remembers
    UNIQUE (month, request_id, version)
) PARTITION BY RANGE (month);
CREATE INDEX events_by_cause ON events (request_id, cause);
CREATE TABLE events_default PARTITION OF events DEFAULT;

-- One row per try of an owed call. Bodies that are worth keeping lie in payloads, by hash.
CREATE TABLE attempts (
    month       date NOT NULL,
    request_id  text COLLATE "C" NOT NULL,
    operation   text NOT NULL,
    seq         int NOT NULL,
    attempt     int NOT NULL,
    destination text NOT NULL,
    at          timestamptz NOT NULL,
    seconds     real NOT NULL,
    outcome     text NOT NULL,
    status      smallint,                     -- NULL where no HTTP answer came
    detail      text NOT NULL,
    response    text,                         -- hash of the answer in payloads; NULL where it says nothing more
    sent        text,                         -- hash of what it sent in payloads; NULL where an adapter wrote nothing
    is_late     boolean NOT NULL,             -- it came after the claim was lost, and changed nothing
    trace_id    text                          -- NULL unless its span was kept
) PARTITION BY RANGE (month);
CREATE INDEX attempts_by_request ON attempts (request_id, at);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- What came in, what was answered, and what an adapter wrote to send it, byte for byte: the one place that holds personal data.
CREATE TABLE payloads (
    month      date NOT NULL,
    request_id text COLLATE "C" NOT NULL,
    hash       text NOT NULL,
    at         timestamptz NOT NULL,
    body       bytea NOT NULL,
    UNIQUE (month, request_id, hash)
) PARTITION BY RANGE (month);
CREATE TABLE payloads_default PARTITION OF payloads DEFAULT;

-- Calls that are owed and not yet settled.
CREATE TABLE deliveries (
    request_id   text COLLATE "C" NOT NULL,
    operation    text NOT NULL,
    seq          int NOT NULL,                -- version of the event that owes it; 0 for a read-back
    destination  text NOT NULL,
    location     text NOT NULL,
    month        date NOT NULL,
    is_read      boolean NOT NULL,
    ready        boolean NOT NULL,            -- the head of its request and destination, or a read
    urgency      smallint NOT NULL DEFAULT 0, -- lower goes first, see ledger/queue/urgency.py
    due_at       timestamptz NOT NULL,
    verify_by    timestamptz,                 -- NULL unless it is a read-back
    attempt      int NOT NULL DEFAULT 0,      -- tries begun
    tries        int NOT NULL DEFAULT 0,      -- tries that used up a step of the schedule
    doubt        boolean NOT NULL DEFAULT false, -- the last try may have happened
    owner        text,                        -- NULL unless claimed
    call_ends_at timestamptz,                 -- NULL unless claimed
    blocks       int NOT NULL DEFAULT 0,      -- tries that were turned away while other calls passed
    sure_at      timestamptz,                 -- of a call without an answer: before then its absence proves nothing
    trace        text,                        -- NULL unless the request is traced
    PRIMARY KEY (request_id, operation, seq),
    CONSTRAINT claimed_whole CHECK ((owner IS NULL) = (call_ends_at IS NULL))
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05); -- a queue: swept early
CREATE INDEX deliveries_ready ON deliveries (destination, location, urgency, due_at) WHERE ready AND owner IS NULL;
CREATE INDEX deliveries_claimed ON deliveries (destination, owner) WHERE owner IS NOT NULL;
CREATE INDEX deliveries_behind ON deliveries (destination, location, urgency) WHERE NOT ready; -- another call's turn
CREATE INDEX deliveries_asked ON deliveries (request_id) WHERE is_read AND seq > 0 AND operation <> 'read_order';

-- The lanes in which calls wait, found by leaping from one to the next, however long each is.
CREATE VIEW lanes AS
WITH RECURSIVE lane AS (
    (
        SELECT destination, location, urgency FROM deliveries
        WHERE ready AND owner IS NULL ORDER BY destination, location, urgency LIMIT 1
    )
    UNION ALL
    SELECT next.* FROM lane CROSS JOIN LATERAL (
        SELECT destination, location, urgency FROM deliveries d
        WHERE ready AND owner IS NULL
            AND (d.destination, d.location, d.urgency) > (lane.destination, lane.location, lane.urgency)
        ORDER BY destination, location, urgency LIMIT 1
    ) next
)
SELECT * FROM lane;

CREATE TABLE dead_deliveries (
    request_id  text COLLATE "C" NOT NULL,
    operation   text NOT NULL,
    seq         int NOT NULL,
    destination text NOT NULL,
    location    text NOT NULL,
    attempts    int NOT NULL,
    died_at     timestamptz NOT NULL,
    why         text NOT NULL,
    detail      text NOT NULL,
    PRIMARY KEY (request_id, operation, seq)
);

-- What came and could not be applied: kept as it came until it can be, or a person decides.
CREATE TABLE quarantine (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source      text NOT NULL,                -- a provider's name, or newstore:LOCATION
    event_id    text NOT NULL,                -- the sender's id of the message, else its hash
    fingerprint text NOT NULL,
    request_id  text COLLATE "C",             -- NULL where the message names none that can be read
    reason      text NOT NULL,
    detail      text NOT NULL,
    at          timestamptz NOT NULL,
    body        bytea NOT NULL,
    command     jsonb,                        -- the message in our words; NULL where it has none
    names       jsonb,                        -- by which its request is to be found; NULL where it names its id
    resolved_at timestamptz,                  -- NULL until applied or decided on
    UNIQUE (source, event_id, fingerprint)
);
CREATE INDEX quarantine_waiting ON quarantine (request_id) WHERE resolved_at IS NULL;
CREATE INDEX quarantine_named ON quarantine (id) WHERE names IS NOT NULL AND resolved_at IS NULL;
CREATE INDEX quarantine_unresolved ON quarantine (id) WHERE resolved_at IS NULL;

-- One row per running process. It is alive while it holds its advisory lock and its heartbeat is young.
CREATE TABLE processes (
    owner        text PRIMARY KEY,
    key          bigint NOT NULL UNIQUE,       -- of the session advisory lock
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Budget and breaker of one destination, shared by all processes; see dispatch/limits.py.
CREATE TABLE destinations (
    name          text PRIMARY KEY,
    tokens        float8 NOT NULL DEFAULT 0,   -- calls that may start now
    five_minute_tokens   float8 NOT NULL DEFAULT 0,   -- calls left of the five-minute budget
    refilled_at   timestamptz NOT NULL DEFAULT '-infinity',
    not_before    timestamptz NOT NULL DEFAULT '-infinity', -- the destination asked to wait until then
    wait             float8 NOT NULL DEFAULT 600, -- seconds that it asked for last
    is_open          boolean NOT NULL DEFAULT false, -- the breaker is open, or one process probes
    opened_at       timestamptz,                 -- NULL while closed
    half_open_at      timestamptz,                 -- NULL while closed; from then on one process may try one call
    open_for      float8 NOT NULL DEFAULT 0,   -- seconds, doubled by each failed probe
    half_open_owner        text,                        -- NULL unless a process has the probe
    calls         int NOT NULL DEFAULT 0,      -- in this window
    failures      int NOT NULL DEFAULT 0,
    window_at     timestamptz NOT NULL DEFAULT '-infinity',
    changes        bigint NOT NULL DEFAULT 0,   -- a change that another has overtaken is decided again
    CONSTRAINT open_has_its_times CHECK (is_open = (opened_at IS NOT NULL) AND is_open = (half_open_at IS NOT NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Providers that are asked for news: where those go on, and which process asks now.
CREATE TABLE polls (
    provider      text PRIMARY KEY,
    cursor        text NOT NULL DEFAULT '',    -- as the adapter gave it; '' at first
    every         float8 NOT NULL,             -- seconds, as the settings have it
    since         timestamptz NOT NULL DEFAULT clock_timestamp(), -- it is polled at all
    due_at        timestamptz NOT NULL DEFAULT clock_timestamp(), -- infinity while it is not polled any more
    owner         text,                        -- NULL unless a process asks
    ends_at       timestamptz,                 -- NULL as above; then another may ask
    number        bigint NOT NULL DEFAULT 0,   -- of the claim
    polled_at     timestamptz,                 -- NULL before the first that went well
    failures      int NOT NULL DEFAULT 0,      -- in a row
    failing_since timestamptz,                 -- NULL after one that went well
    detail        text NOT NULL DEFAULT '',    -- why the last one failed
    CONSTRAINT asked_whole CHECK ((owner IS NULL) = (ends_at IS NULL)),
    CONSTRAINT failing_has_its_time CHECK ((failures > 0) = (failing_since IS NOT NULL))
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- What people, or a brake, keep from going out. Several may lie on one thing; each is released by its id.
CREATE TABLE holds (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope       text NOT NULL
        CONSTRAINT scope_is_known CHECK (
            scope IN ('everything', 'destination', 'location', 'request', 'rejections', 'operation')),
    name        text COLLATE "C" NOT NULL,     -- of the destination, location or request; '' for everything
    reason      text NOT NULL,
    who         text NOT NULL,                 -- an operator, or 'gateway' for a brake
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at  timestamptz,                   -- NULL: until released
    released_at timestamptz,                   -- NULL while it holds
    released_by text,
    CONSTRAINT released_whole CHECK ((released_at IS NULL) = (released_by IS NULL))
);
CREATE INDEX holds_active ON holds (scope, name) WHERE released_at IS NULL;
CREATE INDEX holds_by_name ON holds (scope, name, released_at);
CREATE UNIQUE INDEX holds_one_per_brake ON holds (name)
    WHERE scope = 'rejections' AND who = 'gateway' AND released_at IS NULL;
CREATE UNIQUE INDEX holds_one_of_the_gateway ON holds (scope, name)
    WHERE scope IN ('destination', 'operation') AND who = 'gateway' AND released_at IS NULL;

-- What providers said of units, for the brake: a look over one location and the last minutes.
CREATE TABLE recent_outcomes (
    location text NOT NULL,
    at       timestamptz NOT NULL,
    said     text NOT NULL,
    units    int NOT NULL
);
CREATE INDEX recent_outcomes_by_location ON recent_outcomes (location, at);
CREATE INDEX recent_outcomes_by_age ON recent_outcomes (at);
CREATE INDEX recent_outcomes_undone ON recent_outcomes (location, at) INCLUDE (units) WHERE said <> 'shipped';

-- More than so many units of a location, and more than such a share of them, were rejected or cancelled within so many
-- seconds, since a person last released its brake.
CREATE FUNCTION is_braked(place text, most int, share float8, seconds float8) RETURNS boolean LANGUAGE sql STABLE AS $$
    WITH since AS MATERIALIZED (
        SELECT greatest(clock_timestamp() - make_interval(secs => seconds), max(released_at)) AS at
        FROM holds WHERE scope = 'rejections' AND name = place
    ), undone AS MATERIALIZED (
        SELECT coalesce(sum(units), 0) AS units
        FROM recent_outcomes WHERE location = place AND said <> 'shipped' AND at > (SELECT at FROM since)
    )
    SELECT CASE WHEN undone.units > most THEN undone.units > share * (
        SELECT sum(units) FROM recent_outcomes WHERE location = place AND at > (SELECT at FROM since))
    ELSE false END
    FROM undone
$$;

-- Who did what and why: acts on requests, holds, quarantine.
CREATE TABLE audit (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    who     text NOT NULL,
    action  text NOT NULL,
    subject text NOT NULL,                     -- a request's id, "hold 12", "quarantine 7"
    reason  text NOT NULL,
    outcome text NOT NULL                      -- what followed, or why it was declined
);
CREATE INDEX audit_by_subject ON audit (subject, id DESC);
CREATE INDEX audit_by_person ON audit (who, id DESC);
CREATE INDEX audit_by_action ON audit (action, id DESC);

-- Where this tenant shows what became of a kind of report, or that it shows that nowhere.
CREATE TABLE read_backs (
    operation text PRIMARY KEY,
    path      text,                            -- NULL where none of the known ones is there
    at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A database that comes from a backup is older than the world: which one this is, how far each process has brought it.
CREATE TABLE incarnations (
    number   int PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    why      text NOT NULL,                    -- how the restore was noticed; '' for the first
    cluster  bigint,                           -- its system identifier; NULL until a gateway came
    tables   oid,                              -- of this table, which a restored dump makes anew
    timeline int,                              -- of the cluster, when a gateway last came; NULL as above
    alive_at timestamptz                       -- when a gateway last left; NULL until then
);
INSERT INTO incarnations (number, why) VALUES (1, '');

-- Counted up in the transaction that is counted, by one connection each: of a process its commits, claims, heartbeats.
CREATE TABLE positions (
    name   text PRIMARY KEY,
    number bigint NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

-- Not every service tells; NULL is what it does not.
CREATE FUNCTION server_identity(OUT cluster bigint, OUT timeline int) LANGUAGE plpgsql AS $$
BEGIN
    BEGIN
        cluster := (SELECT system_identifier FROM pg_control_system());
    EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported THEN
    END;
    BEGIN
        timeline := ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int;
    EXCEPTION WHEN insufficient_privilege OR undefined_function OR feature_not_supported
        OR object_not_in_prerequisite_state THEN
    END;
END $$;

-- The partitions of a month. Whoever serves owns nothing, so the owner's function makes them: of this schema's tables,
-- whatever the caller's search path or temporary tables are.

CREATE FUNCTION ensure_partitions(wanted date) RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    parent text;
    child  text;
BEGIN
    IF wanted <> date_trunc('month', wanted) THEN
        RAISE EXCEPTION '% is not the first of a month', wanted;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('gateway.ensure_partitions'));
    FOREACH parent IN ARRAY ARRAY['events', 'attempts', 'payloads'] LOOP
        child := parent || to_char(wanted, '_YYYY_MM');
        IF to_regclass(child) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                           child, parent, wanted, wanted + interval '1 month');
        END IF;
    END LOOP;
END $$;
DO $$ BEGIN
    EXECUTE format('ALTER FUNCTION ensure_partitions(date) SET search_path = %I, pg_temp', current_schema());
END $$;
REVOKE ALL ON FUNCTION ensure_partitions(date) FROM PUBLIC;
