"""How owed calls went, and what is owed or looked at once more."""

from dataclasses import dataclass, replace

from gateway.domain.commands import Deadline, End
from gateway.domain.deliveries import READ_BACK, READ_BACKS, Delivery, Operation, Parcel
from gateway.domain.requests import Dead, Request
from gateway.domain.units import Confirmed, Unit, confirm

from .event import Event, Fact, OverdueFact, Party, UnitsFact


@dataclass(frozen=True, slots=True)
class Submitted(Fact):
    kind = "submitted"
    hands_to = Party.PROVIDER

    seq: int
    provider_order: str | None
    found: bool

    def apply(self, request: Request, event: Event) -> Request:
        return replace(request.without_dead(Operation.CREATE), submitted_at=request.submitted_at or event.at)

    def settles(self, delivery: Delivery) -> bool:
        return delivery.has_key(Operation.CREATE, self.seq)

    @property
    def search_keys(self) -> tuple[tuple[str, str], ...]:
        return (("provider_order", self.provider_order),) if self.provider_order else ()


@dataclass(frozen=True, slots=True)
class Acknowledged(Fact):
    kind = "acknowledged"
    hands_to = Party.PROVIDER

    seq: int

    def settles(self, delivery: Delivery) -> bool:
        return delivery.has_key(Operation.ACKNOWLEDGE, self.seq)


@dataclass(frozen=True, slots=True)
class Reported(Fact):
    kind = "reported"
    hands_to = Party.NEWSTORE

    operation: Operation
    seq: int
    found: bool
    verifiable: bool

    def apply(self, request: Request, _: Event) -> Request:
        confirmed = Confirmed.SENT if self.verifiable else Confirmed.UNVERIFIABLE
        after = request.with_confirmed(_of_report(request, self.seq), confirmed)
        return replace(after, dead=tuple(each for each in after.dead if each.seq != self.seq))

    def owes(self, _: Request | None, request: Request, __: Event) -> Delivery | None:
        return request.delivery(READ_BACK[self.operation], 0) if self.verifiable else None

    def settles(self, delivery: Delivery) -> bool:
        return delivery.has_key(self.operation, self.seq)


@dataclass(frozen=True, slots=True)
class ReportRefused(Fact):
    kind = "report_refused"
    hands_to = Party.OPERATIONS
    counts = "refused_units"

    operation: Operation
    seq: int
    reason: str

    def apply(self, request: Request, _: Event) -> Request:
        return request.with_confirmed(_of_report(request, self.seq), Confirmed.REFUSED)

    def settles(self, delivery: Delivery) -> bool:
        return delivery.has_key(self.operation, self.seq)

    def counted(self, request: Request) -> int:
        return sum(unit.reported_by == self.seq for unit in request.units)


@dataclass(frozen=True, slots=True)
class DeliveryDied(Fact):
    kind = "delivery_died"
    hands_to = Party.OPERATIONS

    operation: Operation
    seq: int
    end: End
    detail: str

    def apply(self, request: Request, _: Event) -> Request:
        if self.operation is Operation.CREATE and request.is_known_to_provider:
            return request
        return replace(request, dead=(*request.dead, Dead(self.operation, self.seq, self.end)))

    def settles(self, delivery: Delivery) -> bool:
        return delivery.has_key(self.operation, self.seq)


@dataclass(frozen=True, slots=True)
class Redriven(UnitsFact):
    """A person owes a delivery once more. `units` are those of a report; `was_seq` is the delivery it repeats.

    `parcel` is given where a shipment is told in other words than before.
    """

    kind = "redriven"
    hands_to = Party.GATEWAY

    operation: Operation
    was_seq: int
    units: tuple[int, ...]
    in_doubt: bool
    who: str
    reason: str
    parcel: Parcel | None = None

    def apply(self, request: Request, event: Event) -> Request:
        dead = tuple(each for each in request.dead if (each.operation, each.seq) != (self.operation, self.was_seq))
        parcels = {**request.parcels, **dict.fromkeys(self.units, self.parcel)} if self.parcel else request.parcels
        after = request.with_each(self.units, lambda unit: self._owed_again(unit, event.version))
        return replace(after, dead=dead, parcels=parcels)

    def _owed_again(self, unit: Unit, by: int) -> Unit:
        unsent = unit if unit.confirmed is Confirmed.NOT_SENT else confirm(unit, Confirmed.NOT_SENT)
        # NewStore counts by parcel, and of this one it has refused nothing yet.
        return replace(unsent, reported_by=by, refusals=0 if self.parcel else unit.refusals)

    def owes(self, _: Request | None, request: Request, event: Event) -> Delivery | None:
        seq = 0 if self.operation in READ_BACKS and not self.was_seq else event.version
        return request.delivery(self.operation, seq, in_doubt=self.in_doubt)

    @property
    def search_keys(self) -> tuple[tuple[str, str], ...]:
        return (("tracking_code", self.parcel.tracking_code),) if self.parcel else ()


@dataclass(frozen=True, slots=True)
class RecheckAsked(Fact):
    """A person, or the gateway after a restore, wants to know what became of a kind of call; `operation` tells it."""

    kind = "recheck_asked"
    hands_to = Party.GATEWAY
    begins_wait = False

    operation: Operation
    who: str
    reason: str

    def owes(self, _: Request | None, request: Request, event: Event) -> Delivery | None:
        return request.delivery(self.operation, event.version)


@dataclass(frozen=True, slots=True)
class Rechecked(Fact):
    """That read was made; of a look-up `outcome` is "found" or "absent", else a count or what went wrong."""

    kind = "rechecked"
    begins_wait = False

    operation: Operation
    seq: int
    outcome: str

    def apply(self, request: Request, _: Event) -> Request:
        if self.operation is not Operation.LOOK_UP or self.outcome != "absent":
            return request
        absent = (Dead(d.operation, d.seq, End.ABSENT) if d.operation is Operation.CREATE else d for d in request.dead)
        return replace(request, dead=tuple(absent))

    def settles(self, delivery: Delivery) -> bool:
        return delivery.has_key(self.operation, self.seq)


@dataclass(frozen=True, slots=True)
class AcknowledgementOverdue(OverdueFact):
    """The provider has not taken the order."""

    kind = "acknowledgement_overdue"
    deadline = Deadline.ACKNOWLEDGE
    counted_as = deadline


@dataclass(frozen=True, slots=True)
class AcceptanceOverdue(OverdueFact):
    """The provider has taken the order, and accepted nothing of it."""

    kind = "acceptance_overdue"
    deadline = Deadline.ACCEPT
    counted_as = deadline


@dataclass(frozen=True, slots=True)
class BackorderOverdue(OverdueFact):
    """The provider has lacked units for as long as their back order may wait."""

    kind = "backorder_overdue"
    deadline = Deadline.BACKORDER
    counted_as = deadline


@dataclass(frozen=True, slots=True)
class OrderReadAsked(Fact):
    """How the order stands is to be read at this provider, which has it or had it: it hinted at news, or is silent."""

    kind = "order_read_asked"
    begins_wait = False

    provider: str

    def owes(self, _: Request | None, __: Request, event: Event) -> Delivery | None:
        return Delivery(self.provider, Operation.READ_ORDER, event.version)


@dataclass(frozen=True, slots=True)
class OrderRead(Fact):
    """It was read there, and what the answer says is stored; so is what was asked before this read began."""

    kind = "order_read"
    begins_wait = False

    provider: str
    seq: int

    def apply(self, request: Request, _: Event) -> Request:
        return request.without_dead(Operation.READ_ORDER)

    def settles(self, delivery: Delivery) -> bool:
        is_there = delivery.operation is Operation.READ_ORDER and delivery.destination == self.provider
        return is_there and delivery.seq <= self.seq


def _of_report(request: Request, seq: int) -> list[int]:
    return [
        i for i, unit in enumerate(request.units) if unit.reported_by == seq and unit.confirmed is Confirmed.NOT_SENT
    ]
