"""A simulated Zenith."""

import base64
import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, ClassVar

from aiohttp import web
from multidict import CIMultiDict

from gateway.domain.commands import RejectionReason, Word
from gateway.domain.orders import Order
from gateway.providers.conformance import Happening, HttpTarget, Switch
from gateway.providers.port import Message

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


class ZenithTarget(HttpTarget):
    settings = 'url = "{url}"\napi_key = "env:ZENITH_KEY"\nsecret = "env:ZENITH_SECRET"\ntimeout = 0.4'
    environ: ClassVar = {"ZENITH_KEY": "the-key-of-the-gateway", "ZENITH_SECRET": SECRET}
    switches = HttpTarget.switches | {Switch.REFUSE, Switch.ANOTHER, Switch.EXPIRE}
    untouched = frozenset({"/token", "GET /orders"})
    words = frozenset({Word.ACCEPTED, Word.SHIPPED, Word.REJECTED})
    reasons = frozenset({RejectionReason.NO_INVENTORY})
    is_promise = False

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, dict[str, Any]] = {}
        self.changed: list[str] = []
        self.token = 1
        self._numbers = count(1)

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post("/token", self._give_token),
            web.post("/orders", self._take),
            web.get("/orders", self._list),
            web.get("/orders/{reference}", self._look_up),
        ]

    def switch(self, what: Switch) -> None:
        if what is Switch.EXPIRE:
            self.token += 1
        else:
            super().switch(what)

    async def _give_token(self, _: web.Request) -> web.Response:
        return web.json_response({"access_token": f"token-{self.token}"})

    def _is_stranger(self, request: web.Request) -> bool:
        return request.headers.get("Authorization") != f"Bearer token-{self.token}"

    async def _take(self, request: web.Request) -> web.Response:
        if self._is_stranger(request):
            return web.Response(status=401)
        if self.takes(Switch.REFUSE):
            return web.json_response({"error": "no such sku"}, status=422)
        asked = await request.json()
        reference = asked["reference"]
        self.orders.append(reference)
        lines = [{"sku": each["sku"], "qty": each["qty"], "accepted": 0, "short": 0} for each in asked["lines"]]
        self.kept[reference] = {"id": f"Z-{reference}", "reference": reference, "lines": lines, "boxes": []}
        self._touch(reference, "OPEN")
        return web.Response(status=201, headers={"Location": f"/orders/by-id/Z-{reference}"})

    async def _look_up(self, request: web.Request) -> web.Response:
        reference = request.match_info["reference"]
        if self._is_stranger(request):
            return web.Response(status=401)
        if self.takes(Switch.ANOTHER):
            return web.json_response(next(iter(self.kept.values())))
        return web.json_response(self.kept[reference]) if reference in self.kept else web.Response(status=404)

    async def _list(self, request: web.Request) -> web.Response:
        if self._is_stranger(request):
            return web.Response(status=401)
        since = max(int(request.query["changed_since"] or 0) - 1, 0)  # one that was seen before comes again
        found = [self.kept[each] for each in dict.fromkeys(self.changed[since:])]
        return web.json_response({"orders": found, "cursor": str(len(self.changed))})

    def _touch(self, reference: str, status: str) -> None:
        self.changed.append(reference)
        self.kept[reference] |= {"status": status, "changed": datetime.now(UTC).isoformat()}

    def happen(self, *what: Happening) -> Sequence[Message]:
        return [self._hint(self._do(each)) for each in what]

    def unknown_word(self, order: Order) -> Sequence[Message]:
        self._touch(order.reference, "LOST_AT_SEA")
        return [self._hint(order.reference)]

    def _do(self, what: Happening) -> str:
        kept = self.kept[what.order.reference]
        if what.parcel:
            box = next((each for each in kept["boxes"] if each["tracking"] == what.parcel.tracking_code), None)
            if box is None:
                box = {"carrier": what.parcel.carrier, "tracking": what.parcel.tracking_code, "lines": []}
                kept["boxes"].append(box)
            box["lines"] += [{"sku": sku, "qty": qty} for sku, qty in what.items.items()]
        field = {Word.ACCEPTED: "accepted", Word.REJECTED: "short"}.get(what.word)
        for line in kept["lines"] if field else ():
            line[field] += what.items.get(line["sku"], 0)
        self._touch(what.order.reference, "OPEN")
        return what.order.reference

    def _hint(self, reference: str) -> Message:
        at, name = datetime.now(UTC), f"msg_{next(self._numbers)}"
        body = json.dumps({"topic": "order.changed", "reference": reference}).encode()
        stamp, key = str(int(at.timestamp())), base64.b64decode(SECRET.removeprefix("whsec_"))
        signature = base64.b64encode(hmac.digest(key, f"{name}.{stamp}.".encode() + body, "sha256")).decode()
        head = {"webhook-id": name, "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}
        return Message(body, at, headers=CIMultiDict(head))
