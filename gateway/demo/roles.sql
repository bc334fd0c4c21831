-- The image of Postgres runs this once, over an empty volume: the role that `gateway serve` runs as. The owner of the
-- tables grants it the rest, see sql/grants.sql.
\set password `cat /run/secrets/serve_password`
CREATE ROLE gateway_serve LOGIN PASSWORD :'password';
