"""A warehouse that takes NewStore's own JSON, works each order once, and calls back what became of it.

It is idempotent on the request's `id`, and an order that was withdrawn is never worked again. The events of one order
are told one after another, each until it is answered with 2xx, so an event nobody takes holds back the later ones of
its order.
"""

import asyncio
import random
from collections import Counter, deque
from dataclasses import dataclass, field

from aiohttp import web

from gateway.simulator.memory import KEEP, forget_oldest
from gateway.simulator.served import JSON, Served, now
from gateway.simulator.warehouse_callback import Callback, Tells
from gateway.simulator.warehouse_temperament import TEMPERAMENTS, Step, Temperament, Unit, plan, statuses


@dataclass(slots=True)
class Order:
    """An order as the warehouse keeps it."""

    id: str
    reference: str
    body: JSON
    units: list[Unit]
    steps: list[Step]
    times_seen: int = 0
    times_worked: int = 0
    idempotency_keys: list[str | None] = field(default_factory=list)
    references: list[str | None] = field(default_factory=list)
    said: list[JSON] = field(default_factory=list)
    told: int = 0
    withdrawn: bool = False

    @property
    def doubled(self) -> bool:
        """Worked more than once, which must never be."""
        return self.times_worked > 1

    @property
    def finished(self) -> bool:
        """Every step was done and its event taken, or none will be any more."""
        return self.withdrawn or self.told == len(self.steps)

    @property
    def status(self) -> str:
        """received, in_work, completed or withdrawn."""
        if self.withdrawn:
            return "withdrawn"
        if all(unit.status != "open" for unit in self.units):
            return "completed"
        return "in_work" if self.said else "received"

    def record(self) -> JSON:
        """Units and what was said of them."""
        return {
            "reference": self.reference,
            "order_id": self.body.get("order_id"),
            "status": self.status,
            "finished": self.finished,
            "withdrawn": self.withdrawn,
            "times_seen": self.times_seen,
            "doubled": self.doubled,
            "idempotency_keys": self.idempotency_keys,
            "references": self.references,
            "units": [
                {"product_id": unit.product_id, "status": unit.status, "tracking_number": unit.parcel}
                for unit in self.units
            ],
            "counts": statuses(self.units),
            "said": self.said,
        }


class Warehouse(Served):
    """The server. `callback.url` may be set after construction, before the first order comes."""

    def __init__(
        self,
        name: str,
        temperament: Temperament | str = "quick",
        callback_url: str = "",
        *,
        api_key: str,
        callback_key: str | None = None,
        callback_secret: str | None = None,
        backoff: tuple[float, float] = (0.05, 2.0),
        seed: int = 0,
        keep: int = KEEP,
    ) -> None:
        super().__init__(
            [
                web.post("/orders", self._take),
                web.get("/orders/{reference}", self._look_up),
                web.delete("/orders/{reference}", self._withdraw),
            ]
        )
        self.name = name
        self.temperament = TEMPERAMENTS[temperament] if isinstance(temperament, str) else temperament
        self.api_key = api_key
        self.callback: Tells = Callback(callback_url, callback_key, callback_secret)
        self.backoff = backoff
        self.orders: dict[str, Order] = {}
        self.attempts: deque[JSON] = deque(maxlen=keep)
        self.keep = keep
        self.faults: Counter[str] = Counter()
        self._met: Counter[str] = Counter()
        self._by_reference: dict[str, Order] = {}
        self._seed = f"{seed}:{name}"
        self._random = random.Random(self._seed)  # noqa: S311 - repeatable, not secret

    @property
    def finished(self) -> bool:
        """Nothing left to do or to say."""
        return all(order.finished for order in self.orders.values())

    def order_of(self, request_id: str, reference: str) -> Order | None:
        """Find an order by whichever name this warehouse knows it."""
        return self.orders.get(request_id) or self._by_reference.get(reference)

    def record(self) -> JSON:
        """Orders by id with their units, calls per operation, faults met and the last callback attempts."""
        return {
            "name": self.name,
            "orders": {order.id: order.record() for order in self.orders.values()},
            "doubled": [order.id for order in self.orders.values() if order.doubled],
            "calls": self.calls,
            "faults": self.faults,
            "callbacks": list(self.attempts),
        }

    def _resume(self) -> None:
        for order in self.orders.values():
            if not order.finished:
                self._spawn(self._tell(order))

    async def _take(self, http: web.Request) -> web.Response:
        self.calls["take"] += 1
        fault = self._fault_of(http.headers.get("Idempotency-Key", ""))
        if fault == "429":
            return web.Response(status=429, headers={"Retry-After": str(self.temperament.retry_after)})
        if fault == "500_before":
            return web.Response(status=500)
        response = await self._answer(http)
        self._change()
        if fault == "hang_after":
            await self._hang()
        return web.Response(status=500) if fault in {"500_after", "hang_after"} else response

    async def _answer(self, http: web.Request) -> web.Response:
        if self._stranger(http):
            return web.json_response({"error": "unauthorized"}, status=401)
        try:
            body = await http.json()
            known = self.orders.get(body["id"])
            order = known or self._write_down(body, http.headers.get("X-Gateway-Reference"))
        except (ValueError, KeyError, TypeError) as error:
            return web.json_response({"error": f"malformed: {error!r}"}, status=400)
        order.times_seen += 1
        order.idempotency_keys.append(http.headers.get("Idempotency-Key"))
        order.references.append(http.headers.get("X-Gateway-Reference"))
        if not known:
            self._spawn(self._work(order))
        return web.json_response(_shown(order), status=200 if known else 201)

    async def _look_up(self, http: web.Request) -> web.Response:
        self.calls["look_up"] += 1
        if self._stranger(http):
            return web.json_response({"error": "unauthorized"}, status=401)
        order = self._by_reference.get(http.match_info["reference"])
        if order is None:
            return web.json_response({"error": "not_found"}, status=404)
        return web.json_response(_shown(order))

    async def _withdraw(self, http: web.Request) -> web.Response:
        """Stop an order for good, as often as asked, unless something of it has left or was given up."""
        self.calls["withdraw"] += 1
        if self._stranger(http):
            return web.json_response({"error": "unauthorized"}, status=401)
        order = self._by_reference.get(http.match_info["reference"])
        if order is None:
            return web.json_response({"error": "not_found"}, status=404)
        if any(unit.status != "open" for unit in order.units):
            return web.json_response({"error": "in_work"}, status=409)
        order.withdrawn = True
        self._change()
        return web.Response(status=204)

    def _stranger(self, http: web.Request) -> bool:
        return http.headers.get("Authorization") != f"Bearer {self.api_key}"

    def _write_down(self, body: JSON, reference: str | None) -> Order:
        units = [Unit(item["product_id"]) for item in body["items"]]
        source = random.Random(f"{self._seed}:{body['id']}")  # noqa: S311 - the same whatever comes before it
        steps = plan(units, body["shipping_options"]["carrier"], self.temperament, source)
        order = Order(body["id"], reference or body["id"], body, units, steps)
        self.orders[order.id] = order
        self._by_reference.setdefault(order.reference, order)
        if over := forget_oldest(self.orders, lambda kept: kept.finished, self.keep):
            self._by_reference.pop(over.reference, None)
        return order

    async def _work(self, order: Order) -> None:
        order.times_worked += 1
        await self._tell(order)

    async def _tell(self, order: Order) -> None:
        for number, step in enumerate(order.steps[order.told :], start=order.told):
            await asyncio.sleep(self._random.uniform(*self.temperament.pause))
            if order.withdrawn:
                return
            event = self._do(order, order.steps.index(step), step)
            if number == len(order.said):
                order.said.append(event)
            self._change()
            await self._deliver(order, event)
            order.told += 1
            self._change()

    def _do(self, order: Order, first_number: int, step: Step) -> JSON:
        event_id = f"{self.name}-{order.id}-{first_number}"
        earlier = next((event for event in order.said if event["event_id"] == event_id), None)
        if earlier:
            return earlier
        for unit in step.units if step.becomes != "accepted" else ():
            unit.status = step.becomes
            unit.parcel = step.shipment["tracking_number"] if step.shipment else None
        counted = Counter(unit.product_id for unit in step.units)
        return {
            "event_id": event_id,
            "type": step.becomes,
            "fulfillment_request_id": order.id,
            "occurred_at": now(),
            "items": [{"product_id": product_id, "quantity": quantity} for product_id, quantity in counted.items()],
            "reason": step.reason,
            "shipment": step.shipment,
        }

    async def _deliver(self, order: Order, event: JSON) -> None:
        pause, longest = self.backoff
        while not order.withdrawn:
            answer = await self.callback.post(self._session, event)
            self.attempts.append({"event_id": event["event_id"], "type": event["type"], "answer": answer})
            if isinstance(answer, int) and 200 <= answer < 300:
                return
            self._change()
            await asyncio.sleep(pause)
            pause = min(pause * 2, longest)

    def _fault_of(self, key: str) -> str | None:
        drawn = self._drawn_fault() if self._met[key] != self.temperament.faults_in_a_row else None
        if drawn:
            self._met[key] += 1
        else:
            del self._met[key]
        return drawn

    def _drawn_fault(self) -> str | None:
        rates = {
            "429": self.temperament.too_many_requests,
            "500_before": self.temperament.error_before,
            "500_after": self.temperament.error_after,
            "hang_after": self.temperament.hangs_after,
        }
        mark = self._random.random()
        for fault, rate in rates.items():
            mark -= rate
            if mark < 0:
                self.faults[fault] += 1
                return fault
        return None

    async def _hang(self) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), self.temperament.hang_seconds)
        except TimeoutError:
            return


def _shown(order: Order) -> JSON:
    return {"id": order.id, "reference": order.reference, "status": order.status}
