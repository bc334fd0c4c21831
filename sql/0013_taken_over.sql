-- oldest program: 2
-- A call that was taken over from a process that is gone is looked for at once, and may arrive for a while yet.

ALTER TABLE deliveries ADD sure_at timestamptz;  -- NULL unless taken over; before then its absence proves nothing
