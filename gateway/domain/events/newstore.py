"""What NewStore shows of what it was told."""

from dataclasses import dataclass, replace

from gateway.domain.deliveries import Delivery, Operation
from gateway.domain.requests import Request
from gateway.domain.units import Confirmed, Said

from .event import Event, Fact, Party, UnitsFact


@dataclass(frozen=True, slots=True)
class UnitsProved(UnitsFact):
    kind = "units_proved"
    counts = "proved_units"

    operation: Operation
    units: tuple[int, ...]

    def apply(self, request: Request, _: Event) -> Request:
        return request.with_confirmed(self.units, Confirmed.PROVED)


@dataclass(frozen=True, slots=True)
class UnitsRefused(UnitsFact):
    kind = "units_refused"
    hands_to = Party.OPERATIONS
    counts = "refused_units"

    operation: Operation
    units: tuple[int, ...]
    reason: str

    def apply(self, request: Request, _: Event) -> Request:
        refused = request.with_confirmed(self.units, Confirmed.REFUSED)
        return refused.with_each(self.units, lambda unit: replace(unit, refusals=unit.refusals + 1))


@dataclass(frozen=True, slots=True)
class UnitsUnverified(UnitsFact):
    kind = "units_unverified"
    hands_to = Party.OPERATIONS

    operation: Operation
    units: tuple[int, ...]

    def apply(self, request: Request, _: Event) -> Request:
        return request.with_confirmed(self.units, Confirmed.UNVERIFIED)


@dataclass(frozen=True, slots=True)
class UnitsUnverifiable(UnitsFact):
    """They were sent, and it was found out that this tenant shows nowhere what became of them."""

    kind = "units_unverifiable"

    operation: Operation
    units: tuple[int, ...]

    def apply(self, request: Request, _: Event) -> Request:
        return request.with_confirmed(self.units, Confirmed.UNVERIFIABLE)


@dataclass(frozen=True, slots=True)
class SurplusShown(Fact):
    """NewStore shows more units taken than we ever sent for this key; `detail` says what a restored log can't place."""

    kind = "surplus_shown"
    hands_to = Party.OPERATIONS

    operation: Operation
    product: str
    surplus: int
    detail: str = ""

    def apply(self, request: Request, _: Event) -> Request:
        return replace(request, surplus=True)


@dataclass(frozen=True, slots=True)
class ShownBeyondLog(UnitsFact):
    """NewStore shows what the log of a restored request lacks: it is what became of these units of one product.

    The facts that follow say it as the provider and the report would have. `refusals` is how often NewStore had refused
    them before.
    """

    kind = "shown_beyond_log"
    hands_to = Party.PROVIDER

    operation: Operation
    units: tuple[int, ...]
    refusals: int
    detail: str

    def apply(self, request: Request, event: Event) -> Request:
        """Await that the provider tells it again; who ships has accepted, and NewStore need not be told so any more."""
        after = request.without_dead(Operation.CREATE)
        after = after.with_each(self.units[:1], lambda unit: replace(unit, refusals=unit.refusals + self.refusals))
        if self.operation is Operation.SHIP:
            after = after.with_each(self.units, lambda unit: replace(unit, accepted=unit.accepted or event.version))
        untold = tuple(index for index in self.units if request.units[index].said is Said.OPEN)
        return replace(after, untold=(*request.untold, *untold))

    def settles(self, delivery: Delivery) -> bool:
        """Somebody had the order: sent now, it would be worked a second time."""
        return delivery.operation is Operation.CREATE
