"""What the metrics tell of the calls that were made."""

import time

import asyncpg
from aiohttp import web

from gateway.ledger.queue.processes import take_over
from tests.ledger.owed import claimed, owe
from tests.requests import receive
from tests.telemetry.counted import growth, value

from .conftest import Station


async def broken(_: web.Request) -> web.Response:
    return web.Response(status=500)


async def test_each_try_is_counted_by_how_it_ended(station: Station, pool: asyncpg.Pool) -> None:
    async def calls(count: int) -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM attempts") >= count)

    with growth("gateway_attempts_total", "gateway_attempt_seconds_count") as grown:
        station.outside.answers["acme"] = broken
        await station.writer.apply(receive("r-1"), b"{}")
        await station.drive(lambda: calls(1))
        station.outside.answers.pop("acme")
        await station.make_due()
        await station.drive(lambda: calls(2))
    assert {key: tries for key, tries in grown.items() if "acme" in key and "seconds" not in key} == {
        "gateway_attempts_total unknown acme create": 1,
        "gateway_attempts_total found acme create": 1,
    }
    assert grown["gateway_attempt_seconds_count acme create"] == 2


async def test_every_request_to_newstore_is_counted_with_its_tokens(station: Station) -> None:
    with growth("gateway_newstore_calls_total") as grown:
        await station.newstore.acknowledge("r-1")
        await station.newstore.acknowledge("r-2")
    assert grown == {"gateway_newstore_calls_total token": 1, "gateway_newstore_calls_total acknowledge": 2}


async def test_the_end_of_the_token_is_told(station: Station) -> None:
    await station.newstore.acknowledge("r-1")
    ends = value("gateway_newstore_token_expiry_timestamp_seconds")
    assert ends is not None
    assert 3590 < ends - time.time() <= 3600


async def test_claims_taken_over_are_counted(pool: asyncpg.Pool) -> None:
    await owe(pool, "r-", count=3)
    async with pool.acquire() as connection:
        await claimed(connection)
        await pool.execute("DELETE FROM processes")
        with growth("gateway_takeovers_total") as grown:
            await take_over(connection, grace=1)
    assert grown == {"gateway_takeovers_total": 3}
