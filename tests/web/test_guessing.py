"""Wrong keys are seen and slowed; right ones are not."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import asyncpg
import pytest
from aiohttp.test_utils import make_mocked_request

from gateway.telemetry import metrics
from gateway.web.guessing import Guesses, address_of
from tests.served import ACME, KEY, SETTINGS, SIGNING_SECRET, Served, event, order, serve

WRONG = {"Authorization": "Bearer a-guess-at-somebody"}


def refused(door: str) -> float:
    return metrics.REGISTRY.get_sample_value("gateway_credentials_refused_total", {"door": door}) or 0


def told(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.facts for record in caplog.records if record.message == "credentials.refused"]  # type: ignore[attr-defined]


async def seconds(work: Any) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await work
    return loop.time() - began


async def test_wrong_keys_at_each_door_are_counted_and_logged_with_the_address_and_never_the_key(
    gateway: Served, caplog: pytest.LogCaptureFixture
) -> None:
    before = {door: refused(door) for door in ("locations", "providers", "operators")}
    await gateway.receive(order(), **WRONG)
    await gateway.say(event("accepted", "e1"), headers=WRONG)
    await gateway.internal.get("/v1/me", headers=WRONG)
    assert {door: refused(door) - was for door, was in before.items()} == dict.fromkeys(before, 1)
    assert told(caplog) == [
        {"door": "locations", "name": "DC01", "address": "127.0.0.1", "failures": 1},
        {"door": "providers", "name": "acme", "address": "127.0.0.1", "failures": 2},
        {"door": "operators", "name": None, "address": "127.0.0.1", "failures": 1},
    ]
    assert "a-guess" not in caplog.text


async def test_a_wrong_signature_is_a_wrong_key_and_no_key_at_all_is_none(gateway: Served) -> None:
    before = refused("providers")
    head = {"webhook-id": "m", "webhook-timestamp": "1", "webhook-signature": f"v1,{SIGNING_SECRET}"}
    assert (await gateway.say(event("accepted", "e1"), provider="sig", headers=head)).status == 401
    assert (await gateway.say(event("accepted", "e1"), provider="sig", headers={"a": "b"})).status == 401
    assert refused("providers") == before + 1


async def test_failures_wait_longer_and_longer_and_a_right_key_beside_them_never(gateway: Served) -> None:
    guesses = [seconds(gateway.internal.get("/v1/me", headers=WRONG)) for _ in range(5)]
    took = [await each for each in guesses]
    assert (min(took[:3]) < 0.25, took[3] >= 0.25, took[4] >= 0.5) == (True, True, True)
    guess = asyncio.create_task(gateway.internal.get("/v1/me", headers=WRONG))
    assert (await gateway.ask("/v1/me")).status == 200
    assert not guess.done()
    assert (await guess).status == 401


async def test_newstore_is_not_slowed_by_who_fails_at_its_door_from_its_address(gateway: Served) -> None:
    for _ in range(5):
        assert (await gateway.receive(order(), **WRONG)).status == 401
    slow = asyncio.create_task(gateway.receive(order(), **WRONG))
    assert (await gateway.receive(order(), **KEY)).status == 200
    assert (await gateway.say(event("accepted", "e1"), headers=ACME)).status == 200
    assert not slow.done()
    assert (await slow).status == 401


async def test_failures_with_one_name_are_slowed_from_wherever_they_come() -> None:
    guesses = Guesses(10, asyncio.Event())
    took = [await seconds(guesses.failed("locations", f"10.0.0.{n}", "DC01")) for n in range(4)]
    assert (max(took[:3]) < 0.1, took[3] >= 0.25) == (True, True)
    assert await seconds(guesses.failed("locations", "10.0.0.9", "DC02")) < 0.1


async def test_a_stop_waits_for_no_answer_that_is_slow_on_purpose() -> None:
    draining = asyncio.Event()
    guesses = Guesses(10, draining)
    for _ in range(20):
        draining.set()
        await guesses.failed("operators", "10.0.0.1")
    draining.clear()
    slow = asyncio.create_task(guesses.failed("operators", "10.0.0.1"))
    assert not (await asyncio.wait([slow], timeout=0.3))[0]
    draining.set()
    assert await seconds(slow) < 2


async def test_one_household_of_ipv6_is_one_address() -> None:
    guesses = Guesses(10, asyncio.Event())
    took = [await seconds(guesses.failed("operators", f"2001:db8::{n}")) for n in range(4)]
    assert (max(took[:3]) < 0.1, took[3] >= 0.25) == (True, True)
    assert await seconds(guesses.failed("operators", "2001:db8:0:1::1")) < 0.1


async def test_only_so_many_wait_and_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.web.guessing._MOST_KNOWN", 3)
    guesses = Guesses(0, asyncio.Event())
    for n in range(10):
        await guesses.failed("operators", f"10.0.0.{n}")
    assert len(guesses._failures) == 3  # noqa: SLF001 - nobody sees it from outside
    for _ in range(10):
        assert await seconds(guesses.failed("operators", "10.0.0.9")) < 0.1


@pytest.mark.parametrize(
    ("trusted", "said", "address"),
    [
        ((), "1.2.3.4", "9.9.9.9"),
        (("10.0.0.0/8",), "1.2.3.4", "9.9.9.9"),
        (("9.9.9.9",), "1.2.3.4", "1.2.3.4"),
        (("9.9.9.9",), "6.6.6.6, 1.2.3.4", "1.2.3.4"),
        (("9.9.9.9", "10.0.0.0/8"), "6.6.6.6, 1.2.3.4, 10.0.0.1", "1.2.3.4"),
        (("9.9.9.9",), "6.6.6.6, <script>", "9.9.9.9"),
        (("9.9.9.9",), "", "9.9.9.9"),
    ],
)
def test_an_address_behind_a_proxy_is_believed_only_of_a_trusted_one(
    trusted: tuple[str, ...], said: str, address: str
) -> None:
    request = make_mocked_request("GET", "/", headers={"X-Forwarded-For": said}).clone(remote="9.9.9.9")
    assert address_of(request, [ip_network(each) for each in trusted]) == address


@pytest.fixture
async def behind_a_proxy(database: str, pool: asyncpg.Pool) -> AsyncIterator[Served]:
    settings = replace(SETTINGS, trusted_proxies=(ip_network("127.0.0.1"),))
    async with serve(pool, lambda: asyncpg.connect(database), settings=settings) as served:
        yield served


async def test_behind_a_trusted_proxy_each_caller_has_an_address_of_their_own(
    behind_a_proxy: Served, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await behind_a_proxy.receive(order(), **WRONG, **{"X-Forwarded-For": "203.0.113.7"})
    await behind_a_proxy.internal.get("/v1/me", headers={**WRONG, "X-Forwarded-For": "203.0.113.8"})
    assert [each["address"] for each in told(caplog)] == ["203.0.113.7", "203.0.113.8"]


@pytest.mark.parametrize(
    ("path", "who", "subject", "action"),
    [
        ("requests/r-1/close", "vera", "r-1", "close"),
        ("requests/r-1/reveal", "otto", "r-1", "reveal"),
        ("requests/nul%00%FF/close", "vera", "nul%FF", "close"),
        ("quarantine/7/discard", "vera", "quarantine 7", "discard"),
        ("holds", "vera", "holds", "holds"),
        ("reload", "otto", "reload", "reload"),
    ],
)
async def test_a_refused_act_and_a_refused_reveal_are_in_the_audit(
    gateway: Served, path: str, who: str, subject: str, action: str
) -> None:
    await gateway.receive(order())
    assert (await gateway.do(f"/v1/{path}", {"reason": "curious"}, token=f"the-token-of-{who}")).status == 403
    (row,) = await gateway.pool.fetch("SELECT who, subject, action, outcome FROM audit")
    assert tuple(row)[:3] == (who, subject, action)
    assert row["outcome"].startswith(f"refused: {who} is a")
