-- oldest program: 2
-- What a provider said that could not be followed, until it is put right or a person has answered it.

ALTER TABLE requests ADD refused jsonb NOT NULL DEFAULT '[]'; -- message, word and our sentence of each
