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
from gateway.providers.port import Capabilities
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
        await until(lambda: pool.fetchval("SELECT submitted_at IS NOT NULL FROM requests"), 15)
    assert posts == 1
    assert await pool.fetchval("SELECT string_agg(outcome, ' ' ORDER BY at) FROM attempts") == "found"
    never.set()


@pytest.mark.parametrize(("seconds", "least", "most"), [(200.0, "190s", "200s"), (20.0, "5s", "10s")])
async def test_an_order_of_unknown_outcome_is_left_alone_for_as_long_as_a_call_of_a_slow_provider_may_take(
    station: Station, pool: Pool, seconds: float, least: str, most: str
) -> None:
    station.dispatcher.limiters["acme"].seconds = seconds

    async def broken(_: web.Request) -> web.Response:
        return web.Response(status=500)

    station.outside.answers["acme"] = broken
    await station.writer.apply(receive(), b"{}")
    await station.drive(lambda: pool.fetchval("SELECT EXISTS (SELECT FROM attempts)"))
    until = "SELECT doubt AND due_at - now() BETWEEN $1::text::interval AND $2::text::interval FROM deliveries"
    assert await pool.fetchval(until, least, most)


@pytest.mark.parametrize(("seconds", "counted"), [(300.0, 0), (20.0, 1)])
async def test_a_slow_provider_that_is_late_speaks_against_nobody_until_it_was_asked(
    station: Station, pool: Pool, seconds: float, counted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(*_: object) -> None:
        raise Unknown("no answer (TimeoutError)") from TimeoutError()

    adapter, limiter = station.hearing.adapters["acme"], station.dispatcher.limiters["acme"]
    limiter.seconds = seconds
    monkeypatch.setattr(adapter, "create", late)
    await station.writer.apply(receive(), b"{}")
    await station.drive(lambda: pool.fetchval("SELECT EXISTS (SELECT FROM attempts)"))
    assert limiter._failures == counted  # noqa: SLF001

    # Asked, it does not answer either: that counts.
    monkeypatch.setattr(adapter, "look_up", late)
    await station.make_due()
    await station.drive(lambda: pool.fetchval("SELECT count(*) = 2 FROM attempts"))
    told = await pool.fetchval("SELECT failures FROM destinations WHERE name = 'acme'")
    assert told + limiter._failures == counted + 1  # noqa: SLF001


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
