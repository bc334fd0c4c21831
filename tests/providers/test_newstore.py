"""The gateway as NewStore: what a provider that is integrated with NewStore calls, and what it is answered."""

import asyncio
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import ClientResponse, encode_basic_auth, web

from gateway.call_errors import NotSent, Refused
from gateway.domain.commands import OnProviderCancel
from gateway.ledger.queue import holds
from gateway.providers import tokens
from gateway.providers.conformance.orders import sample
from gateway.providers.newstore import Newstore
from gateway.providers.newstore_settings import NewstoreSettings
from gateway.providers.port import Admission
from gateway.settings import Location, Secret, Settings
from gateway.telemetry.metrics import REGISTRY
from tests.documented import as_documented
from tests.listening import listening
from tests.served import ACME, SETTINGS, Served, event, order, serve

SECRET, NEXT = Secret("the-secret-of-the-client-of-ns"), Secret("the-next-secret-of-the-client-of-ns")
NS = NewstoreSettings(
    name="ns", adapter="newstore", url="http://localhost:1/hook", api_key=Secret("api"), client_id="ns-client",
    client_secrets=(SECRET, NEXT),
)  # fmt: skip
AT_NS = {
    "DC01": Location("DC01", (Secret("the-key-of-DC01"),), "ns"),
    "DC02": Location("DC02", (Secret("the-key-of-DC01"),), "ns", on_provider_cancel=OnProviderCancel.REJECT),
    "DC03": Location("DC03", (Secret("the-key-of-DC01"),), "ns", on_provider_cancel=OnProviderCancel.CANCEL),
    "DC04": Location("DC04", (Secret("the-key-of-DC01"),), "acme"),
}
HERE = replace(SETTINGS, providers={**SETTINGS.providers, "ns": NS}, locations=AT_NS)
REALM = "auth/realms/acme/protocol/openid-connect/token"
CLIENT = {"client_id": "ns-client", "client_secret": SECRET.reveal()}
GRANT = {"grant_type": "client_credentials"}
UPS = {"carrier": "UPS", "tracking_code": "1Z1", "tracking_url": "https://ups.example/1Z1"}
NO_STOCK = {"missing_items": [{"reason": "no_inventory", "product_ids": ["CAP"]}]}


def shipment(*products: str, **shipment: str) -> dict[str, Any]:
    return {"line_items": [{"product_ids": list(products), "shipment": {**UPS, **shipment}}]}


def shown(secret: Secret = SECRET, at: float = 0.0) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.issue('ns-client', secret, at or time.time())}"}


def basic(secret: str) -> dict[str, str]:
    return {"Authorization": encode_basic_auth("ns-client", secret)}


@dataclass(slots=True)
class Provider:
    """The provider, who thinks that it calls NewStore."""

    gateway: Served

    async def call(
        self, word: str, body: object = None, request_id: str = "r-1", *, method: str = "POST", **headers: str
    ) -> ClientResponse:
        data = body if isinstance(body, bytes | io.BytesIO) else json.dumps(body).encode() if body is not None else None
        path = f"/providers/ns/v0/d/fulfillment_requests/{request_id}/{word}"
        heads = headers if "Authorization" in headers else {**shown(), **headers}
        return await as_documented(await self.gateway.public.request(method, path, data=data, headers=heads))

    async def told(self, word: str, body: object = None, request_id: str = "r-1", **more: str) -> tuple[int, str]:
        """Call, and give the status and the code of the answer."""
        answer = await self.call(word, body, request_id, **more)
        return answer.status, (await answer.json()).get("error_code", "")

    async def ask(self, word: str, request_id: str = "r-1") -> Any:
        answer = await self.call(word, None, request_id, method="GET")
        return await answer.json() if answer.status == 200 else answer.status

    async def token(self, path: str = REALM, **sent: Any) -> ClientResponse:
        return await as_documented(await self.gateway.public.post(f"/providers/ns/{path}", **sent))

    async def units(self) -> list[str]:
        found = await (await self.gateway.ask("/v1/requests/r-1")).json()
        return [unit["said"] for unit in found["units"]]


Serving = Callable[[Settings], AbstractAsyncContextManager[Served]]


@pytest.fixture
def serving(database: str, pool: asyncpg.Pool) -> Serving:
    return lambda settings: serve(pool, lambda: asyncpg.connect(database), settings=settings)


@pytest.fixture
async def provider(serving: Serving) -> AsyncIterator[Provider]:
    async with serving(HERE) as served:
        yield Provider(served)


def refused() -> float:
    return REGISTRY.get_sample_value("gateway_credentials_refused_total", {"door": "providers"}) or 0.0


@pytest.mark.parametrize(
    ("path", "sent"),
    [
        (REALM, {"data": {**GRANT, **CLIENT, "scope": "x"}}),
        (REALM, {"data": GRANT, "headers": basic(SECRET.reveal())}),
        (REALM, {"data": {**GRANT, "client_id": "ns-client", "client_secret": NEXT.reveal()}}),
        ("v0/token", {"data": {"grant_type": "password", "username": "ns-client", "password": SECRET.reveal()}}),
        ("v0/token", {"json": {"grant_type": "password", "username": "ns-client", "password": SECRET.reveal()}}),
    ],
)
async def test_a_client_gets_a_token_as_at_newstore_and_is_let_in_with_it(
    provider: Provider, path: str, sent: dict[str, Any]
) -> None:
    await provider.gateway.receive(order())
    answer = await provider.token(path, **sent)
    told = await answer.json()
    assert (answer.status, answer.headers["Cache-Control"], told["token_type"]) == (200, "no-store", "Bearer")
    assert (told["expires_in"], told["scope"]) == (3600, sent["data"].get("scope", "") if "data" in sent else "")
    headers = {"Authorization": f"Bearer {told['access_token']}"}
    assert (await provider.call("acknowledgement", **headers)).status == 201


@pytest.mark.parametrize(
    "sent",
    [
        {"data": {**GRANT, **CLIENT, "client_secret": "another-secret-of-nobody"}},
        {"data": {**GRANT, **CLIENT, "client_id": "nobody"}},
        {"data": {**GRANT, **CLIENT}, "headers": basic("x")},
        {"data": {**GRANT, **CLIENT}, "headers": {"Authorization": "Basic x"}},
        {"data": {**GRANT, **CLIENT}, "headers": {"Authorization": "Basic ☃"}},
        {"data": GRANT},
        {"data": {"grant_type": "password", "username": "ns-client", "password": "\N{SNOWMAN}"}},
    ],
)
async def test_a_wrong_secret_gets_no_token_and_is_counted(provider: Provider, sent: dict[str, Any]) -> None:
    before = refused()
    answer = await provider.token(**sent)
    assert (answer.status, (await answer.json())["error"]) == (401, "unauthorized_client")
    assert refused() == before + 1


async def test_guesses_at_a_secret_are_answered_ever_more_slowly(provider: Provider) -> None:
    guess: dict[str, Any] = {"data": {**GRANT, **CLIENT, "client_secret": "another-secret-of-nobody"}}
    for _ in range(3):
        await provider.token(**guess)
    started = time.monotonic()
    assert (await provider.token(**guess)).status == 401
    assert time.monotonic() - started > 0.2
    started = time.monotonic()
    assert (await provider.token(data={**GRANT, **CLIENT})).status == 200
    assert time.monotonic() - started < 0.2


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"data": {**CLIENT, "grant_type": "authorization_code"}}, 400, "unsupported_grant_type"),
        ({"data": CLIENT}, 400, "invalid_request"),
        ({"data": b"\xff\xfe"}, 400, "invalid_request"),
        ({"json": [1]}, 400, "invalid_request"),
        ({"data": b"a=" + b"x" * 20_000}, 413, "invalid_request"),
    ],
)
async def test_what_is_no_call_for_a_token_is_told_what_is_wrong_and_is_no_guess(
    provider: Provider, sent: dict[str, Any], status: int, code: str
) -> None:
    before = refused()
    answer = await provider.token(**sent)
    assert (answer.status, (await answer.json())["error"]) == (status, code)
    assert refused() == before


async def test_a_token_is_known_to_every_process_until_it_ends_or_its_secret_does() -> None:
    async with aiohttp.ClientSession() as session:
        this, other = Newstore(NS, session), Newstore(NS, session)
        changed = Newstore(replace(NS, client_secrets=(NEXT,)), session)
        renamed = Newstore(replace(NS, client_id="another"), session)
    now = 1_800_000_000.0
    for secret in (SECRET, NEXT):
        assert this.admit(shown(secret, now), now + 3599) is other.admit(shown(secret, now), now) is Admission.PROVED
        assert this.admit(shown(secret, now), now + 3600) is Admission.EXPIRED
        assert renamed.admit(shown(secret, now), now) is Admission.REFUSED
    assert changed.admit(shown(SECRET, now), now) is Admission.REFUSED
    assert changed.admit(shown(NEXT, now), now) is Admission.PROVED


@pytest.mark.parametrize(
    "change",
    [
        lambda token: token[:-1] + ("A" if token[-1] != "A" else "B"),
        lambda token: token.replace(".", "", 1),
        lambda token: ".".join((token.split(".")[0], token.split(".")[1] + "A", token.split(".")[2])),
        lambda token: ".".join(("eyJhbGciOiJub25lIn0", token.split(".")[1], "")),
        lambda _: "..",
        lambda _: "x",
        lambda _: "\udcff.\udcff.\udcff",
    ],
)
async def test_a_token_that_we_did_not_give_is_none(change: Callable[[str], str]) -> None:
    async with aiohttp.ClientSession() as session:
        adapter = Newstore(NS, session)
    token = change(tokens.issue("ns-client", SECRET, 1_800_000_000.0))
    assert adapter.admit({"Authorization": f"Bearer {token}"}, 1_800_000_000.0) is Admission.REFUSED


@pytest.mark.parametrize(
    ("headers", "answer", "guesses"),
    [
        ({"Authorization": ""}, (401, "unauthorized"), 1),
        ({"Authorization": "Bearer x.y.z"}, (403, "forbidden"), 1),
        (ACME, (403, "forbidden"), 1),
        (shown(at=time.time() - 4_000), (403, "forbidden"), 0),
    ],
)
async def test_who_shows_no_good_token_is_told_so_as_by_newstore(
    provider: Provider, headers: dict[str, str], answer: tuple[int, str], guesses: int
) -> None:
    await provider.gateway.receive(order())
    before = refused()
    if not headers["Authorization"]:
        path = "/providers/ns/v0/d/fulfillment_requests/r-1/acknowledgement"
        got = await as_documented(await provider.gateway.public.post(path))
        assert (got.status, (await got.json())["error_code"]) == answer
        assert refused() == before  # nothing was guessed
        return
    assert await provider.told("acknowledgement", {}, **headers) == answer
    assert refused() == before + guesses
    assert await provider.gateway.pool.fetchval("SELECT version FROM requests") == 1


async def test_units_are_accepted_shipped_and_rejected_and_the_provider_reads_that_back(provider: Provider) -> None:
    await provider.gateway.receive(order("r-1", "TEE", "TEE", "CAP"))
    for word in ("shipment", "rejection", "reject_items", "canceled_items"):
        assert await provider.ask(word) == 404
    assert await provider.told("acknowledgement") == (201, "")
    assert await provider.told("acknowledgement", {}) == (201, "")
    assert await provider.told("shipment", shipment("TEE", "TEE")) == (201, "")
    assert await provider.told("reject_items", NO_STOCK) == (201, "")

    assert await provider.units() == ["shipped", "shipped", "rejected"]
    read = await provider.ask("shipment")
    assert read["failed_shipments"] == []
    assert [{**each, "received_at": "", "accepted_at": ""} for each in read["successful_shipments"]] == [
        {"product_id": "TEE", "carrier": "UPS", "tracking_code": "1Z1", "received_at": "", "accepted_at": ""}
    ] * 2
    for word in ("rejection", "reject_items"):
        [rejected] = (await provider.ask(word))["rejected_items"]
        assert (rejected["product_id"], rejected["reason"]) == ("CAP", "no_inventory")
        assert rejected["received_at"].endswith("Z")
    assert await provider.ask("canceled_items") == 404


async def test_a_carrier_is_read_back_by_the_providers_name_for_it(serving: Serving) -> None:
    there = replace(HERE, providers={**HERE.providers, "ns": replace(NS, carriers={"ups": "United Parcel"})})
    async with serving(there) as served:
        provider = Provider(served)
        await served.receive(order())
        await provider.call("shipment", shipment("TEE"))
        assert [each["carrier"] for each in (await provider.ask("shipment"))["successful_shipments"]] == ["UPS"]
        told = "SELECT fact->'parcel'->>'carrier' FROM events WHERE kind = 'units_shipped'"
        assert await served.pool.fetchval(told) == "United Parcel"


async def test_a_whole_request_is_rejected_and_only_what_is_missing_for_lack_of_stock(provider: Provider) -> None:
    await provider.gateway.receive(order("r-1", "TEE", "TEE", "CAP"))
    whole = {"rejection_reason": "no_inventory", "missing_product_ids": ["TEE"]}
    assert await provider.told("rejection", whole) == (201, "")
    assert await provider.told("rejection", whole) == (201, "")
    assert await provider.units() == ["rejected"] * 3
    read = (await provider.ask("rejection"))["rejected_items"]
    assert sorted((each["product_id"], each["reason"]) for each in read) == [
        ("CAP", "cannot_fulfill"), ("TEE", "cannot_fulfill"), ("TEE", "no_inventory"),
    ]  # fmt: skip


async def test_a_lack_of_stock_names_the_products(provider: Provider) -> None:
    await provider.gateway.receive(order())
    answer = await provider.call("rejection", {"rejection_reason": "no_inventory"})
    assert answer.status == 400
    assert "$.missing_product_ids: is missing" in (await answer.json())["error_description"]
    assert await provider.told("rejection", {"rejection_reason": "cannot_fulfill"}) == (201, "")


async def test_a_call_ships_several_parcels_and_parts_may_follow(provider: Provider) -> None:
    await provider.gateway.receive(order("r-1", "TEE", "TEE", "TEE", "CAP"))
    both = {"line_items": shipment("TEE")["line_items"] + shipment("TEE", "CAP", tracking_code="1Z2")["line_items"]}
    assert await provider.told("shipment", both) == (201, "")
    assert await provider.told("shipment", both) == (201, "")
    assert await provider.units() == ["shipped", "shipped", "open", "shipped"]
    assert await provider.told("shipment", shipment("TEE", tracking_code="1Z3")) == (201, "")
    read = (await provider.ask("shipment"))["successful_shipments"]
    assert sorted((each["product_id"], each["tracking_code"]) for each in read) == [
        ("CAP", "1Z2"), ("TEE", "1Z1"), ("TEE", "1Z2"), ("TEE", "1Z3"),
    ]  # fmt: skip


async def test_of_a_call_of_which_a_part_is_refused_the_rest_is_stored_and_told(provider: Provider) -> None:
    await provider.gateway.receive(order("r-1", "TEE", "CAP"))
    both = {"line_items": shipment("TEE")["line_items"] + shipment("HAT", tracking_code="1Z2")["line_items"]}
    answer = await provider.call("shipment", both)
    told = await answer.json()
    assert (answer.status, told["error_code"]) == (400, "invalid_item")
    assert told["error_description"] == "entry 2: 'HAT' is not in the request; 1 of 2 entries are stored"
    assert [each["product_id"] for each in (await provider.ask("shipment"))["successful_shipments"]] == ["TEE"]


@pytest.mark.parametrize(
    ("first", "then", "code"),
    [
        (("shipment", shipment("TEE")), ("shipment", shipment("TEE", tracking_code="1Z2")), "already_shipped"),
        (("shipment", shipment("CAP")), ("reject_items", NO_STOCK), "already_shipped"),
        (("shipment", shipment("CAP")), ("canceled_items", {"product_ids": ["CAP"]}), "already_shipped"),
        (("reject_items", NO_STOCK), ("shipment", shipment("CAP")), "already_rejected"),
        (("rejection", {"rejection_reason": "cannot_fulfill"}), ("acknowledgement", {}), "already_rejected"),
        (("acknowledgement", {}), ("shipment", shipment("HAT")), "invalid_item"),
        (("acknowledgement", {}), ("shipment", shipment("TEE", "TEE")), "invalid_item"),
    ],
)
async def test_what_can_not_be_is_refused_by_newstores_code_and_seen_by_a_person(
    provider: Provider, first: tuple[str, Any], then: tuple[str, Any], code: str
) -> None:
    await provider.gateway.receive(order(), "DC03")
    assert await provider.told(*first) == (201, "")
    assert await provider.told(*then) == (400, code)
    kinds = await provider.gateway.pool.fetch("SELECT kind FROM events ORDER BY version")
    assert kinds[-1]["kind"] == "callback_refused"


async def test_a_call_that_comes_again_is_a_repetition(provider: Provider) -> None:
    await provider.gateway.receive(order("r-1", "TEE", "TEE"))
    called = shipment("TEE")
    again = json.dumps(called, indent=1, sort_keys=True).encode()
    assert [await provider.told("shipment", each) for each in (called, called, again)] == [(201, "")] * 3
    assert await provider.units() == ["shipped", "open"]


async def test_a_call_with_a_key_of_its_own_is_another_one(provider: Provider) -> None:
    await provider.gateway.receive(order("r-1", "TEE", "TEE", "TEE"))
    for key in ("k-1", "k-2", "k-1"):
        answer = await provider.call("shipment", shipment("TEE"), **{"Idempotency-Key": key})
        assert answer.status == 201
    assert await provider.units() == ["shipped", "shipped", "open"]
    other = await provider.call("shipment", shipment("TEE", tracking_code="1Z9"), **{"Idempotency-Key": "k-1"})
    assert (other.status, (await other.json())["error_code"]) == (409, "conflicting_call")


async def test_a_call_that_comes_again_ships_more_where_the_settings_have_it_as_newstore(serving: Serving) -> None:
    settings = replace(HERE, providers={**HERE.providers, "ns": replace(NS, same_call="another")})
    async with serving(settings) as served:
        provider = Provider(served)
        await served.receive(order("r-1", "TEE", "TEE", "TEE"))
        for _ in range(2):
            assert await provider.told("shipment", shipment("TEE")) == (201, "")
        assert await provider.units() == ["shipped", "shipped", "open"]


@pytest.mark.parametrize(
    ("location", "said", "read"), [("DC01", "open", 404), ("DC02", "rejected", 1), ("DC03", "cancelled", 1)]
)
async def test_a_cancellation_is_what_the_location_says_and_is_read_back_as_one(
    provider: Provider, location: str, said: str, read: int
) -> None:
    await provider.gateway.receive(order(), location)
    answer = await provider.call("canceled_items", {"product_ids": ["CAP"]})
    assert (answer.status, (await answer.json()).get("result")) == (201, "kept" if location == "DC01" else None)
    assert await provider.units() == ["open", said]
    shown = await provider.ask("canceled_items")
    assert (shown if shown == 404 else len(shown["canceled_items"])) == read
    assert await provider.ask("rejection") == 404


async def test_a_request_that_is_nobodys_is_404_and_what_was_said_of_it_is_kept(provider: Provider) -> None:
    assert await provider.told("acknowledgement", {}) == (404, "resource_not_found")
    assert await provider.ask("shipment") == 404
    assert [(source, reason) for source, reason, _ in await provider.gateway.quarantined()] == [
        ("ns", "unknown_request")
    ]
    await provider.gateway.receive(order())
    await asyncio.gather(*provider.gateway.rejoined)
    assert await provider.gateway.pool.fetchval("SELECT accepted_at FROM requests") is not None


async def test_another_providers_request_is_neither_changed_nor_shown(provider: Provider) -> None:
    await provider.gateway.receive(order(), "DC04")
    assert await provider.told("shipment", shipment("TEE")) == (400, "fulfillment_request_invalid")
    assert await provider.units() == ["open", "open"]
    tee = [{"product_id": "TEE", "quantity": 1}]
    said = event("shipped", "e", items=tee, shipment={"carrier": "UPS", "tracking_number": "1Z"})
    assert (await provider.gateway.say(said)).status == 200
    nobodys = await provider.call("shipment", None, method="GET")
    assert (await nobodys.json())["error_description"] == "this provider has no such fulfillment request"
    await provider.gateway.pool.execute("UPDATE requests SET provider = 'ns', former = '{acme}'")  # as a reroute does
    nothing_yet = await provider.call("shipment", None, method="GET")
    assert (await nothing_yet.json())["error_description"] == "no shipment yet"
    assert await provider.told("shipment", shipment("CAP")) == (201, "")
    assert [each["product_id"] for each in (await provider.ask("shipment"))["successful_shipments"]] == ["CAP"]


async def test_an_id_of_any_characters_is_found_by_its_path(provider: Provider) -> None:
    await provider.gateway.receive(order("r/1 ü%2F", "TEE"))
    path = "r%2F1%20%C3%BC%252F"
    assert await provider.told("shipment", shipment("TEE"), path) == (201, "")
    assert len((await provider.ask("shipment", path))["successful_shipments"]) == 1


@pytest.mark.parametrize("path", ["%00", "r" * 256, "%ff%fe", "."])
async def test_an_id_that_can_be_nobodys_is_told_so(provider: Provider, path: str) -> None:
    assert (await provider.told("shipment", shipment("TEE"), path))[0] in {400, 404}
    assert await provider.ask("shipment", path) == 404


@pytest.mark.parametrize(
    ("word", "body"),
    [
        ("shipment", b""),
        ("shipment", b"{"),
        ("shipment", b"[" * 100_000),
        ("shipment", b"\xff"),
        ("shipment", {"line_items": []}),
        ("shipment", {"line_items": [{"product_ids": [], "shipment": UPS}]}),
        ("shipment", {"line_items": [{"product_ids": ["TEE"], "shipment": {"carrier": "UPS"}}]}),
        ("shipment", shipment("TEE", tracking_code=" ")),
        ("shipment", shipment("TEE\0")),
        ("shipment", {"shipments": [{"item_ids": ["1"], "tracking_code": "1Z"}]}),
        (
            "shipment",
            b'{"line_items": [{"product_ids": ["TEE"], "shipment": {"tracking_code": "1", "tracking_code": "2"}}]}',
        ),
        ("reject_items", {"missing_items": [{"reason": "lost", "product_ids": ["TEE"]}]}),
        ("rejection", {}),
        ("rejection", {"rejection_reason": "lost"}),
        ("canceled_items", {"product_ids": "TEE"}),
        ("acknowledgement", []),
    ],
)
async def test_a_body_that_is_not_as_newstore_has_it_is_refused_and_kept(
    provider: Provider, word: str, body: object
) -> None:
    await provider.gateway.receive(order())
    assert await provider.told(word, body) == (400, "invalid_request")
    assert await provider.units() == ["open", "open"]
    assert len(await provider.gateway.quarantined()) == 1


@pytest.mark.parametrize(
    ("word", "body"),
    [
        ("canceled_items", {"product_ids": ["CAP"], "quantity": 2}),
        ("shipment", {"line_items": [{"product_ids": ["TEE"], "shipment": UPS, "unit_count": 3}]}),
        ("rejection", {"rejection_reason": "cannot_fulfill", "item_ids": ["7"]}),
        ("acknowledgement", {"product_ids": ["TEE"]}),
    ],
)
async def test_what_may_mean_something_else_is_kept_for_a_person(provider: Provider, word: str, body: object) -> None:
    await provider.gateway.receive(order(), "DC03")
    answer = await provider.call(word, body)
    assert (answer.status, (await answer.json())["result"]) == (201, "kept")
    assert [reason for _, reason, _ in await provider.gateway.quarantined()] == ["not_understood"]
    assert await provider.gateway.pool.fetchval("SELECT accepted_at FROM requests") is None


async def test_a_call_that_was_kept_is_read_again_as_the_call_that_it_was(provider: Provider) -> None:
    await provider.gateway.receive(order())
    body = shipment("TEE")
    broken = json.dumps(body).encode() + b"}"
    assert await provider.told("shipment", broken) == (400, "invalid_request")
    await provider.gateway.pool.execute("UPDATE quarantine SET body = $1", json.dumps(body).encode())
    assert (await provider.gateway.do("/v1/quarantine/1/replay", {"reason": "mended"})).status == 200
    assert await provider.units() == ["shipped", "open"]
    assert len((await provider.ask("shipment"))["successful_shipments"]) == 1


async def test_one_part_of_a_call_that_was_kept_is_applied_alone(provider: Provider) -> None:
    odd = {"missing_items": [*NO_STOCK["missing_items"], {"reason": "lost", "product_ids": ["TEE"]}]}
    await provider.gateway.receive(order())
    assert await provider.told("reject_items", odd) == (400, "invalid_request")
    assert await provider.units() == ["open", "rejected"]
    [(_, _, kept)] = await provider.gateway.quarantined()
    assert json.loads(kept) == {"missing_items": [{"reason": "lost", "product_ids": ["TEE"]}]}
    await provider.gateway.pool.execute("UPDATE quarantine SET body = $1", kept.replace(b"lost", b"cannot_fulfill"))
    assert (await provider.gateway.do("/v1/quarantine/1/replay", {"reason": "we agreed"})).status == 200
    assert await provider.units() == ["rejected", "rejected"]


async def test_a_body_over_the_limit_is_told_so_in_newstores_words(provider: Provider) -> None:
    answer = await provider.call("shipment", io.BytesIO(b" " * 1_048_577))
    assert (answer.status, answer.headers["Connection"]) == (413, "close")
    assert (await answer.json())["error_code"] == "request_too_large"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("HEAD", "v0/d/fulfillment_requests/r-1/shipment", "GET, POST"),
        ("DELETE", "v0/d/fulfillment_requests/r-1/shipment", "GET, POST"),
        ("GET", "v0/d/fulfillment_requests/r-1/acknowledgement", "POST"),
        ("PUT", "v0/token", "POST"),
    ],
)
async def test_another_method_is_told_which_there_are(provider: Provider, method: str, path: str, allowed: str) -> None:
    answer = await provider.gateway.public.request(method, f"/providers/ns/{path}", headers=shown())
    assert (answer.status, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize(
    "path", ["callbacks", "v0/d/fulfillment_requests/r-1/hold", "v0/d/fulfillment_requests//shipment"]
)
async def test_what_newstore_does_not_have_is_404_in_its_words(provider: Provider, path: str) -> None:
    answer = await provider.gateway.public.post(f"/providers/ns/{path}", headers=shown())
    assert (answer.status, (await answer.json())["error_code"]) == (404, "resource_not_found")


async def test_what_can_not_be_stored_now_is_told_so_in_newstores_words(provider: Provider) -> None:
    await provider.gateway.receive(order())
    await provider.gateway.pool.execute("ALTER TABLE quarantine RENAME TO elsewhere")
    try:
        answer = await provider.call("shipment", b"{")
        assert (answer.status, (await answer.json())["error_code"]) == (503, "service_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    finally:
        await provider.gateway.pool.execute("ALTER TABLE elsewhere RENAME TO quarantine")


async def test_a_discarded_rejection_is_not_read_back(provider: Provider) -> None:
    await provider.gateway.receive(order())
    await holds.place(provider.gateway.pool, "rejections", "DC01", reason="a look first", who="ada")
    assert await provider.told("reject_items", NO_STOCK) == (201, "")
    assert len((await provider.ask("rejection"))["rejected_items"]) == 1
    answer = await provider.gateway.do("/v1/requests/r-1/discard", {"reason": "a mistake"})
    assert answer.status == 200, await answer.text()
    assert await provider.ask("rejection") == 404


def test_keys_are_those_of_the_settings_page() -> None:
    assert NewstoreSettings.keys()["client_secrets"] == "client_secret"


async def test_a_request_is_posted_as_newstore_would_and_any_2xx_is_received() -> None:
    got: list[tuple[str, bytes]] = []
    answers = iter([web.Response(text="OK"), web.Response(status=409), web.Response(status=400)])

    async def hook(request: web.Request) -> web.Response:
        got.append((request.headers["Authorization"], await request.read()))
        return next(answers)

    sent = sample("r-1")
    async with listening(web.post("/hook", hook)) as url, aiohttp.ClientSession() as session:
        adapter = Newstore(replace(NS, url=f"{url}/hook"), session)
        assert [(await adapter.create(sent, adapter.compose(sent))).status for _ in range(2)] == [200, 409]
        with pytest.raises(Refused):
            await adapter.create(sent, adapter.compose(sent))
        await adapter.check()
    assert got == [("Bearer api", sent.body)] * 3


@pytest.mark.parametrize("status", [401, 403, 500])
async def test_a_check_tells_a_wrong_key_and_a_provider_that_is_not_well(status: int) -> None:
    async def hook(_: web.Request) -> web.Response:
        return web.Response(status=status)

    async with listening(web.head("/hook", hook)) as url, aiohttp.ClientSession() as session:
        with pytest.raises(NotSent, match=f"answered {status}: check the URL and the key"):
            await Newstore(replace(NS, url=f"{url}/hook"), session).check()
