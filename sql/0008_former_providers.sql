-- oldest program: 2
-- Which providers a request was taken from: one that knows its id takes a new order for the old one, and never ships it.

ALTER TABLE requests ADD former text[] NOT NULL DEFAULT '{}';

UPDATE requests r
SET former = (
    SELECT array_agg(e.fact ->> 'provider' ORDER BY e.version)
    FROM events e
    WHERE e.month = r.month AND e.request_id = r.id AND e.kind IN ('request_received', 'provider_assigned')
        AND e.fact ->> 'provider' <> r.provider)
WHERE assignment > 1;
