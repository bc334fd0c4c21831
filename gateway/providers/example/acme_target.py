"""A simulated Acme, for the conformance suite."""

import hmac
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from itertools import count
from typing import Any, ClassVar

from aiohttp import web
from multidict import CIMultiDict

from gateway.domain.commands import RejectionReason, Word
from gateway.domain.orders import Order
from gateway.providers.conformance import Happening, HttpTarget, Switch
from gateway.providers.port import Message

SECRET = "the-secret-that-signs-webhooks"
WORDS = {Word.ACCEPTED: "TAKEN", Word.SHIPPED: "SHIPPED", Word.REJECTED: "SHORT", Word.CANCELLED: "DROPPED"}
REASONS = {RejectionReason.NO_INVENTORY: "no_stock", RejectionReason.CANNOT_FULFILL: "damaged"}


class AcmeTarget(HttpTarget):
    """It takes orders by JSON of its own, and tells several things in one webhook."""

    settings = 'url = "{url}"\napi_key = "env:ACME_KEY"\nwebhook_secret = "env:ACME_SECRET"\ntimeout = 0.4'
    environ: ClassVar = {"ACME_KEY": "the-key-of-the-gateway", "ACME_SECRET": SECRET}
    switches = HttpTarget.switches | {Switch.REFUSE, Switch.ANOTHER}
    is_promise = True  # that what it rejects will never ship, as `is_proof` of what the adapter reads
    says_several = True

    def __init__(self) -> None:
        super().__init__()
        self.picked: set[str] = set()
        self._numbers = count(1)

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post("/orders", self._take),
            web.get("/orders", self._look_up),
            web.post("/orders/{ref}/cancel", self._cancel),
        ]

    async def _take(self, request: web.Request) -> web.Response:
        if self.takes(Switch.REFUSE):
            return web.json_response({"error": "no such sku"}, status=422)
        reference = (await request.json())["ref"]
        if reference not in self.orders:
            self.orders.append(reference)
        return web.json_response({"number": f"A-{reference}"}, status=201)

    async def _look_up(self, request: web.Request) -> web.Response:
        asked = request.query["ref"]
        found = self.orders[:1] if self.takes(Switch.ANOTHER) else [each for each in self.orders if each == asked]
        return web.json_response({"orders": [{"number": f"A-{each}", "ref": each} for each in found]})

    async def _cancel(self, request: web.Request) -> web.Response:
        reference = request.match_info["ref"]
        if reference not in self.orders:
            return web.json_response({"error": "no such order"}, status=404)
        if reference not in self.picked:
            self.stopped.add(reference)
        return web.json_response({"cancelled": reference in self.stopped})

    def pick(self, order: Order) -> None:
        self.picked.add(order.reference)

    def happen(self, *what: Happening) -> Sequence[Message]:
        return [signed([self._event(each) for each in what])]

    def unknown_word(self, order: Order) -> Sequence[Message]:
        event = {"id": f"e-{next(self._numbers)}", "order": order.reference, "what": "RELABELED", "lines": []}
        return [signed([event])]

    def _event(self, what: Happening) -> dict[str, Any]:
        return {
            "id": f"e-{next(self._numbers)}",
            "order": what.order.reference,
            "what": WORDS[what.word],
            "why": REASONS[what.reason] if what.reason else "",
            "lines": [{"sku": sku, "qty": "many" if what.is_spoilt else qty} for sku, qty in what.items.items()],
            "carrier": what.parcel.carrier if what.parcel else "",
            "tracking": what.parcel.tracking_code if what.parcel else "",
        }


def signed(events: list[dict[str, Any]]) -> Message:
    body = json.dumps({"events": events}).encode()
    signature = hmac.new(SECRET.encode(), body, sha256).hexdigest()
    return Message(body, datetime.now(UTC), headers=CIMultiDict({"X-Acme-Signature": signature}))
