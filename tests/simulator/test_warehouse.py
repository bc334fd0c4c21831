import base64
import random
from collections import Counter, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from gateway.simulator.orders import order
from gateway.simulator.served import Served
from gateway.simulator.warehouse import Warehouse
from gateway.simulator.warehouse_temperament import TEMPERAMENTS, Temperament

SECRET = "whsec_" + base64.b64encode(b"nobody knows this one").decode()
FAST = (0.0, 0.001)


class Gateway(Served):
    """Takes callbacks and answers as told, 202 when told nothing."""

    def __init__(self) -> None:
        super().__init__([web.post("/events", self.take)])
        self.events: list[dict[str, Any]] = []
        self.raw: list[tuple[dict[str, str], bytes]] = []
        self.answers: deque[int] = deque()

    def _resume(self) -> None:
        pass

    async def take(self, http: web.Request) -> web.Response:
        self.raw.append((dict(http.headers), await http.read()))
        self.events.append(await http.json())
        self._change()
        return web.Response(status=self.answers.popleft() if self.answers else 202)

    def told(self, becomes: str) -> Counter[str]:
        """Units per product, each event counted once."""
        events = {event["event_id"]: event for event in self.events if event["type"] == becomes}
        return sum(
            (Counter({item["product_id"]: item["quantity"] for item in event["items"]}) for event in events.values()),
            Counter(),
        )


class Bench:
    def __init__(self, warehouse: Warehouse, gateway: Gateway, session: aiohttp.ClientSession) -> None:
        self.warehouse, self.gateway, self.session = warehouse, gateway, session

    async def send(self, body: Any, reference: str = "NS1", key: str = "the key", idempotency: str = "i") -> Any:
        headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": idempotency, "X-Gateway-Reference": reference}
        async with self.session.post(f"{self.warehouse.url}/orders", json=body, headers=headers) as response:
            is_json = response.content_type == "application/json"
            return response.status, await response.json() if is_json else dict(response.headers)

    async def look_up(self, reference: str, key: str = "the key") -> Any:
        headers = {"Authorization": f"Bearer {key}"}
        async with self.session.get(f"{self.warehouse.url}/orders/{reference}", headers=headers) as response:
            return response.status, await response.json()

    async def withdraw(self, reference: str, key: str = "the key") -> int:
        headers = {"Authorization": f"Bearer {key}"}
        async with self.session.delete(f"{self.warehouse.url}/orders/{reference}", headers=headers) as response:
            return response.status

    async def done(self) -> None:
        await self.warehouse.until(lambda: self.warehouse.orders and self.warehouse.finished)


@asynccontextmanager
async def standing(temperament: Temperament | str = "quick", **settings: Any) -> AsyncIterator[Bench]:
    gateway = Gateway()
    settings = {"callback_key": "event key", "backoff": (0.001, 0.002)} | settings
    warehouse = Warehouse("berlin", temperament, api_key="the key", **settings)
    async with gateway.running(), warehouse.running(), aiohttp.ClientSession() as session:
        warehouse.callback.url = f"{gateway.url}/events"
        yield Bench(warehouse, gateway, session)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    async with standing() as bench:
        yield bench


def body_of(*products: str, seed: int = 0) -> dict[str, Any]:
    return order(random.Random(f"{seed}{products}"), products)


async def test_a_quick_warehouse_accepts_and_ships_all_in_one_parcel(bench: Bench) -> None:
    body = body_of("A", "A", "B")
    assert (await bench.send(body))[0] == 201
    await bench.done()
    accepted, shipped = bench.gateway.events
    units = [{"product_id": "A", "quantity": 2}, {"product_id": "B", "quantity": 1}]
    assert set(accepted) == {
        *("event_id", "type", "fulfillment_request_id", "occurred_at", "items", "reason", "shipment"),
    }
    assert (accepted["type"], accepted["items"], accepted["shipment"]) == ("accepted", units, None)
    assert (shipped["type"], shipped["items"], shipped["reason"]) == ("shipped", units, None)
    assert accepted["fulfillment_request_id"] == shipped["fulfillment_request_id"] == body["id"]
    assert shipped["shipment"]["carrier"] == body["shipping_options"]["carrier"]
    assert set(shipped["shipment"]) == {"carrier", "tracking_number", "tracking_url"}
    assert accepted["event_id"] != shipped["event_id"]


async def test_the_same_order_again_is_answered_200_and_worked_once(bench: Bench) -> None:
    body = body_of("A")
    status, first = await bench.send(body, idempotency="one")
    assert (status, first) == (201, {"id": body["id"], "reference": "NS1", "status": "received"})
    status, second = await bench.send(body, idempotency="two")
    assert (status, second["id"]) == (200, body["id"])
    await bench.done()
    kept = bench.warehouse.orders[body["id"]]
    assert (kept.times_seen, kept.doubled, kept.idempotency_keys) == (2, False, ["one", "two"])
    assert bench.gateway.told("shipped") == {"A": 1}
    assert len(bench.gateway.events) == 2


async def test_an_order_is_found_by_the_gateways_reference(bench: Bench) -> None:
    assert (await bench.look_up("NS7"))[0] == 404
    body = body_of("A")
    await bench.send(body, reference="NS7")
    await bench.done()
    assert await bench.look_up("NS7") == (200, {"id": body["id"], "reference": "NS7", "status": "completed"})


async def test_an_order_that_nothing_was_shipped_of_is_stopped_for_good() -> None:
    async with standing() as bench:
        bench.gateway.answers.extend([500] * 100)
        body = body_of("A")
        await bench.send(body, reference="NS7")
        await bench.warehouse.until(lambda: len(bench.warehouse.attempts) > 1)
        assert [await bench.withdraw("NS7"), await bench.withdraw("NS7")] == [204, 204]
        await bench.done()
        assert (await bench.send(body, reference="NS7"))[0] == 200
        assert (await bench.look_up("NS7"))[1]["status"] == "withdrawn"
        kept = bench.warehouse.record()["orders"][body["id"]]
        assert (kept["withdrawn"], kept["counts"], kept["doubled"]) == (True, {"open": {"A": 1}}, False)
        assert {event["type"] for event in bench.gateway.events} == {"accepted"}


async def test_a_stopped_order_takes_no_further_step_and_calls_nobody_back() -> None:
    async with standing(Temperament(pause=(0.05, 0.05))) as bench:
        early, later = body_of("A"), body_of("B", seed=1)
        await bench.send(early, reference="NS7")
        assert await bench.withdraw("NS7") == 204
        await bench.send(later, reference="NS8")
        await bench.done()
        assert {event["fulfillment_request_id"] for event in bench.gateway.events} == {later["id"]}
        assert bench.warehouse.orders[early["id"]].said == []


async def test_a_callback_that_nobody_took_is_not_repeated_once_its_order_is_stopped() -> None:
    async with standing(backoff=(0.02, 0.02)) as bench:
        early, later = body_of("A"), body_of("B", seed=1)
        bench.gateway.answers.append(500)
        await bench.send(early, reference="NS7")
        await bench.warehouse.until(lambda: bench.warehouse.attempts)
        assert await bench.withdraw("NS7") == 204
        bench.gateway.answers.extend([500, 500, 500])
        await bench.send(later, reference="NS8")
        await bench.done()
        told = [event["fulfillment_request_id"] for event in bench.gateway.events]
        assert told.count(early["id"]) == 1


async def test_an_order_that_shipped_is_not_stopped(bench: Bench) -> None:
    await bench.send(body_of("A"), reference="NS7")
    await bench.done()
    assert await bench.withdraw("NS7") == 409
    assert await bench.withdraw("NS8") == 404
    assert await bench.withdraw("NS7", key="a guess") == 401


async def test_a_stranger_is_refused(bench: Bench) -> None:
    assert (await bench.send(body_of("A"), key="a guess"))[0] == 401
    assert (await bench.look_up("NS1", key="a guess"))[0] == 401
    assert not bench.warehouse.orders


@pytest.mark.parametrize("body", [{}, [], {"id": "x", "items": [{}], "shipping_options": {"carrier": "UPS"}}])
async def test_an_order_without_what_it_needs_is_refused(bench: Bench, body: object) -> None:
    assert (await bench.send(body))[0] == 400
    assert not bench.warehouse.orders


async def test_callbacks_carry_the_key_they_were_given(bench: Bench) -> None:
    await bench.send(body_of("A"))
    await bench.done()
    assert {headers["Authorization"] for headers, _ in bench.gateway.raw} == {"Bearer event key"}


async def test_callbacks_are_signed_when_there_is_a_secret() -> None:
    async with standing(callback_secret=SECRET) as bench:
        await bench.send(body_of("A"))
        await bench.done()
        for headers, raw in bench.gateway.raw:
            event = Webhook(SECRET).verify(raw, {name.lower(): value for name, value in headers.items()})
            assert event["event_id"] == headers["webhook-id"]
            assert "Authorization" not in headers


async def test_a_callback_is_repeated_with_the_same_id_until_it_is_taken(bench: Bench) -> None:
    bench.gateway.answers.extend([500, 404, 429])
    await bench.send(body_of("A"))
    await bench.done()
    assert [event["type"] for event in bench.gateway.events] == ["accepted"] * 4 + ["shipped"]
    assert len({event["event_id"] for event in bench.gateway.events}) == 2


async def test_a_gateway_that_is_away_is_told_when_it_comes_back(bench: Bench) -> None:
    port = int(bench.gateway.url.rpartition(":")[2])
    await bench.gateway.stop()
    await bench.send(body_of("A"))
    await bench.warehouse.until(lambda: len(bench.warehouse.attempts) > 2)
    assert {attempt["answer"] for attempt in bench.warehouse.attempts} == {"ClientConnectorError"}
    await bench.gateway.start(port=port)
    await bench.done()
    assert bench.gateway.told("shipped") == {"A": 1}


async def test_a_partial_warehouse_tells_of_every_unit_once() -> None:
    temperament = Temperament(pause=FAST, parcels=3, rejects=0.3, cancels=0.1)
    async with standing(temperament) as bench:
        ordered = Counter({"A": 60, "B": 30})
        await bench.send(body_of(*ordered.elements()))
        await bench.done()
        told = {becomes: bench.gateway.told(becomes) for becomes in ("shipped", "rejected", "cancelled")}
        assert sum(told.values(), Counter()) == ordered
        assert all(told.values())
        labels = {event["shipment"]["tracking_number"] for event in bench.gateway.events if event["type"] == "shipped"}
        assert len(labels) == 3
        reasons = {event["reason"] for event in bench.gateway.events if event["type"] == "rejected"}
        assert reasons == {"no_inventory", "cannot_fulfill"}
        (kept,) = bench.warehouse.record()["orders"].values()
        assert {status: Counter(products) for status, products in kept["counts"].items()} == told


async def test_a_warehouse_that_rejects_everything_does_not_accept_first() -> None:
    async with standing(Temperament(pause=FAST, rejects=1.0)) as bench:
        await bench.send(body_of("A"))
        await bench.done()
        assert [event["type"] for event in bench.gateway.events] == ["rejected"]


async def test_a_backwards_warehouse_ships_before_it_accepts() -> None:
    async with standing(Temperament(pause=FAST, says_backwards=1.0)) as bench:
        await bench.send(body_of("A"))
        await bench.done()
        assert [event["type"] for event in bench.gateway.events] == ["shipped", "accepted"]


async def test_a_repeated_callback_is_the_same_event_word_for_word() -> None:
    async with standing(Temperament(pause=FAST, says_twice=1.0)) as bench:
        await bench.send(body_of("A"))
        await bench.done()
        assert Counter(event["type"] for event in bench.gateway.events) == {"accepted": 2, "shipped": 2}
        assert len({raw for _, raw in bench.gateway.raw}) == 2
        assert bench.gateway.told("shipped") == {"A": 1}


@pytest.mark.parametrize(
    ("temperament", "status", "kept"),
    [
        (Temperament(too_many_requests=1.0, retry_after=7), 429, 0),
        (Temperament(error_before=1.0), 500, 0),
        (Temperament(error_after=1.0), 500, 1),
        (Temperament(hangs_after=1.0, hang_seconds=0.001), 500, 1),
    ],
)
async def test_a_bad_answer_says_nothing_of_the_work(temperament: Temperament, status: int, kept: int) -> None:
    async with standing(temperament) as bench:
        answered, headers = await bench.send(body_of("A"))
        assert answered == status
        assert headers.get("Retry-After") == ("7" if status == 429 else None)
        assert len(bench.warehouse.orders) == kept


async def test_the_calls_of_one_order_fail_no_more_often_in_a_row_than_they_may() -> None:
    async with standing(Temperament(pause=FAST, error_before=1.0, faults_in_a_row=2)) as bench:
        answers = [(await bench.send(body_of("A"), idempotency="one"))[0] for _ in range(4)]
        assert answers == [500, 500, 201, 500]
        assert (await bench.send(body_of("B"), idempotency="two"))[0] == 500


async def test_the_oldest_finished_order_is_forgotten_and_so_are_its_attempts() -> None:
    async with standing(keep=2) as bench:
        bodies = [body_of("A", seed=seed) for seed in range(3)]
        for number, body in enumerate(bodies):
            await bench.send(body, reference=f"NS{number}")
            await bench.done()
        assert list(bench.warehouse.orders) == [body["id"] for body in bodies[1:]]
        assert (await bench.look_up("NS0"))[0] == 404
        assert (await bench.look_up("NS1"))[0] == 200
        assert len(bench.warehouse.record()["callbacks"]) == 2


async def test_a_hanging_warehouse_has_the_order_all_the_same_and_stops_at_once() -> None:
    async with standing(Temperament(pause=FAST, hangs_after=1.0, hang_seconds=3600)) as bench:
        body = body_of("A")
        with pytest.raises(TimeoutError):
            async with bench.session.post(
                f"{bench.warehouse.url}/orders",
                json=body,
                headers={"Authorization": "Bearer the key"},
                timeout=aiohttp.ClientTimeout(total=0.1),
            ):
                pass
        await bench.done()
        assert (await bench.look_up(body["id"]))[0] == 200


async def test_a_stopped_warehouse_goes_on_where_it_was(bench: Bench) -> None:
    bench.gateway.answers.extend([202, 500, 500])
    body = body_of("A")
    await bench.send(body)
    await bench.warehouse.until(lambda: len(bench.warehouse.attempts) >= 2)
    await bench.warehouse.stop()
    await bench.warehouse.start()
    await bench.done()
    assert bench.gateway.told("shipped") == {"A": 1}
    assert Counter(event["type"] for event in bench.gateway.events)["accepted"] == 1
    assert not bench.warehouse.orders[body["id"]].doubled


async def test_the_same_seed_makes_the_same_of_an_order() -> None:
    async def said(seed: int) -> list[tuple[str, Any]]:
        async with standing(Temperament(pause=FAST, parcels=3, rejects=0.5), seed=seed) as bench:
            body = body_of(*"ABCDEFGH")
            await bench.send(body)
            await bench.done()
            return [(event["type"], event["items"]) for event in bench.gateway.events]

    first = await said(1)
    assert await said(1) == first
    assert await said(2) != first


@pytest.mark.parametrize("name", TEMPERAMENTS)
async def test_every_named_temperament_finishes_its_orders(name: str) -> None:
    async with standing(replace(TEMPERAMENTS[name], pause=FAST, hang_seconds=0.01)) as bench:
        bodies = [body_of("A", "A", "B", seed=seed) for seed in range(5)]
        for body in bodies:
            while body["id"] not in bench.warehouse.orders:
                await bench.send(body)
        await bench.done()
        total = sum((bench.gateway.told(becomes) for becomes in ("shipped", "rejected", "cancelled")), Counter())
        assert total == {"A": 10, "B": 5}


async def test_the_record_tells_orders_calls_and_callbacks(bench: Bench) -> None:
    body = body_of("A")
    await bench.send(body)
    await bench.done()
    async with bench.session.get(f"{bench.warehouse.url}/simulator/record") as response:
        record = await response.json()
    assert record["orders"][body["id"]]["counts"] == {"shipped": {"A": 1}}
    assert [said["type"] for said in record["orders"][body["id"]]["said"]] == ["accepted", "shipped"]
    assert record["calls"] == {"take": 1}
    assert [attempt["answer"] for attempt in record["callbacks"]] == [202, 202]
    assert record["doubled"] == []


async def test_what_a_warehouse_lacks_it_tells_before_it_ships_it() -> None:
    async with standing(Temperament(pause=FAST, lacks=1.0)) as bench:
        await bench.send(body_of("A"))
        await bench.done()
        assert [event["type"] for event in bench.gateway.events] == ["accepted", "backordered", "shipped"]
