-- oldest program: 2
-- What a restore has left open is compared with NewStore once, when the hold that kept everything back is released.

ALTER TABLE requests
    ADD compared bigint NOT NULL DEFAULT 0,    -- the hold after whose release it was; 0 where it never was
    ADD untold   int[] NOT NULL DEFAULT '{}';  -- units that NewStore showed beyond the log, until the provider tells them

CREATE INDEX requests_restored ON requests (compared) WHERE restored;
CREATE INDEX requests_to_compare ON requests (compared, received_at DESC) WHERE restored AND pending;
CREATE INDEX deliveries_asked ON deliveries (request_id) WHERE is_read AND seq > 0;
