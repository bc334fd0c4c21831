import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from gateway.newstore import webhook
from gateway.providers import http
from gateway.routes import ROUTES
from tests.documented import DOCUMENT, as_documented, faults, message
from tests.requests import AT
from tests.served import Served, event, gateway, order

__all__ = ["gateway"]

REQUEST, CALLBACK = "/newstore/{location}/fulfillment_requests", "/providers/{provider}/callbacks"
SAYS = Path(http.__file__).with_name("README.md").read_text(encoding="utf-8")
LINES = [{"product_id": "TEE", "quantity": 1}]
PARCEL = {"carrier": "UPS", "tracking_number": "1Z"}


def examples() -> dict[str, Any]:
    content = DOCUMENT["paths"][CALLBACK]["post"]["requestBody"]["content"]["application/json"]
    return {name: example["value"] for name, example in content["examples"].items()}


def test_the_examples_are_those_of_the_page_for_providers_one_for_each_word() -> None:
    told = [json.loads(line) for line in re.findall(r'^    (\{"type".*)$', SAYS, re.MULTILINE)]
    assert {each["type"]: each for each in told} == examples()
    assert examples().keys() == http.WORDS.keys()
    assert {kind.__struct_config__.tag for kind in get_args(http.Event)} == http.WORDS.keys()


async def test_every_example_is_as_documented_and_is_applied(gateway: Served) -> None:
    for name, example in examples().items():
        await gateway.receive(order(name, "A", "B", "C", "C", "D"), "DC03")
        said = {**example, "fulfillment_request_id": name}
        assert faults(said, message(CALLBACK)) == []
        assert (await (await gateway.say(said)).json())["result"] == "applied"


@pytest.mark.parametrize(
    "said",
    [
        event("accepted", "e"),
        event("accepted", "e", items=LINES, sent_at="today"),
        {"type": "accepted", "fulfillment_request_id": "r-1"},
        event("rejected", "e", reason="cannot_fulfill", items=[{"product_id": "TEE"}]),
        event("cancelled", "e"),
        event("shipped", "e", items=LINES, shipment={**PARCEL, "tracking_number": 7, "tracking_url": None}),
    ],
)
async def test_what_is_as_documented_is_understood(gateway: Served, said: dict[str, Any]) -> None:
    await gateway.receive(order(), "DC03")
    assert faults(said, message(CALLBACK)) == []
    assert (await (await gateway.say(said)).json())["result"] == "applied"


@pytest.mark.parametrize(
    "said",
    [
        event("teleported", "e"),
        event("rejected", "e"),
        event("rejected", "e", reason="lost"),
        event("shipped", "e", items=LINES),
        event("shipped", "e", shipment=PARCEL),
        event("shipped", "e", items=[], shipment=PARCEL),
        event("shipped", "e", items=LINES, shipment={"carrier": "UPS"}),
        event("cancelled", "e", items=[{"product_id": "TEE", "quantity": 0}]),
        event("cancelled", "e", items=None),
        {"type": "accepted", "event_id": "e"},
    ],
)
async def test_what_is_not_as_documented_is_not_applied(gateway: Served, said: dict[str, Any]) -> None:
    await gateway.receive(order(), "DC03")
    assert faults(said, message(CALLBACK)) != []
    assert (await gateway.say(said)).status in {202, 400}


@pytest.mark.parametrize(
    ("more", "is_one"),
    [
        ({}, True),
        ({"order_id": 7, "shipping_options": {"service_level": "GROUND"}, "extended_attributes": [{"a": 1}]}, True),
        ({"items": [{"product_id": "TEE", "quantity": "1", "price": 3}]}, True),
        ({"items": [{"product_id": "TEE", "quantity": 2}]}, False),
        ({"items": [{"quantity": 1}]}, False),
        ({"items": []}, False),
        ({"id": ""}, False),
        ({"id": 7}, False),
    ],
)
def test_a_fulfillment_request_is_read_where_it_is_as_documented(more: dict[str, Any], *, is_one: bool) -> None:
    sent = {**order(), **more}
    assert (faults(sent, message(REQUEST)) == []) == is_one
    try:
        webhook.receive(json.dumps(sent).encode(), AT, "DC01", "acme")
    except webhook.Malformed:
        assert not is_one
    else:
        assert is_one


async def test_a_route_answers_nothing_that_is_not_in_the_document(gateway: Served) -> None:
    undocumented = await gateway.public.post("/newstore/DC01/fulfillment_requests", headers={"Expect": "nothing"})
    with pytest.raises(AssertionError, match="417 is not in the document"):
        await as_documented(undocumented)


def test_every_route_below_v1_is_for_operators_and_every_act_for_more_than_viewers() -> None:
    for route in ROUTES:
        assert (route.role in {"viewer", "operator", "admin"}) == route.path.startswith("/v1/")
        assert route.method == "get" or route.role != "viewer"


async def test_what_is_for_admins_is_refused_to_operators_and_audited(gateway: Served) -> None:
    paths = [route.path.format(id=1) for route in ROUTES if route.role == "admin"]
    assert len(paths) == 3
    for path in paths:
        assert (await gateway.do(path, {"reason": "to see"})).status == 403
    refused = (await (await gateway.ask("/v1/audit?who=otto")).json())["audit"]
    assert [each["outcome"] for each in refused] == [
        "refused: otto is an operator; this is for admins alone, ask one"
    ] * 3
