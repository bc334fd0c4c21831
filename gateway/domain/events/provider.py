"""What is said of units by the provider, or by a person in its place."""

from dataclasses import dataclass, replace

from gateway.domain.commands import RejectionReason
from gateway.domain.deliveries import Delivery, Operation, Parcel
from gateway.domain.requests import Request
from gateway.domain.units import Said, say

from .event import Event, Party, UnitsFact


@dataclass(frozen=True, slots=True)
class UnitsAccepted(UnitsFact):
    kind = "units_accepted"
    hands_to = Party.GATEWAY
    counts = "accepted_units"

    units: tuple[int, ...]

    def apply(self, request: Request, event: Event) -> Request:
        after = request.with_each(self.units, lambda unit: replace(unit, accepted=event.version)).in_stock(self.units)
        return replace(after, accepted_at=request.accepted_at or event.at).without_dead(Operation.CREATE)

    def owes(self, before: Request | None, request: Request, event: Event) -> Delivery | None:
        """NewStore is told once, of the first."""
        is_first = before is None or before.accepted_at is None
        return request.delivery(Operation.ACKNOWLEDGE, event.version) if is_first else None


@dataclass(frozen=True, slots=True)
class UnitsBackordered(UnitsFact):
    """The provider lacks them now, and may get them; NewStore has no word for that, and is told nothing."""

    kind = "units_backordered"
    hands_to = Party.PROVIDER
    counts = "backordered_units"

    units: tuple[int, ...]

    def apply(self, request: Request, event: Event) -> Request:
        lacking = tuple(sorted({*request.backordered, *self.units}))
        since = request.backordered_at or event.at
        return replace(request, backordered=lacking, backordered_at=since).without_dead(Operation.CREATE)


@dataclass(frozen=True, slots=True)
class UnitsShipped(UnitsFact):
    kind = "units_shipped"
    hands_to = Party.GATEWAY
    calls = Operation.SHIP
    final = Said.SHIPPED
    counts = "shipped_units"

    units: tuple[int, ...]
    parcel: Parcel

    def apply(self, request: Request, event: Event) -> Request:
        after = request.with_each(self.units, lambda unit: say(unit, Said.SHIPPED, event.version))
        parcels = {**request.parcels, **dict.fromkeys(self.units, self.parcel)}
        return replace(after, shipped_at=request.shipped_at or event.at, parcels=parcels)

    @property
    def search_keys(self) -> tuple[tuple[str, str], ...]:
        return (("tracking_code", self.parcel.tracking_code),)


@dataclass(frozen=True, slots=True)
class UnitsRejected(UnitsFact):
    """`who` and `remark` are given where a person rejected them."""

    kind = "units_rejected"
    hands_to = Party.GATEWAY
    final = Said.REJECTED
    counts = "rejected_units"

    units: tuple[int, ...]
    reason: RejectionReason
    who: str = ""
    remark: str = ""

    def apply(self, request: Request, _: Event) -> Request:
        after = request.with_each(self.units, lambda unit: say(unit, Said.REJECTED, 0))
        return after.without_dead(Operation.CREATE)


@dataclass(frozen=True, slots=True)
class RejectionProven(UnitsFact):
    """Proof that the provider will not ship these rejected units: only now may NewStore be told."""

    kind = "units_withdrawn"
    hands_to = Party.GATEWAY
    calls = Operation.REJECT

    units: tuple[int, ...]
    reason: RejectionReason
    proof: str

    def apply(self, request: Request, event: Event) -> Request:
        return request.with_each(self.units, lambda unit: replace(unit, reported_by=event.version))


@dataclass(frozen=True, slots=True)
class UnitsCancelled(UnitsFact):
    kind = "units_cancelled"
    hands_to = Party.GATEWAY
    calls = Operation.CANCEL
    final = Said.CANCELLED
    counts = "cancelled_units"

    units: tuple[int, ...]

    def apply(self, request: Request, event: Event) -> Request:
        after = request.with_each(self.units, lambda unit: say(unit, Said.CANCELLED, event.version))
        return after.without_dead(Operation.CREATE)
