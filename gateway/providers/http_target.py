"""The provider that the adapter `http` is tried against."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import count
from typing import Any, ClassVar

from aiohttp import web
from multidict import CIMultiDict

from gateway.domain.commands import Word
from gateway.domain.orders import Order

from .conformance import Happening, HttpTarget, Switch
from .port import Message

_KEY = "the-callback-key-of-the-provider"


class HttpProvider(HttpTarget):
    """It takes NewStore's own JSON, and calls back with one event each."""

    settings = 'url = "{url}/orders"\napi_key = "env:API_KEY"\ncallback_key = "env:KEY"\nwithdraw = true\ntimeout = 0.4'
    environ: ClassVar = {"API_KEY": "the-key-of-the-gateway", "KEY": _KEY}
    words = frozenset(Word)
    switches = HttpTarget.switches | {Switch.REFUSE, Switch.ANOTHER}

    def __init__(self) -> None:
        super().__init__()
        self.ids: dict[str, str] = {}
        self.picked: set[str] = set()
        self._numbers = count(1)

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post("/orders", self._take),
            web.get("/orders/{reference}", self._look_up),
            web.delete("/orders/{reference}", self._withdraw),
        ]

    async def _take(self, request: web.Request) -> web.Response:
        if self.takes(Switch.REFUSE):
            return web.json_response({"error": "unknown_product"}, status=422)
        reference = request.headers["X-Gateway-Reference"]
        if reference not in self.ids:
            self.ids[reference] = (await request.json())["id"]
            self.orders.append(reference)
        return self._shown(reference)

    async def _look_up(self, request: web.Request) -> web.Response:
        reference = request.match_info["reference"]
        if self.takes(Switch.ANOTHER):
            return self._shown(next(iter(self.ids)))
        return self._shown(reference) if reference in self.ids else web.Response(status=404)

    async def _withdraw(self, request: web.Request) -> web.Response:
        reference = request.match_info["reference"]
        if reference not in self.ids:
            return web.Response(status=404)
        if reference in self.picked:
            return web.json_response({"error": "in_work"}, status=409)
        self.stopped.add(reference)
        return web.Response(status=204)

    def _shown(self, reference: str) -> web.Response:
        return web.json_response({"id": f"W-{reference}", "reference": reference}, status=200)

    def happen(self, *what: Happening) -> Sequence[Message]:
        return [self._said(each.order, _written(each)) for each in what]

    def unknown_word(self, order: Order) -> Sequence[Message]:
        return [self._said(order, {"type": "palletized", "items": [{"product_id": "TEE", "quantity": 1}]})]

    def pick(self, order: Order) -> None:
        self.picked.add(order.reference)

    def _said(self, order: Order, event: dict[str, Any]) -> Message:
        named = {"event_id": f"e-{next(self._numbers)}", "fulfillment_request_id": order.request_id}
        headers = CIMultiDict({"Authorization": f"Bearer {_KEY}"})
        return Message(json.dumps(event | named).encode(), datetime.now(UTC), headers=headers)


def _written(what: Happening) -> dict[str, Any]:
    event: dict[str, Any] = {
        "type": str(what.word),
        "items": [{"product_id": product, "quantity": count} for product, count in what.items.items()],
    }
    if what.reason:
        event["reason"] = str(what.reason)
    if what.parcel:
        event["shipment"] = {"carrier": what.parcel.carrier, "tracking_number": what.parcel.tracking_code}
    return event
