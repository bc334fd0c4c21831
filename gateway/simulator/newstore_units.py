"""NewStore's rules for a fulfillment request and its units: who may become what, and what a read-back then says."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gateway.simulator.served import JSON, now

BECOMES = {"shipment": "shipped", "reject_items": "rejected", "canceled_items": "cancelled"}
READ_BACK = {
    "shipment": ("successful_shipments", "failed_shipments"),
    "reject_items": ("rejected_items", "failed_items"),
    "canceled_items": ("canceled_items", "failed_items"),
}
Refusal = tuple[str, str]


@dataclass(slots=True)
class Unit:
    """One thing to ship; `dispatched` until it is final."""

    item_id: str
    item: JSON
    status: str = "dispatched"
    carrier: str | None = None
    tracking_code: str | None = None
    reason: str | None = None

    @property
    def product_id(self) -> str:
        """The only name a provider knows the unit by."""
        return str(self.item["product_id"])

    def listed(self) -> JSON:
        """The unit as the listing shows it."""
        return {
            "item_id": self.item_id,
            "product_id": self.product_id,
            "status": self.status,
            "carrier": self.carrier,
            "tracking_code": self.tracking_code,
        }


@dataclass(frozen=True, slots=True)
class Write:
    """One unit of a stored call, waiting to be applied."""

    request: "Request"
    operation: str
    product_id: str
    said: JSON
    received_at: str
    refused: bool


@dataclass(slots=True)
class Request:
    """A fulfillment request: immutable in what it asks, its units move."""

    id: str
    location: str
    body: JSON
    units: list[Unit]
    tried: tuple[str, ...]
    rerouted_from: str | None = None
    rerouted_to: str | None = None
    created_at: str = field(default_factory=now)
    acknowledged: bool = False
    delivered: bool = False
    lost: bool = False
    on_hold: bool = False
    misfortunes: int = 0
    results: dict[str, tuple[list[JSON], list[JSON]]] = field(default_factory=dict)

    @property
    def order_id(self) -> str:
        """What the listing finds it by."""
        return str(self.body["order_id"])

    @property
    def status(self) -> str:
        """dispatched, acknowledged, partially_completed or completed."""
        final = [unit.status != "dispatched" for unit in self.units]
        if all(final):
            return "completed"
        if any(final):
            return "partially_completed"
        return "acknowledged" if self.acknowledged else "dispatched"

    def with_status(self, status: str) -> list[Unit]:
        """Its units that stand there."""
        return [unit for unit in self.units if unit.status == status]

    def counts(self) -> dict[str, dict[str, int]]:
        """Units per status and product id, for whoever compares two records."""
        counted: dict[str, dict[str, int]] = {}
        for (status, product_id), count in Counter((unit.status, unit.product_id) for unit in self.units).items():
            counted.setdefault(status, {})[product_id] = count
        return counted

    def listed(self) -> JSON:
        """The request as the listing shows it."""
        return {
            "fulfillment_request_id": self.id,
            "fulfillment_node_id": self.location,
            "service_level": self.body["shipping_options"]["service_level"],
            "created_at": self.created_at,
            "status": self.status,
            "items": [unit.listed() for unit in self.units],
        }

    def record(self) -> JSON:
        """The listing, and what only the simulator knows."""
        return self.listed() | {
            "order_id": self.order_id,
            "delivered": self.delivered,
            "acknowledged": self.acknowledged,
            "rerouted_from": self.rerouted_from,
            "rerouted_to": self.rerouted_to,
            "on_hold": self.on_hold,
            "counts": self.counts(),
        }

    def read_back(self, operation: str) -> JSON | None:
        """What was applied so far; None while nothing was, which includes calls stored a moment ago."""
        if operation not in self.results:
            return None
        return dict(zip(READ_BACK[operation], self.results[operation], strict=True))


def why_not_accept(request: Request) -> Refusal | None:
    """Nothing shipped yet and something still open."""
    if request.with_status("shipped"):
        return "already_shipped", "Items of the fulfillment request were already shipped"
    if request.with_status("dispatched"):
        return None
    status = "rejected" if request.with_status("rejected") else "cancelled"
    return f"already_{status}", f"The items of the fulfillment request were already {status}"


def why_not(request: Request, operation: str, product_ids: Iterable[str]) -> Refusal | None:
    """Every unit named must be open now, each one its own."""
    open_units = Counter(unit.product_id for unit in request.with_status("dispatched"))
    for product_id, wanted in Counter(product_ids).items():
        if wanted > open_units[product_id]:
            return _closed(request, operation, product_id)
    return None


def apply(write: Write) -> bool:
    """Move one open unit, or note the failure. Ships the first of equal units, rejects and cancels the last."""
    done, failed = write.request.results.setdefault(write.operation, ([], []))
    entry = {"product_id": write.product_id, **write.said, "received_at": write.received_at}
    candidates = [unit for unit in write.request.with_status("dispatched") if unit.product_id == write.product_id]
    if write.refused or not candidates:
        code, description = _REFUSED if write.refused else _closed(write.request, write.operation, write.product_id)
        failed.append(entry | {"error_code": code, "error_description": description})
        return False
    unit = candidates[0 if write.operation == "shipment" else -1]
    unit.status = BECOMES[write.operation]
    unit.reason = write.said.get("reason")
    unit.carrier = write.said.get("carrier")
    unit.tracking_code = write.said.get("tracking_code")
    named = {"item_id": unit.item_id} if write.operation == "canceled_items" else {}
    done.append(named | entry | {"accepted_at": now()})
    return True


_REFUSED = ("refused", "The simulator was asked to refuse this")


def _closed(request: Request, operation: str, product_id: str) -> Refusal:
    found: Sequence[str] = [unit.status for unit in request.units if unit.product_id == product_id]
    for status in (BECOMES[operation], *BECOMES.values()):
        if status in found:
            return f"already_{status}", f"{product_id} was already {status}"
    return "unknown_product", f"The request does not have that many units of {product_id}"
