-- oldest program: 2
-- The log may lack what was sent of these requests: whatever they owe is looked for before it is sent.

ALTER TABLE requests ADD restored boolean NOT NULL DEFAULT false;
