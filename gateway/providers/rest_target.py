"""The providers that the adapter `rest` is tried against: one sends webhooks, the other is polled page by page."""

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

from .conformance import Happening, HttpTarget, Switch
from .port import Message

_SIGNED_BY = "the-secret-that-signs-webhooks"
_WORDS = {Word.ACCEPTED: "RECEIVED", Word.REJECTED: "SHORT", Word.CANCELLED: "CANCELLED", Word.SHIPPED: "SHIPPED"}
_REASONS = {RejectionReason.NO_INVENTORY: "OUT_OF_STOCK", RejectionReason.CANNOT_FULFILL: "DAMAGED"}
_CALLS = """
[create]
path = "/orders"
body = "{order_number: reference, ship_to: ship_to, lines: lines[].{sku: sku, qty: count}}"
provider_order = "id"
exists = [409]

[look_up]
path = "/orders?order_number={reference}"
orders = "orders"
reference = "order_number"
provider_order = "id"

[withdraw]
path = "/orders/{provider_order}"

[said]
reference = "order_number"
word = "status"
words = { RECEIVED = "accepted", SHORT = "rejected", CANCELLED = "cancelled", SHIPPED = "shipped" }
reason = "reason"
reasons = { OUT_OF_STOCK = "no_inventory", DAMAGED = "cannot_fulfill" }
lines = "lines"
product = "sku"
quantity = "qty"
tracking_number = "tracking"
carrier = "carrier"
"""


class RestProvider(HttpTarget):
    """It knows an order by its number, and sends a webhook for all that happens at once, signed over its body."""

    settings = """
url = "{url}"
mapping = "acme.toml"
auth = {{ kind = "header", header = "X-Api-Key", secret = "env:API_KEY" }}
webhooks = {{ kind = "hmac", header = "X-Signature", prefix = "sha256=" }}
webhook_secret = "env:WEBHOOK_SECRET"
timeout = 0.4
"""
    environ: ClassVar = {"API_KEY": "the-key-of-the-gateway", "WEBHOOK_SECRET": _SIGNED_BY}
    files: ClassVar = {
        "acme.toml": f"""{_CALLS}
final_rejections = true

[webhook]
hint = false
counts = "increments"
orders = "events"
event_id = "event"
statements = "cartons || [@]"
word = "_order.status"
"""
    }
    switches = HttpTarget.switches | {Switch.REFUSE, Switch.ANOTHER}
    says_several = True

    def __init__(self) -> None:
        super().__init__()
        self.picked: set[str] = set()
        self._numbers = count(1)

    def routes(self) -> Sequence[web.RouteDef]:
        return [
            web.post("/orders", self._take),
            web.get("/orders", self._look_up),
            web.delete("/orders/{id}", self._withdraw),
        ]

    async def _take(self, request: web.Request) -> web.Response:
        if request.headers.get("X-Api-Key") != "the-key-of-the-gateway":
            return web.json_response({"error": "unknown key"}, status=401)
        if self.takes(Switch.REFUSE):
            return web.json_response({"error": "no such sku"}, status=422)
        number = (await request.json())["order_number"]
        if number in self.orders:
            return web.json_response({"error": "order_number exists"}, status=409)
        self.orders.append(number)
        return web.json_response(self._shown(number), status=201)

    async def _look_up(self, request: web.Request) -> web.Response:
        asked = request.query["order_number"]
        found = self.orders[:1] if self.takes(Switch.ANOTHER) else [each for each in self.orders if each == asked]
        return web.json_response({"orders": [self._shown(each) for each in found]})

    async def _withdraw(self, request: web.Request) -> web.Response:
        number = self.orders[int(request.match_info["id"]) - 17]
        if number in self.picked:
            return web.json_response({"error": "in work"}, status=409)
        self.stopped.add(number)
        return web.Response(status=204)

    def _shown(self, number: str) -> dict[str, Any]:
        return {"id": 17 + self.orders.index(number), "order_number": number, "status": "RECEIVED"}

    def pick(self, order: Order) -> None:
        self.picked.add(order.reference)

    def happen(self, *what: Happening) -> Sequence[Message]:
        return [self._signed([self._event(each) for each in what])]

    def unknown_word(self, order: Order) -> Sequence[Message]:
        return [self._signed([{"event": "e-0", "order_number": order.reference, "status": "PALLETIZED"}])]

    def _event(self, what: Happening) -> dict[str, Any]:
        event = {"event": f"e-{next(self._numbers)}", "order_number": what.order.reference, "status": _WORDS[what.word]}
        lines = _lines(what)
        if what.parcel:
            carton = {"tracking": what.parcel.tracking_code, "carrier": what.parcel.carrier, "lines": lines}
            return event | {"cartons": [carton]}
        return event | {"lines": lines} | ({"reason": _REASONS[what.reason]} if what.reason else {})

    def _signed(self, events: list[dict[str, Any]]) -> Message:
        return self._sent({"events": events})

    def _sent(self, said: dict[str, Any]) -> Message:
        body = json.dumps(said).encode()
        signature = hmac.digest(_SIGNED_BY.encode(), body, "sha256").hex()
        return Message(body, datetime.now(UTC), headers=CIMultiDict({"X-Signature": f"sha256={signature}"}))


class RestPolled(RestProvider):
    """It sends nothing. Its shipments are asked for, two on a page, and each is what is so by now."""

    settings = """
url = "{url}"
mapping = "acme.toml"
auth = {{ kind = "header", header = "X-Api-Key", secret = "env:API_KEY" }}
timeout = 0.4
poll_seconds = 0.2
"""
    files: ClassVar = {
        "acme.toml": f"""{_CALLS.replace("exists = [409]", "exists = [409]" + chr(10) + "idempotent = true")}
[poll]
path = "/shipments?updated_since={{since}}&page={{page}}"
orders = "shipments"
time = "updated_at"
updated = "shipments[].updated_at"
more = "page < pages"
"""
    }
    untouched = frozenset({"/shipments"})
    is_promise = False

    def __init__(self) -> None:
        super().__init__()
        self.shipments: list[dict[str, Any]] = []

    def routes(self) -> Sequence[web.RouteDef]:
        return [*super().routes(), web.get("/shipments", self._list)]

    async def _list(self, request: web.Request) -> web.Response:
        since, page = request.query["updated_since"], int(request.query["page"])
        found = [each for each in self.shipments if each["updated_at"] >= since]
        found.sort(key=lambda each: str(each["updated_at"]))
        shown = found[2 * page - 2 : 2 * page]
        return web.json_response({"shipments": shown, "page": page, "pages": -(-len(found) // 2)})

    def happen(self, *what: Happening) -> Sequence[Message]:
        for each in what:
            said = {"order_number": each.order.reference, "status": _WORDS[each.word]}
            if each.parcel:
                said |= {"tracking": each.parcel.tracking_code, "carrier": each.parcel.carrier}
            if each.reason:
                said["reason"] = _REASONS[each.reason]
            self._show(said, _lines(each))
        return []

    def unknown_word(self, order: Order) -> Sequence[Message]:
        self._show({"order_number": order.reference, "status": "PALLETIZED"}, [])
        return []

    def _show(self, said: dict[str, Any], lines: list[dict[str, Any]]) -> None:
        shown = next((each for each in self.shipments if said.items() <= each.items()), None)
        if shown is None:
            shown = said | {"lines": []}
            self.shipments.append(shown)
        for line in lines:
            before = next((each for each in shown["lines"] if each["sku"] == line["sku"]), None)
            if before is None:
                shown["lines"].append(line)
            else:
                before["qty"] += line["qty"]
        shown["updated_at"] = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RestHinting(RestPolled):
    """Its webhook names an order, and says nothing of it: the shipments of that order are read."""

    settings = RestProvider.settings
    files: ClassVar = {
        "acme.toml": f"""{_CALLS}
time = "updated_at"

[webhook]

[read]
path = "/orders/{{provider_order}}/shipments"
orders = "@"
"""
    }
    untouched = frozenset()
    says_several = False

    def routes(self) -> Sequence[web.RouteDef]:
        return [*super().routes(), web.get("/orders/{id}/shipments", self._read)]

    async def _read(self, request: web.Request) -> web.Response:
        number = self.orders[int(request.match_info["id"]) - 17]
        return web.json_response([each for each in self.shipments if each["order_number"] == number])

    def happen(self, *what: Happening) -> Sequence[Message]:
        super().happen(*what)
        return [self._hint(each.order) for each in what]

    def unknown_word(self, order: Order) -> Sequence[Message]:
        super().unknown_word(order)
        return [self._hint(order)]

    def _hint(self, order: Order) -> Message:
        return self._sent({"order_number": order.reference})


def _lines(what: Happening) -> list[dict[str, Any]]:
    return [{"sku": sku, "qty": "many" if what.is_spoilt else qty} for sku, qty in what.items.items()]


TARGET = RestProvider
