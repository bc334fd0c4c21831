import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import aiohttp
import asyncpg
import pytest
from aiohttp import web

from gateway.dispatch.calls import OutboundClients
from gateway.dispatch.dispatcher import Dispatcher
from gateway.intake.early import apply_early_callbacks
from gateway.intake.hearing import Hearing
from gateway.ledger.database.months import ensure_partitions
from gateway.ledger.queue.processes import Membership
from gateway.ledger.write.writer import Writer
from gateway.newstore.client import Client
from gateway.providers import ADAPTERS
from gateway.providers.http_settings import HttpSettings
from gateway.sending import Checked
from gateway.settings import Database, Listener, NewStore, Secret, Settings
from tests.adapters import Deaf, Hinting, Told
from tests.listening import listening
from tests.processes import GATEWAY, Gateway, gateway

Answer = Callable[[web.Request], Awaitable[web.Response]]
_TOML = """
public_url = "http://127.0.0.1:8080"
public = {{ port = 0 }}
internal = {{ port = 0 }}

[newstore]
url = "{url}/newstore"
token_url = "{url}/token"
client_id = "gateway"
client_secret = "env:KEY_1"

[[operators]]
name = "test"
role = "admin"
token = "env:KEY_2"

[providers.acme]
adapter = "http"
url = "{url}/acme"
api_key = "env:KEY_3"
callback_key = "env:KEY_4"

[locations.DC01]
provider = "acme"
api_keys = ["env:KEY_5"]
"""


KINDS = {**ADAPTERS, "hinting": Hinting, "told": Told, "deaf": Deaf}
"""The adapters by name; of those of the tests each has one provider of its own name."""


async def took(request: web.Request) -> web.Response:
    return web.json_response({"order_id": "W-1", "reference": request.headers.get("X-Gateway-Reference")}, status=201)


@dataclass(slots=True)
class Outside:
    """NewStore and all providers on one server: the first part of a path names who is called."""

    url: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    in_flight: Counter[str] = field(default_factory=Counter)
    most: Counter[str] = field(default_factory=Counter)
    """At once."""

    async def answer(self, request: web.Request) -> web.Response:
        who = request.match_info["who"]
        self.calls[who] += 1
        self.in_flight[who] += 1
        self.most[who] = max(self.most[who], self.in_flight[who])
        try:
            return await self.answers.get(who, took)(request)
        finally:
            self.in_flight[who] -= 1

    async def token(self, _: web.Request) -> web.Response:
        self.calls["token"] += 1
        return web.json_response({"access_token": "t", "expires_in": 3600})


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    there = Outside()
    routes = web.post("/token", there.token), web.route("*", "/{who}{rest:.*}", there.answer)
    async with listening(*routes) as there.url:
        yield there


def _provider(name: str, url: str) -> HttpSettings:
    return HttpSettings(name, "http", f"{url}/{name}", Secret("k"), (Secret("k"),), timeout=5.0)


def provider_settings(url: str) -> Settings:
    here = Listener("127.0.0.1", 0)
    newstore = NewStore(f"{url}/newstore", f"{url}/token", "gateway", Secret("k"), timeout=5.0)
    providers = {name: _provider(name, url) for name in ("acme", "beta")}
    providers |= {name: replace(_provider(name, url), adapter=name) for name in ("hinting", "told", "deaf")}
    return Settings("http://here", newstore, here, here, Database(None, Path()), providers=providers)


@dataclass(slots=True)
class Station:
    """One process at work, whose dispatcher a test drives step by step."""

    pool: asyncpg.Pool
    outside: Outside
    writer: Writer
    membership: Membership
    dispatcher: Dispatcher
    newstore: Client
    hearing: Hearing

    async def drive(self, reached: Callable[[], Awaitable[object]], *, seconds: float = 15.0) -> None:
        """Claim and send until it is so."""
        async with asyncio.timeout(seconds):
            while not await reached():
                await self.dispatcher.run_once()
                await asyncio.sleep(0.01)
        await self.dispatcher.settled()

    async def rounds(self, count: int = 20) -> None:
        """Claim and send again and again, to see that nothing goes out that should not."""
        for _ in range(count):
            await self.dispatcher.run_once()
            await self.dispatcher.settled()
            await asyncio.sleep(0.01)

    async def make_due(self) -> None:
        await self.pool.execute("UPDATE deliveries SET due_at = now() - interval '1s' WHERE owner IS NULL")


@pytest.fixture
async def station(database: str, pool: asyncpg.Pool, outside: Outside) -> AsyncIterator[Station]:
    await ensure_partitions(pool)
    settings = provider_settings(outside.url)

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(database)

    membership, writer = Membership(connect), Writer(connect)
    await membership.join()
    async with aiohttp.ClientSession(request_class=Checked) as session:
        newstore = Client(session, settings.newstore)
        adapters = {each.name: KINDS[each.adapter](each, session) for each in settings.providers.values()}
        hearing = Hearing(settings, pool, writer, adapters, partial(apply_early_callbacks, pool, writer, settings))
        clients = OutboundClients(newstore, adapters, partial(hearing.hear, is_answer=True))
        dispatcher = Dispatcher(clients, writer, settings, membership, connect)
        tasks = [asyncio.create_task(writer.run()), asyncio.create_task(membership.run())]
        yield Station(pool, outside, writer, membership, dispatcher, newstore, hearing)
        dispatcher.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await membership.leave()


Serving = Callable[..., AbstractAsyncContextManager[Gateway]]


@pytest.fixture
def serve(database: str, pool: asyncpg.Pool, outside: Outside, tmp_path: Path) -> Serving:
    """Starts `gateway serve` as a process of its own; the settings may have more of the provider."""
    path = tmp_path / "gateway.toml"
    keys = {"DATABASE_URL": database, **{f"KEY_{n}": f"{n}-of-the-test-keys" for n in range(1, 6)}}

    def start(of_provider: str = "", program: tuple[str, ...] = GATEWAY) -> AbstractAsyncContextManager[Gateway]:
        path.write_text(_TOML.format(url=outside.url).replace('adapter = "http"', f'adapter = "http"\n{of_provider}'))
        return gateway(path, keys, program=program)

    return start
