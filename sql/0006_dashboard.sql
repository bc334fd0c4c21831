-- oldest program: 2
-- What the dashboard asks beyond the lists that there are: one DC's requests, and the audit of one kind of act.

CREATE INDEX requests_by_location ON requests (location, received_at DESC, id DESC);
CREATE INDEX audit_by_action ON audit (action, id DESC);
