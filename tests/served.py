"""Both listeners over HTTP, with a real writer on a real Postgres."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient, TestServer

from gateway.domain.commands import OnBackorder, OnProviderCancel, SameParcel
from gateway.intake.early import apply_early_callbacks
from gateway.intake.hearing import Hearing
from gateway.ledger.write.writer import Writer
from gateway.listeners import internal_app, public_app
from gateway.providers import ADAPTERS
from gateway.providers.http_settings import HttpSettings
from gateway.providers.port import Adapter
from gateway.settings import Database, Listener, Location, NewStore, Operator, Secret, Settings
from tests.documented import as_documented

KEY = {"Authorization": "Bearer the-key-of-DC01"}
ACME = {"Authorization": "Bearer the-callback-key-of-acme"}
ZEN = {"Authorization": "Bearer the-callback-key-of-zen"}
SIGNING_SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"
NEXT_SECRET = "whsec_YWFhYWJiYmJjY2NjZGRkZGVlZWVmZmZm"
VIEWER = {"Authorization": "Bearer the-token-of-vera"}

Client = TestClient[web.Request, web.Application]


def _provider(name: str) -> HttpSettings:
    return HttpSettings(
        name=name,
        adapter="http",
        url="http://localhost:1/orders",
        api_key=Secret("api"),
        callback_keys=(Secret(f"the-callback-key-of-{name}"), Secret(f"the-next-callback-key-of-{name}")),
    )


SETTINGS = Settings(
    public_url="http://localhost",
    public=Listener("127.0.0.1", 0),
    internal=Listener("127.0.0.1", 0),
    database=Database(None, Path()),
    newstore=NewStore("http://localhost:1", "http://localhost:1", "client", Secret("client-secret")),
    operators=(
        Operator("vera", "viewer", (Secret("the-token-of-vera"), Secret("the-next-token-of-vera"))),
        Operator("otto", "operator", (Secret("the-token-of-otto"),)),
        Operator("ada", "admin", (Secret("the-token-of-ada"),)),
    ),
    providers={
        "acme": _provider("acme"),
        "zen": _provider("zen"),
        "sig": replace(
            _provider("sig"),
            callback_keys=(),
            callback_secrets=(Secret(SIGNING_SECRET), Secret(NEXT_SECRET)),
            same_parcel=SameParcel.ASK,
        ),
    },
    locations={
        "DC01": Location("DC01", (Secret("the-key-of-DC01"), Secret("the-next-key-of-DC01")), "acme"),
        "DC02": Location("DC02", (Secret("the-key-of-DC01"),)),
        "DC03": Location(
            "DC03",
            (Secret("the-key-of-DC01"),),
            "acme",
            on_provider_cancel=OnProviderCancel.CANCEL,
            backorder=OnBackorder.REJECT,
        ),
        "DC04": Location("DC04", (Secret("the-key-of-DC01"),), "sig"),
    },
    body_limit=1_048_576,
)


@dataclass
class Served:
    """Both listeners of one gateway."""

    public: Client
    internal: Client
    pool: asyncpg.Pool
    rejoined: "set[asyncio.Task[None]]"
    writer: Writer
    sweep: Callable[[], Awaitable[None]]
    """Apply what came early, whatever it names."""

    async def receive(self, body: object, location: str = "DC01", **headers: str) -> ClientResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = f"/newstore/{location}/fulfillment_requests"
        return await as_documented(await self.public.post(path, data=data, headers=headers or KEY))

    async def say(self, body: object, provider: str = "acme", headers: dict[str, str] = ACME) -> ClientResponse:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        path = f"/providers/{provider}/callbacks"
        return await as_documented(await self.public.post(path, data=data, headers=headers))

    async def ask(self, path: str, who: str = "vera") -> ClientResponse:
        headers = {"Authorization": f"Bearer the-token-of-{who}"}
        return await as_documented(await self.internal.get(path, headers=headers))

    async def do(self, path: str, body: object, token: str = "the-token-of-otto") -> ClientResponse:
        headers = {"Authorization": f"Bearer {token}"}
        return await as_documented(await self.internal.post(path, json=body, headers=headers))

    async def reveal(self, subject: str, reason: object = "the parcel came back", who: str = "ada") -> ClientResponse:
        return await self.do(f"/v1/{subject}/reveal", {"reason": reason}, token=f"the-token-of-{who}")

    async def first_line(self, head: str) -> bytes:
        """Send only this, as no library does, and give the first line of the answer."""
        reader, writer = await asyncio.open_connection(self.public.host, self.public.port)
        try:
            writer.write(head.encode())
            async with asyncio.timeout(5):
                return await reader.readline()
        finally:
            writer.close()

    async def stored_bodies(self, request_id: str = "r-1") -> list[bytes]:
        rows = await self.pool.fetch("SELECT body FROM payloads WHERE request_id = $1 ORDER BY at", request_id)
        return [row["body"] for row in rows]

    async def quarantined(self) -> list[tuple[str, str, bytes]]:
        rows = await self.pool.fetch(
            "SELECT source, reason, body FROM quarantine WHERE resolved_at IS NULL ORDER BY id"
        )
        return [tuple(row) for row in rows]


@asynccontextmanager
async def serve(
    pool: asyncpg.Pool,
    connect: Callable[[], Awaitable[Any]],
    body_seconds: float = 10.0,
    settings: Settings = SETTINGS,
    kinds: Mapping[str, type[Adapter]] = MappingProxyType({}),
) -> AsyncIterator[Served]:
    writer = Writer(connect)
    rejoined: set[asyncio.Task[None]] = set()
    writer.on_received = lambda ids: rejoined.add(
        asyncio.create_task(apply_early_callbacks(pool, writer, SETTINGS, ids))
    )

    async def look_again(ids: list[str]) -> None:
        await apply_early_callbacks(pool, writer, SETTINGS, ids)

    session = aiohttp.ClientSession()
    adapters = {
        each.name: kinds.get(each.name, ADAPTERS[each.adapter])(each, session) for each in settings.providers.values()
    }
    hearing = Hearing(settings, pool, writer, adapters, look_again)

    running = asyncio.create_task(writer.run())
    try:
        async with (
            TestClient(TestServer(public_app(settings, writer, pool, hearing, body_seconds))) as public,
            TestClient(TestServer(internal_app(settings, pool, writer, adapters))) as internal,
        ):
            yield Served(
                public, internal, pool, rejoined, writer, partial(apply_early_callbacks, pool, writer, settings)
            )
            await asyncio.gather(*rejoined, return_exceptions=True)
    finally:
        await session.close()
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


def order(request_id: str = "r-1", *products: str, **more: Any) -> dict[str, Any]:
    return {"id": request_id, "items": [{"product_id": product} for product in products or ("TEE", "CAP")], **more}


def event(kind: str, event_id: str, request_id: str = "r-1", **more: Any) -> dict[str, Any]:
    return {"type": kind, "event_id": event_id, "fulfillment_request_id": request_id, **more}


@pytest.fixture
async def gateway(database: str, pool: asyncpg.Pool) -> AsyncIterator[Served]:
    async with serve(pool, lambda: asyncpg.connect(database)) as served:
        yield served
