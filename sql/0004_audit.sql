-- oldest program: 2
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

CREATE INDEX quarantine_unresolved ON quarantine (id) WHERE resolved_at IS NULL;
