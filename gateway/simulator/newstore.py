"""A NewStore of one tenant: it sends fulfillment requests and takes acceptances, shipments, rejections, cancellations.

Writes name products, not units, and are not idempotent: shipping ["A"] twice ships two units of A. A write is stored
at once and applied a moment later, in the order it came; until then its read-back is as it was, 404 the first time.
"""

import asyncio
import random
import uuid
from collections import deque
from collections.abc import Iterable
from functools import partial

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.simulator.memory import KEEP, forget_oldest
from gateway.simulator.newstore_bodies import units_of
from gateway.simulator.newstore_faults import NO_FAULTS, REFUSE, FaultInjector, Faults, How
from gateway.simulator.newstore_tokens import Tokens
from gateway.simulator.newstore_units import BECOMES, Request, Unit, Write, apply, why_not, why_not_accept
from gateway.simulator.newstore_webhook import Configuration, Webhook
from gateway.simulator.orders import order
from gateway.simulator.served import JSON, Served, now

TOKEN_PATH = "/auth/realms/{tenant}/protocol/openid-connect/token"  # noqa: S105 - a path
REQUEST_PATH = "/v0/d/fulfillment_requests/{uuid}"
Operation = str
"""token, acknowledgement, shipment, reject_items, canceled_items, read_<one of the three>, read_rejection, list."""


def _error(status: int, code: str, description: str) -> web.Response:
    return web.json_response({"error_code": code, "error_description": description}, status=status)


class NewStore(Served):
    """The server. Configure its DCs in the order routing should try them, then place orders."""

    def __init__(
        self,
        *,
        tenant: str = "acme",
        client_id: str = "gateway",
        client_secret: str = "made-up-secret",  # noqa: S107 - nothing real stands behind it
        expires_in: float = 3600,
        apply_after: float = 0.03,
        webhook_backoff: tuple[float, ...] = (0.05, 0.1, 0.2),
        webhook_timeout: float = 15,
        faults: Faults = NO_FAULTS,
        seed: int = 0,
        keep: int = KEEP,
    ) -> None:
        # Streams of their own: from one seed, two like ones give the same ids to different requests.
        self._random = random.Random(f"{seed}:newstore")  # noqa: S311 - repeatable, not secret
        self._customers = random.Random(f"{seed}:customers")  # noqa: S311 - repeatable, not secret
        self.tokens = Tokens(tenant, client_id, client_secret, expires_in, self._random)
        super().__init__(
            [
                web.post("/simulator/orders", self._place_order),
                web.post("/simulator/resend", self._resend),
                web.post(TOKEN_PATH, self.tokens.issue, name="token"),
                web.post(f"{REQUEST_PATH}/acknowledgement", self._accept, name="acknowledgement"),
                web.get("/v0/fulfillment_requests/{order_uuid}", self._list, name="list"),
                *(web.post(f"{REQUEST_PATH}/{name}", partial(self._store, name), name=name) for name in BECOMES),
                *(
                    web.get(f"{REQUEST_PATH}/{name}", partial(self._read_back, name), name=f"read_{name}")
                    for name in BECOMES
                ),
                web.get(f"{REQUEST_PATH}/rejection", partial(self._read_back, "reject_items"), name="read_rejection"),
            ],
            middlewares=[self._meet_fate, self._authenticate],
        )
        self.apply_after = apply_after
        self.lacks: set[Operation] = set()
        """What this tenant answers with 405: where rejections are read differs from tenant to tenant."""
        self.keep = keep
        self.requests: dict[str, Request] = {}
        self.webhook = Webhook(webhook_backoff, webhook_timeout)
        self.fault_injector = FaultInjector(faults, seed)
        self._stored: deque[Write] = deque()

    def configure(self, location: str, url: str, api_key: str | None = None) -> None:
        """Say where the requests of a DC go; the order of first configuration is the routing order."""
        self.webhook.configured[location] = Configuration(url, api_key)

    def fail_next(self, operation: Operation, how: How) -> None:
        """Let the next call of an operation go wrong this way."""
        self.fault_injector.fail_next(operation, how)

    def expire_tokens(self) -> None:
        """From now on every token handed out so far is answered with 403."""
        self.tokens.expire()

    async def place(self, order: JSON, location: str | None = None) -> str:
        """Route an order to a DC, the first by default, and send it there; returns the id of the request."""
        at = location or next(iter(self.webhook.configured))
        request = self._open(order, at, tried=(at,))
        await self.send(request.id)
        return request.id

    async def place_steadily(self, per_second: float) -> None:
        """Place orders at random DCs until cancelled; none at a rate of 0."""
        async with asyncio.TaskGroup() as group:
            while per_second:
                location = self._customers.choice(list(self.webhook.configured))
                group.create_task(self.place(order(self._customers), location))
                await asyncio.sleep(1 / per_second)

    async def send(self, request_id: str) -> bool:
        """POST a request to its DC, for the first time or once more; False when every attempt failed."""
        request = self.requests[request_id]
        request.lost = False
        delivered = False
        try:
            delivered = await self.webhook.send(self._session, request.location, request.body)
        finally:
            request.delivered = request.delivered or delivered
            request.lost = not request.delivered
        self._change()
        return delivered

    async def resend(self) -> int:
        """What NewStore does once a day: send again whatever never got through. Returns how many it sent."""
        lost = [request.id for request in self.requests.values() if request.lost]
        for request_id in lost:
            await self.send(request_id)
        return len(lost)

    def of_order(self, order_id: str) -> list[Request]:
        """All requests of an order, oldest first."""
        return [request for request in self.requests.values() if request.order_id == order_id]

    def record(self) -> JSON:
        """Requests with their units, calls per operation, faults met, and the webhook's attempts and latencies."""
        return {
            "requests": {request.id: request.record() for request in self.requests.values()},
            "on_hold": [request.id for request in self.requests.values() if request.on_hold],
            "calls": self.calls,
            "faults": self.fault_injector.met,
            "webhook": {"attempts": list(self.webhook.attempts), "ack_ms": list(self.webhook.ack_ms)},
        }

    def _open(self, order: JSON, location: str, tried: tuple[str, ...], rerouted_from: str | None = None) -> Request:
        units = [Unit(self._uuid(), item) for item in order["items"]]
        request = Request(order["id"], location, order, units, tried, rerouted_from)
        if request.id in self.requests:
            raise ValueError(f"request {request.id} was placed before: a NewStore has each id once")
        self.requests[request.id] = request
        forget_oldest(self.requests, lambda kept: kept.status == "completed", self.keep)
        self._change()
        return request

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))

    def _resume(self) -> None:
        for _ in self._stored:
            self._spawn(self._apply_next())

    async def _apply_next(self) -> None:
        await asyncio.sleep(self.apply_after)
        write = self._stored.popleft()
        if apply(write) and write.request.status == "completed":
            self._reroute(write.request)
        self._change()

    def _reroute(self, request: Request) -> None:
        rejected = [unit.item for unit in request.with_status("rejected")]
        if not rejected:
            return
        untried = (location for location in self.webhook.configured if location not in request.tried)
        location = next(untried, None)
        if location is None:
            request.on_hold = True
            return
        order = {**request.body, "id": self._uuid(), "items": rejected}
        successor = self._open(order, location, (*request.tried, location), request.id)
        request.rerouted_to = successor.id
        self._spawn(self.send(successor.id))

    @web.middleware
    async def _meet_fate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        operation = request.match_info.route.name
        if operation is None:
            return await handler(request)
        self.calls[operation] += 1
        subject = self.requests.get(request.match_info.get("uuid", ""))
        how = self.fault_injector.of(operation, subject.misfortunes if subject else 0)
        if how and subject:
            subject.misfortunes += 1
        if how in {"500_before", "502"}:
            return web.Response(status=500 if how == "500_before" else 502)
        if how == "429":
            return web.Response(status=429, headers={"Retry-After": str(self.fault_injector.faults.retry_after)})
        if operation in self.lacks:
            return web.Response(status=405)
        if how == "slow":
            await asyncio.sleep(self.fault_injector.faults.slow_seconds)
        request[REFUSE] = how == "refuse"
        response = await handler(request)
        if how == "500_after":
            return web.Response(status=500)
        if how == "break_after" and request.transport:
            request.transport.abort()
        self._change()
        return response

    @web.middleware
    async def _authenticate(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/v0/"):
            return await handler(request)
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            return _error(401, "unauthorized", "The Authorization header is missing")
        if not self.tokens.stands(token):
            return _error(403, "forbidden", "The token is expired or not valid")
        return await handler(request)

    async def _place_order(self, http: web.Request) -> web.Response:
        location = http.query.get("location", next(iter(self.webhook.configured), ""))
        if location not in self.webhook.configured:
            return _error(404, "unknown_location", f"Choose one of {', '.join(self.webhook.configured) or 'none'}")
        placed = await self.place(order(self._customers, http.query.getall("product", None)), location)
        return web.json_response({"id": placed, "delivered": self.requests[placed].delivered}, status=201)

    async def _resend(self, _: web.Request) -> web.Response:
        return web.json_response({"sent": await self.resend()})

    async def _accept(self, http: web.Request) -> web.Response:
        request = self._find(http)
        refusal = ("refused", "The simulator was asked to refuse this") if http[REFUSE] else why_not_accept(request)
        if refusal:
            return _error(400, *refusal)
        request.acknowledged = True
        return web.json_response({}, status=201)

    async def _store(self, operation: str, http: web.Request) -> web.Response:
        request = self._find(http)
        try:
            units = units_of(operation, await http.json())
        except ValueError as error:
            return _error(400, "invalid_request", str(error))
        refused_later = operation == "shipment" and http[REFUSE]
        if operation != "shipment":
            products = (product_id for product_id, _ in units)
            refusal = ("refused", "As asked") if http[REFUSE] else why_not(request, operation, products)
            if refusal:
                return _error(400, *refusal)
        self._keep(Write(request, operation, product_id, said, now(), refused_later) for product_id, said in units)
        return web.json_response({}, status=201)

    def _keep(self, writes: Iterable[Write]) -> None:
        for write in writes:
            self._stored.append(write)
            self._spawn(self._apply_next())

    async def _read_back(self, operation: str, http: web.Request) -> web.Response:
        result = self._find(http).read_back(operation)
        return web.json_response(result) if result else _error(404, "resource_not_found", f"No {operation} yet")

    async def _list(self, http: web.Request) -> web.Response:
        found = self.of_order(http.match_info["order_uuid"])
        return web.json_response({"fulfillment_requests": [request.listed() for request in found]})

    def _find(self, http: web.Request) -> Request:
        request = self.requests.get(http.match_info["uuid"])
        if request is None:
            raise web.HTTPNotFound(text='{"error_code": "resource_not_found"}', content_type="application/json")
        return request
