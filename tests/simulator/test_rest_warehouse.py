import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.simulator.rest_warehouse import RestWarehouse
from gateway.simulator.warehouse_temperament import Temperament
from tests.listening import listening

KEY, SECRET = "the-key-of-the-gateway", "the-secret-of-the-webhooks"
ORDER = {"order_number": "NS1", "ship_to": {}, "lines": [{"sku": "A", "qty": 2}, {"sku": "B", "qty": 1}]}
HEAD = {"X-Api-Key": KEY}
STILL = Temperament(pause=(60, 60))


@dataclass
class Hears:
    """Whoever is told: it refuses at first what a test says, and keeps the rest."""

    url: str = ""
    refuses: int = 0
    heard: list[dict[str, Any]] = field(default_factory=list)

    async def hear(self, request: web.Request) -> web.Response:
        if self.refuses:
            self.refuses -= 1
            return web.Response(status=503)
        body = await request.read()
        signed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert request.headers["X-Signature"] == f"sha256={signed}"
        self.heard.append(json.loads(body))
        return web.Response()


@pytest.fixture
async def hears() -> AsyncIterator[Hears]:
    there = Hears()
    async with listening(web.post("/hooks", there.hear)) as url:
        there.url = f"{url}/hooks"
        yield there


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(headers=HEAD) as opened:
        yield opened


def made(url: str = "", temperament: Temperament | str = "quick", mode: str = "push") -> RestWarehouse:
    return RestWarehouse(
        "acme", temperament, url, api_key=KEY, webhook_secret=SECRET, mode=mode, page_size=1, backoff=(0.001, 0.001)
    )


async def answer(call: Any) -> tuple[int, Any]:
    async with call as got:
        return got.status, await got.json() if got.content_type == "application/json" else None


async def test_an_order_is_taken_once_and_told_by_signed_webhooks(hears: Hears, session: aiohttp.ClientSession) -> None:
    hears.refuses = 2
    async with made(hears.url).running() as warehouse:
        url = f"{warehouse.url}/orders"
        assert await answer(session.post(url, json=ORDER)) == (
            201,
            {"id": 17, "order_number": "NS1", "status": "RECEIVED"},
        )
        assert (await answer(session.post(url, json=ORDER)))[0] == 409
        await warehouse.until(lambda: warehouse.finished)
        shown = [{"id": 17, "order_number": "NS1", "status": "DONE"}]
        assert await answer(session.get(f"{url}?order_number=NS1")) == (200, {"orders": shown})
    received, shipped = hears.heard
    assert (received["status"], received["lines"]) == ("RECEIVED", ORDER["lines"])
    assert (shipped["status"], shipped["cartons"][0]["lines"]) == ("SHIPPED", ORDER["lines"])
    assert {received["order_number"], shipped["order_number"]} == {"NS1"}
    assert received["event"] != shipped["event"]
    assert warehouse.record()["doubled"] == []


async def test_what_is_short_or_given_up_is_told_in_its_words(hears: Hears, session: aiohttp.ClientSession) -> None:
    async with made(hears.url, Temperament(rejects=0.5, cancels=0.5)).running() as warehouse:
        lines = [{"sku": "A", "qty": 30}]
        await answer(session.post(f"{warehouse.url}/orders", json=ORDER | {"lines": lines}))
        await warehouse.until(lambda: warehouse.finished)
    told = {(each["status"], each.get("reason")) for each in hears.heard if "cartons" not in each}
    assert {("SHORT", "OUT_OF_STOCK"), ("SHORT", "DAMAGED"), ("CANCELLED", None)} <= told


async def test_an_order_is_cancelled_unless_something_of_it_has_left(session: aiohttp.ClientSession) -> None:
    async with made(temperament=STILL).running() as warehouse:
        for number in ("NS1", "NS2"):
            await answer(session.post(f"{warehouse.url}/orders", json=ORDER | {"order_number": number}))
        warehouse.orders["18"].units[0].status = "shipped"
        assert (await answer(session.delete(f"{warehouse.url}/orders/17")))[0] == 204
        assert (await answer(session.delete(f"{warehouse.url}/orders/17")))[0] == 204
        assert (await answer(session.delete(f"{warehouse.url}/orders/18")))[0] == 409
        assert (await answer(session.delete(f"{warehouse.url}/orders/19")))[0] == 404


async def test_its_shipments_are_totals_on_pages(session: aiohttp.ClientSession) -> None:
    async with made(temperament=Temperament(says_twice=1.0), mode="poll").running() as warehouse:
        await answer(session.post(f"{warehouse.url}/orders", json=ORDER))
        await warehouse.until(lambda: warehouse.finished)
        url = f"{warehouse.url}/shipments"
        _, first = await answer(session.get(f"{url}?updated_since=2020-01-01T00:00:00Z&page=1"))
        _, second = await answer(session.get(f"{url}?page=2"))
        assert (await answer(session.get(f"{url}?updated_since=2999-01-01T00:00:00Z")))[1]["shipments"] == []
    assert (first["page"], first["pages"], second["page"]) == (1, 2, 2)
    by_word = {each["status"]: each for each in (*first["shipments"], *second["shipments"])}
    assert by_word["RECEIVED"]["lines"] == by_word["SHIPPED"]["lines"] == ORDER["lines"]
    assert by_word["SHIPPED"]["tracking"].startswith("1Z")


async def test_strangers_and_nonsense_are_turned_away() -> None:
    async with made().running() as warehouse, aiohttp.ClientSession() as session:
        for call in (
            session.post(f"{warehouse.url}/orders", json=ORDER),
            session.get(f"{warehouse.url}/orders"),
            session.get(f"{warehouse.url}/shipments"),
            session.delete(f"{warehouse.url}/orders/17"),
        ):
            assert (await answer(call))[0] == 401
        assert (await answer(session.post(f"{warehouse.url}/orders", json={"lines": 1}, headers=HEAD)))[0] == 400
