import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook

from gateway.call_errors import Disputed, Inconclusive, NotSent, Redirected, Refused, Throttled, Unknown
from gateway.domain.commands import ProviderSaid, RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.domain.orders import Order
from gateway.providers.http import Http
from gateway.providers.http_settings import HttpSettings
from gateway.providers.port import Malformed
from gateway.providers.signatures import signed_with
from gateway.settings import Secret
from tests.reading import read_callback

ORDER = Order(
    request_id="r-1", reference="NS123", idempotency_key="NS123.1.create.0", body=b'{"id": "r-1",  "unknown": [1]}'
)
NOW = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connect = Callable[[Answer], Awaitable[Http]]


def provider(url: str = "http://127.0.0.1:9") -> HttpSettings:
    return HttpSettings("acme", "http", url, Secret("a" * 20), (Secret("k" * 20),), timeout=0.5)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    servers: list[TestServer] = []
    async with aiohttp.ClientSession() as session:

        async def make(answer: Answer) -> Http:
            app = web.Application()
            app.router.add_route("*", "/orders{rest:.*}", answer)
            server = TestServer(app)
            await server.start_server()
            servers.append(server)
            return Http(provider(f"http://127.0.0.1:{server.port}/orders"), session)

        yield make
    for server in servers:
        await server.close()


async def test_the_body_goes_on_as_it_came_with_our_reference_and_the_idempotency_key(connect: Connect) -> None:
    seen: list[web.Request] = []
    bodies: list[bytes] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append(request)
        bodies.append(await request.read())
        return web.json_response({"id": "wms-7"}, status=201)

    taken = await (await connect(answer)).create(ORDER, ORDER.body)

    assert taken.provider_order == "wms-7"
    assert bodies == [ORDER.body]
    assert seen[0].headers["Idempotency-Key"] == "NS123.1.create.0"
    assert seen[0].headers["X-Gateway-Reference"] == "NS123"
    assert seen[0].headers["Authorization"] == "Bearer " + "a" * 20


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (302, Redirected),
        (400, Refused),
        (422, Refused),
        (401, NotSent),
        (404, NotSent),
        (408, NotSent),
        (429, Throttled),
        (500, Unknown),
    ],
)
async def test_an_answer_is_named_by_what_to_do_with_it(connect: Connect, status: int, error: type) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, headers={"Retry-After": "7"} if status == 429 else {})

    with pytest.raises(error) as raised:
        await (await connect(answer)).create(ORDER, ORDER.body)
    if isinstance(raised.value, Throttled):
        assert raised.value.retry_after == 7


def answers(create: web.Response, look_up: web.Response) -> Answer:
    async def answer(request: web.Request) -> web.Response:
        return create if request.method == "POST" else look_up

    return answer


async def test_an_order_that_the_provider_says_it_has_is_looked_up_and_taken(connect: Connect) -> None:
    found = web.json_response({"id": "wms-7", "reference": "NS123"})
    taken = await (await connect(answers(web.Response(status=409), found))).create(ORDER, ORDER.body)
    assert taken.provider_order == "wms-7"


@pytest.mark.parametrize("said", [web.Response(status=404), web.json_response([]), web.json_response({"id": "wms-8"})])
async def test_an_order_that_the_provider_says_it_has_and_does_not_find_is_for_a_person(
    connect: Connect, said: web.Response
) -> None:
    with pytest.raises(Disputed):
        await (await connect(answers(web.Response(status=409), said))).create(ORDER, ORDER.body)


async def test_an_order_whose_look_up_is_away_may_be_there(connect: Connect) -> None:
    with pytest.raises(Unknown):
        await (await connect(answers(web.Response(status=409), web.Response(status=503)))).create(ORDER, ORDER.body)


async def test_a_provider_without_a_look_up_is_believed_that_it_has_an_order(connect: Connect) -> None:
    adapter = await connect(answers(web.Response(status=409), web.Response(status=404)))
    adapter.can = replace(adapter.can, look_up=False)
    assert (await adapter.create(ORDER, ORDER.body)).status == 409


@pytest.mark.parametrize(
    "body", [b"", b"\n", b"{}", b"null", b"[]", b'"OK"', b'{"id": 7, "error": ""}', b'{"status": "accepted"}']
)
async def test_an_order_is_taken_by_any_answer_that_does_not_say_no(connect: Connect, body: bytes) -> None:
    nobody_asks = web.Response(status=500)
    assert (
        await (await connect(answers(web.Response(status=200, body=body), nobody_asks))).create(ORDER, ORDER.body)
    ).status


@pytest.mark.parametrize("body", [b"<!doctype html><title>Down for maintenance</title>", b"OK", b"[" * 100_000])
async def test_an_order_answered_by_what_is_no_json_may_be_there(connect: Connect, body: bytes) -> None:
    with pytest.raises(Unknown, match="no JSON"):
        await (await connect(answers(web.Response(body=body), web.Response(status=404)))).create(ORDER, ORDER.body)


NOES = [
    {"success": False},
    {"success": False, "id": "wms-7"},
    {"ok": "false"},
    {"isSuccess": False, "message": "unknown SKU"},
    {"error": "unknown SKU"},
    {"errors": [{"code": 7}]},
    {"status": "error", "message": "unknown SKU"},
    [{"error_code": "SKU_UNKNOWN"}],
    False,
]


@pytest.mark.parametrize("said", NOES)
async def test_an_order_that_is_refused_by_a_200_and_not_found_is_refused(connect: Connect, said: object) -> None:
    with pytest.raises(Refused) as refused:
        await (await connect(answers(web.json_response(said), web.Response(status=404)))).create(ORDER, ORDER.body)
    assert not isinstance(refused.value, Disputed)


@pytest.mark.parametrize("said", NOES)
async def test_an_order_that_is_refused_by_a_200_and_can_not_be_looked_up_is_for_a_person(
    connect: Connect, said: object
) -> None:
    adapter = await connect(answers(web.json_response(said), web.Response(status=404)))
    adapter.can = replace(adapter.can, look_up=False)
    with pytest.raises(Disputed):
        await adapter.create(ORDER, ORDER.body)


async def test_an_order_that_is_refused_as_a_double_and_found_is_taken(connect: Connect) -> None:
    found = web.json_response({"orders": [{"id": "wms-6"}, {"id": "wms-7", "customer_ref": "ns123 "}]})
    taken = await (await connect(answers(web.json_response({"error": "duplicate"}), found))).create(ORDER, ORDER.body)
    assert taken.provider_order == "wms-7"


async def test_a_connection_that_breaks_after_sending_is_unknown(connect: Connect) -> None:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(Unknown):
        await (await connect(answer)).create(ORDER, ORDER.body)


async def test_a_provider_that_cannot_be_reached_was_sent_nothing() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(NotSent):
            await Http(provider(), session).create(ORDER, ORDER.body)


async def test_a_look_up_finds_the_order_by_our_reference_or_says_that_there_is_none(connect: Connect) -> None:
    async def answer(request: web.Request) -> web.Response:
        known = request.path == "/orders/NS123"
        named = {"id": "wms-7", "reference": "NS123"}
        return web.json_response(named) if known else web.Response(status=404)

    adapter = await connect(answer)
    found = await adapter.look_up(ORDER)
    assert found is not None
    assert found.provider_order == "wms-7"
    assert await adapter.look_up(Order(request_id="r-2", reference="NS999")) is None


@pytest.mark.parametrize(
    "said",
    [{"order": {"external_id": "r-1"}}, [{"reference": "ns123"}], {"id": "r-1"}, {"data": [{"po": "NS123", "n": 1}]}],
)
async def test_an_order_is_found_wherever_our_reference_or_newstores_id_stands(connect: Connect, said: object) -> None:
    adapter = await connect(answers(web.Response(), web.json_response(said)))
    assert await adapter.look_up(ORDER) is not None


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"null", b'{"orders": []}', b'{"id": "wms-8", "reference": "NS124"}', b'{"NS123": 1}',
        b"<!doctype html><div id=root></div>", b'"NS123"', b'{"query": {"reference": "NS123"}, "orders": []}',
        b'{"error": "not found", "id": "NS123", "success": false}', b'{"reference": "NS1234"}',
    ],
)  # fmt: skip
async def test_an_answer_that_does_not_name_the_order_has_not_found_it(connect: Connect, body: bytes) -> None:
    with pytest.raises(Inconclusive):
        await (await connect(answers(web.Response(), web.Response(body=body)))).look_up(ORDER)


@pytest.mark.parametrize("said", [{"orders": []}, {"reference": "NS-CHECK-CONFIG"}])
async def test_a_provider_whose_look_up_finds_what_is_not_there_is_not_reached(connect: Connect, said: object) -> None:
    with pytest.raises(Inconclusive, match="404"):
        await (await connect(answers(web.Response(), web.json_response(said)))).check()


@pytest.mark.parametrize(("status", "proof"), [(200, "answered 200"), (204, "answered 204"), (404, None)])
async def test_an_order_is_withdrawn_by_our_reference_and_the_answer_is_the_proof(
    connect: Connect, status: int, proof: str | None
) -> None:
    seen: list[tuple[str, str]] = []

    async def answer(request: web.Request) -> web.Response:
        seen.append((request.method, request.path))
        return web.Response(status=status)

    assert await (await connect(answer)).withdraw(ORDER) == proof
    assert seen == [("DELETE", "/orders/NS123")]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (409, Refused), (405, Refused), (501, Refused), (422, Refused), (202, NotSent), (401, NotSent),
        (429, Throttled), (500, Unknown),
    ],
)  # fmt: skip
async def test_an_order_that_did_not_stop_is_no_proof(connect: Connect, status: int, error: type) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status)

    with pytest.raises(error):
        await (await connect(answer)).withdraw(ORDER)


@pytest.mark.parametrize(
    ("body", "error"), [(b"<html>maintenance</html>", Unknown), (b'{"success": false}', Refused), (b"false", Refused)]
)
async def test_a_200_that_does_not_say_that_an_order_stopped_is_no_proof(
    connect: Connect, body: bytes, error: type
) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=body)

    with pytest.raises(error):
        await (await connect(answer)).withdraw(ORDER)


async def test_a_provider_withdraws_only_where_its_settings_say_so() -> None:
    async with aiohttp.ClientSession() as session:
        assert not Http(provider(), session).can.withdraw
        assert Http(replace(provider(), withdraw=True), session).can.withdraw


def read(body: bytes) -> ProviderSaid:
    return read_callback(body, provider(), NOW)


def test_a_shipment_is_read_with_its_units_and_parcel() -> None:
    told = read(
        b'{"event_id":"e-1","type":"shipped","fulfillment_request_id":"r-1","items":[{"product_id":"A","quantity":2},'
        b'{"product_id":"A","quantity":1}],"shipment":{"carrier":"UPS","tracking_number":"1Z"},"unknown":true}'
    )
    assert (told.word, told.items, told.parcel, told.cause) == (Word.SHIPPED, {"A": 3}, Parcel("UPS", "1Z"), "acme:e-1")


def test_a_rejection_keeps_its_reason_and_an_unknown_one_gets_none_of_ours() -> None:
    body = '{"event_id":"e","type":"rejected","fulfillment_request_id":"r","items":[{"product_id":"A"}],"reason":"%s"}'
    assert read((body % "no_inventory").encode()).reason is RejectionReason.NO_INVENTORY
    strange = read((body % "lost").encode())
    assert (strange.reason, strange.problem) == (
        None,
        "reason 'lost' is unknown: send one of no_inventory, cannot_fulfill",
    )


@pytest.mark.parametrize("field", ["type", "reason"])
def test_a_sentence_instead_of_a_code_is_not_repeated(field: str) -> None:
    said = {"type": "rejected", "fulfillment_request_id": "r", field: "Ada Lovelace moved to Lane 1"}
    problem = read(json.dumps(said).encode()).problem
    assert problem.startswith(f"{field} is unknown, and no code (see the body): send one of ")


def test_a_rejection_without_a_reason_is_told_which_there_are() -> None:
    told = read(b'{"type":"rejected","fulfillment_request_id":"r"}')
    assert told.problem == "reason is missing: send one of no_inventory, cannot_fulfill"


def test_an_unknown_word_is_never_mapped() -> None:
    told = read(b'{"event_id":"e-1","type":"palletized","fulfillment_request_id":"r-1"}')
    assert (told.word, told.problem) == (
        None,
        "type 'palletized' is unknown: send one of accepted, rejected, cancelled, shipped, backordered",
    )


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"not json", "$"),
        (b"[" * 100_000, "$"),
        (b'{"type":"shipped"}', "$"),
        (b'{"type":"shipped","fulfillment_request_id":"r"}', "$.items"),
        (b'{"type":"x","fulfillment_request_id":"r","items":[{"product_id":"A","quantity":0}]}', "$.items[0].quantity"),
        (b'{"type":"rejected","fulfillment_request_id":"r","items":[],"reason":"no_inventory"}', "$.items"),
        (b'{"type":"cancelled","fulfillment_request_id":"r","items":[]}', "$.items"),
        (
            b'{"type":"x","fulfillment_request_id":"r","items":[{"product_id":"%b"}]}' % (b"P" * 10_001),
            "$.items[0].product_id",
        ),
        (b'{"type":"x","fulfillment_request_id":"r\\u0000"}', "$"),
        (b'{"type":"x","fulfillment_request_id":"\\ud800"}', "$"),
        (b'{"type":"\xff","fulfillment_request_id":"r"}', "$"),
        (b'{"type":"rejected","fulfillment_request_id":"r","reason":"%b"}' % (b"r" * 501), "$.reason"),
    ],
)
def test_a_callback_that_cannot_be_read_says_where(body: bytes, path: str) -> None:
    with pytest.raises(Malformed) as malformed:
        read(body)
    assert malformed.value.path == path


def test_a_text_that_only_spells_a_nul_is_read() -> None:
    body = (
        rb'{"event_id":"e","type":"shipped","fulfillment_request_id":"r\\u0000","items":[{"product_id":"A\\\\u0000"}]}'
    )
    told = read(body)
    assert (told.request_id, told.uncounted) == (r"r\u0000", {r"A\\u0000": 1})


@pytest.mark.parametrize("escaped", [rb"\u0000", rb"\\\u0000", rb"\\\\\u0000"])
def test_a_nul_after_backslashes_is_still_one(escaped: bytes) -> None:
    with pytest.raises(Malformed):
        read(b'{"type":"accepted","fulfillment_request_id":"r%b"}' % escaped)


def test_a_signature_of_the_standard_webhooks_library_is_authentic_until_it_is_old_or_altered() -> None:
    secrets = (Secret(SECRET),)
    signature = Webhook(SECRET).sign("msg_1", NOW, '{"a":1}')
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": f"v1,AAAA {signature}",
    }
    now = NOW.timestamp()
    assert signed_with(secrets, headers, b'{"a":1}', now) == 1
    assert not signed_with(secrets, headers, b'{"a":2}', now)
    assert not signed_with(secrets, headers, b'{"a":1}', now + 301)
    assert not signed_with(secrets, {**headers, "webhook-signature": "v1,!"}, b'{"a":1}', now)
    assert signed_with((Secret("whsec_" + "YWFh" * 8), *secrets), headers, b'{"a":1}', now) == 2


@pytest.mark.parametrize(
    "changes", [{"webhook-id": "\udcff"}, {"webhook-timestamp": "9" * 5_000}, {"webhook-timestamp": "9" * 400}]
)
def test_headers_that_no_sender_means_are_a_wrong_signature(changes: dict[str, str]) -> None:
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(NOW.timestamp())), "webhook-signature": "v1,AAAA"}
    assert not signed_with((Secret(SECRET),), headers | changes, b"{}", NOW.timestamp())
