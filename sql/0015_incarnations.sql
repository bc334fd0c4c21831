-- oldest program: 2
-- A database that comes from a backup is older than the world. Which one this is, and how far each process has brought it.

CREATE TABLE incarnations (
    number   int PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    why      text NOT NULL,                    -- how the restore was noticed; '' for the first
    cluster  bigint,                           -- its system identifier; NULL until a gateway came, or untold by the server
    tables   oid,                              -- of this table: a restored dump makes it anew; NULL until a gateway came
    timeline int,                              -- of the cluster, when a gateway last came; NULL as above
    alive_at timestamptz                       -- when a gateway last left; NULL until then
);
INSERT INTO incarnations (number, why) VALUES (1, '');

-- Counted up in the transaction that is counted, by one connection each: of a process its commits, claims, heartbeats.
CREATE TABLE positions (
    name   text PRIMARY KEY,
    number bigint NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (fillfactor = 50);
ALTER TABLE positions SET (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 200);

ALTER TABLE events ADD incarnation int NOT NULL DEFAULT 1; -- beside id and xid: what a reader of the log remembers

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
