import asyncio
import random
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.simulator.newstore import NewStore
from gateway.simulator.newstore_faults import NO_FAULTS, Faults, How
from gateway.simulator.orders import order, orders
from tests.listening import listening

SECRET = "told-to-nobody"


class Listener:
    """A gateway of the simplest kind: it keeps what it is sent and answers as told, 200 when told nothing."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.answers: deque[int] = deque()
        self.url = ""

    async def take(self, http: web.Request) -> web.Response:
        self.bodies.append(await http.json())
        self.keys.append(http.headers["Authorization"])
        return web.Response(status=self.answers.popleft() if self.answers else 200)


@asynccontextmanager
async def hearing() -> AsyncIterator[Listener]:
    listener = Listener()
    async with listening(web.post("/{tail:.*}", listener.take)) as listener.url:
        yield listener


class Caller:
    """Calls a NewStore as a provider would, with a token of its own."""

    def __init__(self, newstore: NewStore, listener: Listener, session: aiohttp.ClientSession) -> None:
        self.newstore, self.listener, self.session = newstore, listener, session
        self.token = ""

    async def log_in(self, secret: str = SECRET) -> tuple[int, Any]:
        form = {"grant_type": "client_credentials", "client_id": "gateway", "client_secret": secret}
        path = "/auth/realms/acme/protocol/openid-connect/token"
        async with self.session.post(self.newstore.url + path, data=form) as response:
            answer = await response.json()
            self.token = answer.get("access_token", "")
            return response.status, answer

    async def post(self, request_id: str, operation: str, body: object = None) -> tuple[int, Any]:
        url = f"{self.newstore.url}/v0/d/fulfillment_requests/{request_id}/{operation}"
        return await self._call("POST", url, body or {})

    async def ship(self, request_id: str, *products: str, code: str = "1Z1") -> tuple[int, Any]:
        shipment = {"carrier": "UPS", "tracking_code": code, "tracking_url": "https://carrier.example"}
        parcel = {"product_ids": list(products), "shipment": shipment}
        return await self.post(request_id, "shipment", {"line_items": [parcel]})

    async def reject(self, request_id: str, *products: str) -> tuple[int, Any]:
        missing = {"reason": "no_inventory", "product_ids": list(products)}
        return await self.post(request_id, "reject_items", {"missing_items": [missing]})

    async def read(self, request_id: str, operation: str) -> tuple[int, Any]:
        return await self._call("GET", f"{self.newstore.url}/v0/d/fulfillment_requests/{request_id}/{operation}")

    async def listed(self, order_id: str) -> list[Any]:
        _, answer = await self._call("GET", f"{self.newstore.url}/v0/fulfillment_requests/{order_id}")
        found: list[Any] = answer["fulfillment_requests"]
        return found

    async def placed(self, *products: str) -> str:
        return await self.newstore.place(order(random.Random(repr(products)), products))

    async def counted(self, request_id: str, **expected: dict[str, int]) -> None:
        await self.newstore.until(lambda: self.newstore.requests[request_id].counts() == expected)

    async def _call(self, method: str, url: str, body: object = None) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with self.session.request(method, url, json=body, headers=headers) as response:
            is_json = response.content_type == "application/json"
            return response.status, await response.json() if is_json else None


@asynccontextmanager
async def calling(**settings: Any) -> AsyncIterator[Caller]:
    hasty: dict[str, Any] = {"apply_after": 0.001, "webhook_backoff": (0.001, 0.001, 0.001)}
    newstore = NewStore(client_secret=SECRET, **hasty | settings)
    async with hearing() as listener, newstore.running(), aiohttp.ClientSession() as session:
        newstore.configure("DC01", f"{listener.url}/dc01", "key-one")
        newstore.configure("DC02", f"{listener.url}/dc02", "key-two")
        caller = Caller(newstore, listener, session)
        await caller.log_in()
        yield caller


@pytest.fixture
async def caller() -> AsyncIterator[Caller]:
    async with calling() as caller:
        yield caller


async def test_a_token_needs_the_right_secret(caller: Caller) -> None:
    status, answer = await caller.log_in("a guess")
    assert (status, answer["error"]) == (401, "unauthorized_client")
    status, answer = await caller.log_in()
    assert (status, answer["token_type"], answer["expires_in"]) == (200, "Bearer", 3600)


async def test_no_token_is_401_and_an_ended_one_a_403_with_json(caller: Caller) -> None:
    request_id = await caller.placed("A")
    caller.newstore.expire_tokens()
    status, answer = await caller.post(request_id, "acknowledgement")
    assert (status, answer["error_code"]) == (403, "forbidden")
    caller.token = ""
    assert (await caller.post(request_id, "acknowledgement"))[0] == 401


async def test_a_token_ends_when_it_said_it_would() -> None:
    async with calling(expires_in=0) as caller:
        request_id = await caller.placed("A")
        assert (await caller.post(request_id, "acknowledgement"))[0] == 403


async def test_a_placed_order_reaches_its_dc_with_that_dcs_key(caller: Caller) -> None:
    body = order(random.Random(1), ["A", "A", "B"])
    assert await caller.newstore.place(body) == body["id"]
    assert await caller.newstore.place(order(random.Random(2)), "DC02")
    assert caller.listener.bodies[0] == body
    assert caller.listener.keys == ["Bearer key-one", "Bearer key-two"]


async def test_the_webhook_is_tried_four_times_and_then_lost_until_resent(caller: Caller) -> None:
    caller.listener.answers.extend([500, 503, 404, 500])
    request_id = await caller.placed("A")
    assert [attempt["answer"] for attempt in caller.newstore.webhook.attempts] == [500, 503, 404, 500]
    assert not caller.newstore.requests[request_id].delivered
    assert await caller.newstore.resend() == 1
    assert caller.newstore.requests[request_id].delivered
    assert len(caller.newstore.webhook.ack_ms) == 1
    assert await caller.newstore.resend() == 0


async def test_a_webhook_nobody_listens_to_is_recorded_by_its_error(caller: Caller) -> None:
    caller.newstore.configure("DC01", "http://127.0.0.1:9/closed", "key")
    await caller.placed("A")
    assert {attempt["answer"] for attempt in caller.newstore.webhook.attempts} == {"ClientConnectorError"}


async def test_acceptance_shows_in_the_listing_until_units_are_final(caller: Caller) -> None:
    request_id = await caller.placed("A", "B")
    order_id = caller.newstore.requests[request_id].order_id
    assert [entry["status"] for entry in await caller.listed(order_id)] == ["dispatched"]
    assert (await caller.post(request_id, "acknowledgement"))[0] == 201
    assert [entry["status"] for entry in await caller.listed(order_id)] == ["acknowledged"]
    await caller.ship(request_id, "A", code="1Z7")
    await caller.counted(request_id, shipped={"A": 1}, dispatched={"B": 1})
    (listed,) = await caller.listed(order_id)
    assert (listed["status"], listed["fulfillment_node_id"]) == ("partially_completed", "DC01")
    assert [
        (item["product_id"], item["status"], item["carrier"], item["tracking_code"]) for item in listed["items"]
    ] == [
        ("A", "shipped", "UPS", "1Z7"),
        ("B", "dispatched", None, None),
    ]
    await caller.ship(request_id, "B")
    await caller.counted(request_id, shipped={"A": 1, "B": 1})
    assert [entry["status"] for entry in await caller.listed(order_id)] == ["completed"]


async def test_an_unknown_order_lists_nothing_and_an_unknown_request_is_404(caller: Caller) -> None:
    await caller.placed("A")
    assert await caller.listed("nobody") == []
    assert (await caller.post("nobody", "acknowledgement"))[0] == 404


async def test_shipping_twice_ships_the_second_unit_too(caller: Caller) -> None:
    request_id = await caller.placed("A", "A")
    assert (await caller.ship(request_id, "A"))[0] == 201
    assert (await caller.ship(request_id, "A"))[0] == 201
    await caller.counted(request_id, shipped={"A": 2})


async def test_of_equal_units_the_first_is_shipped_and_the_last_rejected(caller: Caller) -> None:
    request_id = await caller.placed("A", "A", "A")
    await caller.reject(request_id, "A")
    await caller.ship(request_id, "A")
    await caller.counted(request_id, shipped={"A": 1}, dispatched={"A": 1}, rejected={"A": 1})
    units = caller.newstore.requests[request_id].units
    assert [unit.status for unit in units] == ["shipped", "dispatched", "rejected"]


async def test_a_shipment_is_404_until_applied_and_then_one_entry_a_unit() -> None:
    async with calling(apply_after=3600) as caller:
        request_id = await caller.placed("A", "A")
        await caller.ship(request_id, "A", "A", code="1Z9")
        assert (await caller.read(request_id, "shipment"))[0] == 404
        await caller.newstore.stop()
        caller.newstore.apply_after = 0
        await caller.newstore.start()
        await caller.counted(request_id, shipped={"A": 2})
        status, answer = await caller.read(request_id, "shipment")
        assert (status, answer["failed_shipments"]) == (200, [])
        entries = [(entry["product_id"], entry["tracking_code"]) for entry in answer["successful_shipments"]]
        assert entries == [("A", "1Z9"), ("A", "1Z9")]
        assert all(entry["received_at"] <= entry["accepted_at"] for entry in answer["successful_shipments"])


async def test_a_shipment_of_a_closed_unit_is_taken_and_fails_later(caller: Caller) -> None:
    request_id = await caller.placed("A", "B")
    await caller.reject(request_id, "A")
    await caller.counted(request_id, rejected={"A": 1}, dispatched={"B": 1})
    assert (await caller.ship(request_id, "A", "B", "C"))[0] == 201
    await caller.counted(request_id, rejected={"A": 1}, shipped={"B": 1})
    await caller.newstore.until(lambda: len(caller.newstore.requests[request_id].results["shipment"][1]) == 2)
    _, answer = await caller.read(request_id, "shipment")
    first, second = answer["failed_shipments"]
    assert (first["product_id"], first["tracking_code"], first["error_code"]) == ("A", "1Z1", "already_rejected")
    assert (second["product_id"], second["error_code"]) == ("C", "unknown_product")
    assert set(first) == {*("product_id", "carrier", "tracking_code", "received_at", "error_code", "error_description")}
    assert [entry["product_id"] for entry in answer["successful_shipments"]] == ["B"]


async def test_rejections_and_cancellations_read_back_one_entry_a_unit(caller: Caller) -> None:
    request_id = await caller.placed("A", "B", "C")
    assert (await caller.read(request_id, "reject_items"))[0] == 404
    assert (await caller.read(request_id, "canceled_items"))[0] == 404
    await caller.reject(request_id, "A")
    await caller.post(request_id, "canceled_items", {"product_ids": ["B"]})
    await caller.counted(request_id, rejected={"A": 1}, cancelled={"B": 1}, dispatched={"C": 1})
    _, rejected = await caller.read(request_id, "reject_items")
    _, cancelled = await caller.read(request_id, "canceled_items")
    (first,) = rejected.pop("rejected_items")
    (second,) = cancelled.pop("canceled_items")
    assert rejected == cancelled == {"failed_items": []}
    assert (first["product_id"], first["reason"]) == ("A", "no_inventory")
    assert set(first) == {"product_id", "reason", "received_at", "accepted_at"}
    assert set(second) == {"product_id", "item_id", "received_at", "accepted_at"}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("acknowledgement", {}),
        ("reject_items", {"missing_items": [{"reason": "no_inventory", "product_ids": ["A"]}]}),
        ("canceled_items", {"product_ids": ["A"]}),
    ],
)
async def test_what_was_shipped_can_no_longer_change(caller: Caller, operation: str, body: object) -> None:
    request_id = await caller.placed("A")
    await caller.ship(request_id, "A")
    await caller.counted(request_id, shipped={"A": 1})
    status, answer = await caller.post(request_id, operation, body)
    assert (status, answer["error_code"]) == (400, "already_shipped")
    assert caller.newstore.requests[request_id].counts() == {"shipped": {"A": 1}}


async def test_what_was_rejected_is_not_rejected_again(caller: Caller) -> None:
    request_id = await caller.placed("A", "B")
    await caller.reject(request_id, "A")
    await caller.counted(request_id, rejected={"A": 1}, dispatched={"B": 1})
    status, answer = await caller.reject(request_id, "A", "B")
    assert (status, answer["error_code"]) == (400, "already_rejected")
    assert caller.newstore.requests[request_id].counts() == {"rejected": {"A": 1}, "dispatched": {"B": 1}}


@pytest.mark.parametrize(
    ("operation", "body"),
    [
        ("shipment", {"line_items": [{"product_ids": ["A"], "shipment": {"carrier": True, "tracking_code": "1"}}]}),
        ("shipment", {"line_items": [{"product_ids": "A", "shipment": {"carrier": "UPS", "tracking_code": "1"}}]}),
        ("reject_items", {"missing_items": [{"reason": "bored", "product_ids": ["A"]}]}),
        ("canceled_items", ["A"]),
    ],
)
async def test_a_malformed_body_is_refused(caller: Caller, operation: str, body: object) -> None:
    request_id = await caller.placed("A")
    status, answer = await caller.post(request_id, operation, body)
    assert (status, answer["error_code"]) == (400, "invalid_request")


async def test_rejected_units_go_to_the_next_dc_once_their_siblings_are_final(caller: Caller) -> None:
    request_id = await caller.placed("A", "A", "B")
    await caller.reject(request_id, "A")
    await caller.counted(request_id, rejected={"A": 1}, dispatched={"A": 1, "B": 1})
    assert len(caller.newstore.requests) == 1
    await caller.ship(request_id, "A")
    await caller.post(request_id, "canceled_items", {"product_ids": ["B"]})
    await caller.newstore.until(lambda: len(caller.listener.bodies) == 2)
    first, second = caller.listener.bodies
    assert second["id"] != first["id"]
    assert second["order_id"] == first["order_id"]
    assert [item["product_id"] for item in second["items"]] == ["A"]
    assert caller.listener.keys[1] == "Bearer key-two"
    assert [entry["fulfillment_node_id"] for entry in await caller.listed(first["order_id"])] == ["DC01", "DC02"]


async def test_units_every_dc_rejected_are_on_hold(caller: Caller) -> None:
    request_id = await caller.placed("A")
    await caller.reject(request_id, "A")
    await caller.newstore.until(lambda: caller.newstore.requests[request_id].rerouted_to)
    successor = caller.newstore.requests[request_id].rerouted_to
    assert successor
    await caller.reject(successor, "A")
    await caller.newstore.until(lambda: caller.newstore.requests[successor].on_hold)
    assert len(caller.newstore.requests) == 2


async def test_rerouted_requests_take_no_id_of_an_order_of_the_same_seed() -> None:
    async with calling(seed=3, faults=NO_FAULTS) as caller:
        placed = [await caller.newstore.place(body) for _, body in zip(range(200), orders(3), strict=False)]
        for request_id in placed:
            request = caller.newstore.requests[request_id]
            await caller.reject(request_id, *(unit.product_id for unit in request.units))
        await caller.newstore.until(lambda: len(caller.listener.bodies) == 400)
        assert len({body["id"] for body in caller.listener.bodies}) == 400


async def test_an_id_is_placed_once(caller: Caller) -> None:
    body = order(random.Random(1))
    await caller.newstore.place(body)
    with pytest.raises(ValueError, match="was placed before"):
        await caller.newstore.place(body)


async def test_cancelled_units_are_never_rerouted(caller: Caller) -> None:
    request_id = await caller.placed("A")
    await caller.post(request_id, "canceled_items", {"product_ids": ["A"]})
    await caller.counted(request_id, cancelled={"A": 1})
    assert list(caller.newstore.requests) == [request_id]
    assert not caller.newstore.requests[request_id].on_hold


@pytest.mark.parametrize(("how", "done"), [("500_before", False), ("502", False), ("429", False), ("500_after", True)])
async def test_a_one_shot_fault_is_met_once(caller: Caller, how: How, *, done: bool) -> None:
    request_id = await caller.placed("A")
    caller.newstore.fail_next("acknowledgement", how)
    status, _ = await caller.post(request_id, "acknowledgement")
    assert status == int(how[:3])
    assert caller.newstore.requests[request_id].acknowledged is done
    assert (await caller.post(request_id, "acknowledgement"))[0] == 201
    assert caller.newstore.calls["acknowledgement"] == 2


async def test_a_connection_may_break_after_the_work_is_done(caller: Caller) -> None:
    request_id = await caller.placed("A")
    caller.newstore.fail_next("shipment", "break_after")
    with pytest.raises(aiohttp.ClientError):
        await caller.ship(request_id, "A")
    await caller.counted(request_id, shipped={"A": 1})


async def test_a_refused_shipment_lands_among_the_failed_and_its_unit_stays_open(caller: Caller) -> None:
    request_id = await caller.placed("A")
    caller.newstore.fail_next("shipment", "refuse")
    assert (await caller.ship(request_id, "A"))[0] == 201
    await caller.newstore.until(lambda: caller.newstore.requests[request_id].read_back("shipment"))
    _, answer = await caller.read(request_id, "shipment")
    assert [entry["error_code"] for entry in answer["failed_shipments"]] == ["refused"]
    assert caller.newstore.requests[request_id].counts() == {"dispatched": {"A": 1}}


@pytest.mark.parametrize("operation", ["acknowledgement", "reject_items", "canceled_items"])
async def test_any_other_refusal_is_a_400_at_once(caller: Caller, operation: str) -> None:
    request_id = await caller.placed("A")
    caller.newstore.fail_next(operation, "refuse")
    body = {"product_ids": ["A"], "missing_items": [{"reason": "no_inventory", "product_ids": ["A"]}]}
    status, answer = await caller.post(request_id, operation, body)
    assert (status, answer["error_code"]) == (400, "refused")
    assert caller.newstore.requests[request_id].status == "dispatched"


async def test_too_many_requests_says_how_long_to_wait() -> None:
    async with calling(faults=Faults(retry_after=7)) as caller:
        caller.newstore.fail_next("token", "429")
        form = {"grant_type": "client_credentials"}
        url = f"{caller.newstore.url}/auth/realms/acme/protocol/openid-connect/token"
        async with caller.session.post(url, data=form) as response:
            assert (response.status, response.headers["Retry-After"]) == (429, "7")


async def test_the_same_seed_meets_the_same_faults() -> None:
    async def statuses(seed: int) -> list[int]:
        async with calling(seed=seed) as caller:
            request_id = await caller.placed("A")
            caller.newstore.fault_injector.faults = Faults(error_before=0.3, too_many_requests=0.3)
            return [(await caller.read(request_id, "shipment"))[0] for _ in range(30)]

    first = await statuses(4)
    assert set(first) == {500, 429, 404}
    assert await statuses(4) == first
    assert await statuses(5) != first


async def test_a_slow_answer_still_comes() -> None:
    async with calling(faults=Faults(slow_seconds=0.05)) as caller:
        request_id = await caller.placed("A")
        caller.newstore.fail_next("acknowledgement", "slow")
        started = time.monotonic()
        assert (await caller.post(request_id, "acknowledgement"))[0] == 201
        assert time.monotonic() - started >= 0.05


async def test_one_request_meets_no_more_faults_than_it_may() -> None:
    async with calling() as caller:
        first, second = await caller.placed("A"), await caller.placed("B")
        caller.newstore.fault_injector.faults = Faults(error_before=1.0, most_each=2)
        assert [(await caller.read(first, "shipment"))[0] for _ in range(4)] == [500, 500, 404, 404]
        assert (await caller.read(second, "shipment"))[0] == 500


async def test_an_order_may_be_placed_by_http(caller: Caller) -> None:
    url = f"{caller.newstore.url}/simulator/orders"
    async with caller.session.post(f"{url}?location=DC02&product=A&product=A") as response:
        placed = await response.json()
    assert (response.status, placed["delivered"]) == (201, True)
    assert caller.newstore.requests[placed["id"]].counts() == {"dispatched": {"A": 2}}
    assert caller.listener.keys == ["Bearer key-two"]
    async with caller.session.post(f"{url}?location=DC09") as response:
        assert response.status == 404


async def test_what_was_lost_may_be_sent_again_by_http(caller: Caller) -> None:
    caller.listener.answers.extend([500] * 4)
    request_id = await caller.placed("A")
    async with caller.session.post(f"{caller.newstore.url}/simulator/resend") as response:
        assert await response.json() == {"sent": 1}
    assert caller.newstore.requests[request_id].delivered


async def test_orders_are_placed_steadily_when_asked(caller: Caller) -> None:
    placing = asyncio.create_task(caller.newstore.place_steadily(500))
    await caller.newstore.until(lambda: len(caller.listener.bodies) >= 3)
    placing.cancel()
    assert len({body["id"] for body in caller.listener.bodies}) >= 3


async def test_the_oldest_completed_request_is_forgotten_and_an_open_one_is_not() -> None:
    async with calling(keep=2) as caller:
        open_one, done = await caller.placed("A"), await caller.placed("B")
        await caller.ship(done, "B")
        await caller.counted(done, shipped={"B": 1})
        last = await caller.placed("C")
        assert list(caller.newstore.requests) == [open_one, last]
        assert await caller.placed("D") in caller.newstore.requests
        assert len(caller.newstore.requests) == 3


async def test_the_record_tells_requests_units_calls_and_webhook_latency(caller: Caller) -> None:
    request_id = await caller.placed("A")
    await caller.ship(request_id, "A")
    await caller.counted(request_id, shipped={"A": 1})
    async with caller.session.get(f"{caller.newstore.url}/simulator/record") as response:
        record = await response.json()
    assert record["requests"][request_id]["counts"] == {"shipped": {"A": 1}}
    assert record["calls"] == {"token": 1, "shipment": 1}
    assert [attempt["answer"] for attempt in record["webhook"]["attempts"]] == [200]
    assert record["webhook"]["ack_ms"][0] > 0


async def test_the_same_seed_makes_the_same_orders() -> None:
    made = [body for _, body in zip(range(200), orders(3), strict=False)]
    assert made == [body for _, body in zip(range(200), orders(3), strict=False)]
    assert made != [body for _, body in zip(range(200), orders(4), strict=False)]
    assert len({body["id"] for body in made}) == len({body["order_id"] for body in made}) == 200
    assert {len(body["items"]) for body in made} == {1, 2, 3, 4}
    assert {body["shipping_options"]["service_level"] for body in made} == {"GROUND", "EXPRESS"}


async def test_waiting_for_what_never_happens_ends() -> None:
    async with calling() as caller:
        with pytest.raises(asyncio.TimeoutError):
            await caller.newstore.until(lambda: False, seconds=0.01)


async def test_rejections_are_read_at_two_places_of_which_a_tenant_may_lack_some(caller: Caller) -> None:
    request_id = await caller.placed("A")
    assert (await caller.read(request_id, "rejection"))[0] == 404
    await caller.reject(request_id, "A")
    await caller.counted(request_id, rejected={"A": 1})
    assert await caller.read(request_id, "rejection") == await caller.read(request_id, "reject_items")
    caller.newstore.lacks = {"read_rejection"}
    assert (await caller.read(request_id, "rejection"))[0] == 405
    assert (await caller.read(request_id, "reject_items"))[0] == 200
