"""A log of some 5,000 requests a day that reaches back far or not, with the same open work."""

import asyncpg

OPEN = 2_000

_FILL = """
INSERT INTO requests (id, month, location, order_id, service_level, reference, provider, assignment, fingerprint,
    products, units, version, received_at, changed_at, submitted_at, accepted_at, shipped_at, settled_at, pending,
    failure, rejected, shipped, cancelled, taken_by)
SELECT 'r-' || n, '2026-01-01', 'DC' || lpad((n % 20)::text, 2, '0'), 'SO-' || n / 2,
    CASE WHEN n % 4 = 0 THEN 'EXPRESS' ELSE 'GROUND' END, 'NS' || n, 'wms-' || n % 5, 1, md5(n::text),
    jsonb_build_array('SKU-' || n % 5000), 'sp3.5', 9, at, at + '1 hour', at + '1 s', at + '5 s', at + '30 min',
    CASE WHEN is_open THEN NULL ELSE at + '1 hour' END, is_open,
    CASE WHEN is_open AND n % 4 = 0 THEN (ARRAY['refused', 'dead_create', 'unverified'])[n / 4 % 3 + 1] END,
    is_open AND n % 4 = 1, NOT is_open, NOT is_open AND n % 50 = 0, CASE WHEN is_open AND n % 8 = 0 THEN 'otto' END
FROM (SELECT n, n <= $2 AS is_open,
        now() - interval '17 s' * n AS at
    FROM generate_series(1, $1::int) n) AS numbered
"""
_KEYS = """
INSERT INTO request_keys SELECT 'r-' || n, 'tracking_code', '1Z' || n FROM generate_series(1, $1::int) n
"""
_DEAD = """
INSERT INTO dead_deliveries
SELECT id, 'create', 1, provider, location, 9, now(), 'exhausted', 'no route to host' FROM requests
WHERE failure = 'dead_create' ON CONFLICT DO NOTHING
"""
_AUDIT = """
INSERT INTO audit (who, action, subject, reason, outcome)
SELECT 'person-' || n % 30, (ARRAY['redrive', 'note', 'take'])[n % 3 + 1], 'r-' || n, 'because', 'done'
FROM generate_series(1, $1::int) n
"""
_INDEXES = """
SELECT indexname, indexdef FROM pg_indexes
WHERE tablename IN ('requests', 'request_keys', 'audit') AND indexname NOT LIKE '%_pkey' AND indexname NOT LIKE '%_key'
"""


# No index that is made over what others have left there is used while a transaction runs that is older: not even that
# of a process which counts rows for the planner. In a new file nothing is left.
_BEGIN_ANEW = "TRUNCATE requests, request_keys, audit, dead_deliveries"


async def fill(connection: asyncpg.Connection, size: int) -> None:
    """Make a log of so many requests, the newest of them open."""
    await connection.execute(_BEGIN_ANEW)
    indexes = await connection.fetch(_INDEXES)
    for each in indexes:
        await connection.execute(f"DROP INDEX {each['indexname']}")
    for statement, arguments in ((_FILL, (size, OPEN)), (_KEYS, (size,)), (_AUDIT, (size // 10,)), (_DEAD, ())):
        await connection.execute(statement, *arguments, timeout=None)
    for each in indexes:
        await connection.execute(each["indexdef"], timeout=None)
    for table in ("requests", "request_keys", "audit", "dead_deliveries"):
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=None)
