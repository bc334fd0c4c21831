"""The provider that the adapter `newstore` is tried against: it is integrated with NewStore."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from aiohttp import web
from multidict import CIMultiDict

from gateway.domain.commands import Word
from gateway.domain.orders import Order
from gateway.settings import Secret

from . import tokens
from .conformance import Happening, HttpTarget, Switch
from .port import Message

_CLIENT, _SECRET = "wms", "the-secret-of-the-providers-client"
_SETTINGS = """
url = "{url}/fulfillment_requests"
api_key = "env:API_KEY"
client_id = "wms"
client_secret = "env:CLIENT_SECRET"
timeout = 0.4
"""


class NewstoreProvider(HttpTarget):
    """It takes what NewStore posts, knows a request by its id, and calls NewStore's API."""

    settings = _SETTINGS
    environ: ClassVar = {"API_KEY": "the-key-of-newstore-there", "CLIENT_SECRET": _SECRET}
    accepts_whole = True
    switches = HttpTarget.switches | {Switch.REFUSE}

    def __init__(self) -> None:
        super().__init__()
        self.ids: set[str] = set()

    def routes(self) -> Sequence[web.RouteDef]:
        return [web.post("/fulfillment_requests", self._take)]

    async def _take(self, request: web.Request) -> web.Response:
        if self.takes(Switch.REFUSE):
            return web.json_response({"error_code": "invalid_request"}, status=400)
        asked = await request.json()
        if asked["id"] not in self.ids:
            self.ids.add(asked["id"])
            self.orders.append(request.headers["X-Gateway-Reference"])
        return web.Response(text="OK")

    def happen(self, *what: Happening) -> Sequence[Message]:
        return [_call(each.order, *_written(each)) for each in what]

    def unknown_word(self, order: Order) -> Sequence[Message]:
        missing = {"reason": "backordered", "product_ids": ["TEE"]}
        return [_call(order, "reject_items", {"missing_items": [missing]})]


def _call(order: Order, word: str, document: Mapping[str, Any]) -> Message:
    now = datetime.now(UTC)
    token = tokens.issue(_CLIENT, Secret(_SECRET), now.timestamp())
    headers = CIMultiDict({"Authorization": f"Bearer {token}", "Content-Type": "application/json"})
    path = f"v0/d/fulfillment_requests/{order.request_id}/{word}"
    return Message(json.dumps(document).encode(), now, headers=headers, path=path)


def _written(what: Happening) -> tuple[str, dict[str, Any]]:
    products = [product for product, count in what.items.items() for _ in range(count)]
    if what.word is Word.ACCEPTED:
        return "acknowledgement", {}
    if what.word is Word.CANCELLED:
        return "canceled_items", {"product_ids": products}
    if what.word is Word.REJECTED:
        return "reject_items", {"missing_items": [{"reason": str(what.reason), "product_ids": products}]}
    shipment = {"carrier": what.parcel.carrier, "tracking_code": what.parcel.tracking_code} if what.parcel else {}
    return "shipment", {"line_items": [{"product_ids": products, "shipment": shipment}]}
