import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest

from gateway import api_shapes
from gateway.domain.commands import CallEnded, End
from gateway.ledger.queue.claims import Claim
from gateway.ledger.read import request_reads
from gateway.ledger.write.queued import Attempt
from gateway.operations.masking import masked
from tests.requests import AT
from tests.served import Served, event, order

EMPTY = {"address_line_2": "", "notes": None}
ADA = {"first_name": "Ada", "last_name": "Lovelace", "phone": "+15550100", **EMPTY}
PERSONAL = {
    "order_id": "SO-1", "created_at": "2026-03-05T09:14:22Z", "shipping_address": ADA, "customer": {"id": "Ada"},
    "shipping_options": {"carrier": "UPS", "service_level": "GROUND", "note": "ring at Lovelace"}, "gift": True,
    "extended_attributes": [{"name": "engraving", "value": "Ada"}],
    "Ada Lovelace": 1, "shipping_options.carrier": "Ada",
}  # fmt: skip


async def bodies(gateway: Served, request_id: str = "r-1") -> list[api_shapes.BodyStory]:
    answer = await gateway.ask(f"/v1/requests/{request_id}/bodies")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    found = msgspec.json.decode(await answer.read(), type=api_shapes.BodyList)
    assert found.masked
    return found.bodies


async def audited(gateway: Served) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await (await gateway.ask("/v1/audit?action=reveal")).json())["audit"]
    return found


async def test_a_body_is_shown_with_its_structure_and_without_its_person(gateway: Served) -> None:
    await gateway.receive(order("r-1", "TEE", **PERSONAL))
    (body,) = await bodies(gateway)
    assert (body.sender, body.is_answer, body.about) == ("newstore", False, "request_received")
    assert json.loads(body.text or "") == {
        "id": "r-1", "items": [{"product_id": "TEE"}], "order_id": "SO-1", "created_at": "2026-03-05T09:14:22Z",
        "shipping_address": {**dict.fromkeys(("first_name", "last_name", "phone"), "•••"), **EMPTY},
        "customer": {"id": "•••"}, "shipping_options": {"carrier": "UPS", "service_level": "GROUND", "note": "•••"},
        "gift": "•••", "extended_attributes": [{"name": "•••", "value": "•••"}], "••• 9": "•••", "••• 10": "•••",
    }  # fmt: skip


async def test_an_admin_sees_it_as_it_came_and_the_audit_says_who_and_why(gateway: Served) -> None:
    sent = json.dumps(order("r-1", **PERSONAL)).encode()
    await gateway.receive(sent)
    answer = await gateway.reveal("requests/r-1", " the parcel came back ")
    found = msgspec.json.decode(await answer.read(), type=api_shapes.BodyList)
    assert (found.masked, [each.text for each in found.bodies]) == (False, [sent.decode()])
    (entry,) = await audited(gateway)
    assert [entry[name] for name in ("who", "subject", "reason")] == ["ada", "r-1", "the parcel came back"]
    assert "Ada" not in str(entry)


@pytest.mark.parametrize("subject", ["requests/r-1", "quarantine/1"])
async def test_nobody_but_an_admin_sees_personal_data_and_no_admin_without_a_reason(
    gateway: Served, subject: str
) -> None:
    await gateway.receive(order("r-1", **PERSONAL))
    await gateway.say(event("accepted", "e-1", "r-2", note="Ada"))
    for who in ("vera", "otto"):
        refused = await gateway.reveal(subject, who=who)
        text = await refused.text()
        assert (refused.status, "Ada" in text, "admin" in text) == (403, False, True)
    for wrong in (None, " ", "\0"):
        assert (await gateway.reveal(subject, wrong)).status == 400
    assert (await gateway.do(f"/v1/{subject}/reveal", {}, token="the-token-of-ada")).status == 400
    told = [(entry["who"], entry["outcome"].partition(":")[0]) for entry in await audited(gateway)]
    assert told == [("otto", "refused"), ("vera", "refused")]


async def test_nobody_sees_what_could_not_be_audited(gateway: Served) -> None:
    await gateway.receive(order("r-1", **PERSONAL))
    await gateway.pool.execute("ALTER TABLE audit ADD CONSTRAINT full_disk CHECK (action <> 'reveal')")
    try:
        answer = await gateway.reveal("requests/r-1")
        assert (answer.status, "Ada" in await answer.text()) == (500, False)
    finally:
        await gateway.pool.execute("ALTER TABLE audit DROP CONSTRAINT full_disk")


async def test_conflicting_bodies_and_messages_are_shown_by_the_rules_of_who_sent_them(gateway: Served) -> None:
    await gateway.receive(order("r-1", "TEE"))
    await gateway.receive(order("r-1", "TEE", shipping_address=ADA))
    await gateway.say(event("accepted", "e-1", note="Ada", items=[{"product_id": "TEE", "quantity": 1}]))
    first, *others = await bodies(gateway)
    assert first.about == "request_received"
    shown = {each.about: (each.sender, json.loads(each.text or "")) for each in others}
    assert shown["conflicting_body"][1]["shipping_address"]["last_name"] == "•••"
    assert shown["units_accepted"] == (
        "acme",
        {
            "type": "accepted", "event_id": "e-1", "fulfillment_request_id": "r-1", "note": "•••",
            "items": [{"product_id": "TEE", "quantity": 1}],
        },
    )  # fmt: skip


async def answered(
    gateway: Served, response: bytes | None, destination: str = "acme", sent: bytes | None = None
) -> None:
    """The first owed call, in which this was sent, is turned away, with this answer."""
    before = await request_reads.request(gateway.pool, "r-1")
    assert before is not None
    owed = before.owed[0]
    await gateway.pool.execute("UPDATE deliveries SET owner = 'us', call_ends_at = now(), attempt = 1")
    month = await gateway.pool.fetchval("SELECT month FROM requests")
    claim = Claim(
        "r-1", owed.operation, owed.seq, destination, "DC01", month, 1, 0, doubt=False, owner="us", overdue=False
    )  # fmt: skip
    ended = CallEnded(
        request_id="r-1", at=AT, operation=owed.operation, seq=owed.seq, attempt=1, end=End.REFUSED, detail="400"
    )  # fmt: skip
    wrote = sha256(sent).hexdigest() if sent else None
    attempt = Attempt(AT, 0.1, "refused", 400, "400", response, sent=wrote, new_body=sent)
    await gateway.writer.settle(claim, attempt, ended)


async def test_what_an_adapter_wrote_is_shown_and_masked_as_its_providers_messages_are(gateway: Served) -> None:
    await gateway.receive(order())
    await answered(gateway, b'{"error": "no"}', sent=b'{"id": "W-1", "name": "Ada"}')
    told = await bodies(gateway)
    assert [(each.sender, each.is_answer, each.about) for each in told[1:]] in (
        [("gateway", False, "create 1"), ("acme", True, "create 1")],
        [("acme", True, "create 1"), ("gateway", False, "create 1")],
    )
    (sent,) = [each for each in told if each.sender == "gateway"]
    assert json.loads(sent.text or "") == {"id": "W-1", "name": "•••"}


@pytest.mark.parametrize(
    ("response", "text"),
    [(b'{"id": "W-1", "told": ["Ada"]}', '{"id": "W-1", "told": ["•••"]}'), (b"Ada is away", None), (b"\xff{", None)],
)
async def test_an_answer_is_masked_and_what_is_no_json_is_counted(
    gateway: Served, response: bytes, text: str | None
) -> None:
    await gateway.receive(order())
    await answered(gateway, response)
    _, answer = await bodies(gateway)
    assert (answer.sender, answer.is_answer, answer.about, answer.bytes) == ("acme", True, "create 1", len(response))
    assert (answer.text and json.loads(answer.text)) == (text and json.loads(text))
    whole = await (await gateway.reveal("requests/r-1")).json()
    assert whole["bodies"][1]["text"] == response.decode(errors="backslashreplace")


async def test_of_newstores_answers_only_the_code_is_readable(gateway: Served) -> None:
    await gateway.receive(order())
    await answered(gateway, b'{"error_code": "already_shipped", "message": "Ada has it", "id": "Ada"}', "newstore")
    _, answer = await bodies(gateway)
    assert json.loads(answer.text or "") == {"error_code": "already_shipped", "message": "•••", "id": "•••"}


async def test_a_code_that_is_a_sentence_is_masked_too(gateway: Served) -> None:
    await gateway.receive(order())
    refused = {"product_id": "TEE", "error_code": "Ada moved", "error_description": "Ada moved"}
    await answered(gateway, json.dumps({"error_code": "Ada moved", "failed_items": [refused]}).encode(), "newstore")
    _, answer = await bodies(gateway)
    shown = {"product_id": "TEE", "error_code": "•••", "error_description": "•••"}
    assert json.loads(answer.text or "") == {"error_code": "•••", "failed_items": [shown]}


async def quarantined(gateway: Served) -> api_shapes.QuarantineStory:
    answer = await gateway.ask("/v1/quarantine/1")
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    return msgspec.json.decode(await answer.read(), type=api_shapes.QuarantineStory)


async def test_a_quarantined_message_is_shown_masked_and_whole_to_an_admin_who_says_why(gateway: Served) -> None:
    said = {**event("accepted", "e-1", "r-2"), "note": "Ada"}
    await gateway.say(said)
    assert json.loads((await quarantined(gateway)).text or "") == {**said, "note": "•••"}
    found = msgspec.json.decode(await (await gateway.reveal("quarantine/1")).read(), type=api_shapes.BodyList)
    (body,) = found.bodies
    assert (found.masked, body.sender, body.about, body.text) == (False, "acme", "unknown_request", json.dumps(said))
    (entry,) = await audited(gateway)
    assert [entry[name] for name in ("who", "subject", "reason")] == ["ada", "quarantine 1", "the parcel came back"]


async def test_a_quarantined_request_is_masked_by_the_rules_of_newstore(gateway: Served) -> None:
    await gateway.receive({"id": "r-1", "items": [], "order_id": "SO-1", "shipping_address": ADA})
    assert json.loads((await quarantined(gateway)).text or "") == {
        "id": "r-1", "items": [], "order_id": "SO-1",
        "shipping_address": {**dict.fromkeys(("first_name", "last_name", "phone"), "•••"), **EMPTY},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "whole"),
    [(b"Ada \xff\x00", "Ada \\xff\0"), (b"\xff" * 20_000, "\\xff" * 10_000), (b'{"Ada', '{"Ada')],
)
async def test_of_what_is_no_json_only_an_admin_sees_the_beginning(gateway: Served, sent: bytes, whole: str) -> None:
    await gateway.say(sent)
    found = await quarantined(gateway)
    assert (found.text, found.bytes, "Ada" in found.detail) == (None, len(sent), False)
    assert (await (await gateway.reveal("quarantine/1")).json())["bodies"][0]["text"] == whole


async def test_what_was_never_quarantined_is_a_404(gateway: Served) -> None:
    assert (await gateway.reveal("quarantine/404")).status == 404


@pytest.mark.parametrize("body", [b"[" * 5_000 + b"]" * 5_000, b'{"id": "\\ud800"}'])
def test_what_can_not_be_written_again_is_not_shown(body: bytes) -> None:
    assert masked(body, {"id": str}) is None


async def test_the_bodies_of_a_request_that_nobody_has_are_a_404(gateway: Served) -> None:
    assert (await gateway.ask("/v1/requests/r-404/bodies")).status == 404
    assert (await gateway.reveal("requests/r-404")).status == 404
    assert await audited(gateway) == []
