"""NewStore and a provider on one server, which keeps every call and answers as told; and settings that lead there."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import orjson
from aiohttp import web

from gateway.providers.http_settings import HttpSettings
from gateway.settings import Database, Listener, Location, NewStore, Operator, Secret, Settings, Telemetry
from tests.listening import listening

HERE = Listener("127.0.0.1", 0)
KEY = {"Authorization": "Bearer the-key-of-DC01"}
ACME = {"Authorization": "Bearer the-callback-key-of-acme"}


@dataclass(frozen=True, slots=True)
class Call:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[Call], web.Response]


def takes(_: Call) -> web.Response:
    return web.json_response({"order_id": "W-1"}, status=201)


@dataclass(slots=True)
class Outside:
    """`answers` by the end of a path; everything else is taken."""

    url: str = ""
    calls: list[Call] = field(default_factory=list)
    answers: dict[str, Answer] = field(default_factory=dict)
    shipped: list[dict[str, str]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        call = Call(request.method, request.path, dict(request.headers), await request.read())
        if request.path == "/token":
            return web.json_response({"access_token": "the-token", "expires_in": 3600})
        self.calls.append(call)
        for end, answer in self.answers.items():
            if request.path.endswith(end):
                return answer(call)
        if request.path.endswith("/shipment"):
            return self._shipment(call)
        return takes(call)

    def _shipment(self, call: Call) -> web.Response:
        if call.method == "GET":
            return web.json_response({"successful_shipments": self.shipped})
        for line in orjson.loads(call.body)["line_items"]:
            parcel = {key: line["shipment"][key] for key in ("carrier", "tracking_code")}
            self.shipped += [{"product_id": product, **parcel} for product in line["product_ids"]]
        return takes(call)

    def to(self, end: str, method: str = "POST") -> list[Call]:
        return [each for each in self.calls if each.path.endswith(end) and each.method == method]

    def settings(self, telemetry: Telemetry) -> Settings:
        callback_key = Secret("the-callback-key-of-acme")
        acme = HttpSettings("acme", "http", f"{self.url}/acme", Secret("the-api-key"), (callback_key,), timeout=5.0)
        newstore = NewStore(f"{self.url}/newstore", f"{self.url}/token", "gateway", Secret("the-secret"), timeout=5.0)
        otto = Operator("otto", "operator", (Secret("the-token-of-otto"),))
        return Settings(
            "http://here", newstore, HERE, HERE, Database(None, Path()), (otto,),
            {"acme": acme}, {"DC01": Location("DC01", (Secret("the-key-of-DC01"),), "acme")}, telemetry=telemetry,
        )  # fmt: skip


@asynccontextmanager
async def reachable() -> AsyncIterator[Outside]:
    there = Outside()
    async with listening(web.route("*", "/{rest:.*}", there.answer)) as there.url:
        yield there
