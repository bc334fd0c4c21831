"""What was not understood never makes a message mean more, or less, than it says."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.domain.commands import ProviderSaid, SameParcel, Word
from gateway.domain.deliveries import Parcel
from gateway.providers.http_settings import HttpSettings
from gateway.providers.port import Malformed
from gateway.settings import Secret
from tests.reading import read_callback

NOW = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
ACME = HttpSettings("acme", "http", "http://127.0.0.1:9", Secret("a" * 20), (Secret("c" * 20),))
REJECTED = {"type": "rejected", "fulfillment_request_id": "r-1", "reason": "no_inventory"}
CANCELLED = {"type": "cancelled", "fulfillment_request_id": "r-1"}
ACCEPTED = {"type": "accepted", "fulfillment_request_id": "r-1"}
SHIPPED = {
    "type": "shipped", "fulfillment_request_id": "r-1", "items": [{"product_id": "A", "quantity": 1}],
    "shipment": {"carrier": "UPS", "tracking_number": "1Z"},
}  # fmt: skip
CAP = [{"product_id": "CAP", "quantity": 1}]


def read(said: dict[str, Any] | str, provider: HttpSettings = ACME, signed_id: str = "") -> ProviderSaid:
    body = said if isinstance(said, str) else json.dumps(said)
    return read_callback(body.encode(), provider, NOW, signed_id)


@pytest.mark.parametrize("message", [REJECTED, CANCELLED])
@pytest.mark.parametrize(
    "more",
    [
        {"line_items": CAP}, {"Items": CAP}, {"item": CAP[0]}, {"items": None}, {"lines": None}, {"products": "CAP"},
        {"product_id": "CAP"}, {"note": "only the cap"}, {"data": {"items": CAP}}, {"quantity": 1},
        {"shipment": {"carrier": "UPS", "tracking_number": "1Z"}}, {"sent_at": ["CAP"]}, {"partial": True},
    ],
)  # fmt: skip
def test_nothing_is_given_up_whole_while_something_of_the_message_is_not_understood(
    message: dict[str, Any], more: dict[str, Any]
) -> None:
    told = read(message | more)
    assert told.items is None
    assert repr(next(iter(more))) in told.unread


@pytest.mark.parametrize("message", [REJECTED, CANCELLED, ACCEPTED])
@pytest.mark.parametrize(
    "more",
    [
        {}, {"sent_at": "2026-11-03"}, {"occurredAt": 7}, {"order-id": "SO-1"}, {"shipment": None}, {"event_id": "e"},
        {"version": 2, "source": "wms"},
    ],
)  # fmt: skip
def test_all_open_units_are_meant_where_what_else_there_is_tells_of_no_unit(
    message: dict[str, Any], more: dict[str, Any]
) -> None:
    told = read(message | more)
    assert (told.items, told.unread) == (None, "")


@pytest.mark.parametrize("more", [{"note": "by friday"}, {"items": None}, {"priority": 3}])
def test_an_acceptance_of_everything_is_not_held_up_by_a_plain_field(more: dict[str, Any]) -> None:
    assert read(ACCEPTED | more).unread == ""


@pytest.mark.parametrize("more", [{"line_items": CAP}, {"lines": []}, {"meta": {"a": 1}}, {"shipment": {}}])
def test_an_acceptance_beside_what_could_list_units_is_left_to_a_person(more: dict[str, Any]) -> None:
    if more == {"shipment": {}}:
        with pytest.raises(Malformed):
            read(ACCEPTED | more)
    else:
        assert read(ACCEPTED | more).unread


@pytest.mark.parametrize("message", [REJECTED, CANCELLED, ACCEPTED])
def test_beside_lines_that_were_understood_further_fields_are_harmless(message: dict[str, Any]) -> None:
    more = {"line_items": CAP, "note": "x", "items": [{**CAP[0], "qty": 3, "serials": ["a", "b"], "bin": "7"}]}
    told = read(message | more)
    assert (told.items, told.unread) == ({"CAP": 1}, "")


@pytest.mark.parametrize(
    "line",
    [
        {"qty": 2}, {"Quantity": 2}, {"count": "2"}, {"pieces": 2}, {"shipped_units": 2}, {"amount": 2},
        {"serial_numbers": ["a", "b"]}, {"sizes": {"s": 1, "m": 1}},
    ],
)  # fmt: skip
def test_a_line_whose_count_is_not_understood_is_left_to_a_person(line: dict[str, Any]) -> None:
    told = read(SHIPPED | {"items": [{"product_id": "A", **line}]})
    assert "$.items[0] has no quantity" in told.unread


@pytest.mark.parametrize("line", [{}, {"line": 7}, {"qty": 1}, {"serial": "x"}, {"sku": "A-1"}, {"tags": ["x"]}])
def test_a_line_without_any_count_is_told_apart_from_one_that_says_one(line: dict[str, Any]) -> None:
    told = read(SHIPPED | {"items": [{"product_id": "A", **line}, {"product_id": "B", "quantity": 2}]})
    assert (told.items, told.uncounted, told.unread) == ({"B": 2}, {"A": 1}, "")


@pytest.mark.parametrize("count", ["null", '"2"', "0", "-1", "1.5", "true", "{}", "[]"])
def test_a_count_that_is_none_is_turned_away(count: str) -> None:
    body = json.dumps(SHIPPED).replace('"quantity": 1', f'"quantity": {count}')
    with pytest.raises(Malformed) as malformed:
        read(body)
    assert malformed.value.path == "$.items[0].quantity"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"type":', '"type": "accepted", "type":'),
        ('"items":', '"items": [], "items":'),
        ('"quantity":', '"quantity": 2, "quantity":'),
        ('"product_id":', '"product_id": "B", "product_id":'),
        ('"tracking_number":', '"tracking_number": "1X", "tracking_number":'),
        ('"fulfillment_request_id":', '"fulfillment_request_id": "r-2", "fulfillment_request_id":'),
        ('"type":', '"t\\u0079pe": "accepted", "type":'),
    ],
)
def test_a_key_that_says_two_things_is_turned_away_by_its_name(old: str, new: str) -> None:
    with pytest.raises(Malformed, match="stands twice"):
        read(json.dumps(SHIPPED).replace(old, new))


@pytest.mark.parametrize("new", ['"type": "shipped", "type":', '"meta": {"a": 1, "a": 2}, "type":'])
def test_a_key_that_says_the_same_twice_or_is_not_read_is_harmless(new: str) -> None:
    assert read(json.dumps(SHIPPED).replace('"type":', new)).word is Word.SHIPPED


def test_a_message_is_named_by_its_event_id_then_by_its_signature_then_by_what_it_says() -> None:
    plain = read(SHIPPED)
    assert plain.cause == f"acme:{plain.fingerprint}"
    assert read(SHIPPED, signed_id="webhook-id:m-1").cause == "acme:webhook-id:m-1"
    assert read(SHIPPED | {"event_id": "e-1"}, signed_id="webhook-id:m-1").cause == "acme:e-1"


@pytest.mark.parametrize(
    "same",
    [
        {"sent_at": "2026-11-04"},
        {"shipment": {"tracking_number": " 1Z ", "carrier": "UPS"}},
        {"items": [{"quantity": 1, "product_id": "A", "bin": 7}]},
        {"items": [{"product_id": "A", "quantity": 1.0}]},
    ],
)
def test_what_reads_the_same_is_the_same_message(same: dict[str, Any]) -> None:
    assert read(SHIPPED | same).fingerprint == read(SHIPPED).fingerprint


@pytest.mark.parametrize(
    "other",
    [
        {"event_id": "e-2"},
        {"items": [{"product_id": "A", "quantity": 2}]},
        {"items": [{"product_id": "A"}]},
        {"type": "accepted"},
        {"shipment": {"carrier": "UPS", "tracking_number": "1z"}},
        {"shipment": None},
        {"fulfillment_request_id": "r-2"},
    ],
)
def test_what_reads_otherwise_is_another_message(other: dict[str, Any]) -> None:
    assert read(SHIPPED | other).fingerprint != read(SHIPPED).fingerprint


@pytest.mark.parametrize("message", [{**REJECTED, "lines": CAP}, {**ACCEPTED, "type": "backordered", "eta": 1}])
def test_of_what_was_not_understood_every_field_tells_it_from_others(message: dict[str, Any]) -> None:
    name = "lines" if "lines" in message else "eta"
    assert read(message).fingerprint != read(message | {name: "other"}).fingerprint


def test_a_change_of_the_carriers_makes_no_other_message() -> None:
    mapped = replace(ACME, carriers={"ups": "UPS Ground"})
    assert read(SHIPPED, mapped).fingerprint == read(SHIPPED).fingerprint


def test_carrier_and_tracking_number_are_trimmed_and_the_carrier_is_called_as_newstore_calls_it() -> None:
    mapped = replace(ACME, carriers={"upsground": "UPS"}, same_parcel=SameParcel.TOTAL)
    told = read(SHIPPED | {"shipment": {"carrier": " Ups  ground ", "tracking_number": "\t1Z 9 "}}, mapped)
    assert told.parcel == Parcel("UPS", "1Z 9", carrier_said="Ups  ground")
    assert told.same_parcel is SameParcel.TOTAL


@pytest.mark.parametrize("field", ["carrier", "tracking_number"])
def test_a_parcel_without_a_name_is_turned_away(field: str) -> None:
    with pytest.raises(Malformed) as malformed:
        read(SHIPPED | {"shipment": {"carrier": "UPS", "tracking_number": "1Z", field: "  "}})
    assert malformed.value.path == f"$.shipment.{field}"


def test_a_tracking_number_may_be_a_number() -> None:
    told = read(SHIPPED | {"shipment": {"carrier": "USPS", "tracking_number": 9400110200881234567890}})
    assert told.parcel == Parcel("USPS", "9400110200881234567890")


@pytest.mark.parametrize(("length", "is_kept"), [(2_000, True), (2_001, False)])
def test_a_link_that_is_too_long_is_left_out_and_costs_no_shipment(length: int, *, is_kept: bool) -> None:
    link = "https://t.example/".ljust(length, "x")
    told = read(SHIPPED | {"shipment": {"carrier": "UPS", "tracking_number": "1Z", "tracking_url": link}})
    assert told.parcel == Parcel("UPS", "1Z", link if is_kept else None)


def test_a_byte_order_mark_says_nothing() -> None:
    marked = read_callback(b"\xef\xbb\xbf" + json.dumps(SHIPPED).encode(), ACME, NOW)
    assert marked == read(SHIPPED)
