"""Each adapter in a whole gateway, between its own simulated provider and a simulated NewStore."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from gateway import app
from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.domain.orders import Order
from gateway.ledger.read import request_reads
from gateway.providers.conformance import Happening, Switch, Target
from gateway.providers.conformance.setting_up import written
from gateway.providers.example import acme
from gateway.providers.example.acme_target import AcmeTarget
from gateway.providers.http_target import HttpProvider
from gateway.providers.newstore_target import NewstoreProvider
from gateway.providers.port import Message
from gateway.providers.registry import Registry
from gateway.providers.rest_target import RestPolled, RestProvider
from gateway.settings import load
from gateway.simulator.newstore import TOKEN_PATH, NewStore
from tests.processes import LONG
from tests.providers.plugins import zenith
from tests.providers.plugins.zenith_target import ZenithTarget

EXAMPLE = Path(acme.__file__)
PROVIDERS: dict[type[Target], str] = {
    HttpProvider: "http",
    NewstoreProvider: "newstore",
    RestProvider: "rest",
    RestPolled: "rest",
    AcmeTarget: str(EXAMPLE),
    ZenithTarget: zenith.__file__,
}
"""Each provider, and its adapter as the settings name it: of this package, or as any file."""
SPOILT: dict[type[Target], str] = {
    AcmeTarget: "$.events[1]: Expected `int`, got `str`",
    RestProvider: "orders[1].lines[0].quantity: qty is no whole number",
    RestPolled: "orders[1].lines[0].quantity: qty is no whole number",
}
"""What is said of a bad line."""
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

[providers.wms]
adapter = {adapter}
{provider}

[locations.DC01]
provider = "wms"
api_keys = ["env:DC01_KEY"]
"""
KEYS = {"NEWSTORE_SECRET": "the-secret-of-the-client", "DC01_KEY": "the-key-of-newstore-at-dc01"}
FIRST, SECOND = Parcel("UPS", "1Z999AA10123456784"), Parcel("UPS", "1Z999AA10123456795")


@dataclass(slots=True)
class Site:
    """A gateway, and what stands at its ends."""

    gateway: app.Gateway
    newstore: NewStore
    target: Target
    pool: asyncpg.Pool

    async def until(self, reached: Callable[[], Awaitable[object]]) -> None:
        """Look again after each commit of the gateway."""
        committed = asyncio.Event()
        self.gateway.writer.on_batch = lambda _size, _seconds: committed.set()
        async with asyncio.timeout(LONG):
            while not await reached():
                await committed.wait()
                committed.clear()

    async def place(self, request_id: str, *products: str) -> None:
        """Let NewStore send a request."""
        await self.newstore.place(
            {
                "id": request_id,
                "order_id": "SO-1",
                "shipping_options": {"carrier": "UPS", "service_level": "GROUND"},
                "items": [{"product_id": product, "extended_attributes": []} for product in products],
            },
            "DC01",
        )

    async def sent(self, request_id: str, *products: str) -> Order:
        """Let NewStore send a request, and wait until the provider has it."""
        await self.place(request_id, *products)
        query = "SELECT submitted_at FROM requests WHERE id = $1"
        await self.until(lambda: self.pool.fetchval(query, request_id))
        request = await request_reads.request(self.pool, request_id)
        assert request is not None
        return Order(request_id=request_id, reference=request.reference, order_id="SO-1", products=products)

    async def settled(self, request_id: str) -> None:
        query = "SELECT settled_at FROM requests WHERE id = $1"
        await self.until(lambda: self.pool.fetchval(query, request_id))

    async def hear(self, messages: Iterable[Message]) -> None:
        async with aiohttp.ClientSession() as session:
            for each in messages:
                url = f"{self.gateway.public_url}/providers/wms/{each.path}"
                async with session.request(each.method, url, data=each.body, headers=each.headers) as answer:
                    assert answer.status in {200, 201}, await answer.text()


@pytest.fixture(params=PROVIDERS, ids=lambda target: target.__name__)
async def site(
    request: pytest.FixtureRequest, database: str, pool: asyncpg.Pool, tmp_path: Path
) -> AsyncIterator[Site]:
    target: Target = request.param()
    target.folder = str(tmp_path)
    await target.start()
    newstore = NewStore(client_secret=KEYS["NEWSTORE_SECRET"])
    try:
        async with newstore.running():
            at = {"newstore": newstore.url, "token": TOKEN_PATH.format(tenant=newstore.tokens.tenant)}
            text = _TOML.format(**at, adapter=json.dumps(PROVIDERS[request.param]), provider=written(target))
            (tmp_path / "gateway.toml").write_text(text)
            registry = Registry(tmp_path)
            environ = {**KEYS, **target.environ, "DATABASE_URL": database}
            settings = load(tmp_path / "gateway.toml", environ, adapters=registry)
            async with app.running(settings, database, registry=registry) as gateway:
                url = f"{gateway.public_url}/newstore/DC01/fulfillment_requests"
                newstore.configure("DC01", url, KEYS["DC01_KEY"])
                yield Site(gateway, newstore, target, pool)
    finally:
        await target.stop()


def says(order: Order, word: Word, items: dict[str, int], **more: Any) -> Happening:
    return Happening(order=order, word=word, items=items, **more)


def lived(site: Site, order: Order) -> list[Message]:
    """Two pieces leave in two parcels, and one is short."""
    steps = (
        says(order, Word.ACCEPTED, {"A": 2}),
        says(order, Word.SHIPPED, {"A": 1}, parcel=FIRST),
        says(order, Word.REJECTED, {"B": 1}, reason=RejectionReason.NO_INVENTORY),
        says(order, Word.SHIPPED, {"A": 1}, parcel=SECOND),
    )
    return [message for step in steps for message in site.target.happen(step)]


@pytest.mark.parametrize("turned", [1, -1], ids=["as they happened", "backwards"])
async def test_doubled_messages_in_any_order_end_in_the_same_state(site: Site, turned: int) -> None:
    messages = lived(site, await site.sent("r-1", "A", "A", "B"))
    await site.hear(each for message in messages[::turned] for each in (message, message))
    if site.target.is_promise:
        await site.settled("r-1")
        short = "rejected"
    else:  # it may yet ship what is short: NewStore is told only once it can't
        query = "SELECT units LIKE '%sp%sp%' AND units LIKE '%r-%' FROM requests"
        await site.until(lambda: site.pool.fetchval(query))
        short = "dispatched"

    assert site.newstore.requests["r-1"].counts() == {"shipped": {"A": 2}, short: {"B": 1}}
    assert site.newstore.calls["shipment"] == 2
    assert await site.pool.fetchval("SELECT failure FROM requests WHERE id = 'r-1'") is None
    assert await site.pool.fetchval("SELECT count(*) FROM quarantine") == 0


async def test_an_order_whose_answer_is_lost_is_found_and_made_once(site: Site) -> None:
    if isinstance(site.target, NewstoreProvider):
        pytest.skip("it can't be asked, and is told again once the slowest call must have ended, which takes too long")
    site.target.switch(Switch.LOSE_AFTER)
    order = await site.sent("r-1", "A")

    assert site.target.orders == [order.reference]
    attempts = await site.pool.fetchval("SELECT count(*) FROM attempts WHERE operation = 'create'")
    assert attempts == 2
    await site.hear(site.target.happen(says(order, Word.SHIPPED, {"A": 1}, parcel=FIRST)))
    await site.settled("r-1")
    assert site.newstore.requests["r-1"].counts() == {"shipped": {"A": 1}}


async def test_an_order_that_is_refused_waits_for_a_person(site: Site) -> None:
    site.target.switch(Switch.REFUSE)
    await site.place("r-1", "A")
    await site.until(lambda: site.pool.fetchval("SELECT failure FROM requests"))

    assert await site.pool.fetchval("SELECT failure FROM requests") == "dead_create"
    assert site.target.orders == []


async def test_one_bad_line_of_a_message_keeps_the_rest(site: Site) -> None:
    if not site.target.says_several:
        pytest.skip("its messages are about one order each")
    orders = [await site.sent(f"r-{number}", "A") for number in (1, 2, 3)]
    happening = [says(order, Word.SHIPPED, {"A": 1}, parcel=FIRST, is_spoilt=order is orders[1]) for order in orders]
    url = f"{site.gateway.public_url}/providers/wms/callbacks"
    for message in site.target.happen(*happening):  # none of a provider that is polled
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, data=message.body, headers=message.headers) as told,
        ):
            assert told.status == 202
            assert [each["result"] for each in (await told.json())["results"]] == ["applied", "quarantined", "applied"]
    for request_id in ("r-1", "r-3"):
        await site.settled(request_id)
    [kept] = await site.pool.fetch("SELECT request_id, reason, detail FROM quarantine")
    assert (kept["request_id"], kept["reason"]) == ("r-2", "malformed")
    assert kept["detail"].startswith(SPOILT[type(site.target)])
