"""What `/metrics` tells of the database: one statement over the partial indexes of what is open, never over the log."""

import asyncio
import os
from collections.abc import Collection, Iterator
from time import monotonic, perf_counter

import asyncpg

from gateway.domain.deliveries import AT_PROVIDER, NEWSTORE, READ_BACK, WRITES, Operation
from gateway.domain.waiting import FAILURES
from gateway.ledger.database.connections import DATABASE_AWAY
from gateway.ledger.queue import holds
from gateway.settings import Settings
from gateway.telemetry import metrics
from gateway.telemetry.logs import log

_FRESH = 5.0  # seconds for which the numbers are not read again
_PATIENCE = 1.0  # seconds that a scrape waits for them
_GIVE_UP = 5.0  # seconds after which the statement is given up

# The queue fills and empties more quickly than anybody counts it for the planner, and all that is read in order has an
# index in that order: only one that walks it can stop early.
ALONG_INDEXES = """
SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off; SET LOCAL enable_sort = off; SET LOCAL jit = off;
SET LOCAL max_parallel_workers_per_gather = 0
"""
# Each row is one series: the gauge, its labels and its value. An age counts from the last word on a request where
# somebody has to move, and from its receipt elsewhere. All that is pending is counted, from the index alone; what
# waits is counted lane by lane, and in each no further than an operator needs to know.
_NUMBERS = """
WITH open AS MATERIALIZED (
    SELECT location, provider, count(*) AS count, min(received_at) AS since
    FROM requests WHERE pending GROUP BY location, provider
), failed AS MATERIALIZED (
    SELECT location, provider, failure, count(*) AS count, min(changed_at) AS since
    FROM requests WHERE failure IS NOT NULL GROUP BY location, provider, failure
), rejected AS MATERIALIZED (
    SELECT location, provider, count(*) AS count,
        min(changed_at) FILTER (WHERE ' ' || units LIKE '% o%') AS since
    FROM requests WHERE rejected GROUP BY location, provider
), unaccepted AS MATERIALIZED (
    SELECT open.location, first.received_at AS since FROM open CROSS JOIN LATERAL (
        SELECT received_at FROM requests r
        WHERE pending AND r.location = open.location AND r.provider = open.provider
            AND accepted_at IS NULL AND ' ' || units LIKE '% o%'
        ORDER BY received_at LIMIT 1
    ) first
), unroutable AS (
    SELECT location, count FROM open WHERE provider IS NULL
    UNION ALL
    SELECT open.location, unserved.count FROM open CROSS JOIN LATERAL (
        SELECT count(*) AS count FROM requests r
        WHERE pending AND r.location = open.location AND r.provider = open.provider AND ' ' || units LIKE '% o%'
    ) unserved
    WHERE open.provider <> ALL($2::text[])
), since AS (
    SELECT 'gateway_oldest_pending_seconds' AS name, location, since FROM open
    UNION ALL SELECT 'gateway_oldest_failed_seconds', location, since FROM failed
    UNION ALL SELECT 'gateway_oldest_unaccepted_seconds', location, since FROM unaccepted
    UNION ALL SELECT 'gateway_sibling_wait_seconds', location, since FROM rejected
), unverified AS MATERIALIZED (
    SELECT sum(regexp_count(' ' || units, ' su')) AS ship, sum(regexp_count(' ' || units, ' ru')) AS reject,
        sum(regexp_count(' ' || units, ' cu')) AS cancel
    FROM requests WHERE failure IS NOT NULL AND NOT closed
), waiting AS MATERIALIZED (
    SELECT destination, sum(due.count) AS count, min(due.since) AS since
    FROM lanes CROSS JOIN LATERAL (
        SELECT count(*) AS count, min(due_at) AS since FROM (
            SELECT due_at FROM deliveries d
            WHERE ready AND owner IS NULL AND d.destination = lanes.destination AND d.location = lanes.location
                AND d.urgency = lanes.urgency AND due_at <= statement_timestamp()
            ORDER BY due_at LIMIT 5000
        ) first
    ) due
    WHERE due.count > 0 GROUP BY destination
), hold AS MATERIALIZED (
    SELECT scope, CASE scope WHEN 'request' THEN '' ELSE name END AS name, who, at, expires_at FROM holds
    WHERE released_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp())
), comparison AS (
    SELECT
        (SELECT count(*) FROM requests WHERE restored AND compared = newest.id) AS asked,
        (SELECT count(*) FROM requests WHERE restored AND pending AND compared < newest.id) AS unasked,
        (SELECT count(DISTINCT d.request_id) FROM deliveries d JOIN requests r ON r.id = d.request_id
            WHERE d.is_read AND d.seq > 0 AND d.operation <> 'read_order'
                AND r.restored AND r.compared = newest.id) AS under_way
    FROM (SELECT id FROM holds WHERE scope = 'everything' AND who = $3 ORDER BY id DESC LIMIT 1) newest
), quarantined AS MATERIALIZED (
    SELECT source, count(*) AS count, min(at) AS since FROM quarantine WHERE resolved_at IS NULL GROUP BY source
)
SELECT name, labels, value::float8 FROM (
    SELECT 'pending_shipments', ARRAY[location, coalesce(provider, 'none')], count FROM open
    UNION ALL
    SELECT 'failed_shipments', ARRAY[location, coalesce(provider, 'none'), failure], count FROM failed
    UNION ALL
    SELECT 'rejected_shipments', ARRAY[location, coalesce(provider, 'none')], count FROM rejected
    UNION ALL
    SELECT 'gateway_unroutable_requests', ARRAY[location], sum(count) FROM unroutable GROUP BY location
    UNION ALL
    SELECT name, ARRAY[location], greatest(0, extract(epoch FROM clock_timestamp() - min(since)))
    FROM since WHERE since IS NOT NULL GROUP BY name, location
    UNION ALL
    SELECT 'gateway_unverified', ARRAY[each.operation], each.units
    FROM unverified CROSS JOIN LATERAL (VALUES ('ship', ship), ('reject', reject), ('cancel', cancel)
    ) AS each(operation, units)
    WHERE each.units IS NOT NULL
    UNION ALL
    SELECT 'gateway_waiting_deliveries', ARRAY[destination], count FROM waiting
    UNION ALL
    SELECT 'gateway_oldest_waiting_seconds', ARRAY[destination], extract(epoch FROM clock_timestamp() - since)
    FROM waiting
    UNION ALL
    SELECT 'gateway_claimed_deliveries', ARRAY[destination], count(*)
    FROM deliveries WHERE owner IS NOT NULL GROUP BY destination
    UNION ALL
    SELECT 'gateway_dead_deliveries', ARRAY[destination, operation], count(*)
    FROM dead_deliveries GROUP BY destination, operation
    UNION ALL
    SELECT 'gateway_breaker_open', ARRAY[name], is_open::int FROM destinations
    UNION ALL
    SELECT 'gateway_budget_left', ARRAY[name, each.budget], each.calls
    FROM destinations CROSS JOIN LATERAL (VALUES ('second', tokens), ('five_minutes', five_minute_tokens)
    ) AS each(budget, calls)
    UNION ALL
    SELECT each.name, ARRAY[provider], each.seconds
    FROM polls CROSS JOIN LATERAL (VALUES
        ('gateway_poll_age_seconds', greatest(0, extract(epoch FROM clock_timestamp() - coalesce(polled_at, since)))),
        ('gateway_poll_interval_seconds', every)
    ) AS each(name, seconds)
    WHERE due_at < 'infinity' AND provider = ANY($2::text[])
    UNION ALL
    SELECT 'gateway_holds_active', ARRAY[scope, name], count(*) FROM hold GROUP BY scope, name
    UNION ALL
    SELECT 'gateway_oldest_hold_seconds', ARRAY[scope, name],
        greatest(0, extract(epoch FROM clock_timestamp() - min(at)))
    FROM hold WHERE expires_at IS NULL GROUP BY scope, name
    UNION ALL
    SELECT DISTINCT 'gateway_brake_tripped', ARRAY[name], 1 FROM hold WHERE scope = 'rejections' AND who = $1
    UNION ALL
    SELECT 'gateway_own_holds', ARRAY[scope, name], 1
    FROM hold WHERE scope IN ('destination', 'operation') AND who = $1 OR scope = 'everything' AND who = $3
    UNION ALL
    SELECT 'gateway_quarantined', ARRAY[source], count FROM quarantined
    UNION ALL
    SELECT 'gateway_unmapped_waiting', ARRAY[destination, 'orders'], count(*)
    FROM deliveries WHERE unmapped IS NOT NULL GROUP BY destination
    UNION ALL
    SELECT 'gateway_unmapped_waiting', ARRAY[source, 'messages'], count(*)
    FROM quarantine WHERE reason = 'unmapped' AND resolved_at IS NULL GROUP BY source
    UNION ALL
    SELECT 'gateway_oldest_quarantined_seconds', ARRAY[source],
        greatest(0, extract(epoch FROM clock_timestamp() - since))
    FROM quarantined
    UNION ALL
    SELECT 'gateway_restored_requests', ARRAY[each.state], each.requests
    FROM comparison CROSS JOIN LATERAL (VALUES ('compared', asked - under_way), ('uncompared', unasked + under_way)
    ) AS each(state, requests)
    UNION ALL
    SELECT 'gateway_default_partition_rows', ARRAY['events'], (
        SELECT count(*) FROM (SELECT FROM events_default LIMIT 1000) found)
    UNION ALL
    SELECT 'gateway_default_partition_rows', ARRAY['attempts'], (
        SELECT count(*) FROM (SELECT FROM attempts_default LIMIT 1000) found)
    UNION ALL
    SELECT 'gateway_default_partition_rows', ARRAY['payloads'], (
        SELECT count(*) FROM (SELECT FROM payloads_default LIMIT 1000) found)
    UNION ALL
    SELECT 'gateway_processes', ARRAY[]::text[], count(*)
    FROM processes WHERE heartbeat_at > clock_timestamp() - interval '10 s'
    UNION ALL
    SELECT 'gateway_database_bytes', ARRAY[]::text[], pg_database_size(current_database())
    UNION ALL
    SELECT 'gateway_connections_left', ARRAY[]::text[], greatest(0, most - kept - (
        -- of others' sessions a role without privileges is told no more than that they are there
        SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' OR backend_type IS NULL AND usesysid IS NOT NULL))
    FROM (SELECT current_setting('max_connections')::int AS most,
        current_setting('superuser_reserved_connections')::int
            + coalesce(current_setting('reserved_connections', true), '0')::int AS kept) server
) AS series(name, labels, value)
"""

Series = tuple[str, tuple[str, ...]]


async def read(
    connection: asyncpg.pool.PoolConnectionProxy | asyncpg.Connection, providers: Collection[str]
) -> dict[Series, float]:
    """Read every series of the database; `providers` are those of the settings."""
    async with connection.transaction(readonly=True):
        await connection.execute(ALONG_INDEXES)
        rows = await connection.fetch(_NUMBERS, holds.BRAKE, list(providers), holds.RESTORE, timeout=_GIVE_UP)
    return {(row["name"], tuple(row["labels"])): row["value"] for row in rows}


class Numbers:
    """The last numbers of the database, read when somebody asks and at most every few seconds."""

    def __init__(self, pool: asyncpg.Pool, settings: Settings) -> None:
        self._pool = pool
        self._settings = settings
        self._own = None if settings.database.url is not None else settings.database.data_dir
        self._reading: asyncio.Task[None] | None = None
        self._read_at = float("-inf")

    async def refresh(self) -> None:
        """Bring the gauges up to date; a database that does not answer leaves them as they are and says so."""
        if monotonic() - self._read_at >= _FRESH:
            if self._reading is None:
                self._reading = asyncio.create_task(self._read())
            # A task of its own: what is cancelled waits for the database again, to give the connection back.
            await asyncio.wait({self._reading}, timeout=_PATIENCE)
        age = monotonic() - self._read_at
        metrics.DATABASE_UP.set(self._reading is None and age < _FRESH)
        metrics.NUMBERS_AGE.set(age)
        size, idle = self._pool.get_size(), self._pool.get_idle_size()
        metrics.POOL_CONNECTIONS.labels("idle").set(idle)
        metrics.POOL_CONNECTIONS.labels("busy").set(size - idle)
        if self._own is not None:
            disk = os.statvfs(self._own)
            metrics.FREE_DISK.labels(str(self._own)).set(disk.f_bavail * disk.f_frsize)

    async def close(self) -> None:
        """Give up what is being read."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading}, timeout=_PATIENCE)

    async def _read(self) -> None:
        try:
            asked = perf_counter()
            async with self._pool.acquire(timeout=_GIVE_UP) as connection:
                began = perf_counter()
                found = await read(connection, self._settings.providers)
                took = perf_counter() - began
            self._show(found)
            metrics.POOL_WAIT.set(began - asked)
            metrics.NUMBERS_SECONDS.set(took)
            self._read_at = monotonic()
        except (*DATABASE_AWAY, asyncpg.PostgresError) as error:
            log("numbers.unread", error)
        finally:
            self._reading = None

    def _show(self, found: dict[Series, float]) -> None:
        for gauge in metrics.NUMBERS.values():
            gauge.clear()
        for (name, labels), value in {**dict.fromkeys(_always(self._settings), 0.0), **found}.items():
            gauge = metrics.NUMBERS[name]
            (gauge.labels(*labels) if labels else gauge).set(value)


def _always(settings: Settings) -> Iterator[Series]:
    """The series that are shown although they are zero, so that an alert can tell nothing from unknown."""
    for location in settings.locations.values():
        served = (location.id, location.provider or metrics.NO_PROVIDER)
        yield from (("pending_shipments", served), ("rejected_shipments", served))
        yield from (("failed_shipments", (*served, reason)) for reason in FAILURES)
        for name in (
            "gateway_unroutable_requests", "gateway_oldest_pending_seconds", "gateway_oldest_failed_seconds",
            "gateway_oldest_unaccepted_seconds", "gateway_sibling_wait_seconds", "gateway_brake_tripped",
        ):  # fmt: skip
            yield name, (location.id,)
    for destination in (NEWSTORE, *settings.providers):
        for name in (
            "gateway_waiting_deliveries", "gateway_oldest_waiting_seconds", "gateway_claimed_deliveries",
            "gateway_breaker_open",
        ):  # fmt: skip
            yield name, (destination,)
        yield "gateway_own_holds", ("destination", destination)
        for operation in Operation:
            if (operation in AT_PROVIDER) == (destination != NEWSTORE):
                yield "gateway_dead_deliveries", (destination, operation)
    for provider in settings.providers:
        yield from (("gateway_unmapped_waiting", (provider, what)) for what in ("orders", "messages"))
    for source in (*settings.providers, *(f"newstore:{location}" for location in settings.locations)):
        yield from (("gateway_quarantined", (source,)), ("gateway_oldest_quarantined_seconds", (source,)))
    yield from (("gateway_own_holds", ("operation", operation)) for operation in WRITES)
    yield "gateway_own_holds", ("everything", "")
    for scope in holds.SCOPES:
        yield from (("gateway_holds_active", (scope, "")), ("gateway_oldest_hold_seconds", (scope, "")))
    yield from (("gateway_unverified", (operation,)) for operation in READ_BACK)
    yield from (("gateway_restored_requests", (state,)) for state in ("compared", "uncompared"))
