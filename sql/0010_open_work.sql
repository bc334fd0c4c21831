-- oldest program: 2
-- What is asked while much is open: counts come from an index alone, and what may pass a held call is looked for among
-- those that stand behind one.

CREATE INDEX requests_open ON requests (location, provider, received_at) WHERE pending;
CREATE INDEX requests_taken ON requests (taken_by) WHERE taken_by IS NOT NULL AND (pending OR failure IS NOT NULL);
CREATE INDEX deliveries_behind ON deliveries (destination, location, urgency) WHERE NOT ready;

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
