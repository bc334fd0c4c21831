import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from standardwebhooks import Webhook

from gateway.calls import NotSent, Redirected, Refused, Throttled, Unknown
from gateway.domain.commands import OnProviderCancel, ProviderSaid, RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.providers.contract import Malformed, Order
from gateway.providers.http import Http, read_callback
from gateway.providers.signatures import is_authentic
from gateway.settings import Provider, Secret

ORDER = Order("r-1", "NS123", "NS123.1.create.0", b'{"id": "r-1",  "unknown": [1]}')
NOW = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connect = Callable[[Answer], Awaitable[Http]]


def provider(url: str = "http://127.0.0.1:9", **changes: Secret | None) -> Provider:
    keys: dict[str, Secret | None] = {"callback_key": Secret("k" * 20), "callback_secret": None, **changes}
    return Provider("acme", "http", url, Secret("a" * 20), keys["callback_key"], keys["callback_secret"], timeout=0.5)


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
            return Http(session, provider(f"http://127.0.0.1:{server.port}/orders"))

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

    taken = await (await connect(answer)).create(ORDER)

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
        await (await connect(answer)).create(ORDER)
    if isinstance(raised.value, Throttled):
        assert raised.value.retry_after == 7


async def test_an_order_that_the_provider_has_already_is_taken(connect: Connect) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=409)

    assert (await (await connect(answer)).create(ORDER)).status == 409


async def test_a_connection_that_breaks_after_sending_is_unknown(connect: Connect) -> None:
    async def answer(request: web.Request) -> web.Response:
        await request.read()
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    with pytest.raises(Unknown):
        await (await connect(answer)).create(ORDER)


async def test_a_provider_that_cannot_be_reached_was_sent_nothing() -> None:
    async with aiohttp.ClientSession() as session:
        with pytest.raises(NotSent):
            await Http(session, provider()).create(ORDER)


async def test_a_look_up_finds_the_order_by_our_reference_or_says_that_there_is_none(connect: Connect) -> None:
    async def answer(request: web.Request) -> web.Response:
        known = request.path == "/orders/NS123"
        return web.json_response({"id": "wms-7"}) if known else web.Response(status=404)

    adapter = await connect(answer)
    found = await adapter.look_up(ORDER)
    assert found is not None
    assert found.provider_order == "wms-7"
    assert await adapter.look_up(Order("r-2", "NS999", "", b"")) is None


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


async def test_a_provider_withdraws_only_where_its_settings_say_so() -> None:
    async with aiohttp.ClientSession() as session:
        assert not Http(session, provider()).can_withdraw
        assert Http(session, replace(provider(), withdraw=True)).can_withdraw


def read(body: bytes) -> ProviderSaid:
    return read_callback(body, "acme", NOW, OnProviderCancel.QUARANTINE)


def test_a_shipment_is_read_with_its_units_and_parcel() -> None:
    told = read(
        b'{"event_id":"e-1","type":"shipped","fulfillment_request_id":"r-1","items":[{"product_id":"A","quantity":2},'
        b'{"product_id":"A"}],"shipment":{"carrier":"UPS","tracking_number":"1Z"},"unknown":true}'
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
    told = read(b'{"event_id":"e-1","type":"backordered","fulfillment_request_id":"r-1"}')
    assert (told.word, told.problem) == (
        None,
        "type 'backordered' is unknown: send one of accepted, rejected, cancelled, shipped",
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
        (
            b'{"type":"shipped","fulfillment_request_id":"r","items":[{"product_id":"A"}],"shipment":'
            b'{"carrier":"UPS","tracking_number":"1Z","tracking_url":"https://%b"}}' % (b"u" * 2_000),
            "$.shipment.tracking_url",
        ),
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
    assert (told.request_id, told.items) == (r"r\u0000", {r"A\\u0000": 1})


@pytest.mark.parametrize("escaped", [rb"\u0000", rb"\\\u0000", rb"\\\\\u0000"])
def test_a_nul_after_backslashes_is_still_one(escaped: bytes) -> None:
    with pytest.raises(Malformed):
        read(b'{"type":"accepted","fulfillment_request_id":"r%b"}' % escaped)


def test_a_callback_key_is_checked() -> None:
    assert is_authentic(provider(), {"Authorization": "Bearer " + "k" * 20}, b"", 0)
    assert not is_authentic(provider(), {"Authorization": "Bearer " + "x" * 20}, b"", 0)
    assert not is_authentic(provider(), {}, b"", 0)


def test_a_signature_of_the_standard_webhooks_library_is_authentic_until_it_is_old_or_altered() -> None:
    signed = provider(callback_key=None, callback_secret=Secret(SECRET))
    signature = Webhook(SECRET).sign("msg_1", NOW, '{"a":1}')
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": f"v1,AAAA {signature}",
    }
    now = NOW.timestamp()
    assert is_authentic(signed, headers, b'{"a":1}', now)
    assert not is_authentic(signed, headers, b'{"a":2}', now)
    assert not is_authentic(signed, headers, b'{"a":1}', now + 301)
    assert not is_authentic(signed, {**headers, "webhook-signature": "v1,!"}, b'{"a":1}', now)


@pytest.mark.parametrize(
    "changes", [{"webhook-id": "\udcff"}, {"webhook-timestamp": "9" * 5_000}, {"webhook-timestamp": "9" * 400}]
)
def test_headers_that_no_sender_means_are_a_wrong_signature(changes: dict[str, str]) -> None:
    signed = provider(callback_key=None, callback_secret=Secret(SECRET))
    headers = {"webhook-id": "m", "webhook-timestamp": str(int(NOW.timestamp())), "webhook-signature": "v1,AAAA"}
    assert not is_authentic(signed, headers | changes, b"{}", NOW.timestamp())
