"""A warehouse with a JSON API of its own: it knows an order by its number, and tells in its own words what it did.

In the mode `push` it sends a webhook for each thing that has happened, signed over its body. In the mode `poll` it
sends nothing: whoever wants news asks for its shipments, page by page, each as it is by now. What is short of an order
is one of them, with the reason of the first piece, and nothing is cancelled.
"""

import asyncio
import hmac
import random
from dataclasses import replace
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from gateway.simulator.memory import KEEP, forget_oldest
from gateway.simulator.served import JSON, now
from gateway.simulator.warehouse import Order, Warehouse
from gateway.simulator.warehouse_temperament import Temperament, Unit, plan

WORDS = {"accepted": "RECEIVED", "rejected": "SHORT", "cancelled": "CANCELLED", "shipped": "SHIPPED"}
REASONS = {"no_inventory": "OUT_OF_STOCK", "cannot_fulfill": "DAMAGED"}
_FIRST_ID = 17


class RestWarehouse(Warehouse):
    """The server. Its orders are counted up from 17, and `order_number` is whatever its customer calls them."""

    def __init__(
        self,
        name: str,
        temperament: Temperament | str = "quick",
        webhook_url: str = "",
        *,
        api_key: str,
        webhook_secret: str = "",
        mode: str = "push",
        page_size: int = 50,
        backoff: tuple[float, float] = (0.05, 2.0),
        seed: int = 0,
        keep: int = KEEP,
    ) -> None:
        super().__init__(name, temperament, webhook_url, api_key=api_key, backoff=backoff, seed=seed, keep=keep)
        self._routes = (
            web.post("/orders", self._take),
            web.get("/orders", self._look_up),
            web.delete("/orders/{id}", self._withdraw),
            web.get("/shipments", self._list),
            web.get("/simulator/record", self._read_record),
        )
        self.webhook_secret = webhook_secret
        self.mode = mode
        if mode == "poll":
            self.temperament = replace(self.temperament, cancels=0.0)
        self.page_size = page_size
        self.shipments: dict[tuple[str, ...], JSON] = {}
        """What it shows where it is polled: what is so by now of each parcel, and of what is short."""
        self._events: set[str] = set()
        self._numbered = 0

    async def _answer(self, http: web.Request) -> web.Response:
        if self._stranger(http):
            return web.json_response({"error": "unknown key"}, status=401)
        try:
            body = await http.json()
            known = self._by_reference.get(body["order_number"])
            order = known or self._write_down(body, body["order_number"])
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": f"malformed: {error!r}"}, status=400)
        order.times_seen += 1
        order.references.append(order.reference)
        if known:
            return web.json_response({"error": "order_number exists"}, status=409)
        self._spawn(self._work(order))
        return web.json_response(self._shown(order), status=201)

    def _write_down(self, body: JSON, reference: str | None) -> Order:
        units = [Unit(line["sku"]) for line in body["lines"] for _ in range(line["qty"])]
        source = random.Random(f"{self._seed}:{reference}")  # noqa: S311 - the same whatever comes before it
        steps = plan(units, "UPS", self.temperament, source)
        order = Order(str(_FIRST_ID + self._numbered), str(reference), body, units, steps)
        self._numbered += 1
        self.orders[order.id] = self._by_reference[order.reference] = order
        if over := forget_oldest(self.orders, lambda kept: kept.finished, self.keep):
            self._by_reference.pop(over.reference, None)
        return order

    async def _look_up(self, http: web.Request) -> web.Response:
        self.calls["look_up"] += 1
        if self._stranger(http):
            return web.json_response({"error": "unknown key"}, status=401)
        order = self._by_reference.get(http.query.get("order_number", ""))
        return web.json_response({"orders": [self._shown(order)] if order else []})

    async def _withdraw(self, http: web.Request) -> web.Response:
        """Cancel an order, as often as asked, unless something of it has left or was given up."""
        self.calls["withdraw"] += 1
        if self._stranger(http):
            return web.json_response({"error": "unknown key"}, status=401)
        order = self.orders.get(http.match_info["id"])
        if order is None:
            return web.json_response({"error": "no such order"}, status=404)
        if any(unit.status != "open" for unit in order.units):
            return web.json_response({"error": "in work"}, status=409)
        order.withdrawn = True
        self._change()
        return web.Response(status=204)

    async def _list(self, http: web.Request) -> web.Response:
        self.calls["list"] += 1
        if self._stranger(http):
            return web.json_response({"error": "unknown key"}, status=401)
        since, page = http.query.get("updated_since", ""), int(http.query.get("page", "1"))
        found = sorted(
            (each for each in self.shipments.values() if each["updated_at"] >= since),
            key=lambda each: each["updated_at"],
        )
        shown = found[(page - 1) * self.page_size : page * self.page_size]
        return web.json_response({"shipments": shown, "page": page, "pages": -(-len(found) // self.page_size)})

    def _stranger(self, http: web.Request) -> bool:
        return http.headers.get("X-Api-Key") != self.api_key

    def _shown(self, order: Order) -> JSON:
        words = {"received": "RECEIVED", "in_work": "PARTIAL", "completed": "DONE", "withdrawn": "CANCELLED"}
        return {"id": int(order.id), "order_number": order.reference, "status": words[order.status]}

    async def _deliver(self, order: Order, event: JSON) -> None:
        if self.mode == "poll":
            self._show(order, event)
            return
        body = msgspec.json.encode(self._in_its_words(order, event))
        pause, longest = self.backoff
        while not order.withdrawn:
            answer = await self._post(body)
            self.attempts.append({"event_id": event["event_id"], "type": event["type"], "answer": answer})
            if isinstance(answer, int) and 200 <= answer < 300:
                return
            self._change()
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    async def _post(self, body: bytes) -> int | str:
        signature = hmac.digest(self.webhook_secret.encode(), body, "sha256").hex()
        headers = {"Content-Type": "application/json", "X-Signature": f"sha256={signature}"}
        try:
            timeout = aiohttp.ClientTimeout(total=15)
            async with self._session.post(self.callback.url, data=body, headers=headers, timeout=timeout) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__

    def _in_its_words(self, order: Order, event: JSON) -> JSON:
        told: JSON = {"event": event["event_id"], "order_number": order.reference, "status": WORDS[event["type"]]}
        lines = [{"sku": item["product_id"], "qty": item["quantity"]} for item in event["items"]]
        if event["shipment"]:
            parcel = {"carrier": event["shipment"]["carrier"], "tracking": event["shipment"]["tracking_number"]}
            return told | {"cartons": [parcel | {"lines": lines}]}
        return told | {"lines": lines} | ({"reason": REASONS[event["reason"]]} if event["reason"] else {})

    def _show(self, order: Order, event: JSON) -> None:
        """Add to what is shown. An event that is told twice adds nothing."""
        told = self._in_its_words(order, event)
        parcel: JSON = told.pop("cartons", [{}])[0]
        if (event_id := told.pop("event")) in self._events:
            return
        self._events.add(event_id)
        shown = self.shipments.setdefault((order.id, told["status"], parcel.get("tracking", "")), {"lines": []})
        lines = [*shown["lines"], *(parcel.pop("lines", None) or told["lines"])]
        counted: dict[str, Any] = {}
        for line in lines:
            counted[line["sku"]] = counted.get(line["sku"], 0) + line["qty"]
        shown |= (
            told
            | parcel
            | {
                "reason": shown.get("reason", told.get("reason")),
                "lines": [{"sku": sku, "qty": qty} for sku, qty in counted.items()],
            }
        )
        shown["updated_at"] = now()
