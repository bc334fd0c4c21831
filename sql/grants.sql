-- What the role that `gateway serve` runs as may do. It owns nothing, and needs nothing else.
-- The owner of the tables, who runs `gateway migrate`, gives it after each migration: `gateway migrate --grant-to ROLE`,
-- or, which is the same, with both names:
--   psql --single-transaction -v ON_ERROR_STOP=1 -v schema=public -v role=gateway_serve -f sql/grants.sql
-- Before that, once: CREATE ROLE gateway_serve LOGIN PASSWORD '…';
-- Each start of `gateway serve` compares what it may do with this file, and names what is missing.

-- What was given before and is not below.
REVOKE ALL ON
    migrations, requests, request_keys, events, attempts, payloads, deliveries, dead_deliveries, quarantine, processes,
    destinations, polls, holds, recent_outcomes, audit, read_backs, mappings, lanes, incarnations, positions, events_default, attempts_default,
    payloads_default
FROM :"role";

GRANT USAGE ON SCHEMA :"schema" TO :"role";
GRANT SELECT ON migrations, lanes TO :"role";

-- Only read and added to: the log, and who did what and why. Partitions are reached by their parents alone.
GRANT SELECT, INSERT ON events, attempts, payloads, request_keys, audit, mappings TO :"role";
GRANT SELECT ON events_default, attempts_default, payloads_default TO :"role";

-- Changed, and never deleted.
GRANT SELECT, INSERT, UPDATE ON requests, quarantine, destinations, polls, holds, read_backs, incarnations TO :"role";

-- What is over goes.
GRANT SELECT, INSERT, UPDATE, DELETE ON deliveries, processes, positions TO :"role";
GRANT SELECT, INSERT, DELETE ON dead_deliveries, recent_outcomes TO :"role";

GRANT EXECUTE ON FUNCTION ensure_partitions(date) TO :"role";
GRANT EXECUTE ON FUNCTION is_braked(text, int, float8, float8) TO :"role";
GRANT EXECUTE ON FUNCTION server_identity() TO :"role";
