"""Who is let in by which of their keys, and how much is known of it."""

from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook

from gateway.telemetry import metrics
from tests.served import NEXT_SECRET, SIGNING_SECRET, Served, event, order


def used(door: str, name: str, key: int) -> float:
    labels = {"door": door, "name": name, "key": str(key)}
    return metrics.REGISTRY.get_sample_value("gateway_keys_used_total", labels) or 0


@pytest.mark.parametrize(("key", "which"), [("the-callback-key-of-acme", 1), ("the-next-callback-key-of-acme", 2)])
async def test_both_callback_keys_are_taken_and_it_is_counted_which(gateway: Served, key: str, which: int) -> None:
    await gateway.receive(order())
    before = used("providers", "acme", which)
    assert (await gateway.say(event("accepted", "e1"), headers={"Authorization": f"Bearer {key}"})).status == 200
    assert used("providers", "acme", which) == before + 1


@pytest.mark.parametrize(("secret", "which"), [(SIGNING_SECRET, 1), (NEXT_SECRET, 2)])
async def test_both_signatures_are_taken_and_it_is_counted_which(gateway: Served, secret: str, which: int) -> None:
    await gateway.receive(order(), location="DC04")
    before, now, body = (
        used("providers", "sig", which),
        datetime.now(UTC),
        b'{"type":"accepted","fulfillment_request_id":"r-1"}',
    )
    proof = {
        "webhook-id": "m-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign("m-1", now, body.decode()),
    }
    assert (await gateway.say(body, provider="sig", headers=proof)).status == 200
    assert used("providers", "sig", which) == before + 1


@pytest.mark.parametrize(("token", "which"), [("the-token-of-vera", 1), ("the-next-token-of-vera", 2)])
async def test_both_tokens_of_an_operator_are_taken_and_it_is_counted_which(
    gateway: Served, token: str, which: int
) -> None:
    before = used("operators", "vera", which)
    answer = await gateway.internal.get("/v1/me", headers={"Authorization": f"Bearer {token}"})
    assert (await answer.json())["name"] == "vera"
    assert used("operators", "vera", which) == before + 1


async def test_it_is_counted_which_key_of_a_location_newstore_uses(gateway: Served) -> None:
    before = used("locations", "DC01", 2)
    assert (await gateway.receive(order(), Authorization="Bearer the-next-key-of-DC01")).status == 200
    assert used("locations", "DC01", 2) == before + 1


async def test_two_blanks_before_a_key_turn_nobody_away(gateway: Served) -> None:
    await gateway.receive(order())
    headers = {"Authorization": "Bearer  the-callback-key-of-acme"}
    assert (await gateway.say(event("accepted", "e1"), headers=headers)).status == 200


@pytest.mark.parametrize("provider", ["acme", "sig"])
async def test_a_caller_without_a_key_or_a_clock_is_answered_before_the_body_is_read(
    gateway: Served, provider: str
) -> None:
    head = f"POST /providers/{provider}/callbacks HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
    assert (await gateway.first_line(head)).startswith(b"HTTP/1.1 401 ")
