"""The real thing: the demo's traffic with faults, scraped by Prometheus, judged by our rules, told to Alertmanager."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import asyncpg
import pytest

from gateway.demo.run import place
from gateway.settings import Telemetry
from gateway.simulator.newstore_faults import SOME_FAULTS
from gateway.simulator.orders import orders
from gateway.simulator.warehouse import Warehouse
from gateway.telemetry.metrics import DECLARED
from tests.grafana.alerting import Alerting, alertmanager
from tests.grafana.prometheus import Prometheus, prometheus
from tests.grafana.shipped import ALERTS, RECORDED, asked_by_dashboards, needs, spelled_out
from tests.processes import LONG, until
from tests.telemetry.collector import Collector, collecting
from tests.test_road import settled
from tests.world import Road, running

pytestmark = [needs("prometheus", "prometheus-alertmanager"), pytest.mark.timeout(500)]

MAY_BE_EMPTY = {
    "operations: Dead calls, by operation: {{destination}} {{operation}}": "nothing dies in this traffic",
    "destinations: Dead: {{destination}} {{operation}}": "nothing dies in this traffic",
    "road: Last hour beside the same hour of last week: {{location}} last week": "there was no last week",
    "gateway: Room left on the disk: {{instance}}": "the database is not the gateway's own",
    "road: Units, by what became of them: cancelled": "the demo's warehouses cancel nothing",
    "destinations: Operations that end in: {{operation}}": "its NewStore drops nothing",
    "road: Not accepted in time: {{location}} {{provider}}": "its providers have all of the time",
}
"""Expressions that this traffic need not fill, and why."""
UNSEEN = {
    "gateway_free_disk_bytes": "its Postgres is none of the gateway's own",
    "gateway_cancelled_units_total": "the demo's warehouses cancel nothing",
    "gateway_newstore_sunset_timestamp_seconds": "its NewStore drops nothing",
    "gateway_overdue_total": "its providers have all of the time",
}
"""Metrics with labels that this traffic never counts, and why."""
FIRE = {
    "BreakerOpen", "CallbacksRefused", "CallbacksTurnedAway", "ConflictingMessages", "HoldInForce",
    "MostRequestsTurnedAway", "RequestsTurnedAway", "ShipmentsFailed", "StrangersTurnedAway", "Watchdog",
}  # fmt: skip
"""The alerts that this traffic sets off; every other warning may keep quiet."""
PAGES = {"BreakerOpenLong", "MostRequestsTurnedAway", "NoGateway", "ShipmentsFailedRising"}
"""The pages that it may set off in this hurry; NoGateway before the first scrape."""


@dataclass(frozen=True, slots=True)
class Watched:
    road: Road
    prometheus: Prometheus
    alerting: Alerting
    collector: Collector

    async def do(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """As an operator does."""
        headers = {"Authorization": f"Bearer {self.road.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{self.road.internal_url}{path}", json=body) as answer,
        ):
            assert answer.status < 300, await answer.text()
            told: dict[str, Any] = await answer.json()
            return told

    async def send(self, path: str, key: str, body: dict[str, Any]) -> int:
        """As a stranger, or NewStore or a provider in error, does."""
        headers = {"Authorization": f"Bearer {key}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.post(f"{self.road.public_url}{path}", json=body) as answer,
        ):
            return answer.status


@pytest.fixture(scope="module")
async def watched(database: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    connection = await asyncpg.connect(database)
    await connection.execute("TRUNCATE requests, deliveries, dead_deliveries, quarantine, holds, destinations CASCADE")
    await connection.close()
    async with (
        collecting() as collector,
        running(folder, database, SOME_FAULTS, Telemetry(collector.url, 0.5)) as road,
        alertmanager(folder) as alerting,
        prometheus(folder, road.internal_url, alerting.url) as scraping,
    ):
        yield Watched(road, scraping, alerting, collector)


@asynccontextmanager
async def away(warehouse: Warehouse) -> AsyncIterator[None]:
    """Nobody answers at its address while the block runs."""
    port = urlsplit(warehouse.url).port or 0
    await warehouse.stop()
    yield
    await warehouse.start(port=port)


async def misbehave(watched: Watched) -> None:
    """What else comes to a gateway on a bad day."""
    keys, warehouses = watched.road.simulators.keys, watched.road.warehouses
    known = next(each for each in watched.road.newstore.requests.values() if each.location == "DC01")
    order = {**known.body, "order_id": "SO-other"}
    path = "/newstore/DC01/fulfillment_requests"
    for _ in range(5):
        assert await watched.send("/newstore/DC02/fulfillment_requests", "not-the-key-of-this-dc", {}) == 401
        assert await watched.send("/newstore/DC02/fulfillment_requests", keys["DC02_API_KEY"], {"id": 1}) == 400
    assert await watched.send(path, keys["DC01_API_KEY"], known.body) == 200
    assert await watched.send(path, keys["DC01_API_KEY"], order) == 200
    assert await watched.send(path, keys["DC01_API_KEY"], {"id": 1}) == 400
    at = urlsplit(watched.road.gateway.public_url)
    _, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(b"SSH-2.0-nobody\r\n\r\n")
    writer.close()
    mine, other = warehouses["DC01"].name, warehouses["DC02"].name
    assert await watched.send(f"/providers/{mine}/callbacks", "not-the-key", {}) == 401
    line = {"product_id": known.body["items"][0]["product_id"], "quantity": 1}
    parcel = {"carrier": "UPS", "tracking_number": "1Z"}
    said = {"type": "shipped", "fulfillment_request_id": known.id, "items": [line], "shipment": parcel}
    assert await watched.send(f"/providers/{other}/callbacks", keys[f"{other}_CALLBACK_KEY"], said) == 403


async def fired(watched: Watched) -> set[str]:
    """Name the alerts that have fired."""
    rows = await watched.prometheus.rows('count_over_time(ALERTS{alertstate="firing"}[10m])')
    return {row["metric"]["alertname"] for row in rows}


async def _all_fired(watched: Watched) -> bool:
    return await fired(watched) >= FIRE


async def test_a_refused_shipment_is_told_and_taken_back(watched: Watched) -> None:
    """From NewStore's refusal to the webhook within a minute; and from the redrive to the all-clear."""
    road, alerting = watched.road, watched.alerting
    placed = await watched.do("/v1/holds", {"scope": "location", "name": "DC03", "reason": "stocktaking"})
    async with away(road.warehouses["DC02"]):
        await place(road, 90, seed=7)
        road.newstore.fail_next("shipment", "refuse")
        await road.newstore.place(next(orders(8)), "DC01")
        await road.newstore.until(lambda: road.newstore.fault_injector.met["refuse"], LONG)
        refused_at = monotonic()
    alert, at = await alerting.until("tickets", "ShipmentsFailed", "firing", LONG)
    print(f"told {at - refused_at:.1f} s after the refusal")  # noqa: T201 - a figure for grafana/README.md
    assert alert["labels"]["reason"] == "refused"
    assert alert["annotations"]["runbook_url"].startswith("http://localhost:3000/d/gateway-runbooks?viewPanel=")
    assert "error" not in str(alert["annotations"])
    assert "grafana" not in alert["labels"]

    await misbehave(watched)
    await until(partial(_all_fired, watched))
    await watched.do("/v1/redrives", {"reason": "mended at NewStore", "filter": {"status": "failed"}})
    await watched.do(f"/v1/holds/{placed['id']}/release", {"reason": "counted"})
    redriven_at = monotonic()
    _, at = await alerting.until("tickets", "ShipmentsFailed", "resolved", LONG)
    print(f"taken back {at - redriven_at:.1f} s after the redrive")  # noqa: T201 - a figure for grafana/README.md
    await road.newstore.resend()
    await settled(road)


async def test_every_panel_and_annotation_has_an_answer(watched: Watched) -> None:
    empty = set()
    for asked in asked_by_dashboards():
        if not await watched.prometheus.rows(spelled_out(asked.expr)):
            empty.add(asked.where)
    assert empty <= set(MAY_BE_EMPTY), empty - set(MAY_BE_EMPTY)


async def test_every_rule_is_evaluated_and_what_should_be_filled_is(watched: Watched) -> None:
    rules = await watched.prometheus.rules()
    assert {rule["name"] for rule in rules} == {*ALERTS, *RECORDED}
    assert {rule["name"]: rule.get("lastError") for rule in rules if rule["health"] != "ok"} == {}
    filled = {name for name in RECORDED if await watched.prometheus.rows(name)}
    assert set(RECORDED) - filled <= set(MAY_BE_EMPTY)


async def test_the_alerts_that_should_fire_did_and_none_was_written_wrong(watched: Watched) -> None:
    assert await fired(watched) >= FIRE
    paging = await watched.prometheus.rows('ALERTS{alertstate="firing",severity="page"}')
    assert {row["metric"]["alertname"] for row in paging} <= PAGES


async def test_what_is_declared_is_scraped(watched: Watched) -> None:
    missing = set()
    for each in DECLARED:
        name = f"{each.name}_count" if each.kind == "histogram" else each.name
        if not await watched.prometheus.rows(f"count({name})"):
            missing.add(each.name)
    assert missing <= set(UNSEEN)


@pytest.mark.parametrize("histogram", ["gateway_ack_seconds", "gateway_attempt_seconds", "gateway_step_seconds"])
async def test_a_latency_leads_to_a_trace_that_the_collector_has(watched: Watched, histogram: str) -> None:
    """The last span may still be on its way, so that one trace of them is enough."""
    named = {each["trace_id"] for each in await watched.prometheus.exemplars(f"{histogram}_bucket")}
    assert named & {span.trace_id for span in watched.collector.spans}


async def test_only_histograms_that_panels_ask_for_exemplars_have_them(watched: Watched) -> None:
    for asked in asked_by_dashboards():
        has = bool(await watched.prometheus.exemplars(spelled_out(asked.expr)))
        assert has == asked.exemplar, asked
