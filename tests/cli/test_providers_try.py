"""`gateway providers try`, as somebody uses it who writes a mapping."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.cli.providers_unread import unread
from tests.cli.typed import typed

SETTINGS = """
public_url = "https://gateway.example.com"
newstore = { tenant = "acme", client_id = "gateway", client_secret = "env:NOT_SET_YET" }

[providers.boxly]
adapter = "rest"
url = "https://api.boxly.example"
mapping = "boxly.toml"
auth = { kind = "header", header = "Authorization", prefix = "Token", secret = "env:BOXLY_KEY" }
webhooks = { kind = "hmac", header = "X-Boxly", secret = "env:BOXLY_SECRET" }
webhook_secret = "env:BOXLY_SECRET"

[providers.other]
adapter = "http"
url = "https://other.example"
api_key = "env:NOT_SET_EITHER"
callback_key = "env:NOT_SET_EITHER"
""".replace(', secret = "env:BOXLY_SECRET" }', " }")
MAPPING = """
headers = { X-Api-Version = "2" }

[create]
path = "/v1/jobs"
headers = { Idempotency-Key = "{idempotency_key}" }
body = "{customer_ref: reference, pieces: lines[].{code: sku, count: count}}"
provider_order = "job.uid"

[look_up]
path = "/v1/jobs?ref={reference}"
orders = "jobs"
reference = "customer_ref"
provider_order = "uid"

[withdraw]
path = "/v1/jobs/{provider_order}/cancel"
method = "POST"
stopped = "ok"

[said]
orders = "[job]"
reference = "customer_ref"
provider_order = "uid"

[webhook]

[read]
path = "/v1/jobs/{provider_order}"
statements = "[[@], parcels, missing][]"
word = "awb && 'parcel' || cause && 'missing' || state"
reason = "cause"
reasons = { NOT_FOUND = "no_inventory" }
lines = "contents || [@]"
product = "code"
quantity = "count"
tracking_number = "awb"
carrier = "courier"
words = { QUEUED = "accepted", CLOSED = "ignored", parcel = "shipped", missing = "rejected" }
whole_orders = ["QUEUED"]
"""
PARCEL = {"courier": "ups", "awb": "1Z1", "contents": [{"code": "TEE", "count": 1}]}
CLOSED = {"uid": "b-77", "customer_ref": "NS1", "state": "CLOSED", "parcels": [PARCEL]}


async def tried(
    folder: Path, document: object, kind: str = "read", *options: str, change: Mapping[str, str] | None = None
) -> tuple[int, str]:
    """Try what Boxly sends on its mapping, with these changes of it; gives the exit code and what is said of it."""
    mapping = MAPPING
    for before, after in (change or {}).items():
        assert before in mapping
        mapping = mapping.replace(before, after)
    (folder / "boxly.toml").write_text(mapping)
    (folder / "gateway.toml").write_text(SETTINGS)
    (folder / "a.json").write_text(json.dumps(document))
    words = ("try", "boxly", str(folder / "a.json"), "--as", kind, "--config", str(folder / "gateway.toml"), *options)
    keys = {"BOXLY_KEY": "the-key-of-the-gateway", "BOXLY_SECRET": "the-secret-of-boxly"}
    code, told = await typed("providers", *words, **keys)
    return code, told if options else told.partition("a.json says:\n")[2]


async def test_what_stands_in_a_message_and_nothing_reads_is_named(tmp_path: Path) -> None:
    document = {"job": CLOSED | {"shorts": [{"code": "CAP"}], "parcels": [PARCEL | {"weight": 2}], "notes": []}}
    code, told = await tried(tmp_path, document)
    assert (code, told.splitlines()[-2:]) == (0, ["  ignored: CLOSED", "  not read: job.parcels.weight, job.shorts"])
    misspelt = await tried(tmp_path, {"job": CLOSED | {"state": "QUEUED"}}, change={"parcels,": "parcls,"})
    assert misspelt[1].splitlines()[-1] == "  not read: job.parcels"
    assert "not read" not in (await tried(tmp_path, {"job": CLOSED, "type": "job"}, "webhook"))[1]


def test_a_part_is_named_as_a_whole_and_of_one_that_is_read_what_is_inside() -> None:
    def says(document: object) -> object:
        return [line["sku"] for line in document["lines"]], document["a"].get("b")  # type: ignore[index]

    document = {"lines": [{"sku": 1}, {"sku": 2, "lot": 3}], "a": {"b": {"c": 1}, "d": 2}, "e": [[{"f": 1}]], "g": None}

    def mild(document: object) -> object:
        try:
            return says(document)
        except (KeyError, TypeError):
            return None

    assert [*unread(document, mild)] == ["lines.lot", "a.d", "e"]
    assert [*unread(None, mild)] == []


async def test_a_message_of_which_all_is_ignored_is_told_from_one_that_says_nothing(tmp_path: Path) -> None:
    code, told = await tried(tmp_path, {"job": CLOSED | {"parcels": []}})
    assert (code, told) == (0, "  ignored: CLOSED\n")
    code, told = await tried(tmp_path, {"job": CLOSED}, change={"[[@], parcels, missing][]": "parcls || `[]`"})
    assert (code, told.splitlines()[0]) == (0, "  no statement in it")


async def test_a_word_that_the_mapping_lacks_is_named_with_where_to_add_it(tmp_path: Path) -> None:
    code, told = await tried(tmp_path, {"job": CLOSED | {"state": "PARTLY", "parcels": []}})
    assert code == 1
    assert "  1. an unknown word: it goes to a person, and changes nothing\n" in told
    assert "     problem: word (see the body) is not in [read.words]: add it there\n  unknown words: PARTLY\n" in told
    assert "     event: none; a repetition is known by what it says\n" in told


async def test_a_part_that_can_not_be_read_is_shown_as_it_came(tmp_path: Path) -> None:
    job = CLOSED | {"parcels": [PARCEL | {"courier": None}]}
    code, told = await tried(tmp_path, {"job": job})
    assert (code, "unreadable at $.statements[1].carrier: courier finds nothing" in told) == (1, True)
    assert f"     bytes: {json.dumps({'job': job})}\n" in told
    part = (await tried(tmp_path, {"job": job | {"state": "QUEUED"}}))[1]
    assert ("     bytes: {" in part, "gateway_envelope" in part) == (True, False)
    code, told = await tried(tmp_path, {"jobs": [CLOSED]})
    assert (code, "names no order: customer_ref and uid find nothing" in told) == (1, True)
    code, told = await tried(tmp_path, CLOSED, "poll")
    assert (code, "the mapping has no [poll], which reads this: add it, or discard this" in told) == (1, True)


JOB = {"job": {"uid": "b-77"}}
JOBS = {"jobs": [{"uid": "b-77", "customer_ref": "NS1"}]}
ANSWERS = [
    ("create", JOB, 0, "it has the order; its id is b-77"),
    ("create", {"error": "no such code"}, 0, "answered 200 and says no: ask it whether it has the order"),
    ("create", {"jab": 1}, 1, "answered 200, and job.uid finds no id in it: it may have taken the order"),
    ("look_up", JOBS, 0, "it has the order NS1; its id is b-77"),
    ("look_up", {"jobs": []}, 0, "it has no such order"),
    ("look_up", {"tasks": []}, 1, "the look-up answered 200, but jobs finds nothing"),
    ("look_up", {"jobs": [{"uid": "b-77"}]}, 1, "it shows an order, and customer_ref finds no reference in it"),
    ("look_up", {"jobs": [{"customer_ref": "NS1"}]}, 1, "it shows the order NS1, and uid finds no id in it"),
    ("withdraw", {"ok": True}, 0, "answered 200, ok: nothing more of the order ships"),
    ("withdraw", {"ok": False}, 0, "answered 200 and says no: it goes on with the order"),
    ("withdraw", {"okay": True}, 1, "answered 200, and ok is neither true nor false"),
]


@pytest.mark.parametrize(("kind", "answer", "code", "said"), ANSWERS)
async def test_the_answer_to_a_call_is_told(tmp_path: Path, kind: str, answer: object, code: int, said: str) -> None:
    found, told = await tried(tmp_path, answer, kind)
    assert (found, told.strip().removeprefix("nothing that can be read: ")[: len(said)]) == (code, said)


async def test_an_answer_that_the_mapping_does_not_ask_for_is_told(tmp_path: Path) -> None:
    change = {MAPPING[MAPPING.index("[withdraw]") : MAPPING.index("[said]")]: ""}
    code, told = await tried(tmp_path, {}, "withdraw", change=change)
    assert (code, "the mapping has no [withdraw]: add it" in told) == (1, True)


async def test_the_call_that_sends_an_order_is_shown_with_its_key_masked(tmp_path: Path) -> None:
    code, told = await tried(tmp_path, {"job": CLOSED}, "read", "--path", "callbacks")
    head = told.partition("this would be sent:\n\n")[2].partition("\n\n")[0].splitlines()
    assert code == 0
    assert head[0] == "POST https://api.boxly.example/v1/jobs"
    assert {"Content-Type: application/json", "X-Api-Version: 2", "Authorization: Token ****"} <= {*head}
    assert any(each.startswith("Idempotency-Key: NS") for each in head)


async def test_only_the_provider_that_is_tried_needs_its_keys(tmp_path: Path) -> None:
    await tried(tmp_path, {})
    config = ("--config", str(tmp_path / "gateway.toml"))
    code, told = await typed("providers", "try", "boxly", *config)
    assert code == 2
    assert "providers.boxly.auth.secret: the environment variable BOXLY_KEY is not set" in told
    assert "NOT_SET" not in told
