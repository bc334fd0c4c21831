import json
import tomllib
from typing import Any

import pytest

from gateway.domain.commands import Word
from gateway.providers.files_mapping import MAP_ME
from gateway.providers.port import Malformed, Statement
from gateway.providers.rest_proposal import Proposal, propose
from tests.providers.rest import PUSH, SHIPPED, read

SHORT = {
    "event": "e-2",
    "order_number": "NS1",
    "status": "SHORT",
    "reason": "DAMAGED",
    "lines": [{"sku": "A", "qty": 1}],
}


def proposed(document: object) -> Proposal:
    return propose(json.dumps(document).encode())


def read_as(found: Proposal, document: object, word: str) -> list[Statement]:
    """Read a message by what was proposed for it, once a person has said what its words mean."""
    table: dict[str, Any] = tomllib.loads(found.toml.replace(f'"{MAP_ME}"', f'"{word}"'))["said"]
    if reasons := table.get("reasons"):
        table["reasons"] = dict.fromkeys(reasons, "no_inventory")
    return [
        each for each in read(document, PUSH | {"webhook": {"hint": False, **table}}) if isinstance(each, Statement)
    ]


def test_where_things_stand_in_a_message_is_proposed_and_reads_it() -> None:
    found = proposed(SHIPPED)
    assert found.keys == {
        "event_id": "event", "reference": "order_number", "statements": "cartons || [@]", "carrier": "carrier",
        "tracking_number": "tracking", "word": "_order.status", "lines": "lines", "product": "sku", "quantity": "qty",
    }  # fmt: skip
    assert found.words == ["SHIPPED"]
    first, second = read_as(found, SHIPPED, "shipped")
    assert (first.word, first.items, second.items) == (Word.SHIPPED, {"TEE": 2}, {"CAP": 1})


def test_orders_that_lie_deeper_are_found() -> None:
    for document, path in (
        ([SHORT], "@"),
        ({"events": [SHORT, SHORT]}, "events"),
        ({"topic": "order", "data": {"order": SHORT}}, None),  # each path leads there
        ({"meta": {}, "the data": [SHORT]}, '"the data"'),
    ):
        found = proposed(document)
        assert found.keys.get("orders") == path
        assert (found.words, found.reasons) == (["SHORT"], ["DAMAGED"])
        assert {each.word for each in read_as(found, document, "rejected")} == {Word.REJECTED}


def test_what_is_missing_is_said() -> None:
    notes = proposed({"order_number": "NS1", "sku": "A"}).notes
    assert notes == [
        "nothing says what has happened: name word by hand, or ask for it",
        "nothing says which units are meant: name lines by hand, or ask for it",
        "nothing says how many: name quantity by hand, or ask for it",
        "it may be a hint, which says nothing but which order is to be read: then add [read]",
        'nothing names the event: ask for an id, or let counts = "totals" be true',
        "ask for a message of each kind: one shows its own words alone",
    ]
    order = {"order_number": "NS1", "status": "a", "state": "b"}
    told = [note for note in proposed([order, order]).notes if " may say " in note]
    assert told == ["state may say word, too: it is taken from status"]


def test_a_list_that_the_proposal_leaves_out_is_named() -> None:
    lists = {"parcels": SHIPPED["cartons"], "missing": [{"sku": "A", "qty": 1}]}
    notes = proposed({"job": {"order_number": "NS1", "status": "CLOSED", **lists}}).notes
    joined = 'statements may join both, as "[job.parcels, job.missing][]"'
    assert f"it also has a list, job.missing, which nothing here reads: {joined}" in notes
    assert not any("has a list" in note for note in proposed(SHIPPED).notes)


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"7", b'{"topic": "stock"}', b"[" * 9_000])
def test_what_names_no_order_gives_no_proposal(body: bytes) -> None:
    with pytest.raises(Malformed):
        propose(body)
