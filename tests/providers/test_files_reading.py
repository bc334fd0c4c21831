import csv
import io
import json
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.providers.port import Malformed, Names, Reading, Statement, Unreadable
from tests.providers.files import SHIPMENTS, STATES, read, statements, unreadable

HEADER = "Order No,SKU,Qty,Tracking,Carrier"
STATE_HEADER = f"{HEADER},Status,Why"


def state(row: str) -> Statement:
    [said] = statements(f"{STATE_HEADER}\n{row}\n", **STATES)
    return said


def test_rows_about_the_same_parcel_are_one_shipment_named_by_the_first() -> None:
    first, second = statements(f"{HEADER}\nNS1,A,1,1Z1,UPS\nNS2,A,2,1Z2,UPS\nNS1,B,2,1z1,ups\nNS1,A,1,1Z1,UPS\n")
    assert (first.event_id, first.items, first.parcel) == ("F.csv#2", {"A": 2, "B": 2}, Parcel("UPS", "1Z1"))
    assert (second.event_id, second.items, second.names) == ("F.csv#3", {"A": 2}, Names(reference="NS2"))
    assert first.part == f"{HEADER}\nNS1,A,1,1Z1,UPS\nNS1,B,2,1z1,ups\nNS1,A,1,1Z1,UPS\n".encode()


def test_two_parcels_of_an_order_are_two_shipments() -> None:
    said = statements(f"{HEADER}\nNS1,A,1,1Z1,UPS\nNS1,A,1,1Z2,UPS\n")
    assert [each.parcel for each in said] == [Parcel("UPS", "1Z1"), Parcel("UPS", "1Z2")]


def test_a_row_without_an_end_of_line_is_kept_with_one() -> None:
    [first, _] = statements(f"{HEADER}\nNS1,A,1,1Z1,UPS\nNS2,A,1,1Z2,UPS")
    [_, last] = statements(f"{HEADER}\nNS1,A,1,1Z1,UPS\nNS2,A,1,1Z2,UPS")
    assert first.part == f"{HEADER}\nNS1,A,1,1Z1,UPS\n".encode()
    assert last.part == f"{HEADER}\nNS2,A,1,1Z2,UPS\n".encode()


@pytest.mark.parametrize(
    ("word", "said"),
    [("shp", Word.SHIPPED), ("OK", Word.ACCEPTED), (" Short ", Word.REJECTED), ("VOID", Word.CANCELLED)],
)
def test_a_word_means_what_the_settings_say(word: str, said: Word) -> None:
    assert state(f"NS1,A,1,1Z1,UPS,{word},OOS").word is said


def test_a_word_that_is_ignored_says_nothing_whatever_else_is_wrong() -> None:
    assert read(f"{STATE_HEADER}\nNS1,A,x,,,In  Transit,\n", **STATES) == []


@pytest.mark.parametrize(
    ("word", "problem"),
    [
        ("partly_shipped", "word 'partly_shipped' is unknown: send one of shp, ok, short, void, in transit"),
        ("Ana Ruiz", "word is unknown, and no code (see the body): send one of shp, ok, short, void, in transit"),
        ("", "word is missing: send one of shp, ok, short, void, in transit"),
    ],
)
def test_an_unknown_word_is_left_to_a_person(word: str, problem: str) -> None:
    said = state(f"NS1,A,1,1Z1,UPS,{word},")
    assert (said.word, said.problem) == (None, problem)


@pytest.mark.parametrize(("why", "reason"), [("oos", "no_inventory"), ("Damaged", "cannot_fulfill"), ("mood", None)])
def test_a_rejection_has_the_reason_that_the_settings_give_its_word(why: str, reason: str | None) -> None:
    said = state(f"NS1,A,1,,,SHORT,{why}")
    assert (said.word, said.reason, said.parcel) == (Word.REJECTED, reason, None)
    assert said.problem == ("" if reason else "reason 'mood' is unknown: send one of oos, damaged")


def test_a_reason_may_stand_in_the_word_or_be_the_same_for_all() -> None:
    columns = {key: name for key, name in STATES["columns"].items() if key != "reason"}
    [said] = statements(
        f"{STATE_HEADER}\nNS1,A,1,,,OOS,\n", columns=columns, words={"OOS": "rejected"},
        reasons={"OOS": "no_inventory"},
    )  # fmt: skip
    assert said.reason is RejectionReason.NO_INVENTORY
    [said] = statements("Order No,SKU\nNS1,A\n", word="rejected", reason="cannot_fulfill", quantity=1,
                        columns={"reference": "Order No", "product": "SKU"})  # fmt: skip
    assert said.reason is RejectionReason.CANNOT_FULFILL


@pytest.mark.parametrize("final", [True, False])
def test_a_rejection_is_a_promise_only_where_the_settings_say_so(*, final: bool) -> None:
    [said] = statements(f"{STATE_HEADER}\nNS1,A,1,,,SHORT,OOS\n", **STATES, final_rejections=final)
    assert said.is_proof is final


def test_rejections_for_several_reasons_are_several() -> None:
    said = statements(f"{STATE_HEADER}\nNS1,A,1,,,SHORT,OOS\nNS1,A,1,,,SHORT,DAMAGED\n", **STATES)
    assert [each.reason for each in said] == ["no_inventory", "cannot_fulfill"]


def test_a_request_is_named_by_whichever_column_there_is() -> None:
    columns = SHIPMENTS["columns"] | {"request": "Id", "provider_order": "WMS", "order": "SO"}
    body = f"{HEADER},Id,WMS,SO\nNS1,A,1,1Z1,UPS,r-1,W-1,SO-1\n,A,1,1Z2,UPS,,W-2,\n"
    said = [each.names for each in statements(body, columns=columns)]
    assert said == [
        Names(request="r-1", reference="NS1", provider_order="W-1", order="SO-1"),
        Names(provider_order="W-2"),
    ]


def test_a_carrier_is_read_as_the_provider_calls_it() -> None:
    [said] = statements(f"{HEADER}\nNS1,A,1,1Z1,U P S ground\n", carriers={"upsground": "UPS"})
    assert said.parcel == Parcel("U P S ground", "1Z1")


def test_a_carrier_may_be_the_same_for_all_and_a_link_too_long_is_left_out() -> None:
    columns = {"reference": "a", "product": "b", "quantity": "c", "tracking_number": "d", "tracking_url": "e"}
    body = f"a,b,c,d,e\nNS1,A,1,1Z1,https://x.example/1\nNS2,A,1,1Z2,https://{'x' * 2_000}\n"
    first, second = statements(body, columns=columns, carrier="DHL")
    assert first.parcel == Parcel("DHL", "1Z1", "https://x.example/1")
    assert second.parcel == Parcel("DHL", "1Z2")


def test_rows_without_products_mean_whole_orders_only_by_a_setting() -> None:
    [said] = statements("Order,Tracking\nSO-1,1Z1\n", columns={"order": "Order", "tracking_number": "Tracking"},
                        whole_orders=True, carrier="UPS")  # fmt: skip
    assert said.items is None


BAD = [
    ("NS1,A,x,1Z1,UPS", "Qty 'x' is no whole number: send how many units, or see to decimal and thousands"),
    ("NS1,A,,1Z1,UPS", "Qty is empty: send how many units, or see to decimal and thousands"),
    ("NS1,A,-1,1Z1,UPS", "Qty '-1' is no whole number: send how many units, or see to decimal and thousands"),
    ("NS1,A,1.5,1Z1,UPS", "Qty '1.5' is no whole number: send how many units, or see to decimal and thousands"),
    ('NS1,A,"1,000",1Z1,UPS', "Qty '1,000' is no whole number: send how many units, or see to decimal and thousands"),
    ("NS1,A,0,1Z1,UPS", "Qty is 0: send a number of units"),
    ("NS1,A,100001,1Z1,UPS", "Qty is 100001: send a number of units"),
    ("NS1,,1,1Z1,UPS", "SKU is empty: send it, or the row once it is known"),
    ("NS1,A,1,,UPS", "Tracking is empty: send it, or the row once it is known"),
    ("NS1,A,1,1Z1,", "Carrier is empty: send it, or the row once it is known"),
    (",A,1,1Z1,UPS", "names no request: Order No"),
    (f"{'N' * 256},A,1,1Z1,UPS", "names no request: Order No"),
    ("NS1,A,2,1Z1 | 1Z2,UPS", "Tracking names several parcels: send a row for what is in each"),
    ("NS1,A,1,9.4001E+21,UPS", "Tracking '9.4001E+21' was cut off by a spreadsheet: have it sent as it was"),
    ("NS1,A,1,1Z1,UPS,more", "has 6 cells, and needs 5"),
    ("NS1,A,1,1Z1", "has 4 cells, and needs 5"),
    ("NS1,A,1,1Z\x001,UPS", "has a NUL in it"),
    (f"NS1,A,1,{'1' * 501},UPS", "Tracking has 501 characters, and 500 at most are read"),
    ('NS1,A,1,1Z1,"UPS', "its quotes do not fit: unexpected end of data"),
    ('NS1,A,1,"1Z1"1,UPS', "its quotes do not fit: ',' expected after '\"'"),
]


@pytest.mark.parametrize(("row", "what"), BAD)
def test_a_bad_row_costs_that_row_alone(row: str, what: str) -> None:
    before, bad, after = read(f"{HEADER}\nNS8,A,1,1Z8,UPS\n{row}\nNS9,A,1,1Z9,UPS\n")
    assert isinstance(bad, Unreadable)
    assert (bad.place, bad.what, bad.event_id) == ("row 3", what, "F.csv#3")
    assert bad.part == f"{HEADER}\n{row}\n".encode()
    assert [each.names.reference for each in (before, after)] == ["NS8", "NS9"]


def test_a_bad_row_tells_whom_it_names_where_its_cells_can_be_told_apart() -> None:
    assert unreadable(f"{HEADER}\nNS1,A,x,1Z1,UPS\n")[0].names == Names(reference="NS1")
    assert unreadable(f"{HEADER}\nNS1,A,1,1Z1,UPS,1\n")[0].names == Names()


def test_quotes_that_swallow_rows_do_not_hide_them() -> None:
    rows = ['NS1,A,1,1Z1,UPS,"left', "NS2,A,1,1Z2,UPS,x", 'NS3,A,1,1Z3,UPS,5"']
    found = read(f"{HEADER},Note\n" + "\n".join(rows) + "\nNS4,A,1,1Z4,UPS,\n")
    assert [(type(each), each.names.reference) for each in found] == [(Unreadable, ""), (Statement, "NS4")]
    assert isinstance(found[0], Unreadable)
    assert found[0].what == "a cell of it looks like whole rows: see to its quotes"
    assert b"NS2" in (found[0].part or b"")


def test_a_line_break_inside_of_quotes_ends_no_row_and_rows_are_counted_as_a_spreadsheet_does() -> None:
    first, second = statements(f'{HEADER},Note\nNS1,A,1,1Z1,UPS,"two\nlines"\n\nNS2,A,1,1Z2,UPS,\n')
    assert (first.event_id, second.event_id) == ("F.csv#2", "F.csv#4")
    assert first.part == f'{HEADER},Note\nNS1,A,1,1Z1,UPS,"two\nlines"\n'.encode()


def test_text_that_a_spreadsheet_was_kept_from_reading_is_read() -> None:
    [said] = statements(f'{HEADER}\n="007",="A",1,="00012",UPS\n')
    assert (said.names.reference, said.items) == ("007", {"A": 1})
    assert said.parcel == Parcel("UPS", "00012")


@pytest.mark.parametrize(
    ("said", "written", "count"),
    [
        ({}, "2.0", 2),
        ({}, "100000", 100_000),
        ({"thousands": ","}, "1,000.00", 1000),
        ({"decimal": ",", "thousands": "."}, "1.000", 1000),
        ({"decimal": ",", "thousands": "."}, "2,0", 2),
        ({"decimal": ","}, "1.000", None),
        ({"decimal": ",", "thousands": "."}, "1.00", None),
        ({"thousands": " "}, "1\u00a0000", 1000),
        ({}, "٢", None),
    ],
)
def test_a_number_is_read_as_the_provider_writes_it(said: dict[str, Any], written: str, count: int | None) -> None:
    [found] = read(f'{HEADER}\nNS1,A,"{written}",1Z1,UPS\n', **said)
    assert (found.items if isinstance(found, Statement) else None) == ({"A": count} if count else None)


def test_a_total_may_be_zero_and_one_that_stands_twice_is_left_to_a_person() -> None:
    [none] = statements(f"{HEADER}\nNS1,A,0,1Z1,UPS\n", counts="totals")
    assert (none.items, none.is_total, none.unread) == ({"A": 0}, True, "")
    [two] = statements(f"{HEADER}\nNS1,A,1,1Z1,UPS\nNS1,A,2,1Z1,UPS\n", counts="totals")
    assert two.unread == "several rows give a total of 'A': which of them is true?"


DATED = SHIPMENTS["columns"] | {"date": "When"}


@pytest.mark.parametrize(
    ("said", "written", "at"),
    [
        ({}, "2026-11-28T10:00:00Z", datetime(2026, 11, 28, 10, tzinfo=UTC)),
        ({"time_zone": "Europe/Berlin"}, "2026-11-28 10:00", datetime(2026, 11, 28, 9, tzinfo=UTC)),
        ({"date_format": "%d.%m.%Y %H:%M"}, "28.11.2026 10:00", datetime(2026, 11, 28, 10, tzinfo=UTC)),
        ({}, "2026-11-28", datetime(2026, 11, 28, 23, 59, 59, 999_999, tzinfo=UTC)),
        ({"date_format": "%d.%m.%Y"}, "28.11.2026", datetime(2026, 11, 28, 23, 59, 59, 999_999, tzinfo=UTC)),
        ({}, "", None),
    ],
)
def test_a_date_is_read_as_the_settings_say_and_a_day_ends_with_itself(
    said: dict[str, Any], written: str, at: datetime | None
) -> None:
    [found] = statements(f"{HEADER},When\nNS1,A,1,1Z1,UPS,{written}\n", columns=DATED, **said)
    assert found.as_of == at


def test_a_date_that_is_none_costs_its_row() -> None:
    [bad] = unreadable(f"{HEADER},When\nNS1,A,1,1Z1,UPS,11/28/2026\n", columns=DATED)
    assert bad.what == "When '11/28/2026' is no date as ISO 8601: see to date_format"


def aside(body: bytes | str, **said: Any) -> str:
    with pytest.raises(Malformed) as malformed:
        read(body, **said)
    return str(malformed.value)


def test_a_header_that_has_changed_is_shown_beside_what_is_expected() -> None:
    body = "Order No,Sku Code,Qty,Tracking,Carrier,Note\nNS1,A,1,1Z1,UPS,\n"
    assert aside(body) == "header: 'SKU' is missing; beside what is expected it has 'Sku Code', 'Note'"


def test_a_heading_may_differ_in_letter_case_and_blanks_but_not_stand_twice() -> None:
    assert len(statements("order  no , sku,QTY,Tracking,Carrier\nNS1,A,1,1Z1,UPS\n")) == 1
    assert aside(f"{HEADER},sku\nNS1,A,1,1Z1,UPS,B\n") == (
        "header: 'SKU' stands there more than once: which of them is meant?"
    )


def test_new_columns_are_read_over_unless_the_settings_name_all_that_may_be_there() -> None:
    body = f"{HEADER},Note,Weight\nNS1,A,1,1Z1,UPS,,\n"
    assert len(statements(body)) == len(statements(body, other_columns=["note", "WEIGHT"])) == 1
    assert aside(body, other_columns=["Note"]) == "header: has new columns: 'Weight'. Add them to other_columns"


def test_a_byte_that_the_encoding_has_not_puts_the_whole_file_aside() -> None:
    body = f"{HEADER}\nNS1,A,1,1Z1,UPS\nNS2,é,1,1Z1,UPS\n".encode("latin-1")
    assert aside(body) == "line 3, byte 55: 0xe9 is no utf-8: set the encoding in which the provider writes"
    assert len(statements(body, encoding="latin-1")) == 2


def test_a_file_in_another_unicode_says_which() -> None:
    body = f"{HEADER}\nNS1,A,1,1Z1,UPS\n".encode("utf-16")
    assert aside(body) == 'byte 1: begins as UTF-16 does: set encoding = "utf-16"'
    assert len(statements(body, encoding="utf-16")) == 1


def test_what_an_encoding_makes_of_bytes_must_be_text() -> None:
    assert aside(f"{HEADER}\nNS1,+2AA-,1,1Z1,UPS\n", encoding="utf-7").startswith("byte 1: is no utf-7")


def test_an_empty_file_is_malformed_and_one_with_a_header_alone_says_nothing() -> None:
    assert aside(b"") == "row 1: should be the header, and can't be read"
    assert read(f"{HEADER}\n") == []


def test_a_table_without_a_header_has_numbered_columns() -> None:
    columns = {"reference": 1, "product": 3, "quantity": 4, "tracking_number": 5}
    first, second = statements("NS1,x,A,1,1Z1\nNS2,x,B,2,1Z2\n", columns=columns, header_row=0, carrier="UPS")
    assert (first.event_id, first.items, first.part) == ("F.csv#1", {"A": 1}, b"NS1,x,A,1,1Z1\n")
    assert second.event_id == "F.csv#2"
    [short] = unreadable("NS1,x,A,1\n", columns=columns, header_row=0, carrier="UPS")
    assert short.what == "has 4 cells, and needs 5"


def test_rows_before_the_header_are_kept_with_each_part() -> None:
    body = f"Template=7\nBestellung\n{HEADER}\nNS1,A,1,1Z1,UPS\nNS2,A,1,1Z2,UPS\n"
    _, second = statements(body, header_row=3)
    assert second.event_id == "F.csv#5"
    assert second.part == f"Template=7\nBestellung\n{HEADER}\nNS2,A,1,1Z2,UPS\n".encode()


# NDJSON

NESTED: dict[str, Any] = {
    "format": "ndjson", "word": "shipped",
    "columns": {
        "reference": "ref", "product": "sku", "quantity": "qty", "tracking_number": "parcel.no", "carrier": "parcel.by",
    },
}  # fmt: skip
GOOD = {"ref": "NS1", "sku": "A", "qty": 2, "parcel": {"no": 12345, "by": "UPS"}}


def test_an_object_on_each_line_is_a_row() -> None:
    first, second = statements(json.dumps(GOOD) + "\n\n" + json.dumps(GOOD | {"ref": "NS2", "qty": "1"}), **NESTED)
    assert (first.event_id, first.items, first.parcel) == ("F.csv#1", {"A": 2}, Parcel("UPS", "12345"))
    assert (second.event_id, second.items) == ("F.csv#3", {"A": 1})


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("{", "is no JSON: Input data was truncated"),
        ("[1]", "is no JSON object"),
        ('{"ref": "NS1", "qty": 1, "qty": 2}', "'qty' stands twice and says two things"),
        (json.dumps(GOOD | {"qty": True}), "qty is no text and no number"),
        (json.dumps(GOOD | {"sku": ["A"]}), "sku is no text and no number"),
        (json.dumps(GOOD | {"qty": None}), "qty is empty: send how many units, or see to decimal and thousands"),
        (json.dumps(GOOD | {"sku": "A\0"}), "has a NUL in it"),
    ],
)
def test_a_bad_line_costs_that_line_alone(line: str, what: str) -> None:
    bad, good = read(f"{line}\n{json.dumps(GOOD)}\n", **NESTED)
    assert isinstance(bad, Unreadable)
    assert (bad.place, bad.what, bad.part) == ("row 1", what, f"{line}\n".encode())
    assert isinstance(good, Statement)


def test_a_name_that_no_line_has_any_more_puts_the_whole_file_aside() -> None:
    body = json.dumps({key: value for key, value in GOOD.items() if key != "sku"} | {"product": "A"})
    assert aside(body, **NESTED) == "names: 'sku' is missing; beside what is expected it has 'product'"


# Whatever can stand in a file

CELL = st.text(st.characters(codec="cp1252", exclude_characters="\r\0"), max_size=12)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "cp1252")


@st.composite
def files(draw: st.DrawFn) -> tuple[list[dict[str, str]], bytes, dict[str, Any]]:
    """Rows, as any program may write them, and what the settings must say of it."""
    delimiter, encoding = draw(st.sampled_from(",;\t|")), draw(st.sampled_from(ENCODINGS))
    names = draw(st.permutations([*SHIPMENTS["columns"].values(), "Note"]))
    known = st.text("ABC123", min_size=1, max_size=5)
    row = st.fixed_dictionaries(
        {"Order No": known, "SKU": known, "Qty": st.sampled_from(["1", "2.0", "30"]), "Tracking": known,
         "Carrier": st.sampled_from(["UPS", "Dübel & Söhne"]), "Note": CELL}
    )  # fmt: skip
    rows = draw(st.lists(row, max_size=8))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(
        out, names, delimiter=delimiter, quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        lineterminator=draw(st.sampled_from(["\n", "\r\n"])),
    )  # fmt: skip
    writer.writeheader()
    writer.writerows(rows)
    said = {"encoding": encoding} | ({"delimiter": delimiter} if draw(st.booleans()) else {})
    return rows, out.getvalue().encode(encoding), said


@given(files())
def test_a_file_is_read_as_it_was_written(file: tuple[list[dict[str, str]], bytes, dict[str, Any]]) -> None:
    rows, body, said = file
    wanted: Counter[tuple[str, str, str, str]] = Counter()
    for row in rows:
        wanted[row["Order No"], row["SKU"], row["Tracking"], row["Carrier"]] += int(float(row["Qty"]))
    found: Counter[tuple[str, str, str, str]] = Counter()
    bad = unreadable(body, **said)
    for each in read(body, **said):
        if isinstance(each, Statement) and each.parcel and each.items:
            for product, count in each.items.items():
                found[each.names.reference, product, each.parcel.tracking_code, each.parcel.carrier] += count
    assert found <= wanted
    assert (found == wanted) is not bool(bad)
    assert all("looks like whole rows" in each.what for each in bad)


@given(files())
def test_a_file_that_is_read_twice_says_the_same_under_the_same_names(
    file: tuple[list[dict[str, str]], bytes, dict[str, Any]],
) -> None:
    _, body, said = file
    found = read(body, **said)
    assert read(body, **said) == found
    assert len({each.event_id for each in found}) == len(found)


@given(files())
def test_each_part_of_a_file_says_what_it_said_in_it(
    file: tuple[list[dict[str, str]], bytes, dict[str, Any]],
) -> None:
    _, body, said = file
    for each in read(body, **said):
        assert read(each.part or b"", name=each.event_id, **said) == [each]


@given(files(), st.data())
def test_a_bad_row_among_any_others_costs_no_other(
    file: tuple[list[dict[str, str]], bytes, dict[str, Any]], data: st.DataObject
) -> None:
    rows, _, _ = file
    at = data.draw(st.integers(0, len(rows)))
    bad = data.draw(st.sampled_from([row for row, _ in BAD]))
    lines = [
        ",".join([each["Order No"], each["SKU"], each["Qty"], f"T{number}", "UPS"]) for number, each in enumerate(rows)
    ]
    good, spoilt = f"{HEADER}\n" + "".join(f"{line}\n" for line in lines), [*lines[:at], bad, *lines[at:]]

    def told(found: list[Reading]) -> list[tuple[Names, object, object]]:
        return [(each.names, each.items, each.parcel) for each in found if isinstance(each, Statement)]

    found = read(f"{HEADER}\n" + "".join(f"{line}\n" for line in spoilt))
    assert told(found) == told(read(good))
    assert [each.place for each in found if isinstance(each, Unreadable)] == [f"row {at + 2}"]


@given(st.binary(max_size=200))
def test_whatever_bytes_there_are_is_read_or_malformed(body: bytes) -> None:
    for said in ({}, {"encoding": "latin-1"}, {"encoding": "shift_jis"}, NESTED):
        for content in (body, f"{HEADER}\n".encode() + body):
            with suppress(Malformed):
                assert len({each.event_id for each in read(content, **said)}) == len(read(content, **said))
