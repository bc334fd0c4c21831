"""A provider that a mapping alone describes, in a whole gateway: that of the guide, pushing and polled."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from gateway import app
from gateway.providers.registry import Registry
from gateway.settings import load
from gateway.simulator.newstore import TOKEN_PATH, NewStore
from gateway.simulator.rest_warehouse import RestWarehouse
from gateway.simulator.warehouse_temperament import Temperament
from tests.providers.rest import FOLDER

KEYS = {
    "NEWSTORE_SECRET": "the-secret-of-the-client", "DC01_KEY": "the-key-of-newstore-at-dc01",
    "KEY": "the-key-of-the-gateway", "SECRET": "the-secret-of-the-webhooks",
}  # fmt: skip
_TOML = """
public_url = "http://127.0.0.1:8080"
public = {{ port = 0 }}
internal = {{ port = 0 }}

[newstore]
url = "{newstore}"
token_url = "{newstore}{token}"
client_id = "gateway"
client_secret = "env:NEWSTORE_SECRET"
unknown_grace = 1

[providers.acme]
adapter = "rest"
url = "{url}"
mapping = "acme.toml"
auth = {{ kind = "header", header = "X-Api-Key", secret = "env:KEY" }}
poll_seconds = 0.1
{webhooks}

[locations.DC01]
provider = "acme"
api_keys = ["env:DC01_KEY"]
on_provider_cancel = "cancel"
"""
WEBHOOKS = """
webhooks = { kind = "hmac", header = "X-Signature", prefix = "sha256=" }
webhook_secret = "env:SECRET"
"""
MIXED = Temperament(parcels=2, rejects=0.3, cancels=0.2, says_twice=0.3)


@dataclass(slots=True)
class Site:
    gateway: app.Gateway
    newstore: NewStore
    warehouse: RestWarehouse
    pool: asyncpg.Pool

    async def until(self, reached: Callable[[], Awaitable[object]]) -> None:
        """Look again after each commit of the gateway."""
        committed = asyncio.Event()
        self.gateway.writer.on_batch = lambda _size, _seconds: committed.set()
        async with asyncio.timeout(40):
            while not await reached():
                await committed.wait()
                committed.clear()

    async def place(self, request_id: str, *products: str, order_id: str = "SO-1") -> None:
        items = [{"product_id": product, "extended_attributes": []} for product in products]
        shipping = {"carrier": "UPS", "service_level": "GROUND"}
        order = {"id": request_id, "order_id": order_id, "shipping_options": shipping, "items": items}
        await self.newstore.place(order, "DC01")

    async def told(self, event: dict[str, Any]) -> tuple[int, Any]:
        """Send a webhook as the warehouse signs it."""
        body = json.dumps(event).encode()
        signature = hmac.new(KEYS["SECRET"].encode(), body, "sha256").hexdigest()
        url, head = f"{self.gateway.public_url}/providers/acme/callbacks", {"X-Signature": f"sha256={signature}"}
        async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=head) as answer:
            return answer.status, await answer.json()


@pytest.fixture
def mapping() -> str:
    """Change this where another mapping is wanted."""
    return ""


@pytest.fixture(params=["push", "poll"])
async def site(
    request: pytest.FixtureRequest, database: str, pool: asyncpg.Pool, tmp_path: Path, mapping: str
) -> AsyncIterator[Site]:
    mode = request.param
    warehouse = RestWarehouse(
        "acme", MIXED, api_key=KEYS["KEY"], webhook_secret=KEYS["SECRET"], mode=mode, page_size=3, seed=4
    )
    newstore = NewStore(client_secret=KEYS["NEWSTORE_SECRET"])
    async with newstore.running(), warehouse.running():
        (tmp_path / "acme.toml").write_text(mapping or (FOLDER / f"warehouse_{mode}.toml").read_text())
        at = {"newstore": newstore.url, "token": TOKEN_PATH.format(tenant=newstore.tokens.tenant)}
        text = _TOML.format(**at, url=warehouse.url, webhooks=WEBHOOKS if mode == "push" else "")
        (tmp_path / "gateway.toml").write_text(text)
        registry = Registry(tmp_path)
        settings = load(tmp_path / "gateway.toml", {**KEYS, "DATABASE_URL": database}, adapters=registry)
        async with app.running(settings, database, registry=registry) as gateway:
            newstore.configure("DC01", f"{gateway.public_url}/newstore/DC01/fulfillment_requests", KEYS["DC01_KEY"])
            warehouse.callback.url = f"{gateway.public_url}/providers/acme/callbacks"
            yield Site(gateway, newstore, warehouse, pool)


async def test_requests_end_at_newstore_as_the_warehouse_worked_them(site: Site) -> None:
    for number in range(4):
        await site.place(f"r-{number}", "A", "A", "B", order_id=f"SO-{number}")
    query = "SELECT count(*) = 4 FROM requests WHERE settled_at IS NOT NULL"
    await site.until(lambda: site.pool.fetchval(query))

    rows = await site.pool.fetch("SELECT id, reference, failure FROM requests")
    worked = {each["reference"]: each["counts"] for each in site.warehouse.record()["orders"].values()}
    assert {row["id"]: site.newstore.requests[row["id"]].counts() for row in rows} == {
        row["id"]: worked[row["reference"]] for row in rows
    }
    statuses = {status for counts in worked.values() for status in counts}
    assert statuses == {"shipped", "rejected"} | ({"cancelled"} if site.warehouse.mode == "push" else set())
    assert [row["failure"] for row in rows] == [None] * 4
    assert await site.pool.fetchval("SELECT count(*) FROM quarantine") == 0
    assert {each.times_seen for each in site.warehouse.orders.values()} == {1}


@pytest.mark.parametrize("site", ["push"], indirect=True)
async def test_a_webhook_of_another_shape_waits_for_a_person(site: Site) -> None:
    status, told = await site.told({"topic": "stock", "sku": "A", "on_hand": 7})
    assert (status, told["detail"]) == (400, "$.reference: names no order: order_number finds nothing")
    assert await site.pool.fetchval("SELECT reason FROM quarantine") == "malformed"


BY_ORDER_NUMBER = (
    (FOLDER / "warehouse_push.toml")
    .read_text()
    .replace('reference = "order_number"      #', 'order = "order_number" #')
)


@pytest.mark.parametrize("site", ["push"], indirect=True)
@pytest.mark.parametrize("mapping", [BY_ORDER_NUMBER], ids=["by NewStore's order number"])
async def test_an_order_number_that_two_open_requests_share_is_left_to_a_person(site: Site) -> None:
    site.warehouse.temperament = Temperament(pause=(60, 60))
    for number in (1, 2):
        await site.place(f"r-{number}", "A")
    await site.until(lambda: site.pool.fetchval("SELECT count(submitted_at) = 2 FROM requests"))
    event = {"event": "e-1", "order_number": "SO-1", "status": "RECEIVED", "lines": [{"sku": "A", "qty": 1}]}
    status, told = await site.told(event)
    assert (status, told["reason"]) == (202, "ambiguous_request")
    assert await site.pool.fetchval("SELECT count(*) FROM requests WHERE accepted_at IS NOT NULL") == 0
