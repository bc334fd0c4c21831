-- oldest program: 2
-- What all processes share about the calls that are owed: who is alive, what each destination can take, and what
-- people hold back.

-- One row per running process. It is alive while it holds its advisory lock and its heartbeat is young.
CREATE TABLE processes (
    owner        text PRIMARY KEY,
    key          bigint NOT NULL UNIQUE,       -- of the session advisory lock
    started_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    heartbeat_at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);

-- Budget and breaker of one destination, shared by all processes; see domain/destinations.py.
CREATE TABLE destinations (
    name          text PRIMARY KEY,
    tokens        float8 NOT NULL DEFAULT 0,   -- calls that may start now
    five_minute_tokens   float8 NOT NULL DEFAULT 0,   -- calls left of the five-minute budget
    refilled_at   timestamptz NOT NULL DEFAULT '-infinity',
    not_before    timestamptz NOT NULL DEFAULT '-infinity', -- the destination asked to wait until then
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
) WITH (fillfactor = 50);

-- What people, or a brake, keep from going out. Several may lie on one thing; each is released by its id.
CREATE TABLE holds (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope       text NOT NULL
        CONSTRAINT scope_is_known CHECK (scope IN ('everything', 'destination', 'location', 'request', 'rejections')),
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

ALTER TABLE deliveries ADD COLUMN urgency smallint NOT NULL DEFAULT 0; -- lower goes first, see domain/urgency.py
DROP INDEX deliveries_ready;
DROP INDEX deliveries_claimed;
CREATE INDEX deliveries_ready ON deliveries (destination, location, urgency, due_at) WHERE ready AND owner IS NULL;
CREATE INDEX deliveries_claimed ON deliveries (destination, owner) WHERE owner IS NOT NULL;

-- The hot tables are a queue: swept long before a fifth of them is dead, and without pauses.
ALTER TABLE deliveries SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 500,
    autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 0.05);
ALTER TABLE requests SET (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000,
    autovacuum_vacuum_cost_delay = 1, autovacuum_vacuum_insert_scale_factor = 0.05);
ALTER TABLE destinations SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
ALTER TABLE processes SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);
