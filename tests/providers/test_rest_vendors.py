"""What a mapping reaches of the APIs of vendors, tried on what they publish, and never against a vendor."""

import json
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import jsonschema  # type: ignore[import-untyped]
import pytest
from aiohttp import web

from gateway.call_errors import Refused
from gateway.domain.commands import Word
from gateway.providers.port import Adapter, Look, Message, Statement
from gateway.providers.rest_reading import wrapped
from tests.listening import listening
from tests.providers.rest import NOW, ORDER, Mapped, settings

SPECS = Path(__file__).parents[3] / "shared" / "specs"
pytestmark = pytest.mark.skipif(not SPECS.exists(), reason="what vendors publish is not beside this checkout")

SHIPBOB = """
[create]
path = "/2026-01/order"
headers = { shipbob_channel_id = "100" }
body = \"\"\"{
  reference_id: reference, order_number: order_id, type: 'DTC', shipping_method: shipping_method,
  recipient: {name: ship_to.name, email: ship_to.email, phone_number: ship_to.phone, address: {
    address1: ship_to.line_1, address2: ship_to.line_2, city: ship_to.city, state: ship_to.state,
    country: ship_to.country, zip_code: ship_to.zip_code}},
  products: lines[].{reference_id: sku, name: product, quantity: count}
}\"\"\"
provider_order = "id"
exists = [422]

[look_up]
path = "/2026-01/order?ReferenceIds={reference}"
orders = "@"
reference = "reference_id"
provider_order = "id"

[withdraw]
method = "POST"
path = "/2026-01/order/{provider_order}:cancel"
stopped = "status == 'Success'"

[webhook]                        # of a shipment; signed by Standard Webhooks
provider_order = "to_string(order_id)"

[read]
path = "/2026-01/order/{provider_order}"
reference = "reference_id"
statements = "shipments"
word = "status"
lines = "products"
product = "reference_id"
quantity = "sum(inventory_items[].quantity)"
tracking_number = "tracking.tracking_number"
carrier = "tracking.carrier"
tracking_url = "tracking.tracking_url"
words = { Completed = "shipped", LabeledCreated = "ignored", Processing = "ignored", None = "ignored" }
"""
_SHIPBOB_CALLS, _, _SHIPBOB_SAYS = SHIPBOB.partition("\n[webhook] ")
SHIPBOB_POLLED = f"""{_SHIPBOB_CALLS}
[poll]
path = "/2026-01/order?LastUpdateStartDate={{since}}&Limit=250&Page={{page}}"
orders = "@"
updated = "[].shipments[].last_update_at"
{_SHIPBOB_SAYS[_SHIPBOB_SAYS.index('reference = "reference_id"') :]}"""
EXTENSIV = """
[look_up]
path = "/orders?rql=referenceNum=={reference}&pgsiz=5"
orders = "_embedded.\\"http://api.3plCentral.com/rels/orders/order\\""
reference = "referenceNum"
provider_order = "readOnly.orderId"

[poll]
path = "/orders?detail=all&pgsiz=100&pgnum={page}&rql=readOnly.lastModifiedDate=gt={since}"
orders = "_embedded.\\"http://api.3plCentral.com/rels/orders/order\\""
updated = "_embedded.\\"http://api.3plCentral.com/rels/orders/order\\"[].readOnly.lastModifiedDate"
reference = "referenceNum"
statements = "readOnly.packages || [@]"
word = "_order.readOnly.status"
lines = "packageContents"
product = "itemIdentifier.sku"
quantity = "qty"
tracking_number = "trackingNumber"
carrier = "_order.routingInfo.carrier"
words = { 0 = "ignored", 1 = "shipped", 2 = "cancelled" }
whole_orders = ["2"]
"""
SHIPHERO = """
[create]
path = "/graphql"
body = \"\"\"{
  query: 'mutation ($data: CreateOrderInput!) { order_create(data: $data) { order { id } } }',
  variables: {data: {partner_order_id: reference, order_number: order_id, line_items: lines[].{
    sku: sku, quantity: count, partner_line_item_id: product, price: '0'}}}
}\"\"\"
provider_order = "data.order_create.order.id"

[look_up]
method = "POST"
path = "/graphql"
body = \"\"\"{
  query: 'query ($ref: String) { orders(partner_order_id: $ref) { data { edges { node { id partner_order_id } } } } }',
  variables: {ref: reference}
}\"\"\"
orders = "data.orders.data.edges[].node"
reference = "partner_order_id"
provider_order = "id"

[webhook]
hint = false
reference = "partner_order_id"
word = "webhook_type"
lines = "line_items"
product = "sku"
quantity = "quantity"
words = { "Order Allocated" = "accepted" }
"""
NETSUITE = """
[look_up]
method = "POST"
path = "/services/rest/query/v1/suiteql?limit=10"
headers = { Prefer = "transient" }
body = \'\'\'{q: join('', ['SELECT id, externalid FROM transaction WHERE externalid=', `"'"`, reference, `"'"`])}\'\'\'
orders = "items"
reference = "externalid"
provider_order = "id"

[poll]
method = "POST"
path = "/services/rest/query/v1/suiteql?limit=2&offset={offset}"
headers = { Prefer = "transient" }
body = "{q: join('', ['SELECT externalid, status, changed FROM transaction WHERE changed > ', since])}"
orders = "items"
more = "hasMore"
updated = "items[].changed"
reference = "externalid"
word = "status"
words = { B = "ignored" }
"""


def sample(path: str) -> Any:
    return json.loads((SPECS / path).read_text())


def adapter(mapping: str, url: str = "http://127.0.0.1:9", session: Any = None) -> Mapped:
    return Mapped(settings(url), session, tomllib.loads(mapping))


def read(of: Adapter, kind: Any, document: object) -> list[Any]:
    return list(of.read(Message(wrapped(kind, document), NOW)))


@pytest.fixture
async def answered() -> AsyncIterator[tuple[str, list[Any]]]:
    """Give where a provider is, and the answers that it gives."""
    answers: list[Any] = []

    async def answer(_: web.Request) -> web.Response:
        return web.json_response(answers.pop(0))

    async with listening(web.route("*", "/{at:.*}", answer)) as url:
        yield url, answers


def _open(part: Any) -> Any:
    """Leave out what forbids further properties: beside a reference it forbids those of the reference, too."""
    if isinstance(part, list):
        return [_open(each) for each in part]
    if not isinstance(part, dict):
        return part
    return {key: _open(each) for key, each in part.items() if key != "additionalProperties"}


def test_an_order_is_made_as_shipbob_wants_it() -> None:
    parts = _open(sample("shipbob/openapi-2026-01.trimmed.json")["components"])
    schema = {"$ref": "#/components/schemas/Orders.CreateOrderModel", "components": parts}
    jsonschema.Draft202012Validator(schema).validate(json.loads(adapter(SHIPBOB).compose(ORDER)))


def test_a_webhook_of_shipbob_is_a_hint_and_its_order_tells_each_shipment() -> None:
    (look,) = read(adapter(SHIPBOB), "webhook", {"id": 7, "order_id": 4711, "status": "Completed"})
    assert isinstance(look, Look)
    assert look.names.provider_order == "4711"
    item = {"id": 1, "reference_id": "TEE", "inventory_items": [{"id": 5, "quantity": 2}]}
    tracking = {"carrier": "UPS", "tracking_number": "1Z1", "tracking_url": "https://ups.example/1Z1"}
    sent = {"id": 7, "status": "Completed", "products": [item], "tracking": tracking}
    waits = {"id": 8, "status": "Processing", "products": [item], "tracking": None}
    (said,) = read(adapter(SHIPBOB), "read", {"id": 4711, "reference_id": ORDER.reference, "shipments": [sent, waits]})
    assert (said.word, said.items, said.parcel.tracking_code, said.is_total) == (Word.SHIPPED, {"TEE": 2}, "1Z1", True)


async def test_changed_orders_of_shipbob_are_polled(answered: tuple[str, list[Any]]) -> None:
    url, answers = answered
    shipment = {"id": 8, "status": "Processing", "last_update_at": "2026-11-28T12:00:00Z"}
    answers += [[{"id": 4711, "reference_id": ORDER.reference, "shipments": [shipment]}], []]
    async with aiohttp.ClientSession() as session:
        shipbob = adapter(SHIPBOB_POLLED, url, session)
        first = await shipbob.poll("")
        last = await shipbob.poll(first.cursor)
    assert (first.more, last.more) == (True, False)
    assert shipbob.read(first.messages[0]) == []


async def test_a_cancellation_of_shipbob_is_none_before_its_body_says_so(answered: tuple[str, list[Any]]) -> None:
    url, answers = answered
    answers += [[{"id": 4711, "reference_id": ORDER.reference}], {"order_id": 4711, "status": "PartialSuccess"}]
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Refused, match="status == 'Success' is false: it goes on"):
            await adapter(SHIPBOB, url, session).withdraw(ORDER)


def test_orders_of_extensiv_tell_what_is_in_each_package() -> None:
    page = {"_embedded": {"http://api.3plCentral.com/rels/orders/order": [
        sample(f"extensiv/order_{name}.json") for name in ("open", "closed", "cancelled")
    ]}}  # fmt: skip
    shipped, cancelled = read(adapter(EXTENSIV), "poll", page)
    assert (shipped.word, shipped.items, shipped.names.reference) == (Word.SHIPPED, {"WIDGET-BLUE": 4}, "PO-1002")
    assert (shipped.parcel.carrier, shipped.parcel.tracking_code) == ("UPS", "1Z999AA10123456784")
    assert (cancelled.word, cancelled.items) == (Word.CANCELLED, None)


def test_a_package_of_extensiv_without_its_contents_is_left_to_a_person() -> None:
    (unread,) = read(adapter(EXTENSIV), "poll", sample("extensiv/orders_page.json"))
    assert (unread.place, unread.what) == ("orders[1].lines", "packageContents finds nothing")


def test_an_allocation_of_shiphero_is_an_acceptance() -> None:
    (said,) = read(adapter(SHIPHERO), "webhook", sample("shiphero/webhook-order-allocated.json"))
    assert isinstance(said, Statement)
    assert (said.word, said.items, said.names.reference) == (Word.ACCEPTED, {"EFM-MCVC": 2, "PP-BAN": 2}, "MO351")


async def test_graphql_that_says_no_with_status_200_is_no_order(answered: tuple[str, list[Any]]) -> None:
    url, answers = answered
    no = {"data": {"order_create": None}, "errors": [{"code": 5, "message": "sku is unknown"}]}
    answers += [no, {"data": {"orders": {"data": {"edges": []}}}}]
    async with aiohttp.ClientSession() as session:
        shiphero = adapter(SHIPHERO, url, session)
        with pytest.raises(Refused, match="answered 200 and says no: it will not take this order"):
            await shiphero.create(ORDER, shiphero.compose(ORDER))


async def test_suiteql_finds_an_order_or_none(answered: tuple[str, list[Any]]) -> None:
    url, answers = answered
    found, none, _ = (each["body"] for each in sample("netsuite/suiteql.json")["answers"])
    found["items"][0]["externalid"] = ORDER.reference
    answers += [found, none]
    async with aiohttp.ClientSession() as session:
        taken = await adapter(NETSUITE, url, session).look_up(ORDER)
        assert taken is not None
        assert taken.provider_order == "90412"
        assert await adapter(NETSUITE, url, session).look_up(ORDER) is None


async def test_pages_of_suiteql_follow_each_other(answered: tuple[str, list[Any]]) -> None:
    url, answers = answered
    several = sample("netsuite/suiteql.json")["answers"][2]["body"]
    for row in several["items"]:
        row |= {"externalid": ORDER.reference, "status": "B", "changed": "2026-11-28T12:00:00Z"}
    answers += [several, {"items": [], "hasMore": False}]
    async with aiohttp.ClientSession() as session:
        netsuite = adapter(NETSUITE, url, session)
        first = await netsuite.poll("")
        last = await netsuite.poll(first.cursor)
    assert (json.loads(first.cursor)["offset"], first.more, last.more) == (2, True, False)
