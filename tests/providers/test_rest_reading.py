from dataclasses import replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

import msgspec
import pytest

from gateway.domain.commands import RejectionReason, Word
from gateway.providers.port import Look, Malformed, Message, Names, Reading, Statement
from gateway.providers.rest_reading import wrapped
from tests.providers.rest import NOW, POLL, PUSH, SHIPPED, Mapped, read, settings, statements, unreadable, with_keys

SHORT = {
    "event": "e-2", "order_number": "NS1", "status": "SHORT", "reason": "DAMAGED", "lines": [{"sku": "CAP", "qty": 1}],
}  # fmt: skip


def without(document: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in document.items() if key not in keys}


def test_each_carton_is_a_shipment_of_its_own() -> None:
    first, second = statements(SHIPPED)
    assert (first.word, first.items, first.parcel and first.parcel.tracking_code) == (Word.SHIPPED, {"TEE": 2}, "1Z1")
    assert (second.items, second.parcel and second.parcel.carrier) == ({"CAP": 1}, "UPS")
    assert (first.event_id, second.event_id) == ("e-1", "e-1#2")
    assert first.names == second.names == Names(reference=str(SHIPPED["order_number"]))
    assert not first.is_total


def test_what_is_short_is_rejected_for_its_reason() -> None:
    (said,) = statements(SHORT)
    assert (said.word, said.items, said.reason) == (Word.REJECTED, {"CAP": 1}, RejectionReason.CANNOT_FULFILL)
    assert said.is_proof
    (unsure,) = statements(SHORT, webhook={"final_rejections": None})
    assert not unsure.is_proof


def test_lines_of_one_product_and_statements_of_one_parcel_add_up() -> None:
    one = {"tracking": "1Z1", "carrier": "UPS", "lines": [{"sku": "TEE", "qty": 1}, {"sku": "TEE", "qty": "2"}]}
    other = {"tracking": " 1z1", "carrier": "ups ", "lines": [{"sku": "CAP", "qty": 1}]}
    (said,) = statements(SHIPPED | {"cartons": [one, other]})
    assert said.items == {"TEE": 3, "CAP": 1}


def test_lines_that_each_have_a_word_are_read_one_by_one() -> None:
    lines = [
        {"sku": "TEE", "qty": 2, "state": "SHIPPED", "tracking": "1Z1", "carrier": "UPS"},
        {"sku": "CAP", "qty": 1, "state": "SHORT", "why": "DAMAGED"},
        {"sku": "HAT", "qty": 1, "state": "SHORT", "why": "DAMAGED"},
    ]
    by_line = {"statements": "lines", "lines": "[@]", "word": "state", "reason": "why"}
    shipped, short = statements({"event": "e-3", "order_number": "NS1", "lines": lines}, webhook=by_line)
    assert (shipped.word, shipped.items) == (Word.SHIPPED, {"TEE": 2})
    assert (short.word, short.items, short.event_id) == (Word.REJECTED, {"CAP": 1, "HAT": 1}, "e-3#2")


def test_an_unknown_word_or_reason_goes_to_a_person_and_an_ignored_one_says_nothing() -> None:
    (odd,) = statements(SHORT | {"status": "ON_PALLET"})
    assert (odd.word, odd.items) == (None, None)
    assert odd.problem.startswith("word 'ON_PALLET' is not in [webhook.words]: add it there")
    (why,) = statements(SHORT | {"reason": "LUNCH_BREAK"})
    assert why.problem.startswith("reason 'LUNCH_BREAK' is not in [webhook.reasons]: add it there")
    (none,) = statements(without(SHORT, "status"))
    assert none.problem.startswith("word is missing: _order.status finds none")
    (name,) = statements(SHORT | {"status": "Ana Ruiz"})
    assert name.problem == "word (see the body) is not in [webhook.words]: add it there"
    words = PUSH["webhook"]["words"] | {"MOVED": "ignored"}
    assert read(SHORT | {"status": " moved "}, webhook={"words": words}) == []


def test_what_is_not_there_is_unreadable_and_never_all_units() -> None:
    assert unreadable(without(SHORT, "lines")) == ["$.lines: lines finds nothing"]
    assert unreadable(SHORT | {"lines": []}) == ["$.lines: lines finds no line: nothing is not all units"]
    assert unreadable(SHORT | {"lines": {"CAP": 1}}) == ["$.lines: lines finds no list"]
    assert unreadable(SHORT | {"lines": [{"sku": "CAP"}]}) == ["$.lines[0].quantity: qty finds nothing"]
    assert unreadable(SHORT | {"lines": [{"qty": 1}]}) == ["$.lines[0].product: sku finds nothing"]
    assert unreadable(without(SHORT, "event")) == ["$.event_id: event finds nothing"]
    assert unreadable(without(SHORT, "order_number")) == ["$.reference: names no order: order_number finds nothing"]


COUNTS = ["0", "-1", "1.5", "true", '"one"', '""', "null", "[1]", "1000000", "1e99", "1e999"]


@pytest.mark.parametrize("count", COUNTS, ids=lambda count: count[:9])
def test_a_count_that_is_none_is_unreadable(count: str) -> None:
    spoilt = msgspec.json.encode(SHORT).replace(b'"qty":1', f'"qty":{count}'.encode())
    (place,) = unreadable(spoilt)
    assert place.startswith("$.lines[0].quantity: qty ")


def test_one_carton_that_can_not_be_read_costs_that_one() -> None:
    cartons = [*SHIPPED["cartons"], {"tracking": "1Z3", "lines": [{"sku": "TEE", "qty": 1}]}]
    first, second, bad = read(SHIPPED | {"cartons": cartons})
    assert isinstance(first, Statement)
    assert isinstance(second, Statement)
    assert unreadable(SHIPPED | {"cartons": cartons}) == ["$.statements[2].carrier: carrier finds nothing"]
    assert bad.event_id == "e-1#3"


def test_words_about_whole_orders_need_no_lines() -> None:
    (said,) = statements(SHORT | {"status": "CANCELLED"}, webhook={"whole_orders": ["CANCELLED"]})
    assert (said.word, said.items) == (Word.CANCELLED, None)


def test_a_total_may_be_none_and_is_told_with_its_time() -> None:
    totals = {"counts": "totals", "time": "at", "time_zone": "Europe/Berlin"}
    (said,) = statements(SHORT | {"lines": [{"sku": "A", "qty": 0}], "at": "2026-11-28T13:00:00"}, webhook=totals)
    assert (said.items, said.is_total, said.as_of) == ({"A": 0}, True, datetime(2026, 11, 28, 12, tzinfo=UTC))
    (seconds,) = statements(SHORT | {"at": 1795867200}, webhook=totals)
    (milliseconds,) = statements(SHORT | {"at": 1795867200000}, webhook=totals)
    assert seconds.as_of == milliseconds.as_of == datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert unreadable(SHORT | {"at": "lunch"}, webhook=totals) == [
        "$.time: at is no time: send ISO 8601, or seconds since 1970"
    ]


def test_totals_of_what_never_ships_that_are_split_by_reason_are_left_to_a_person() -> None:
    by_line = {"statements": "lines", "lines": "[@]", "reason": "why", "counts": "totals"}
    lines = [{"sku": "A", "qty": 1, "why": "DAMAGED"}, {"sku": "A", "qty": 2, "why": "OUT_OF_STOCK"}]
    told = "several totals say how many of 'A' never ship: have one sent of all reasons and words"
    assert [each.unread for each in statements(SHORT | {"lines": lines}, webhook=by_line)] == [told, told]
    by_line["counts"] = "increments"
    assert [each.unread for each in statements(SHORT | {"lines": lines}, webhook=by_line)] == ["", ""]


def test_a_hint_says_which_order_is_to_be_read_and_nothing_else() -> None:
    hints = with_keys(
        PUSH, webhook={"hint": True, "time": "at"}, read={"path": "/{reference}", **PUSH["webhook"], "hint": None}
    )
    (look,) = read({"event": "e-9", "order_number": "NS1"}, hints)
    assert isinstance(look, Look)
    assert (look.names, look.event_id) == (Names(reference="NS1"), "e-9")


def test_a_webhook_of_another_shape_is_unreadable() -> None:
    assert unreadable({"topic": "stock", "items": []}) == ["$.reference: names no order: order_number finds nothing"]
    assert unreadable([1, "two"]) == ["$.reference: names no order: order_number finds nothing"]
    with pytest.raises(Malformed, match="orders: events finds nothing: this is no message as the mapping has it"):
        read(SHORT, webhook={"orders": "events"})
    with pytest.raises(Malformed, match=r"\$: no JSON"):
        read(b"<!doctype html>")
    with pytest.raises(Malformed, match="qty stands twice and says two things"):
        read(b'{"event": "e", "lines": [{"qty": 1, "qty": 2}]}')


def test_what_an_expression_can_not_work_on_is_unreadable() -> None:
    assert unreadable(SHORT, webhook={"lines": "sort(lines)"})[0].startswith(
        "$.lines: sort(lines) can't be found: In func"
    )


def test_a_nul_costs_the_part_that_holds_it() -> None:
    good, bad = SHORT | {"order_number": "NS2"}, SHORT | {"lines": [{"sku": "A\0", "qty": 1}]}
    readings = read({"events": [good, bad]}, webhook={"orders": "events"})
    assert [type(each).__name__ for each in readings] == ["Statement", "Unreadable"]


def alone(readings: list[Reading], adapter: Mapped) -> list[list[Reading]]:
    """Read what was kept of each."""
    kept = [Message(each.part or b"", NOW, name=each.event_id) for each in readings]
    return [[replace(other, part=None) for other in adapter.read(message)] for message in kept]


@pytest.mark.parametrize("event_id", ["event", None])
def test_what_is_kept_of_a_message_says_the_same_and_nothing_else(event_id: str | None) -> None:
    mapping = with_keys(PUSH, webhook={"orders": "events", "event_id": event_id})
    adapter = Mapped(settings(), None, mapping)  # type: ignore[arg-type]
    document = {"events": [SHIPPED, SHORT | {"event": "e-3", "lines": []}, SHORT]}
    readings = list(adapter.read(Message(msgspec.json.encode(document), NOW, name="msg-1")))
    assert len({each.event_id for each in readings}) == 4
    assert alone(readings, adapter) == [[replace(each, part=None)] for each in readings]
    assert not any(b"NS1" in (each.part or b"") for each in readings if each.names.reference != "NS1")


def test_a_page_that_is_kept_is_read_as_a_page_beside_webhooks() -> None:
    adapter = Mapped(settings(), None, PUSH | {"poll": POLL["poll"]})  # type: ignore[arg-type]
    shipment = {
        "order_number": "NS1",
        "status": "RECEIVED",
        "updated_at": "2026-11-28T12:00:00Z",
        "lines": SHORT["lines"],
    }
    page = {"shipments": [shipment], "page": 1, "pages": 1}
    (said,) = adapter.read(Message(wrapped("poll", page), NOW))
    assert isinstance(said, Statement)
    assert (said.word, said.is_total) == (Word.ACCEPTED, True)


def test_an_envelope_that_is_not_ours_is_no_message() -> None:
    with pytest.raises(Malformed, match="gateway_envelope: is none of this gateway's"):
        read({"gateway_envelope": {"of": "headers"}, "body": SHORT})
    with pytest.raises(Malformed, match=r"the mapping has no \[poll\], which reads this"):
        read(wrapped("poll", {}))


def test_ten_thousand_lines_are_read_in_a_second() -> None:
    lines = [{"sku": f"SKU-{number}", "qty": 1, "lot": {"code": "x"}} for number in range(10_000)]
    began = perf_counter()
    (said,) = statements(SHORT | {"lines": lines})
    assert perf_counter() - began < 1.0
    assert len(said.items or {}) == 10_000
