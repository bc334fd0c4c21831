-- oldest program: 2
-- Which trace shows a try of an owed call.

ALTER TABLE attempts ADD trace_id text;          -- NULL unless its span was kept
