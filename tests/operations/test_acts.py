import json
from dataclasses import fields
from typing import Any

import msgspec
import pytest

from gateway.api_shapes import QuarantineResult
from gateway.domain.acts import ACTS
from gateway.domain.commands import CallEnded, End
from gateway.ledger.read import request_reads
from gateway.operations.acts import KNOWN
from tests.requests import AT
from tests.served import Served, event, order

SHIPPED = {"shipment": {"carrier": "UPS", "tracking_number": "1Z"}}


async def kill(gateway: Served, operation: str, request_id: str = "r-1", end: End = End.REFUSED) -> None:
    """The first owed call of this operation is given up."""
    before = await request_reads.request(gateway.pool, request_id)
    assert before is not None
    owed = next(each for each in before.owed if each.operation == operation)
    await gateway.writer.apply(
        CallEnded(
            request_id=request_id, at=AT, operation=owed.operation, seq=owed.seq, attempt=1, end=end, detail="400"
        )
    )


async def kinds(gateway: Served, request_id: str = "r-1") -> list[str]:
    story = await (await gateway.ask(f"/v1/requests/{request_id}")).json()
    return [each["kind"] for each in story["events"]]


async def audit(gateway: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await (await gateway.ask("/v1/audit")).json())["audit"]
    return found


def test_the_gateway_knows_what_nobody_is_asked_for() -> None:
    told = {"request_id", "at", "who", "action_id", "reason", "fingerprint"}
    for act in ACTS.values():
        assert {each.name for each in fields(act)} - told - act.asks.keys() <= KNOWN.keys(), act.action


async def test_whoever_offers_acts_is_told_all_of_them(gateway: Served) -> None:
    answer = await gateway.ask("/v1/acts")
    told = await answer.json()
    assert (answer.status, told["roles"]) == (200, ["admin", "operator"])
    acts = {each["action"]: each for each in told["acts"]}
    assert list(acts) == list(ACTS)
    asked = {name: [each["name"] for each in acts[name]["asks"]] for name in ("redrive", "reroute", "reject")}
    assert asked == {
        "redrive": ["carrier", "tracking_code"],
        "reroute": ["to", "provider_stopped"],
        "reject": ["rejection_reason", "provider_stopped"],
    }
    assert (acts["reject"]["many"], acts["take"]["many"], acts["redrive"]["among"]) == ("rejections", None, "failed")
    assert (acts["note"]["content"], acts["take"]["default_reason"]) == ("The note", "taken")
    assert acts["close"] == {
        "action": "close", "label": "Close", "asks": [], "many": "closes", "among": None, "is_final": True,
        "help": "End what was settled by hand elsewhere: nothing is sent or checked for it any more.",
        "consequence": "nothing is sent or checked for these requests any more", "content": None,
        "default_reason": None,
    }  # fmt: skip
    reason, stopped = acts["reject"]["asks"]
    assert [each["value"] for each in reason["choices"]] == ["cannot_fulfill", "no_inventory"]
    assert (reason["is_required"], stopped["is_required"], stopped["most"]) == (True, False, 1_000)


async def test_a_provider_is_not_vouched_for_by_blanks(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(event("accepted", "e-1"))
    body = {"reason": "acme burns", "to": "zen", "provider_stopped": "  "}
    assert (await gateway.do("/v1/requests/r-1/reroute", body)).status == 409


async def test_a_carrier_corrects_one_request_and_never_many(gateway: Served) -> None:
    for path in ("/v1/redrives", "/v1/closes"):
        body = {"reason": "x", "carrier": "UPS", "filter": {"location": "DC01"}}
        answer = await gateway.do(path, body)
        told = (answer.status, (await answer.json())["detail"])
        assert told == (400, "a carrier or tracking code corrects one request; name it by its id")


async def test_a_viewer_may_not_act(gateway: Served) -> None:
    await gateway.receive(order())
    for path in ("/v1/requests/r-1/close", "/v1/holds", "/v1/redrives", "/v1/quarantine/1/discard"):
        answer = await gateway.do(path, {"reason": "x"}, token="the-token-of-vera")
        assert answer.status == 403
        assert "may only read" in (await answer.json())["detail"]
    assert {entry["outcome"].partition(":")[0] for entry in await audit(gateway)} == {"refused"}


async def test_an_act_without_a_reason_is_refused(gateway: Served) -> None:
    await gateway.receive(order())
    wrong: tuple[object, ...] = ({}, {"reason": " "}, {"reason": 3}, {"reason": "x", "colour": "red"}, [])
    for body in wrong:
        assert (await gateway.do("/v1/requests/r-1/close", body)).status == 400
    assert await audit(gateway) == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/requests/r-1/note", {"reason": "a\0b"}),
        ("/v1/requests/r-1/take", {"reason": "x", "action_id": "a\0b"}),
        ("/v1/requests/r-1/take", {"reason": "x", "action_id": "a" * 101}),
        ("/v1/closes", {"reason": "x", "filter": {"location": "a\0b"}}),
        ("/v1/closes", {"reason": "x", "filter": {"location": "DC09"}, "after": "1:\0"}),
        ("/v1/closes", {"reason": "x", "filter": {"location": "DC09"}, "after": "nonsense"}),
        ("/v1/holds", {"scope": "everything", "reason": "a\0b"}),
        ("/v1/holds", {"scope": "request", "name": "a" * 256, "reason": "x"}),
        ("/v1/holds/1/release", {"reason": "a\0b"}),
        ("/v1/requests/r-1/note", {"reason": "a" * 1_001}),
        ("/v1/quarantine/1/discard", {"reason": "a\0b"}),
    ],
)
async def test_what_can_not_be_stored_or_is_too_long_is_refused_before_anything_happens(
    gateway: Served, path: str, body: dict[str, object]
) -> None:
    await gateway.receive(order())
    await gateway.receive(b"nonsense")
    answer = await gateway.do(path, body)
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert await audit(gateway) == []


async def test_a_hold_on_what_there_is_not_is_told_what_there_is(gateway: Served) -> None:
    answer = await gateway.do("/v1/holds", {"scope": "galaxy", "name": "DC01", "reason": "x"})
    assert "choose one of everything, newstore, provider" in (await answer.json())["detail"]
    answer = await gateway.do("/v1/holds", {"scope": "location", "reason": "x"})
    assert "goes with a name" in (await answer.json())["detail"]
    answer = await gateway.do("/v1/holds", {"scope": "operation", "name": "create", "reason": "x"})
    assert "choose one of acknowledge, ship, reject, cancel" in (await answer.json())["detail"]


async def test_an_act_on_an_unknown_request_is_told_so(gateway: Served) -> None:
    assert (await gateway.do("/v1/requests/r-9/close", {"reason": "x"})).status == 404
    assert (await gateway.do("/v1/requests/r-1/explode", {"reason": "x"})).status == 404


async def test_a_refused_order_is_redriven_with_a_reason_and_an_audit_entry(gateway: Served) -> None:
    await gateway.receive(order())
    await kill(gateway, "create")

    answer = await gateway.do("/v1/requests/r-1/redrive", {"reason": "the warehouse has mended its catalogue"})

    assert (answer.status, (await answer.json())["done"]) == (200, True)
    assert (await kinds(gateway))[-1] == "redriven"
    (entry,) = await audit(gateway)
    assert (entry["who"], entry["action"], entry["subject"], entry["reason"], entry["outcome"]) == (
        "otto", "redrive", "r-1", "the warehouse has mended its catalogue", "redriven",
    )  # fmt: skip


async def test_what_cannot_be_done_is_declined_in_a_plain_sentence_and_audited(gateway: Served) -> None:
    await gateway.receive(order())

    answer = await gateway.do("/v1/requests/r-1/redrive", {"reason": "try"})

    told = await answer.json()
    assert (answer.status, told["done"]) == (409, False)
    assert "nothing failed" in told["outcome"]
    assert [entry["outcome"] for entry in await audit(gateway)] == [told["outcome"]]


async def test_a_dry_run_changes_nothing_and_says_what_would_follow(gateway: Served) -> None:
    await gateway.receive(order())
    body = {"reason": "out of stock", "rejection_reason": "no_inventory", "dry_run": True}

    told = await (await gateway.do("/v1/requests/r-1/reject", body)).json()

    assert told["done"]
    assert "units_rejected" in told["outcome"]
    assert "stock of them to zero" in told["consequence"]
    assert await kinds(gateway) == ["request_received"]
    assert await audit(gateway) == []


async def test_the_same_act_sent_twice_is_done_once(gateway: Served) -> None:
    await gateway.receive(order())
    await kill(gateway, "create")
    body = {"reason": "again", "action_id": "act-1"}
    assert (await gateway.do("/v1/requests/r-1/redrive", body)).status == 200
    second = await gateway.do("/v1/requests/r-1/redrive", body)
    assert (await second.json())["outcome"] == "nothing: it was done before"
    assert (await kinds(gateway)).count("redriven") == 1


async def test_a_request_goes_to_another_provider_only_where_it_cannot_ship_twice(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(event("accepted", "e-1"))
    refused = await gateway.do("/v1/requests/r-1/reroute", {"reason": "acme burns", "to": "zen"})
    assert (refused.status, "--provider-stopped" in (await refused.json())["outcome"]) == (409, True)

    body = {"reason": "acme burns", "to": "zen", "provider_stopped": "Ada phoned, they tore the label up"}
    assert (await gateway.do("/v1/requests/r-1/reroute", body)).status == 200

    story = await (await gateway.ask("/v1/requests/r-1")).json()
    assert story["provider"] == "zen"
    assert "Ada phoned" in str(story["events"])

    body = {"reason": "acme is mended", "to": "acme"}
    for dry_run in (True, False):
        back = await (await gateway.do("/v1/requests/r-1/reroute", {**body, "dry_run": dry_run})).json()
        assert (back["done"], "acme had it before" in back["outcome"]) == (False, True)


async def test_rejections_that_a_brake_holds_are_discarded_by_a_filter_and_audited(gateway: Served) -> None:
    for number in range(3):
        await gateway.receive(order(f"r-{number}"))
        await gateway.say(event("rejected", f"e-{number}", f"r-{number}", reason="no_inventory"))
    await gateway.pool.execute("UPDATE deliveries SET doubt = true WHERE request_id = 'r-2' AND operation = 'reject'")
    body = {"reason": "they meant another DC", "filter": {"status": "rejected", "location": "DC01"}}

    dry = await (await gateway.do("/v1/discards", {**body, "dry_run": True})).json()
    assert (dry["matching"], dry["done"]) == (3, 2)
    assert "NewStore never learns of it" in dry["consequence"]
    assert await audit(gateway) == []
    told = await (await gateway.do("/v1/discards", body)).json()
    assert {each["id"]: each["outcome"].split(":")[0] for each in told["results"]} == {
        "r-0": "units_reopened", "r-1": "units_reopened", "r-2": "declined"
    }  # fmt: skip
    assert {(entry["action"], entry["subject"]) for entry in await audit(gateway)} == {
        ("discard", "r-0"), ("discard", "r-1"), ("discard", "r-2")
    }  # fmt: skip

    shipped = await gateway.say(event("shipped", "e-9", "r-0", items=[{"product_id": "TEE"}], **SHIPPED))
    assert (await shipped.json())["result"] == "applied"
    assert (await gateway.do("/v1/requests/r-0/discard", {"reason": "again"})).status == 409


@pytest.mark.parametrize(
    ("action", "body", "says"),
    [
        ("reroute", {"to": "nobody"}, "choose one of acme, zen"),
        ("reject", {}, "rejection_reason"),
        ("reject", {"rejection_reason": "bored"}, "bored"),
    ],
)
async def test_a_wrong_order_is_told_what_to_write(
    gateway: Served, action: str, body: dict[str, Any], says: str
) -> None:
    await gateway.receive(order())
    answer = await gateway.do(f"/v1/requests/r-1/{action}", {"reason": "x", **body})
    assert answer.status == 400
    assert says in (await answer.json())["detail"]


async def test_a_note_and_a_name_are_kept_for_the_next_shift(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.do("/v1/requests/r-1/note", {"reason": "called them, ship tomorrow"})
    await gateway.do("/v1/requests/r-1/take", {"reason": "mine"})
    assert await kinds(gateway) == ["request_received", "noted", "taken_over"]
    shown = (await (await gateway.ask("/v1/requests")).json())["requests"][0]
    assert shown["taken_by"] == "otto"


async def test_many_are_redriven_by_a_filter_after_a_dry_run_that_counts(gateway: Served) -> None:
    for number in range(5):
        await gateway.receive(order(f"r-{number}"))
    for number in range(3):
        await kill(gateway, "create", f"r-{number}")
    body = {"reason": "acme is back", "filter": {"status": "failed", "provider": "acme"}, "limit": 2}

    dry = await (await gateway.do("/v1/redrives", {**body, "dry_run": True})).json()
    assert (dry["matching"], dry["done"], dry["dry_run"]) == (3, 2, True)
    assert await audit(gateway) == []

    done = 0
    after = None
    while True:
        page = await (await gateway.do("/v1/redrives", {**body, "after": after})).json()
        done += page["done"]
        after = page["next_page"]
        if after is None:
            break
    assert done == 3
    assert {entry["subject"] for entry in await audit(gateway)} == {"r-0", "r-1", "r-2"}


async def test_an_act_on_many_needs_a_filter(gateway: Served) -> None:
    for chosen in ({}, {"colour": "red"}, {"since": "yesterday"}, {"since": "2026-03-05T09:00:00"}):
        answer = await gateway.do("/v1/redrives", {"reason": "x", "filter": chosen})
        assert answer.status == 400


async def test_a_time_window_chooses_requests(gateway: Served) -> None:
    await gateway.receive(order())
    for chosen, count in (
        ({"since": "2020-01-01T00:00:00Z"}, 1),
        ({"until": "2020-01-01T00:00:00Z"}, 0),
    ):
        body = {"reason": "x", "filter": chosen, "dry_run": True}
        assert (await (await gateway.do("/v1/closes", body)).json())["matching"] == count


async def test_holds_are_listed_and_released_by_id(gateway: Served) -> None:
    first = await (await gateway.do("/v1/holds", {"scope": "newstore", "reason": "price error"})).json()
    second = await gateway.do("/v1/holds", {"scope": "location", "name": "DC01", "reason": "fire", "minutes": 30})
    assert second.status == 201
    listed = (await (await gateway.ask("/v1/holds")).json())["holds"]
    assert [(hold["scope"], hold["name"], hold["who"]) for hold in listed] == [
        ("newstore", "", "otto"),
        ("location", "DC01", "otto"),
    ]
    assert listed[0]["expires_at"] is None
    assert listed[1]["expires_at"] is not None

    assert (await gateway.do(f"/v1/holds/{first['id']}/release", {"reason": "mended"})).status == 200
    assert (await gateway.do(f"/v1/holds/{first['id']}/release", {"reason": "mended"})).status == 404
    assert len((await (await gateway.ask("/v1/holds")).json())["holds"]) == 1
    assert [entry["action"] for entry in await audit(gateway)] == ["release", "hold", "hold"]


@pytest.mark.parametrize(
    "body",
    [
        {"scope": "newstore"},
        {"scope": "newstore", "reason": " "},
        {"scope": "universe", "reason": "x"},
        {"scope": "location", "reason": "x"},
        {"scope": "newstore", "name": "DC01", "reason": "x"},
        {"scope": "location", "name": "DC99", "reason": "x"},
        {"scope": "provider", "name": "nobody", "reason": "x"},
        {"scope": "everything", "reason": "x", "minutes": -1},
        {"scope": "request", "name": "a\0b", "reason": "x"},
    ],
)
async def test_a_hold_that_makes_no_sense_is_refused(gateway: Served, body: dict[str, Any]) -> None:
    assert (await gateway.do("/v1/holds", body)).status == 400
    assert await gateway.pool.fetchval("SELECT count(*) FROM holds") == 0


async def quarantined(gateway: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await (await gateway.ask("/v1/quarantine")).json())["quarantine"]
    return found


async def replay(gateway: Served, kept: dict[str, Any]) -> QuarantineResult:
    answer = await gateway.do(f"/v1/quarantine/{kept['id']}/replay", {"reason": "the settings are mended"})
    assert answer.status == 200
    return msgspec.json.decode(await answer.read(), type=QuarantineResult)


async def test_an_unknown_word_is_discarded_and_the_request_waits_no_more_for_it(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(event("vanished", "e-1"))
    (kept,) = await quarantined(gateway)
    assert kept["reason"] == "unknown_word"
    assert "quarantine" in str((await (await gateway.ask("/v1/requests/r-1")).json())["waiting_for"])

    assert (await gateway.do(f"/v1/quarantine/{kept['id']}/discard", {"reason": "their test"})).status == 200
    assert (await gateway.do(f"/v1/quarantine/{kept['id']}/discard", {"reason": "their test"})).status == 409

    assert await quarantined(gateway) == []
    assert "quarantine" not in str((await (await gateway.ask("/v1/requests/r-1")).json())["waiting_for"])
    assert {entry["action"] for entry in await audit(gateway)} == {"discard"}


async def test_a_replayed_message_is_read_as_the_settings_are_now(gateway: Served) -> None:
    await gateway.receive(order(), location="DC01")
    await gateway.say(event("cancelled", "e-1"))
    (kept,) = await quarantined(gateway)

    still = await replay(gateway, kept)
    assert "callback_quarantined" in still.outcome
    assert (still.result, still.done) == ("quarantined", False)
    assert still.why.startswith("it is in quarantine again: ")
    (kept,) = await quarantined(gateway)  # a new entry, of the replay

    await gateway.pool.execute("UPDATE requests SET location = 'DC03'")  # whose cancellations are taken as such
    done = await replay(gateway, kept)
    assert "units_cancelled" in done.outcome
    assert (done.result, done.done, done.why) == ("applied", True, "")
    assert await quarantined(gateway) == []
    assert [entry["action"] for entry in await audit(gateway)] == ["replay", "replay"]


async def test_a_replay_of_what_is_so_already_is_done_and_one_that_is_refused_is_not(gateway: Served) -> None:
    await gateway.receive(order("r-1", "TEE"), location="DC01")
    await gateway.say(event("cancelled", "e-1"))
    await gateway.say(event("cancelled", "e-2"))
    repeated, late = await quarantined(gateway)
    await gateway.pool.execute("UPDATE requests SET location = 'DC03'")  # whose cancellations are taken as such
    await replay(gateway, repeated)
    again = await replay(gateway, late)
    assert (again.result, again.done, again.why) == ("duplicate", True, "")

    await gateway.say(event("vanished", "e-3"))
    (kept,) = await quarantined(gateway)
    await gateway.do("/v1/requests/r-1/close", {"reason": "settled by hand"})
    refused = await replay(gateway, kept)
    assert (refused.result, refused.done) == ("callback_refused", False)
    assert refused.why.startswith("it left quarantine, and was refused: the request is closed")
    assert await quarantined(gateway) == []


async def test_what_came_before_its_request_and_is_still_not_understood_stays_in_quarantine(gateway: Served) -> None:
    await gateway.say(event("vanished", "e-1"))
    (kept,) = await quarantined(gateway)
    gateway.writer.on_received = lambda _: None  # nobody has looked yet for what came before it
    await gateway.receive(order())
    still = await replay(gateway, kept)
    assert (still.result, still.done) == ("quarantined", False)
    assert [each["reason"] for each in await quarantined(gateway)] == ["unknown_word"]


async def test_a_replayed_request_is_received_once_and_one_that_contradicts_says_so(gateway: Served) -> None:
    for body in (order(), order(note="another")):
        await gateway.receive(b"?" + json.dumps(body).encode())
    kept, other = await quarantined(gateway)
    # What could not be stored, as after a fault of ours that was mended.
    await gateway.pool.execute("UPDATE quarantine SET body = substr(body, 2)")
    received, conflicting = await replay(gateway, kept), await replay(gateway, other)
    assert (received.result, received.done, received.why) == ("received", True, "")
    assert (conflicting.result, conflicting.done) == ("conflicting_body", False)
    assert "another body" in conflicting.why


async def test_a_malformed_message_can_only_be_discarded(gateway: Served) -> None:
    await gateway.receive(b'{"id": "r-1"')
    (kept,) = await quarantined(gateway)
    answer = await gateway.do(f"/v1/quarantine/{kept['id']}/replay", {"reason": "again"})
    assert (answer.status, "still can't be read" in (await answer.json())["detail"]) == (409, True)
    assert (await gateway.do(f"/v1/quarantine/{kept['id']}/discard", {"reason": "a test"})).status == 200
    assert await quarantined(gateway) == []
    assert [(entry["action"], entry["reason"]) for entry in await audit(gateway)] == [("discard", "a test")]


async def test_a_discarded_message_is_not_applied_to_the_request_that_comes_meanwhile(gateway: Served) -> None:
    await gateway.say(event("accepted", "e-1"))
    (kept,) = await quarantined(gateway)
    gateway.writer.on_received = lambda _: None  # nobody has looked yet for what came before it
    await gateway.receive(order())
    assert (await gateway.do(f"/v1/quarantine/{kept['id']}/discard", {"reason": "a test"})).status == 200
    assert await quarantined(gateway) == []
    kinds = await gateway.pool.fetchval("SELECT array_agg(kind ORDER BY version) FROM events")
    assert kinds == ["request_received"]


async def test_the_list_of_quarantine_shows_no_bytes(gateway: Served) -> None:
    await gateway.receive(b'{"id": "r-1", "shipping_address": "12 Elm St"')
    (kept,) = await quarantined(gateway)
    shown = await (await gateway.ask(f"/v1/quarantine/{kept['id']}")).text()
    assert "Elm" not in shown
    assert "Elm" not in str(kept)


async def test_quarantine_and_audit_are_paged(gateway: Served) -> None:
    for number in range(3):
        await gateway.receive(f"{number}".encode())
        await gateway.do("/v1/holds", {"scope": "everything", "reason": f"{number}"})
    page = await (await gateway.ask("/v1/quarantine?limit=2")).json()
    rest = await (await gateway.ask(f"/v1/quarantine?after={page['next_page']}")).json()
    assert (len(page["quarantine"]), len(rest["quarantine"]), rest["next_page"]) == (2, 1, None)
    page = await (await gateway.ask("/v1/audit?limit=2")).json()
    rest = await (await gateway.ask(f"/v1/audit?before={page['next_page']}&who=otto")).json()
    assert [entry["reason"] for entry in page["audit"] + rest["audit"]] == ["2", "1", "0"]
