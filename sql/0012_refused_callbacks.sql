-- oldest program: 2
-- What a provider said that could not be followed, until it is put right or a person has answered it.
-- A fingerprint (of requests, events, quarantine) and the hash of a body name what it says, not how it is spelled.

ALTER TABLE requests ADD refused jsonb NOT NULL DEFAULT '[]'; -- message, word and our sentence of each
