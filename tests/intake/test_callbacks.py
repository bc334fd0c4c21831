import asyncio
import io
import json
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any

import pytest
from standardwebhooks import Webhook

from gateway.telemetry.metrics import REGISTRY
from tests.loading import http_provider
from tests.reading import read_callback
from tests.requests import AT
from tests.served import ACME, SETTINGS, SIGNING_SECRET, ZEN, Served, event, order

SHIPMENT = {"carrier": "UPS", "tracking_number": "1Z"}
TEE = [{"product_id": "TEE", "quantity": 1}]


async def told(gateway: Served, body: dict[str, Any], **to: Any) -> tuple[int, str, str]:
    answer = await gateway.say(body, **to)
    said = await answer.json()
    return answer.status, said["result"], said.get("reason", "")


async def test_a_providers_word_is_applied_and_its_repetition_is_a_duplicate(gateway: Served) -> None:
    await gateway.receive(order())
    assert await told(gateway, event("accepted", "e1")) == (200, "applied", "")
    assert await told(gateway, event("accepted", "e1")) == (200, "duplicate", "")
    assert await told(gateway, event("accepted", "e2")) == (200, "duplicate", "")
    assert await told(gateway, event("shipped", "e3", items=TEE, shipment=SHIPMENT)) == (200, "applied", "")
    assert await told(gateway, event("rejected", "e4", reason="no_inventory")) == (200, "applied", "")
    units = (await (await gateway.ask("/v1/requests/r-1")).json())["units"]
    assert [unit["said"] for unit in units] == ["shipped", "rejected"]


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, ZEN])
async def test_a_callback_with_a_wrong_key_is_refused(gateway: Served, headers: dict[str, str]) -> None:
    await gateway.receive(order())
    labels = {"provider": "acme", "code": "401"}
    before = REGISTRY.get_sample_value("gateway_callback_answers_total", labels) or 0.0
    assert (await gateway.say(event("accepted", "e1"), headers=headers)).status == 401
    assert REGISTRY.get_sample_value("gateway_callback_answers_total", labels) == before + 1
    assert await gateway.pool.fetchval("SELECT version FROM requests") == 1


async def test_an_unknown_provider_is_a_404(gateway: Served) -> None:
    answer = await gateway.say(event("accepted", "e1"), provider="nobody")
    assert answer.status == 404
    assert "/providers/nobody/callbacks" in (await answer.json())["detail"]


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[" * 100_000, b"\xff", b'{"type": "a\\u0000", "fulfillment_request_id": "r-1"}']
)
async def test_a_callback_that_cannot_be_read_is_kept(gateway: Served, body: bytes) -> None:
    answer = await gateway.say(body)
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert "$" in (await answer.json())["detail"]
    assert await gateway.quarantined() == [("acme", "malformed", body)]


async def test_an_error_repeats_no_more_of_an_id_than_tells_which(gateway: Served) -> None:
    await gateway.receive(order("r-1", "P" * 10_000))
    for quantity, product in ((1, "X" * 10_000), (2, "P" * 10_000)):
        said = event("accepted", f"e{quantity}", items=[{"product_id": product, "quantity": quantity}])
        answer = await gateway.say(said)
        detail = (await answer.json())["detail"]
        assert (answer.status, product[:200] in detail, product[:201] in detail) == (422, True, False)


async def test_an_id_that_only_spells_a_nul_is_applied(gateway: Served) -> None:
    await gateway.receive(order(r"r\u0000", r"P\u0000"))
    items = [{"product_id": r"P\u0000"}]
    assert await told(gateway, event("shipped", "e1", r"r\u0000", items=items, shipment=SHIPMENT)) == (
        200,
        "applied",
        "",
    )


async def test_a_shipment_is_not_refused_for_its_link_which_stays_a_text(gateway: Served) -> None:
    await gateway.receive(order())
    said = event("shipped", "e1", items=TEE, shipment={**SHIPMENT, "tracking_url": "javascript:alert(1)"})
    assert await told(gateway, said) == (200, "applied", "")
    assert json.dumps(said).encode() in await gateway.stored_bodies()
    story = await (await gateway.ask("/v1/requests/r-1", who="otto")).json()
    assert [each["tracking_url"] for each in story["parcels"]] == ["javascript:alert(1)"]


async def test_a_word_nobody_knows_is_quarantined(gateway: Served) -> None:
    await gateway.receive(order())
    assert await told(gateway, event("teleported", "e1")) == (202, "quarantined", "unknown_word")
    [(source, reason, _)] = await gateway.quarantined()
    assert (source, reason) == ("acme", "unknown_word")


async def test_what_breaks_a_rule_is_recorded_and_nothing_is_owed(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(event("shipped", "e1", items=TEE, shipment=SHIPMENT))
    owed = await gateway.pool.fetchval("SELECT count(*) FROM deliveries")
    late = event("rejected", "e2", items=TEE, reason="cannot_fulfill")
    assert await told(gateway, late) == (202, "callback_refused", "contradiction")
    assert await gateway.pool.fetchval("SELECT count(*) FROM deliveries") == owed
    story = await (await gateway.ask("/v1/requests/r-1")).json()
    assert story["events"][-1]["kind"] == "callback_refused"


@pytest.mark.parametrize(
    ("items", "reason"),
    [
        ([{"product_id": "HAT", "quantity": 1}], "unknown_product"),
        ([{"product_id": "TEE", "quantity": 2}], "too_many_units"),
    ],
)
async def test_what_can_never_be_right_is_unprocessable(gateway: Served, items: Any, reason: str) -> None:
    await gateway.receive(order())
    assert await told(gateway, event("accepted", "e1", items=items)) == (422, "callback_refused", reason)


async def test_another_provider_changes_nothing_and_is_recorded(gateway: Served) -> None:
    await gateway.receive(order())
    said = await told(gateway, event("accepted", "e1"), provider="zen", headers=ZEN)
    assert said == (403, "callback_refused", "other_provider")
    assert await gateway.pool.fetchval("SELECT accepted_at FROM requests") is None


async def test_one_event_id_with_two_contents_is_a_conflict(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(event("accepted", "e1"))
    assert await told(gateway, event("rejected", "e1", reason="no_inventory")) == (202, "conflicting_callback", "")


async def test_a_callback_before_its_request_is_applied_when_the_request_arrives(gateway: Served) -> None:
    first = event("accepted", "e1")
    assert await told(gateway, first) == (202, "quarantined", "unknown_request")
    assert await told(gateway, first) == (202, "quarantined", "unknown_request")
    assert await told(gateway, event("shipped", "e2", shipment=SHIPMENT, items=TEE)) == (
        202, "quarantined", "unknown_request",
    )  # fmt: skip
    assert len(await gateway.quarantined()) == 2
    await gateway.receive(order())
    await asyncio.gather(*gateway.rejoined)
    story = await (await gateway.ask("/v1/requests/r-1")).json()
    assert [each["kind"] for each in story["events"]] == ["request_received", "units_accepted", "units_shipped"]
    assert story["events"][1]["cause"] == "acme:e1"
    assert await gateway.quarantined() == []
    assert await told(gateway, first) == (200, "duplicate", "")


async def test_however_many_callbacks_came_before_their_request_all_are_applied_at_once(gateway: Served) -> None:
    said = await asyncio.gather(*(gateway.say(event("accepted", f"e{number}")) for number in range(501)))
    assert {answer.status for answer in said} == {202}
    await gateway.receive(order())
    await asyncio.gather(*gateway.rejoined)
    assert await gateway.quarantined() == []


async def test_an_early_callback_that_a_person_must_see_stays_in_quarantine(gateway: Served) -> None:
    await gateway.say(event("teleported", "e1"))
    await gateway.receive(order())
    await asyncio.gather(*gateway.rejoined)
    assert [reason for _, reason, _ in await gateway.quarantined()] == ["unknown_word"]


@pytest.mark.parametrize(
    ("location", "answer"), [("DC01", (202, "quarantined", "provider_cancelled")), ("DC03", (200, "applied", ""))]
)
async def test_a_cancellation_means_what_the_location_says(
    gateway: Served, location: str, answer: tuple[int, str, str]
) -> None:
    await gateway.receive(order(), location)
    assert await told(gateway, event("cancelled", "e1")) == answer


@pytest.mark.parametrize(("location", "said"), [("DC01", "open"), ("DC03", "rejected")])
async def test_a_back_order_means_what_the_location_says(gateway: Served, location: str, said: str) -> None:
    await gateway.receive(order(), location)
    assert await told(gateway, event("backordered", "e1")) == (200, "applied", "")
    units = (await (await gateway.ask("/v1/requests/r-1")).json())["units"]
    assert {(unit["said"], unit["backordered"]) for unit in units} == {(said, said == "open")}


async def test_an_early_cancellation_means_what_the_location_says(gateway: Served) -> None:
    await gateway.say(event("cancelled", "e1"))
    await gateway.receive(order(), "DC03")
    await asyncio.gather(*gateway.rejoined)
    units = (await (await gateway.ask("/v1/requests/r-1")).json())["units"]
    assert {unit["said"] for unit in units} == {"cancelled"}


async def test_a_callback_over_the_limit_closes_the_connection(gateway: Served) -> None:
    answer = await gateway.public.post("/providers/acme/callbacks", data=io.BytesIO(b" " * 1_048_577), headers=ACME)
    assert (answer.status, answer.headers["Connection"]) == (413, "close")


async def test_a_request_that_arrives_while_its_callback_is_being_kept_misses_nothing(gateway: Served) -> None:
    body = json.dumps(event("accepted", "e1")).encode()
    async with gateway.pool.acquire() as other:
        same_row = other.transaction()
        await same_row.start()
        await other.execute(
            "INSERT INTO quarantine (source, event_id, fingerprint, reason, detail, at, body)"
            " VALUES ('acme', 'acme:e1', $1, '', '', now(), '')",
            read_callback(body, http_provider(SETTINGS, "acme"), AT).fingerprint,
        )
        early = asyncio.create_task(gateway.say(body))
        while not await gateway.pool.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"):
            pass
        await gateway.receive(order())
        await asyncio.gather(*gateway.rejoined)  # it looked, and the callback was not kept yet
        await same_row.rollback()
    assert (await early).status == 202
    assert await gateway.pool.fetchval("SELECT accepted_at FROM requests") is not None


async def test_a_message_sent_again_is_answered_as_it_was_and_stored_once(gateway: Served) -> None:
    await gateway.receive(order())
    unknown = event("shipped", "e1", items=[{"product_id": "HAT"}], shipment=SHIPMENT)
    first = await gateway.say(unknown)
    second = await gateway.say(unknown)
    assert (first.status, second.status) == (422, 422)
    assert await (second).json() == await first.json()

    word = event("vanished", "e2")
    assert await told(gateway, word) == await told(gateway, word) == (202, "quarantined", "unknown_word")

    assert (await told(gateway, event("accepted", "e3")))[1] == "applied"
    other = event("rejected", "e3", reason="no_inventory")
    assert await told(gateway, other) == await told(gateway, other) == (202, "conflicting_callback", "")
    assert await gateway.pool.fetchval("SELECT count(*) FROM events") == 5


async def test_a_message_that_was_turned_away_is_applied_when_it_comes_corrected_under_its_id(gateway: Served) -> None:
    await gateway.receive(order())
    wrong = event("shipped", "e1", items=[{"product_id": "TEE-1", "quantity": 1}], shipment=SHIPMENT)
    assert await told(gateway, wrong) == (422, "callback_refused", "unknown_product")
    story = await (await gateway.ask("/v1/requests/r-1", who="otto")).json()
    assert (story["failure"], story["waiting_for"]["who"]) == ("callback_refused", "operations")
    assert "acme said shipped, which was refused: 'TEE-1' is not in the request" in story["waiting_for"]["next"]
    listed = await (await gateway.ask("/v1/requests?status=failed")).json()
    assert [each["id"] for each in listed["requests"]] == ["r-1"]

    assert await told(gateway, event("shipped", "e1", items=TEE, shipment=SHIPMENT)) == (200, "applied", "")
    assert await told(gateway, wrong) == (422, "callback_refused", "unknown_product")
    assert (await (await gateway.ask("/v1/requests/r-1")).json())["failure"] is None


async def test_a_refused_callback_is_answered_by_a_note(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(event("shipped", "e1", items=[{"product_id": "KIT"}], shipment=SHIPMENT))
    assert (await gateway.do("/v1/requests/r-1/note", {"reason": "acme mends its SKUs"})).status == 200
    assert (await (await gateway.ask("/v1/requests/r-1")).json())["failure"] is None


def signed(body: bytes, message: str) -> dict[str, str]:
    now = datetime.now(UTC)
    return {
        "webhook-id": message,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SIGNING_SECRET).sign(message, now, body.decode()),
    }


async def test_a_parcel_told_piece_by_piece_is_applied_or_asked_about_as_the_settings_say(gateway: Served) -> None:
    for provider, location, second in (("acme", "DC01", "applied"), ("sig", "DC04", "quarantined")):
        request_id = f"r-{provider}"
        await gateway.receive(order(request_id, "TEE", "TEE", "TEE"), location)
        for number, code, result in (("1", "1Z 9", "applied"), ("2", " 1z9", second), ("3", "1Y", "applied")):
            parcel = {**SHIPMENT, "tracking_number": code}
            body = json.dumps(event("shipped", number, request_id, items=TEE, shipment=parcel)).encode()
            headers = ACME if provider == "acme" else signed(body, f"m-{number}")
            answer = await gateway.say(body, provider=provider, headers=headers)
            assert (await answer.json())["result"] == result


async def test_equal_bytes_under_two_signed_ids_are_two_messages_and_under_one_a_repetition(gateway: Served) -> None:
    await gateway.receive(order("r-1", "TEE", "TEE", "TEE"), "DC04")
    said = {"type": "rejected", "fulfillment_request_id": "r-1", "items": TEE, "reason": "no_inventory"}
    body = json.dumps(said).encode()
    for message, result in (
        ("m-1", "applied"),
        ("m-2", "applied"),
        ("m-1", "duplicate"),
        (token_hex(2_500), "applied"),
    ):
        answer = await gateway.say(body, provider="sig", headers=signed(body, message))
        assert (await answer.json())["result"] == result
    story = await (await gateway.ask("/v1/requests/r-1")).json()
    assert [unit["said"] for unit in story["units"]] == ["rejected", "rejected", "rejected"]


async def test_an_id_that_nobody_signed_names_no_message(gateway: Served) -> None:
    await gateway.receive(order("r-1", "TEE", "TEE"))
    said = {"type": "rejected", "fulfillment_request_id": "r-1", "items": TEE, "reason": "no_inventory"}
    for message, result in (("m-1", "applied"), ("m-2", "duplicate")):
        answer = await gateway.say(said, headers={**ACME, "webhook-id": message})
        assert (await answer.json())["result"] == result


async def test_a_signed_message_keeps_its_name_when_it_is_kept_for_later(gateway: Served) -> None:
    said = {"type": "rejected", "fulfillment_request_id": "r-1", "items": TEE, "reason": "no_inventory"}
    body = json.dumps(said).encode()
    assert (await gateway.say(body, provider="sig", headers=signed(body, "m-1"))).status == 202
    await gateway.receive(order("r-1", "TEE", "TEE"), "DC04")
    await asyncio.gather(*gateway.rejoined)
    again = await gateway.say(body, provider="sig", headers=signed(body, "m-1"))
    assert (await again.json())["result"] == "duplicate"


async def test_a_signed_message_that_a_person_replays_keeps_its_name(gateway: Served) -> None:
    await gateway.receive(order("r-1", "TEE", "TEE"), "DC04")
    said = {"type": "rejected", "fulfillment_request_id": "r-1", "items": TEE, "reason": "no_inventory"}
    body = json.dumps(said).encode()
    broken = body.replace(b'"r-1"', b'"r-1",,')
    assert (await gateway.say(broken, provider="sig", headers=signed(broken, "m-1"))).status == 400
    await gateway.pool.execute("UPDATE quarantine SET body = $1", body)  # an adapter that reads it by now
    assert (await gateway.do("/v1/quarantine/1/replay", {"reason": "mended"})).status == 200
    again = await gateway.say(body, provider="sig", headers=signed(body, "m-1"))
    assert (await again.json())["result"] == "duplicate"
    units = (await (await gateway.ask("/v1/requests/r-1")).json())["units"]
    assert [unit["said"] for unit in units] == ["rejected", "open"]


async def test_each_message_that_is_followed_is_kept_as_it_came(gateway: Served) -> None:
    await gateway.receive(order("r-1", "TEE", "TEE"))
    said = [event("rejected", f"e{n}", items=TEE, reason="no_inventory", bin=n) for n in range(2)]
    for each in said:
        assert (await told(gateway, each))[1] == "applied"
    assert {json.dumps(each).encode() for each in said} < set(await gateway.stored_bodies())


async def test_an_early_signed_message_that_a_person_replays_first_keeps_its_name(gateway: Served) -> None:
    gateway.writer.on_received = lambda _ids: None  # nobody looks for what came early
    said = {"type": "rejected", "fulfillment_request_id": "r-1", "items": TEE, "reason": "no_inventory"}
    body = json.dumps(said).encode()
    await gateway.say(body, provider="sig", headers=signed(body, "m-1"))
    await gateway.receive(order("r-1", "TEE", "TEE"), "DC04")
    assert (await gateway.do("/v1/quarantine/1/replay", {"reason": "now"})).status == 200
    again = await gateway.say(body, provider="sig", headers=signed(body, "m-1"))
    assert (await again.json())["result"] == "duplicate"
    units = (await (await gateway.ask("/v1/requests/r-1")).json())["units"]
    assert [unit["said"] for unit in units] == ["rejected", "open"]
