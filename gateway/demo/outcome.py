"""What happened in a demo, as numbers and as a table."""

import statistics
from collections import Counter
from collections.abc import Collection
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table

from gateway.demo.world import World

_COLUMNS = ("received", "units_shipped", "units_rejected", "units_cancelled", "failed", "rerouted")


async def show(console: Console, world: World) -> None:
    """Print what happened as a table."""
    told = await _outcome(world)
    table = Table(title=_title(told["requests"], told["rerouted"]))
    table.add_column("DC")
    for column in _COLUMNS:
        table.add_column(column.replace("_", " "), justify="right")
    for location, row in told["per_dc"].items():
        table.add_row(location, *(str(row.get(column, 0)) for column in _COLUMNS))
    console.print(table)
    console.print(
        f"settled p50 {told['settle_seconds']['p50']} s, p99 {told['settle_seconds']['p99']} s; "
        f"ack p50 {told['ack_ms']['p50']} ms, p99 {told['ack_ms']['p99']} ms; "
        f"{told['newstore_calls_per_request']} NewStore calls per settled request"
    )


def _title(requests: int, rerouted: int) -> str:
    """Say why there are more requests than were sent."""
    total = f"{requests} fulfillment request{'' if requests == 1 else 's'}"
    if not rerouted:
        return total
    return f"{total}: {requests - rerouted} sent, and {rerouted} by which NewStore rerouted rejected units"


async def _outcome(world: World) -> dict[str, Any]:
    kept = await world.requests()
    settling = [_seconds(each) for each in kept if each["settled_at"]]
    rows: dict[str, Counter[str]] = {location: Counter() for location in world.everybody}
    for request in world.newstore.requests.values():
        row = rows[request.location]
        row["received"] += request.delivered
        row["rerouted"] += request.rerouted_to is not None
        for said, products in request.counts().items():
            row[f"units_{said}"] += sum(products.values())
    for each in kept:
        rows[each["location"]]["failed"] += each["failure"] is not None
    calls = world.newstore.calls.total()
    return {
        "per_dc": {location: dict(row) for location, row in rows.items()},
        "requests": len(world.newstore.requests),
        "rerouted": sum(row["rerouted"] for row in rows.values()),
        "settle_seconds": {"p50": _percentile(settling, 50), "p99": _percentile(settling, 99)},
        "ack_ms": {name: _percentile(world.newstore.webhook.ack_ms, n) for name, n in (("p50", 50), ("p99", 99))},
        "newstore_calls_per_request": round(calls / max(1, len(world.newstore.requests)), 2),
    }


def _seconds(request: dict[str, Any]) -> float:
    settled, received = (datetime.fromisoformat(request[name]) for name in ("settled_at", "received_at"))
    return (settled - received).total_seconds()


def _percentile(values: Collection[float], percent: int) -> float:
    """Give a percentile, 0 for none."""
    if len(values) < 2:
        return round(next(iter(values), 0.0), 1)
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 1)
