"""What the gateway is measured against: the same HTTP work without a database."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from gateway import settings
from gateway.dispatch.calls import OutboundClients
from gateway.dispatch.dispatcher import Dispatcher
from gateway.domain.commands import Receive
from gateway.domain.decide import Command
from gateway.domain.deliveries import Operation
from gateway.domain.handle import handle
from gateway.domain.requests import Request
from gateway.ledger.queue.claims import Claim
from gateway.ledger.queue.destinations import Destination
from gateway.ledger.read.request_reads import DeliveryContext
from gateway.ledger.write.queued import Attempt, CommitResult, Reschedule
from gateway.listeners import public_app
from gateway.newstore import webhook
from gateway.providers.http import Http
from tests.loading import http_provider, settings_in

from .served import KEYS


async def bare() -> web.Application:
    """Answer with the least that aiohttp can: read, parse, answer."""

    async def receive(request: web.Request) -> web.Response:
        read = orjson.loads(await request.read())
        return web.json_response({"result": "received", "id": read["id"], "reference": ""})

    app = web.Application()
    app.router.add_post("/newstore/{location}/fulfillment_requests", receive)
    return app


async def same(path: str) -> web.Application:
    """Serve the gateway's own handler, keys and checks and domain included, over a ledger that stores nothing."""

    class Forgetful:
        async def apply(self, command: Receive, _body: bytes) -> CommitResult:
            request, events = handle(None, command)
            return CommitResult(request, tuple(events))

    loaded = settings_in(Path(path), {**KEYS, "DATABASE_URL": ""})
    nothing: Any = None
    forgetful: Any = Forgetful()
    return public_app(loaded, forgetful, nothing, nothing)


class _Forgetful:
    """Decides what follows from a call's outcome, and stores nothing."""

    async def settle(
        self, claim: Claim, _: Attempt, then: Command | Reschedule, known: Request, *, next_look: float
    ) -> None:
        assert not isinstance(then, Reschedule), f"{claim.request_id} was not taken"
        handle(known, then)


class _Alone:
    """The only process there is."""

    owner = "bench"
    is_alive = True


class Unstored(Dispatcher):
    """The gateway's own dispatcher, its claims out of memory and its outcomes thrown away."""

    def __init__(self, session: aiohttp.ClientSession, loaded: settings.Settings, bodies: Iterable[bytes]) -> None:
        nothing: Any = None
        writer: Any = _Forgetful()
        alone: Any = _Alone()
        super().__init__(
            OutboundClients(nothing, {"wms": Http(http_provider(loaded, "wms"), session)}, nothing),
            writer,
            loaded,
            alone,
            nothing,
        )
        self._owed = iter([_owed(body) for body in bodies])

    async def run_once(self) -> int:
        limiter = self.limiters["wms"]
        limiter.take(Destination("wms", 0, 0, None), limiter.limits.concurrency, asyncio.get_running_loop().time())
        claimed = list(islice(self._owed, limiter.room))
        for claim, context in claimed:
            self._start(claim, context, monotonic())
        return len(claimed)


def _owed(body: bytes) -> tuple[Claim, DeliveryContext]:
    """Make what the ledger would hand out for a request."""
    at = datetime.now(UTC)
    request, _ = handle(None, webhook.receive(body, at, "DC01", "wms"))
    assert request is not None
    claim = Claim(request.id, Operation.CREATE, 1, "wms", "DC01", at.date(), 1, 0, False, "bench", False, seconds=60.0)  # noqa: FBT003
    return claim, DeliveryContext(request, body, ())


class Stub:
    """Plays the provider and NewStore: takes everything at once, and calls back accepted and shipped."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.shown: dict[str, list[Any]] = {}
        self.calls_back_at = ""
        self.tasks: set[asyncio.Task[None]] = set()
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=128))

    async def take(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        self.counts["create"] += 1
        if self.calls_back_at:
            task = asyncio.create_task(self._call_back(body["id"]))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        return web.Response(status=201, body=b'{"id": "1"}', content_type="application/json")

    async def _call_back(self, request_id: str) -> None:
        parcel = {"carrier": "UPS", "tracking_number": f"1Z{request_id[-9:]}"}
        url, headers = f"{self.calls_back_at}/providers/wms/callbacks", {"Authorization": f"Bearer {KEYS['CALLBACK']}"}
        items = [{"product_id": f"SKU-{number}", "quantity": 1} for number in range(3)]
        for kind, more in (("accepted", {"items": items}), ("shipped", {"items": items, "shipment": parcel})):
            event = {"type": kind, "event_id": f"{kind}-{request_id}", "fulfillment_request_id": request_id, **more}
            async with self.session.post(url, data=orjson.dumps(event), headers=headers) as answer:
                self.counts[f"callback_{answer.status}"] += 1

    async def token(self, _: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "expires_in": 3600})

    async def write(self, request: web.Request) -> web.Response:
        self.counts[request.match_info["operation"]] += 1
        if request.match_info["operation"] == "shipment":
            (line,) = orjson.loads(await request.read())["line_items"]
            parcel = {key: line["shipment"][key] for key in ("carrier", "tracking_code")}
            entries = [{"product_id": product, **parcel} for product in line["product_ids"]]
            self.shown.setdefault(request.match_info["id"], []).extend(entries)
        return web.Response(status=201, body=b"{}", content_type="application/json")

    async def read(self, request: web.Request) -> web.Response:
        self.counts["read"] += 1
        found = {"successful_shipments": self.shown.get(request.match_info["id"], []), "failed_shipments": []}
        return web.Response(body=orjson.dumps(found), content_type="application/json")

    async def told(self, _: web.Request) -> web.Response:
        return web.json_response(self.counts)

    async def reset(self, request: web.Request) -> web.Response:
        self.counts.clear()
        self.shown.clear()
        self.calls_back_at = request.query.get("calls_back_at", "")
        return web.Response()


async def stub() -> web.Application:
    """Serve a stub."""
    one, app = Stub(), web.Application()
    app.add_routes(
        [
            web.post("/orders", one.take), web.post("/token", one.token), web.get("/counts", one.told),
            web.post("/reset", one.reset), web.post("/v0/d/fulfillment_requests/{id}/{operation}", one.write),
            web.get("/v0/d/fulfillment_requests/{id}/{operation}", one.read),
        ]
    )  # fmt: skip
    return app


async def sink() -> web.Application:
    """Take traces, and decode none."""

    async def take(request: web.Request) -> web.Response:
        await request.read()
        return web.Response(content_type="application/x-protobuf")

    app = web.Application(client_max_size=2**24)
    app.router.add_post("/v1/traces", take)
    return app


async def relay(stub_url: str) -> web.Application:
    """Do the bare HTTP calls of a lifecycle, with nothing stored, checked or kept in order."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    tasks: set[asyncio.Task[None]] = set()
    room = asyncio.Semaphore(64)

    async def call(method: str, path: str, body: bytes = b"{}") -> None:
        async with (
            room,
            session.request(method, f"{stub_url}{path}", data=body if method == "POST" else None) as answer,
        ):
            await answer.read()

    async def report(told: dict[str, Any]) -> None:
        path = f"/v0/d/fulfillment_requests/{told['fulfillment_request_id']}"
        if told["type"] == "accepted":
            await call("POST", f"{path}/acknowledgement")
            return
        parcel = {"carrier": "UPS", "tracking_code": told["shipment"]["tracking_number"]}
        line = {"product_ids": ["SKU-0", "SKU-1", "SKU-2"], "shipment": parcel}
        await call("POST", f"{path}/shipment", orjson.dumps({"line_items": [line]}))
        await call("GET", f"{path}/shipment")

    def later(work: Any) -> None:
        task = asyncio.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def receive(request: web.Request) -> web.Response:
        later(call("POST", "/orders", await request.read()))
        return web.Response(body=b"{}")

    async def called_back(request: web.Request) -> web.Response:
        later(report(orjson.loads(await request.read())))
        return web.Response(body=b"{}")

    app = web.Application()
    app.add_routes(
        [
            web.post("/newstore/{location}/fulfillment_requests", receive),
            web.post("/providers/{provider}/callbacks", called_back),
        ]
    )
    return app
