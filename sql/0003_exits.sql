-- oldest program: 2
-- What persons do about a request: close, take over, have it withdrawn; and how each dead delivery ended.

ALTER TABLE requests
    ADD closed     boolean NOT NULL DEFAULT false,
    ADD taken_by   text,                       -- NULL until somebody sees to it
    ADD withdrawal jsonb,                      -- NULL unless the provider is being asked to stop: what then follows
    ADD withdrawn  boolean NOT NULL DEFAULT false, -- the provider will do nothing more with the open units
    ADD CONSTRAINT closed_is_not_pending CHECK (NOT (closed AND pending));

-- "create@1:refused ship@7:undecidable"
UPDATE requests r
SET dead = (
    SELECT string_agg(word || ':' || coalesce(d.why, 'undecidable'), ' ' ORDER BY n)
    FROM unnest(string_to_array(r.dead, ' ')) WITH ORDINALITY AS w(word, n)
    LEFT JOIN dead_deliveries d ON d.request_id = r.id AND d.operation || '@' || d.seq = w.word)
WHERE dead <> '';
