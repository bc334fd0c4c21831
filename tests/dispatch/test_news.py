"""A whole gateway in this process: from a hint, or too long a silence, to what NewStore is told."""

from dataclasses import replace

import asyncpg
import msgspec
import pytest
from aiohttp import web

from gateway import app, providers
from gateway.domain.references import reference
from gateway.settings import Secret
from tests.adapters import Hinting
from tests.processes import until
from tests.requests import receive

from .conftest import Outside, provider_settings

Pool = asyncpg.Pool
OURS = reference("r-1")


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_poll_that_hints_or_a_silence_leads_to_a_read_and_that_to_what_newstore_is_told(
    database: str, pool: Pool, outside: Outside, monkeypatch: pytest.MonkeyPatch, *, is_told: bool
) -> None:
    told: list[str] = []
    stands = [{"of": "r-1", "shipped": {"TEE": 1}, "in": "1Z1"}]
    news = {"messages": [[{"look": OURS, "event": "e-1"}]], "cursor": "c-1"}

    async def hinting(request: web.Request) -> web.Response:
        if request.path == "/hinting/news":
            is_there = await pool.fetchval("SELECT submitted_at IS NOT NULL FROM requests")
            return web.json_response(news if is_there and is_told else {"messages": [], "cursor": ""})
        return web.Response(body=msgspec.json.encode(stands if "/status/" in request.path else {"id": "W-1"}))

    async def newstore(request: web.Request) -> web.Response:
        if request.method == "POST":
            told.append(request.path.rpartition("/")[2])
        return web.json_response({}, status=201 if request.method == "POST" else 404)

    outside.answers |= {"hinting": hinting, "newstore": newstore}
    monkeypatch.setitem(providers.ADAPTERS, "hinting", Hinting)
    settings = provider_settings(outside.url)
    one = replace(settings.providers["hinting"], poll_seconds=0.1, accept_within=3600.0 if is_told else 0.1)
    settings = replace(
        settings,
        providers={"hinting": one},
        database=replace(settings.database, url=Secret(database)),
        newstore=replace(settings.newstore, read_back=dict.fromkeys(("shipment", "rejection", "cancellation"), "off")),
    )
    async with app.running(settings, database) as gateway:
        await gateway.writer.apply(receive("r-1", "TEE", provider="hinting"), b"{}")
        await until(lambda: pool.fetchval("SELECT settled_at IS NOT NULL FROM requests"))
    assert "shipment" in told
    kinds = {row["kind"] for row in await pool.fetch("SELECT kind FROM events")}
    assert {"order_read_asked", "order_read", "units_shipped"} <= kinds
    assert ("acceptance_overdue" in kinds) is not is_told
    assert await pool.fetchval("SELECT cursor FROM polls") in {"", "c-1"}
    assert await pool.fetchval("SELECT owner IS NULL AND polled_at IS NOT NULL FROM polls")
