import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.commands import Receive
from gateway.domain.orders import Address, Order, OrderLine
from gateway.newstore.webhook import Malformed, details, receive

ITEMS = b'"items":[{"product_id":"A"}]'


def body(more: bytes) -> bytes:
    return b'{"id":"r-1",' + ITEMS + b"," + more + b"}"


def received(sent: bytes) -> Receive:
    return receive(sent, datetime.now(UTC), "DC01", "acme")


def told(sent: bytes) -> tuple[str, str | None, str | None, tuple[str, ...]]:
    read = received(sent)
    return read.request_id, read.order_id, read.service_level, read.products


def test_a_request_is_read_with_one_product_for_each_unit() -> None:
    items = b'[{"product_id":"A"},{"product_id":"A"},{"product_id":"B"}]'
    sent = b'{"id":"r-1","order_id":"SO-1","shipping_options":{"service_level":"GROUND"},"items":' + items + b"}"
    assert told(sent) == ("r-1", "SO-1", "GROUND", ("A", "A", "B"))


def test_id_and_items_are_enough() -> None:
    assert told(b'{"id":"r-1",' + ITEMS + b"}") == ("r-1", None, None, ("A",))


def test_an_order_id_that_is_a_number_becomes_its_text() -> None:
    assert received(body(b'"order_id":1563362')).order_id == "1563362"


@pytest.mark.parametrize("options", [b"null", b"[1]", b'"GROUND"', b"7", b"{}"])
def test_shipping_options_of_another_type_tell_no_service_level(options: bytes) -> None:
    assert received(body(b'"shipping_options":' + options)).service_level is None


@pytest.mark.parametrize(("length", "is_one"), [(10_000, True), (10_001, False)])
def test_what_is_longer_than_any_id_is_none(length: int, *, is_one: bool) -> None:
    long = b"o" * length
    read = received(body(b'"order_id":"%b","shipping_options":{"service_level":"%b"}' % (long, long)))
    assert (read.order_id, read.service_level) == ((long.decode(),) * 2 if is_one else (None, None))


def test_a_nul_in_an_optional_field_is_replaced() -> None:
    read = received(body(b'"order_id":"a\\u0000b","shipping_options":{"service_level":"c\\u0000"}'))
    assert (read.order_id, read.service_level) == ("a\ufffdb", "c\ufffd")


@pytest.mark.parametrize(
    ("sent", "path"),
    [
        (b'{"id":4,' + ITEMS + b"}", "$.id"),
        (b'{"id":"",' + ITEMS + b"}", "$.id"),
        (b'{"id":"' + b"a" * 256 + b'",' + ITEMS + b"}", "$.id"),
        (b'{"id":"a\\u0000",' + ITEMS + b"}", "$.id"),
        (b'{"id":"r-1","items":[]}', "$.items"),
        (b'{"id":"r-1","items":[{"product_id":"A"},{"product_id":""}]}', "$.items[1].product_id"),
        (b'{"id":"r-1","items":[{"product_id":"A"},{"product_id":"a\\u0000"}]}', "$.items[1].product_id"),
        (b'{"id":"r-1","items":[{"product_id":"' + b"a" * 10_001 + b'"}]}', "$.items[0].product_id"),
        (b"[]", "$"),
    ],
)
def test_what_is_demanded_and_unfit_is_named_by_its_path(sent: bytes, path: str) -> None:
    with pytest.raises(Malformed) as raised:
        received(sent)
    assert raised.value.path == path


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"[" * 100_000,
        body(b'"z":' + b"[" * 100_000),
        body(b'"z":' + b"[" * 100_000 + b"]" * 100_000),
        b"\xff\xfe",
        b'{"id":"\xff",' + ITEMS + b"}",
        b'{"id":"\\ud800",' + ITEMS + b"}",
        body(b'"order_id":"\\udc00"'),
    ],
)
def test_no_body_raises_anything_but_malformed(sent: bytes) -> None:
    with pytest.raises(Malformed):
        received(sent)


@pytest.mark.parametrize("one", [b"1", b"1.0", b'"1"', b"null"])
def test_an_entry_that_counts_one_is_one_unit(one: bytes) -> None:
    sent = b'{"id":"r-1","items":[{"product_id":"A","quantity":%b}]}' % one
    assert received(sent).products == ("A",)


@pytest.mark.parametrize("several", [b"2", b"0", b"1.5", b'"2"', b"[1]", b"{}"])
def test_an_entry_that_counts_anything_else_is_not_one_unit_in_silence(several: bytes) -> None:
    with pytest.raises(Malformed) as raised:
        received(b'{"id":"r-1","items":[{"product_id":"B"},{"product_id":"A","quantity":%b}]}' % several)
    assert raised.value.path == "$.items[1].quantity"


def fingerprint(sent: bytes) -> str:
    return received(sent).fingerprint


SENT = {
    "id": "r-1", "order_id": "SO-1", "shipping_address": {"city": "K\u00f6ln", "zip_code": "50667"},
    "items": [{"product_id": "A", "price": 10}, {"product_id": "B"}],
}  # fmt: skip


@pytest.mark.parametrize(
    "again",
    [
        json.dumps(SENT, indent=2),
        json.dumps(SENT, ensure_ascii=False),
        json.dumps(SENT, sort_keys=True),
        "\ufeff" + json.dumps(SENT),
        json.dumps(SENT).replace("10", "10.0"),
        json.dumps(SENT).replace('"order_id"', '"order_id": "SO-1", "order_id"'),
    ],
)
def test_a_request_that_comes_again_in_another_spelling_is_the_same(again: str) -> None:
    assert fingerprint(again.encode()) == fingerprint(json.dumps(SENT).encode())


@pytest.mark.parametrize(
    ("old", "new"), [("50667", "50668"), ("SO-1", "so-1"), ('"price"', '"cost"'), ("10", "11"), ('"B"', '"B "')]
)
def test_a_request_that_says_anything_else_is_another(old: str, new: str) -> None:
    sent = json.dumps(SENT)
    assert fingerprint(sent.replace(old, new).encode()) != fingerprint(sent.encode())


@pytest.mark.parametrize("key", ["id", "product_id", "city", "order_id"])
def test_a_request_whose_reader_could_take_either_of_two_values_is_turned_away(key: str) -> None:
    with pytest.raises(Malformed, match=f"{key!r} stands twice"):
        fingerprint(json.dumps(SENT).replace(f'"{key}"', f'"{key}": "other", "{key}"', 1).encode())


@pytest.mark.parametrize("odd", [b'"z":1e999', b'"z":"\xff"', b'"z":"\\u0000"'])
def test_a_request_with_something_odd_that_nobody_needs_is_taken(odd: bytes) -> None:
    assert fingerprint(body(odd)) == fingerprint(body(odd))


ASKED = {
    "id": "r-1",
    "shipping_address": {
        "first_name": "Ana", "second_name": "Maria", "last_name": "Ruiz", "address_line_1": " 12 Elm St ",
        "city": "Austin", "province": "TX", "zip_code": 78701, "country_code": "USA", "phone": None,
    },
    "shipping_options": {"carrier": "UPS", "service_level": "GROUND"},
    "extended_attributes": [{"name": "gift", "value": "false"}, {"value": "nameless"}, 7],
    "items": [
        {"product_id": "TEE", "extended_attributes": []},
        {"product_id": "CAP", "extended_attributes": [{"name": "engraving", "value": "AR"}]},
        {"product_id": "TEE"},
        {"product_id": "CAP"},
    ],
}  # fmt: skip


def test_an_order_tells_where_it_goes_without_newstores_json() -> None:
    order = Order(request_id="r-1", reference="NS1", body=json.dumps(ASKED).encode(), read_details=details)
    assert order.ship_to == Address(
        first_name="Ana Maria", last_name="Ruiz", lines=("12 Elm St",), city="Austin", state="TX", zip_code="78701",
        country="US",
    )  # fmt: skip
    assert (order.ship_to.name, order.bill_to) == ("Ana Maria Ruiz", Address())
    assert (order.details.carrier, order.details.attributes) == ("UPS", (("gift", "false"),))


def test_units_that_are_alike_are_one_line_and_others_stay_apart() -> None:
    products = ("TEE", "CAP", "TEE", "CAP")
    body = json.dumps(ASKED).encode()
    order = Order(request_id="r-1", reference="NS1", products=products, body=body, read_details=details)
    assert order.lines == (
        OrderLine("TEE", (0, 2), sku="TEE"),
        OrderLine("CAP", (1,), (("engraving", "AR"),), "CAP"),
        OrderLine("CAP", (3,), sku="CAP"),
    )


@pytest.mark.parametrize(("code", "country"), [("USA", "US"), ("de", "DE"), ("DEU", "DE"), ("XXX", "XXX"), ("", "")])
def test_a_country_has_two_letters_where_it_can_be_told(code: str, country: str) -> None:
    assert details(json.dumps({"shipping_address": {"country_code": code}}).encode()).ship_to.country == country


@given(st.recursive(st.none() | st.integers() | st.text(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)))
def test_what_is_not_as_documented_tells_nothing_and_breaks_nothing(said: object) -> None:
    odd = dict.fromkeys(("shipping_address", "billing_address", "shipping_options", "extended_attributes"), said)
    details(json.dumps({**odd, "items": [{"product_id": "A", "extended_attributes": said}]}).encode())
