"""What is going on, as numbers: open work, its causes, how fast it goes, and what waits for each destination."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from asyncpg import Pool, Record

from gateway.ledger.queue import comparison, destinations, holds
from gateway.ledger.queue.destinations import Destination
from gateway.ledger.queue.holds import Hold

from .database_metrics import ALONG_INDEXES
from .reading import reading

_NEWEST = 5_000
_BUCKETS = 30
_WIDTHS = (10, 60, 300, 900, 3_600)

# Each part is read from an index of its own; every rejected request is pending.
_OPEN = """
SELECT location, provider, NULL AS failure, count(*) AS pending, 0 AS rejected, 0 AS failed, 0 AS newly_failed,
    min(received_at) AS oldest_pending
FROM requests WHERE pending GROUP BY location, provider
UNION ALL
SELECT location, provider, failure, 0, 0, count(*), count(*) FILTER (WHERE changed_at >= $1), NULL
FROM requests WHERE failure IS NOT NULL GROUP BY location, provider, failure
UNION ALL
SELECT location, provider, NULL, 0, count(*), 0, 0, NULL
FROM requests WHERE rejected GROUP BY location, provider
ORDER BY location, provider
"""
_TAKEN = """
SELECT taken_by, count(*) AS requests FROM requests
WHERE taken_by IS NOT NULL AND (pending OR failure IS NOT NULL) GROUP BY taken_by ORDER BY taken_by
"""
_BESIDE = """
SELECT (SELECT count(*) FROM quarantine WHERE resolved_at IS NULL) AS quarantined,
    (SELECT count(*) FROM dead_deliveries) AS dead_deliveries,
    (SELECT coalesce(array_agg(name ORDER BY name), '{}') FROM destinations WHERE is_open) AS shut
"""
_CAUSES = """
SELECT r.failure, r.location, r.provider, d.operation, d.why, count(DISTINCT r.id) AS requests,
    min(r.changed_at) AS oldest, max(r.changed_at) AS newest,
    count(DISTINCT r.id) FILTER (WHERE r.taken_by IS NULL) AS untaken,
    min(left(coalesce(d.detail, r.refused -> -1 ->> 'detail'), 300)) AS said
FROM requests r
LEFT JOIN dead_deliveries d ON d.request_id = r.id AND r.failure = 'dead_' || d.operation
WHERE r.failure IS NOT NULL
GROUP BY r.failure, r.location, r.provider, d.operation, d.why
ORDER BY requests DESC, r.failure, r.location
LIMIT 500
"""
_SPEEDS = """
WITH newest AS MATERIALIZED (
    SELECT location, received_at, accepted_at, shipped_at FROM requests
    WHERE received_at > now() - interval '24 hours' ORDER BY received_at DESC, id DESC LIMIT $1)
SELECT location, count(*) AS received, count(accepted_at) AS accepted, count(shipped_at) AS shipped,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM accepted_at - received_at)) AS accept_p50,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM accepted_at - received_at)) AS accept_p90,
    percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM shipped_at - received_at)) AS ship_p50,
    percentile_cont(0.9) WITHIN GROUP (ORDER BY extract(epoch FROM shipped_at - received_at)) AS ship_p90,
    min(received_at) AS oldest, now() AS now
FROM newest GROUP BY location ORDER BY location
"""
_FLOW = """
WITH newest AS MATERIALIZED (
    SELECT location, received_at, shipped_at FROM requests
    WHERE received_at > now() - interval '24 hours' ORDER BY received_at DESC, id DESC LIMIT $1
), moments AS (
    SELECT location, received_at AS at, 1 AS received, 0 AS shipped FROM newest
    UNION ALL SELECT location, shipped_at, 0, 1 FROM newest WHERE shipped_at IS NOT NULL)
SELECT date_bin(make_interval(secs => $2), at, 'epoch') AS at, location, sum(received)::int AS received,
    sum(shipped)::int AS shipped
FROM moments GROUP BY 1, 2 ORDER BY 1, 2
"""
_WAITING = """
SELECT destination, sum(least(waiting.count, 5000))::int AS waiting, bool_or(waiting.count > 5000) AS more_waiting,
    min(waiting.since) AS oldest_due
FROM lanes CROSS JOIN LATERAL (
    SELECT count(*) AS count, min(due_at) AS since FROM (
        SELECT due_at FROM deliveries d
        WHERE ready AND owner IS NULL AND d.destination = lanes.destination AND d.location = lanes.location
            AND d.urgency = lanes.urgency
        ORDER BY due_at LIMIT 5001
    ) first
) waiting
GROUP BY destination
"""
_IN_FLIGHT = "SELECT destination, count(*) AS in_flight FROM deliveries WHERE owner IS NOT NULL GROUP BY destination"
_POLLS = """
SELECT provider, every AS every_seconds, due_at, polled_at, failing_since, detail FROM polls WHERE due_at < 'infinity'
"""


@dataclass(frozen=True, slots=True)
class Queue:
    """What one destination is to be told: calls that wait, calls in flight, and its shared state."""

    waiting: int
    more_waiting: bool
    """There are more than `waiting`: one DC has so many of one urgency that they were not all counted."""
    oldest_due: datetime | None
    in_flight: int
    state: Destination | None
    poll: dict[str, Any] | None


async def summary(pool: Pool, since: datetime) -> tuple[dict[str, Any], list[Hold]]:
    """Count what is open, per location and provider, and name what else may need a person."""
    async with reading(pool) as connection:
        rows = await connection.fetch(_OPEN, since)
        taken = await connection.fetch(_TAKEN)
        (beside,) = await connection.fetch(_BESIDE)
        held = await holds.active(connection)
        compared = await comparison.progress(connection)
    counts = {
        "locations": _by_place(rows),
        "newly_failed": sum(row["newly_failed"] for row in rows),
        "taken": {row["taken_by"]: row["requests"] for row in taken},
        "comparison": compared,
        **beside,
    }
    return counts, held


async def causes(pool: Pool) -> list[dict[str, Any]]:
    """Group the requests that failed by why, and where."""
    async with reading(pool) as connection:
        return [dict(row) for row in await connection.fetch(_CAUSES)]


async def trends(pool: Pool) -> dict[str, Any]:
    """Tell how fast the newest requests of the last day went, and how many came and left over time."""
    async with reading(pool) as connection:
        speeds = [dict(row) for row in await connection.fetch(_SPEEDS, _NEWEST)]
        oldest = min((row.pop("oldest") for row in speeds), default=None)
        now = [row.pop("now") for row in speeds]
        width = _width((now[0] - oldest).total_seconds()) if oldest else _WIDTHS[0]
        flow = await connection.fetch(_FLOW, _NEWEST, width)
    return {"since": oldest, "bucket_seconds": width, "speeds": speeds, "flow": [dict(row) for row in flow]}


async def queues(pool: Pool, names: Iterable[str]) -> dict[str, Queue]:
    """Tell what waits for each destination."""
    async with reading(pool) as connection:
        await connection.execute(ALONG_INDEXES)
        waiting = {row["destination"]: row for row in await connection.fetch(_WAITING)}
        in_flight = {row["destination"]: row["in_flight"] for row in await connection.fetch(_IN_FLIGHT)}
        states = {each.name: each for each in await destinations.every(connection)}
        asked = {each.pop("provider"): each for each in map(dict, await connection.fetch(_POLLS))}
    return {
        name: _queue(waiting.get(name), in_flight.get(name, 0), states.get(name), asked.get(name)) for name in names
    }


def _queue(waiting: Record | None, in_flight: int, state: Destination | None, poll: dict[str, Any] | None) -> Queue:
    if waiting is None:
        return Queue(0, more_waiting=False, oldest_due=None, in_flight=in_flight, state=state, poll=poll)
    return Queue(waiting["waiting"], waiting["more_waiting"], waiting["oldest_due"], in_flight, state, poll)


def _by_place(rows: Iterable[Record]) -> list[dict[str, Any]]:
    places: dict[tuple[str, str | None], dict[str, Any]] = {}
    for row in rows:
        place = places.setdefault(
            (row["location"], row["provider"]),
            {"pending": 0, "failed": 0, "rejected": 0, "unroutable": 0, "oldest_pending": None, "failures": Counter()},
        )
        for name in ("pending", "failed", "rejected"):
            place[name] += row[name]
        if row["provider"] is None:
            place["unroutable"] += row["pending"]
        if row["failure"] is not None:
            place["failures"][row["failure"]] += row["failed"]
        oldest = [each for each in (place["oldest_pending"], row["oldest_pending"]) if each]
        place["oldest_pending"] = min(oldest, default=None)
    return [{"location": location, "provider": provider, **found} for (location, provider), found in places.items()]


def _width(seconds: float) -> int:
    return next((width for width in _WIDTHS if seconds / width <= _BUCKETS), _WIDTHS[-1])
