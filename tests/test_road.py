"""The whole road over real HTTP and a real Postgres: NewStore, the gateway, warehouses, and back."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from gateway.demo.proof import faults_found, is_settled
from gateway.demo.run import place
from gateway.domain.acts.again import Recheck, Redrive
from gateway.domain.acts.ending import DiscardReports
from gateway.domain.acts.leaving import RejectByHand, Reroute
from gateway.domain.commands import RejectionReason, Word
from gateway.ledger.queue import holds
from gateway.ledger.read import request_reads
from gateway.simulator.warehouse_temperament import Temperament
from tests.processes import LONG
from tests.requests import said
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
    async with asyncio.timeout(LONG):
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


def by_ada(action_id: str) -> dict[str, Any]:
    return {"request_id": "r-1", "at": datetime.now(UTC), "who": "ada", "action_id": action_id, "reason": "no power"}


async def kinds(pool: asyncpg.Pool) -> list[str]:
    found: list[str] = await pool.fetchval(
        "SELECT array_agg(kind ORDER BY version) FROM events WHERE request_id = 'r-1'"
    )
    return found


async def test_a_refused_shipment_is_rechecked_without_a_call_and_redriven_with_one(
    road: Road, pool: asyncpg.Pool
) -> None:
    road.newstore.fail_next("shipment", "refuse")
    await road.newstore.place(order("r-1", "A"), QUICK)
    await until(road, lambda: pool.fetchval("SELECT failure FROM requests"))

    await road.gateway.writer.apply(Recheck(**by_ada("look"), can_look_up=True))
    await until(road, lambda: pool.fetchval("SELECT fact FROM events WHERE kind = 'rechecked'"))
    assert road.newstore.calls["shipment"] == 1
    assert await pool.fetchval("SELECT failure FROM requests") == "refused"

    await road.gateway.writer.apply(Redrive(**by_ada("again")))
    await settled(road)
    assert road.newstore.requests["r-1"].counts() == {"shipped": {"A": 1}}
    assert road.newstore.calls["shipment"] == 2
    assert await faults_found(road) == []


async def test_a_request_is_withdrawn_at_its_provider_and_shipped_by_another(road: Road, pool: asyncpg.Pool) -> None:
    quick, other = road.warehouses[QUICK], road.warehouses["DC02"]
    quick.temperament, other.temperament = Temperament(pause=(30, 30)), Temperament()
    await road.newstore.place(order("r-1", "A", "B"), QUICK)
    await until(road, lambda: pool.fetchval("SELECT submitted_at FROM requests"))

    await road.gateway.writer.apply(Reroute(**by_ada("away"), to=other.name, can_withdraw=True))
    await settled(road)

    assert quick.record()["orders"]["r-1"]["withdrawn"]
    assert quick.calls["withdraw"] == 1
    shipped = {"shipped": {"A": 1, "B": 1}}
    assert other.record()["orders"]["r-1"]["counts"] == road.newstore.requests["r-1"].counts() == shipped
    request = await request_reads.request(pool, "r-1")
    assert request is not None
    assert other.orders["r-1"].references == [f"{request.reference}-2"]
    assert request.failure is None


async def test_what_is_withdrawn_is_rejected_and_goes_to_another_dc(road: Road, pool: asyncpg.Pool) -> None:
    road.warehouses[QUICK].temperament = Temperament(pause=(30, 30))
    road.warehouses["DC02"].temperament = Temperament()
    await road.newstore.place(order("r-1", "A"), QUICK)
    await until(road, lambda: pool.fetchval("SELECT submitted_at FROM requests"))

    reason = RejectionReason.CANNOT_FULFILL
    await road.gateway.writer.apply(RejectByHand(**by_ada("no"), rejection_reason=reason, can_withdraw=True))
    await settled(road)

    assert road.newstore.requests["r-1"].counts() == {"rejected": {"A": 1}}
    successor = road.newstore.requests["r-1"].rerouted_to
    assert successor is not None
    assert road.newstore.requests[successor].counts() == {"shipped": {"A": 1}}


async def test_an_order_that_is_shipping_already_stays_and_is_shipped_once(road: Road, pool: asyncpg.Pool) -> None:
    quick = road.warehouses[QUICK]
    quick.temperament = Temperament(says_backwards=1.0)
    url, quick.callback.url = quick.callback.url, "http://127.0.0.1:9/nobody"
    await road.newstore.place(order("r-1", "A"), QUICK)
    await until(road, lambda: pool.fetchval("SELECT submitted_at FROM requests"))
    await quick.until(lambda: quick.attempts)

    await road.gateway.writer.apply(Reroute(**by_ada("away"), to=road.warehouses["DC02"].name, can_withdraw=True))
    await until(road, lambda: pool.fetchval("SELECT count(*) FROM events WHERE kind = 'withdrawal_refused'"))
    quick.callback.url = url
    await settled(road)

    assert road.newstore.requests["r-1"].counts() == {"shipped": {"A": 1}}
    assert "r-1" not in road.warehouses["DC02"].orders
    assert await faults_found(road) == []


async def test_a_dead_order_that_the_provider_has_is_found_by_a_recheck(road: Road, pool: asyncpg.Pool) -> None:
    quick = road.warehouses[QUICK]
    quick.temperament = Temperament(pause=(30, 30))
    await road.newstore.place(order("r-1", "A"), QUICK)
    await until(road, lambda: pool.fetchval("SELECT submitted_at FROM requests"))
    # As if the answer had never come, and the last try had left its outcome open.
    await pool.execute(
        "UPDATE requests SET dead = 'create@1:undecidable', failure = 'dead_create', submitted_at = NULL"
    )

    await road.gateway.writer.apply(Recheck(**by_ada("look"), can_look_up=True))
    await until(road, lambda: pool.fetchval("SELECT submitted_at FROM requests"))

    assert quick.calls["look_up"] == 1
    assert quick.calls["take"] == 1
    assert (await kinds(pool))[-3:] == ["recheck_asked", "submitted", "rechecked"]
    assert await pool.fetchval("SELECT failure FROM requests") is None
    assert await pool.fetchval("SELECT count(*) FROM deliveries") == 0


async def test_what_ships_of_a_request_passes_a_rejection_that_is_held(road: Road, pool: asyncpg.Pool) -> None:
    quick = road.warehouses[QUICK]
    quick.temperament = Temperament(pause=(30, 30))
    hold = await holds.place(pool, "rejections", QUICK, reason="a look first", who="ada")
    await road.newstore.place(order("r-1", "A", "A"), QUICK)
    await until(road, lambda: pool.fetchval("SELECT submitted_at FROM requests"))
    one_a: dict[str, Any] = {"provider": quick.name, "items": {"A": 1}}
    await road.gateway.writer.apply(said(Word.REJECTED, reason=RejectionReason.NO_INVENTORY, **one_a))
    await road.gateway.writer.apply(said(Word.SHIPPED, **one_a))

    await until(road, lambda: pool.fetchval("SELECT units LIKE '%sp%' FROM requests"))
    assert road.newstore.requests["r-1"].counts() == {"dispatched": {"A": 1}, "shipped": {"A": 1}}
    await holds.release(pool, hold.id, "ada", "looked")
    await until(road, lambda: pool.fetchval("SELECT settled_at FROM requests WHERE id = 'r-1'"))

    assert road.newstore.requests["r-1"].counts() == {"rejected": {"A": 1}, "shipped": {"A": 1}}
    assert await pool.fetchval("SELECT failure FROM requests WHERE id = 'r-1'") is None


async def test_a_rejection_that_was_a_mistake_is_discarded_and_ships_after_all(road: Road, pool: asyncpg.Pool) -> None:
    quick = road.warehouses[QUICK]
    quick.temperament = Temperament(pause=(30, 30))
    await holds.place(pool, "rejections", QUICK, reason="a look first", who="ada")
    await road.newstore.place(order("r-1", "A"), QUICK)
    await until(road, lambda: pool.fetchval("SELECT submitted_at FROM requests"))
    rejected = said(Word.REJECTED, provider=quick.name, reason=RejectionReason.NO_INVENTORY)
    await road.gateway.writer.apply(rejected)
    await road.gateway.writer.apply(DiscardReports(**by_ada("mistake")))
    await road.gateway.writer.apply(rejected)  # the same message once more takes nothing back
    await road.gateway.writer.apply(said(Word.SHIPPED, provider=quick.name))
    await until(road, lambda: pool.fetchval("SELECT settled_at FROM requests"))

    assert road.newstore.requests["r-1"].counts() == {"shipped": {"A": 1}}
    assert road.newstore.calls["reject_items"] == 0
