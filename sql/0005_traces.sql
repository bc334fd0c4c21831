-- oldest program: 2
-- Where the trace of a request began, so that what happens days later can be linked to it.

ALTER TABLE requests ADD trace text;             -- NULL unless the request is traced; a `traceparent`
