-- oldest program: 2
-- What NewStore's answers teach of its API: where it shows a kind of report, what it has retired, and what its firewall
-- turns away.

-- Where this tenant shows what became of a kind of report, or that it shows that nowhere.
CREATE TABLE read_backs (
    operation text PRIMARY KEY,
    path      text,                            -- NULL where none of the known ones is there
    at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

ALTER TABLE deliveries
    ADD blocks int NOT NULL DEFAULT 0;         -- tries that were turned away while other calls passed

ALTER TABLE destinations
    ADD wait float8 NOT NULL DEFAULT 600;      -- seconds that it asked for last; a program of before knows no longer ones

ALTER TABLE holds
    DROP CONSTRAINT scope_is_known,
    ADD CONSTRAINT scope_is_known CHECK (
        scope IN ('everything', 'destination', 'location', 'request', 'rejections', 'operation'));
CREATE UNIQUE INDEX holds_one_of_the_gateway ON holds (scope, name)
    WHERE scope IN ('destination', 'operation') AND who = 'gateway' AND released_at IS NULL;
