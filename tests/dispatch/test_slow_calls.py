"""A provider may be allowed to take minutes. Nobody waits for that, and nobody repeats what it may have done."""

import asyncio
import sys
from dataclasses import replace

import aiohttp
import asyncpg
import pytest
from aiohttp import web

from gateway import app
from gateway.call_errors import Unknown
from gateway.providers.port import Capabilities, Taken
from tests.adapters import Hinting
from tests.processes import until
from tests.requests import receive

from .conftest import Outside, Serving, Station, took

Pool = asyncpg.Pool
_KEY = {"Authorization": "Bearer 5-of-the-test-keys"}
_IMPATIENT = (sys.executable, "-c", "from gateway import app; app._CALL_TIME = 0.5; from gateway.cli import cli; cli()")


async def post(url: str) -> int:
    body = {"id": "r-1", "items": [{"product_id": "TEE"}]}
    path = f"{url}/newstore/DC01/fulfillment_requests"
    async with aiohttp.ClientSession() as session, session.post(path, json=body, headers=_KEY) as answer:
        return answer.status


async def test_a_stop_cuts_a_slow_order_off_and_the_next_process_finds_it(
    serve: Serving, outside: Outside, pool: Pool
) -> None:
    begun, never = asyncio.Event(), asyncio.Event()
    posts = 0

    async def acme(request: web.Request) -> web.Response:
        nonlocal posts
        if request.method == "GET":
            return await took(request)
        posts += 1
        begun.set()
        await never.wait()
        return await took(request)

    outside.answers["acme"] = acme
    async with serve("timeout = 300", _IMPATIENT) as first:
        assert await post(first.public_url) == 200
        await asyncio.wait_for(begun.wait(), 10)
        assert await first.stop() < 10

    assert await pool.fetchval("SELECT submitted_at IS NULL FROM requests")
    async with serve("timeout = 300"):
        await until(lambda: pool.fetchval("SELECT submitted_at IS NOT NULL FROM requests"))
    assert posts == 1
    assert await pool.fetchval("SELECT string_agg(outcome, ' ' ORDER BY at) FROM attempts") == "found"
    never.set()


async def late(*_: object) -> Taken:
    raise Unknown("no answer (TimeoutError)") from TimeoutError()


@pytest.mark.parametrize(("status", "seconds", "waits"), [(504, 2, 20), (504, 200, 200), (500, 200, 200), (500, 20, 0)])
async def test_an_order_that_may_still_be_at_work_is_looked_for_and_not_sent_again_until_its_time_has_passed(
    station: Station, pool: Pool, status: int, seconds: float, waits: float
) -> None:
    station.dispatcher.limiters["acme"].seconds = seconds
    posts = 0

    async def unsure(request: web.Request) -> web.Response:
        nonlocal posts
        if request.method == "GET":
            return web.Response(status=404)
        posts += 1
        return web.Response(status=status) if posts == 1 else await took(request)

    station.outside.answers["acme"] = unsure
    await station.writer.apply(receive(), b"{}")
    await station.drive(lambda: pool.fetchval("SELECT count(*) = 1 FROM attempts"))
    left = "SELECT greatest(extract(epoch FROM sure_at - now()), 0)::float8 FROM deliveries"
    assert waits - 10 <= await pool.fetchval(left) <= waits

    await station.make_due()
    await station.drive(lambda: pool.fetchval("SELECT count(*) = 2 FROM attempts"))
    assert posts == (1 if waits else 2)
    await pool.execute("UPDATE deliveries SET sure_at = now()")
    await station.make_due()
    await station.drive(lambda: pool.fetchval("SELECT submitted_at IS NOT NULL FROM requests"))
    assert posts == 2


async def test_who_was_seen_to_take_long_over_an_order_is_given_twice_that_time(station: Station, pool: Pool) -> None:
    limiter, is_there = station.dispatcher.limiters["acme"], False

    async def slow(request: web.Request) -> web.Response:
        return await took(request) if is_there else web.Response(status=504 if request.method == "POST" else 404)

    station.outside.answers["acme"] = slow
    assert limiter.may_go_on(late=False) == 0.0
    await station.writer.apply(receive(), b"{}")
    await station.drive(lambda: pool.fetchval("SELECT count(*) = 1 FROM attempts"))
    await pool.execute("UPDATE deliveries SET sure_at = sure_at - interval '13s'")
    is_there = True
    await station.make_due()
    await station.drive(lambda: pool.fetchval("SELECT submitted_at IS NOT NULL FROM requests"))
    assert 26 <= limiter.may_go_on(late=False) == limiter.may_go_on(late=True) < 36


async def test_who_answered_orders_at_once_is_not_waited_for_after_a_broken_connection(
    station: Station, pool: Pool
) -> None:
    await station.writer.apply(receive(), b"{}")
    await station.drive(lambda: pool.fetchval("SELECT submitted_at IS NOT NULL FROM requests"))
    assert 0 < station.dispatcher.limiters["acme"].may_go_on(late=False) < 5


@pytest.mark.parametrize("seconds", [300.0, 2.0])
async def test_a_provider_that_is_late_with_an_order_speaks_against_nobody_until_it_was_asked(
    station: Station, pool: Pool, seconds: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, limiter = station.hearing.adapters["acme"], station.dispatcher.limiters["acme"]
    limiter.seconds = seconds
    monkeypatch.setattr(adapter, "create", late)
    await station.writer.apply(receive(), b"{}")
    await station.drive(lambda: pool.fetchval("SELECT EXISTS (SELECT FROM attempts)"))
    assert limiter._failures == 0  # noqa: SLF001

    # Asked, it does not answer either: that counts.
    monkeypatch.setattr(adapter, "look_up", late)
    await station.make_due()
    await station.drive(lambda: pool.fetchval("SELECT count(*) = 2 FROM attempts"))
    told = await pool.fetchval("SELECT failures FROM destinations WHERE name = 'acme'")
    assert told + limiter._failures == 1  # noqa: SLF001


async def test_one_that_can_not_be_asked_is_at_fault_when_it_is_late(
    station: Station, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter, limiter = station.hearing.adapters["acme"], station.dispatcher.limiters["acme"]
    adapter.can = Capabilities(idempotent=True)
    monkeypatch.setattr(adapter, "create", late)
    await station.writer.apply(receive(), b"{}")
    await station.drive(lambda: pool.fetchval("SELECT EXISTS (SELECT FROM attempts)"))
    assert limiter._failures == 1  # noqa: SLF001


@pytest.mark.parametrize(
    ("can", "seconds", "is_fault"),
    [
        (Capabilities(), 20.0, False),
        (Capabilities(), 21.0, True),
        (Capabilities(look_up=True), 300.0, False),
        (Capabilities(idempotent=True), 300.0, False),
    ],
)
async def test_only_who_can_be_looked_up_or_told_twice_may_take_minutes(
    station: Station, can: Capabilities, seconds: float, *, is_fault: bool
) -> None:
    provider = replace(station.hearing.settings.providers["hinting"], timeout=seconds)
    adapter = Hinting(provider, station.hearing.adapters["hinting"].session)
    adapter.can = can
    assert app.patience(adapter).startswith("providers.hinting.timeout: is above 20 seconds") is is_fault
