import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import pytest
from aiohttp import web

from gateway.call_errors import CallError, NotSent, Redirected, Throttled, Unknown
from gateway.domain.deliveries import Operation, Parcel
from gateway.newstore.client import Client
from gateway.newstore.errors import Blocked, Refused, Unauthorized, Unreadable, code_of
from gateway.newstore.read_backs import Shown
from gateway.simulator.newstore import NewStore
from gateway.simulator.newstore_faults import Faults

from .answers import Answer, Answering, always, settings

PARCEL = Parcel("UPS", "1Z1")


@dataclass
class Tenant:
    newstore: NewStore
    client: Client

    async def shown(self, operation: Operation) -> Shown:
        await self.newstore.until(lambda: any(r.results for r in self.newstore.requests.values()))
        found = await self.client.read_back(operation, "r-1")
        assert found is not None
        return found


@pytest.fixture
async def tenant() -> AsyncIterator[Tenant]:
    newstore = NewStore(apply_after=0.0, webhook_backoff=())
    async with newstore.running(), aiohttp.ClientSession() as session:
        url = newstore.url
        client = Client(session, settings(url, f"{url}/auth/realms/acme/protocol/openid-connect/token"))
        newstore.configure("DC01", f"{url}/nowhere")
        items = [{"product_id": product} for product in ("A", "A", "B")]
        await newstore.place({"id": "r-1", "order_id": "SO-1", "items": items}, "DC01")
        yield Tenant(newstore, client)


ODD = always(200, '{"successful_shipments": [{"product_id": 7, "carrier": "UPS", "tracking_code": "1Z"}]}')
"""No product of ours is a number."""


async def test_a_shipment_is_read_back_by_product_carrier_and_tracking_code(tenant: Tenant) -> None:
    await tenant.client.ship("r-1", ["A", "A"], PARCEL)
    await tenant.newstore.until(lambda: len(tenant.newstore.requests["r-1"].with_status("shipped")) == 2)
    shown = await tenant.shown(Operation.SHIP)
    assert shown.taken == Counter({("A", "ups", "1z1"): 2})


async def test_a_refused_unit_is_read_back_with_its_reason(tenant: Tenant) -> None:
    tenant.newstore.fail_next("shipment", "refuse")
    await tenant.client.ship("r-1", ["B"], PARCEL)
    shown = await tenant.shown(Operation.SHIP)
    assert shown.refused == {("B", "ups", "1z1"): (1, "refused")}


async def test_of_a_refused_unit_only_the_code_becomes_its_reason_and_the_rest_is_kept(answering: Answering) -> None:
    unit: dict[str, str | None] = {"product_id": "A", "carrier": "UPS", "tracking_code": "1Z", "message": "Ada moved"}
    failed = [unit | {"error_code": code} for code in ("lo\0st", "Ada Lovelace", None, "lost")]
    client = await answering(always(200, json.dumps({"successful_shipments": [], "failed_shipments": failed})))
    shown = await client.read_back(Operation.SHIP, "r-1")
    assert shown is not None
    assert shown.refused == {("A", "ups", "1z"): (4, "lost")}
    assert json.loads(shown.refusals) == {"failed_shipments": failed}
    client = await answering(always(200, json.dumps({"successful_shipments": [], "failed_shipments": failed[:1]})))
    assert (await client.read_back(Operation.SHIP, "r-1") or shown).refused == {("A", "ups", "1z"): (1, "failed")}


async def test_rejections_and_cancellations_are_read_back_by_product(tenant: Tenant) -> None:
    await tenant.client.reject("r-1", ["B"], "no_inventory")
    assert (await tenant.shown(Operation.REJECT)).taken == Counter({("B", None, None): 1})
    await tenant.client.cancel("r-1", ["A"])
    await tenant.newstore.until(lambda: tenant.newstore.requests["r-1"].with_status("cancelled"))
    assert (await tenant.shown(Operation.CANCEL)).taken == Counter({("A", None, None): 1})


async def test_nothing_shown_yet_is_none(tenant: Tenant) -> None:
    assert await tenant.client.read_back(Operation.SHIP, "r-1") is None


async def test_a_token_is_kept_until_it_is_refused_and_then_got_once(tenant: Tenant) -> None:
    await tenant.client.acknowledge("r-1")
    await tenant.client.acknowledge("r-1")
    assert tenant.client.calls["token"] == 1
    tenant.newstore.expire_tokens()
    await tenant.client.acknowledge("r-1")
    assert tenant.client.calls["token"] == 2


async def test_a_write_that_waits_in_vain_for_its_token_was_not_sent(tenant: Tenant) -> None:
    tenant.newstore.fault_injector.faults = Faults(slow_seconds=3.0)
    tenant.newstore.fail_next("token", "slow")
    both = (tenant.client.ship("r-1", [product], PARCEL) for product in "AB")
    told = await asyncio.gather(*both, return_exceptions=True)
    assert [type(each) for each in told] == [NotSent, NotSent]
    assert tenant.client.calls["ship"] == 0


async def test_what_is_refused_with_a_fresh_token_gets_no_further_one_for_a_while(answering: Answering) -> None:
    client = await answering(always(403, "{}"))
    for _ in range(5):
        with pytest.raises(Unauthorized):
            await client.cancel("r-1", ["A"])
    assert client.calls == {"token": 2, "cancel": 6}


async def test_an_acceptance_after_a_shipment_is_done(tenant: Tenant) -> None:
    await tenant.client.ship("r-1", ["A"], PARCEL)
    await tenant.newstore.until(lambda: tenant.newstore.requests["r-1"].with_status("shipped"))
    assert await tenant.client.acknowledge("r-1") == 400


@pytest.mark.parametrize("how", ["break_after", "500_after", "500_before", "502"])
async def test_what_may_have_happened_is_unknown(tenant: Tenant, how: str) -> None:
    tenant.newstore.fail_next("shipment", how)  # type: ignore[arg-type]
    with pytest.raises(Unknown):
        await tenant.client.ship("r-1", ["A"], PARCEL)


async def test_wrong_credentials_name_their_settings() -> None:
    async with NewStore().running() as newstore, aiohttp.ClientSession() as session:
        token_url = f"{newstore.url}/auth/realms/acme/protocol/openid-connect/token"
        client = Client(session, settings(newstore.url, token_url, "another-secret"))
        with pytest.raises(Unauthorized, match=r"newstore\.client_secret"):
            await client.check()


async def test_a_newstore_that_cannot_be_reached_was_sent_nothing() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(NotSent):
            await Client(session, settings("http://127.0.0.1:9", "http://127.0.0.1:9")).acknowledge("r-1")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (always(400, '{"error_code":"already_rejected","error_description":"no"}'), Refused),
        (always(403, "<html>"), Blocked),
        (always(403, "{}"), Unauthorized),
        (always(401, "{}"), Unauthorized),
        (always(429, "", Retry_After="9"), Throttled),
        (always(503), Unknown),
        (always(408), Unknown),
        (always(302, "", Location="/elsewhere"), Redirected),
    ],
)
async def test_an_answer_is_named_by_what_to_do_with_it(
    answering: Answering, answer: Answer, error: type[CallError]
) -> None:
    client = await answering(answer)
    with pytest.raises(error) as raised:
        await client.cancel("r-1", ["A"])
    assert type(raised.value) is error
    if isinstance(raised.value, Refused):
        assert raised.value.code == "already_rejected"


@pytest.mark.parametrize("answer", [always(200, '{"shipments": [{}]}'), always(200, "<html>"), always(400), ODD])
async def test_a_read_back_of_another_shape_is_unreadable(answering: Answering, answer: Answer) -> None:
    client = await answering(answer)
    with pytest.raises(Unreadable):
        await client.read_back(Operation.SHIP, "r-1")


def endless(status: int, sent: list[int]) -> Answer:
    """An answer that never ends, and counts its bytes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b" " * 65_536)
                sent.append(65_536)
        return response

    return answer


async def test_of_an_answer_that_does_not_end_the_status_counts(answering: Answering) -> None:
    sent: list[int] = []
    client = await answering(endless(201, sent))
    assert await client.cancel("r-1", ["A"]) == 201
    assert sum(sent) < 10_000_000


async def test_a_read_back_that_does_not_end_is_unreadable(answering: Answering) -> None:
    sent: list[int] = []
    client = await answering(endless(200, sent))
    with pytest.raises(Unreadable, match="longer than 16,777,216 bytes") as raised:
        await client.read_back(Operation.SHIP, "r-1")
    assert (sum(sent) < 30_000_000, len(raised.value.body or b"")) == (True, 65_536)


async def test_the_read_back_of_ten_thousand_units_is_read(answering: Answering) -> None:
    unit = {"product_id": "P" * 500, "carrier": "C" * 100, "tracking_code": "1Z" * 250, "accepted_at": "2026" * 10}
    client = await answering(always(200, json.dumps({"successful_shipments": [unit] * 10_000})))
    shown = await client.read_back(Operation.SHIP, "r-1")
    assert shown is not None
    assert shown.taken.total() == 10_000


async def test_an_opaque_id_stays_one_part_of_the_path(answering: Answering) -> None:
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request.raw_path)
        return web.Response(status=201)

    await (await answering(answer)).acknowledge("a/b?c d")
    assert seen == ["/v0/d/fulfillment_requests/a%2Fb%3Fc%20d/acknowledgement"]


@pytest.mark.parametrize(
    ("url", "is_told"),
    [
        ("https://ups.example/1Z", True), ("HTTP://ups.example/1Z", True), (None, False), ("", False),
        ("javascript:alert(1)//http://x", False), ("data:text/html,x", False), ("https://x\n", False),
    ],
)  # fmt: skip
async def test_newstore_is_told_no_tracking_url_but_one_of_the_web(
    answering: Answering, url: str | None, *, is_told: bool
) -> None:
    told: list[dict[str, str | None]] = []

    async def answer(request: web.Request) -> web.Response:
        told.append((await request.json())["line_items"][0]["shipment"])
        return web.Response(status=201)

    await (await answering(answer)).ship("r-1", ["A"], Parcel("UPS", "1Z", url))
    shipment: dict[str, str | None] = {"carrier": "UPS", "tracking_code": "1Z"}
    assert told == [shipment | {"tracking_url": url} if is_told else shipment]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error_code":"already_shipped","error_description":"text"}', "already_shipped"),
        (b'{"error_code":"c","message":"text","request_id":"r"}', "c"),
        (b'{"messages":["text"],"request_id":"r"}', ""),
        (b'{"type":"about:blank","title":"t","status":400,"detail":"text"}', ""),
        (b'{"error":"invalid_client","error_description":"text"}', "invalid_client"),
        (b'{"error_code":"c\\u0000"}', ""),
        (b'{"error_code":"Ada Lovelace moved"}', ""),
        (b'{"error_code":7}', ""),
        (b"<html>", ""),
        (b"[]", ""),
    ],
)
def test_the_code_is_found_in_every_shape_of_an_error_and_no_sentence_is_one(body: bytes, code: str) -> None:
    assert code_of(body) == code
