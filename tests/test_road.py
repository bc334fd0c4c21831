"""The whole road over real HTTP and a real Postgres: NewStore, the gateway, warehouses, and back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from gateway.demo.proof import faults_found, is_settled
from gateway.demo.run import place
from tests.world import Road, running

QUICK = "DC01"


@pytest.fixture
async def road(tmp_path: Path, database: str, pool: asyncpg.Pool) -> AsyncIterator[Road]:
    async with running(tmp_path, database) as road:
        yield road


def order(request_id: str, *products: str) -> dict[str, object]:
    return {
        "id": request_id,
        "order_id": "SO-1",
        "shipping_options": {"carrier": "UPS", "service_level": "GROUND"},
        "items": [{"product_id": product, "extended_attributes": []} for product in products],
    }


async def until(road: Road, reached: Callable[[], Awaitable[object]]) -> None:
    """Look again after each commit of the gateway."""
    committed = asyncio.Event()
    road.gateway.writer.on_batch = lambda _size, _seconds: committed.set()
    async with asyncio.timeout(40):
        while not await reached():
            await committed.wait()
            committed.clear()


async def settled(road: Road) -> None:
    await until(road, lambda: is_settled(road))


async def test_requests_reach_their_warehouses_and_are_proved_at_newstore(road: Road) -> None:
    await place(road, 12)
    await settled(road)

    assert await faults_found(road) == []
    assert len(road.newstore.requests) >= 12


async def test_a_shipment_whose_connection_breaks_after_sending_ships_exactly_once(road: Road) -> None:
    road.newstore.fail_next("shipment", "break_after")
    await road.newstore.place(order("r-aa", "A", "A"), QUICK)
    await settled(road)

    assert road.newstore.requests["r-aa"].counts() == {"shipped": {"A": 2}}
    assert road.newstore.calls["shipment"] == 1
    assert await faults_found(road) == []


async def test_a_shipment_that_failed_before_anything_happened_is_sent_again(road: Road) -> None:
    road.newstore.fail_next("shipment", "500_before")
    await road.newstore.place(order("r-1", "A"), QUICK)
    await settled(road)

    assert road.newstore.requests["r-1"].counts() == {"shipped": {"A": 1}}
    assert road.newstore.calls["shipment"] == 2


async def test_a_refused_shipment_waits_for_a_person(road: Road, pool: asyncpg.Pool) -> None:
    road.newstore.fail_next("shipment", "refuse")
    await road.newstore.place(order("r-1", "A"), QUICK)
    await until(road, lambda: pool.fetchval("SELECT failure FROM requests"))

    assert await pool.fetchval("SELECT failure FROM requests") == "refused"
    assert await pool.fetchval("SELECT fact->>'reason' FROM events WHERE kind = 'units_refused'") == "refused"
