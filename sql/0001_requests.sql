-- oldest program: 1
-- Postgres 15 or newer. One row per fulfillment request, its story in monthly partitions, and the calls it owes.

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
    dead          text NOT NULL DEFAULT '',   -- "create@1 ship@7": deliveries that ended without being taken
    CONSTRAINT settled_or_pending_not_both CHECK (pending <> (settled_at IS NOT NULL))
) WITH (fillfactor = 80);

CREATE INDEX requests_by_age ON requests (received_at DESC, id DESC);
CREATE INDEX requests_pending ON requests (received_at DESC, id DESC) WHERE pending;
CREATE INDEX requests_failed ON requests (received_at DESC, id DESC) WHERE failure IS NOT NULL;
CREATE INDEX requests_rejected ON requests (received_at DESC, id DESC) WHERE rejected;
CREATE INDEX requests_shipped ON requests (received_at DESC, id DESC) WHERE shipped;
CREATE INDEX requests_cancelled ON requests (received_at DESC, id DESC) WHERE cancelled;
CREATE INDEX requests_unroutable ON requests (location) WHERE provider IS NULL;
CREATE INDEX requests_by_order ON requests USING hash (order_id);
CREATE INDEX requests_by_product ON requests USING gin (products jsonb_path_ops); -- hashes: a product id may be long

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
    is_late     boolean NOT NULL              -- it came after the claim was lost, and changed nothing
) PARTITION BY RANGE (month);
CREATE INDEX attempts_by_request ON attempts (request_id, at);
CREATE TABLE attempts_default PARTITION OF attempts DEFAULT;

-- What came in and what was answered, byte for byte: the one place that holds personal data.
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
    ready        boolean NOT NULL,            -- the head of its request and destination, or a read-back
    due_at       timestamptz NOT NULL,
    verify_by    timestamptz,                 -- NULL for writes
    attempt      int NOT NULL DEFAULT 0,      -- tries begun
    tries        int NOT NULL DEFAULT 0,      -- tries that used up a step of the schedule
    doubt        boolean NOT NULL DEFAULT false, -- the last try may have happened
    owner        text,                        -- NULL unless claimed
    call_ends_at timestamptz,                 -- NULL unless claimed
    trace        text,                        -- NULL unless the request is traced
    PRIMARY KEY (request_id, operation, seq),
    CONSTRAINT claimed_whole CHECK ((owner IS NULL) = (call_ends_at IS NULL))
) WITH (fillfactor = 70);
CREATE INDEX deliveries_ready ON deliveries (destination, location, is_read, due_at) WHERE ready AND owner IS NULL;
CREATE INDEX deliveries_claimed ON deliveries (call_ends_at) WHERE owner IS NOT NULL;

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
    resolved_at timestamptz,                  -- NULL until applied or decided on
    UNIQUE (source, event_id, fingerprint)
);
CREATE INDEX quarantine_waiting ON quarantine (request_id) WHERE resolved_at IS NULL;

CREATE FUNCTION ensure_partitions(wanted date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    parent text;
    child  text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('gateway.ensure_partitions'));
    FOREACH parent IN ARRAY ARRAY['events', 'attempts', 'payloads'] LOOP
        child := parent || to_char(wanted, '_YYYY_MM');
        IF to_regclass(child) IS NULL THEN
            EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                           child, parent, wanted, wanted + interval '1 month');
        END IF;
    END LOOP;
END $$;
