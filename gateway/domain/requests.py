"""A fulfillment request: one row, the fold of its events, and what is derived from it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from .commands import Deadline, End, RejectionReason
from .deliveries import AT_PROVIDER, NEWSTORE, READ_BACKS, Delivery, Operation, Parcel
from .units import Confirmed, Said, Unit, confirm


class Status(StrEnum):
    """NewStore's own words for how far a request is."""

    DISPATCHED = "dispatched"
    ACKNOWLEDGED = "acknowledged"
    PARTIALLY_COMPLETED = "partially_completed"
    COMPLETED = "completed"


# status -> statuses allowed next; a step may be skipped, none is taken back but by a person's discard.
STATUS_NEXT: dict[Status, frozenset[Status]] = {
    Status.DISPATCHED: frozenset({Status.ACKNOWLEDGED, Status.PARTIALLY_COMPLETED, Status.COMPLETED}),
    Status.ACKNOWLEDGED: frozenset({Status.PARTIALLY_COMPLETED, Status.COMPLETED}),
    Status.PARTIALLY_COMPLETED: frozenset({Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Dead:
    """A delivery that ended without being taken; it waits for a person."""

    operation: Operation
    seq: int
    end: End


@dataclass(frozen=True, slots=True)
class Missed:
    """A deadline that its provider has missed; `answered`: a person has found out why, and said so."""

    deadline: Deadline
    answered: bool = False


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A withdrawal that was asked of the provider, and what is to follow it: one of the two, never both."""

    to: str | None  # reroute to this provider
    rejection_reason: RejectionReason | None  # reject the open units
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """A callback that could not be followed, in our words; `message` is its cause."""

    message: str
    word: str
    detail: str


@dataclass(frozen=True, slots=True)
class Request:
    """The state of one fulfillment request after `version` events."""

    id: str
    version: int
    location: str
    order_id: str | None
    service_level: str | None
    reference: str
    provider: str | None
    assignment: int
    fingerprint: str
    received_at: datetime
    changed_at: datetime
    units: tuple[Unit, ...]
    submitted_at: datetime | None = None
    accepted_at: datetime | None = None
    shipped_at: datetime | None = None
    settled_at: datetime | None = None
    surplus: bool = False
    conflicts: int = 0
    quarantined: int = 0
    owed: tuple[Delivery, ...] = ()
    dead: tuple[Dead, ...] = ()
    closed: bool = False
    taken_by: str | None = None
    withdrawal: Withdrawal | None = None
    withdrawn: bool = False
    """The provider will do nothing more with the open units."""
    refused: tuple[Refusal, ...] = ()
    """The callbacks that nobody has put right or answered yet."""
    former: tuple[str, ...] = ()
    """The providers that it was taken from."""
    restored: bool = field(default=False, compare=False)
    """Its story may lack what happened after the backup that it comes from."""
    missed: tuple[Missed, ...] = ()
    """The deadlines that this assignment has missed: each is told once."""
    backordered: tuple[int, ...] = ()
    """The open units that its provider lacks, and may get."""
    backordered_at: datetime | None = None
    """Since when it lacks any."""
    untold: tuple[int, ...] = ()
    """The units that NewStore showed beyond a restored log, and of which the provider has told nothing yet."""
    causes: Mapping[str, str] = field(default_factory=dict)
    """Message -> fingerprint: all that were applied in a fold; from the ledger only those asked about."""
    parcels: Mapping[int, Parcel] = field(default_factory=dict, compare=False)
    """Unit -> parcel in which it was shipped, as last told; from the ledger only where a command needs it."""

    @property
    def status(self) -> Status:
        final = sum(unit.said is not Said.OPEN for unit in self.units)
        if final == len(self.units):
            return Status.COMPLETED
        if final:
            return Status.PARTIALLY_COMPLETED
        return Status.ACKNOWLEDGED if self.accepted_at else Status.DISPATCHED

    @property
    def is_pending(self) -> bool:
        """A unit not said final, or said and not yet proved; nothing once a person has closed the request."""
        return not self.closed and not all(unit.is_settled for unit in self.units)

    @property
    def failure(self) -> str | None:
        """Why a person must look: refused, unverified, a dead delivery, more shown than sent, or a contradiction."""
        return self._contradicted() if self.closed else self._failure()

    def _contradicted(self) -> str | None:
        if self.conflicts:
            return "conflict"
        return "callback_refused" if self.refused else None

    def _failure(self) -> str | None:
        confirmed = {unit.confirmed for unit in self.units}
        if Confirmed.REFUSED in confirmed:
            return "refused"
        if Confirmed.UNVERIFIED in confirmed:
            return "unverified"
        if self.surplus:
            return "surplus"
        if self.dead and self.is_pending:
            return f"dead_{self.dead[0].operation}"
        if self.withdrawn and self.open_units:
            return "withdrawn"
        return self._contradicted() or self._overdue()

    def _overdue(self) -> str | None:
        late = (each.deadline for each in self.missed if not each.answered and self.is_due(each.deadline))
        return next((f"overdue_{deadline}" for deadline in late), None)

    @property
    def open_units(self) -> tuple[int, ...]:
        """The units of which the provider has said nothing final."""
        return tuple(index for index, unit in enumerate(self.units) if unit.said is Said.OPEN)

    @property
    def unproved_rejections(self) -> tuple[int, ...]:
        """The rejected units of which nothing proves yet that the provider will not ship them."""
        return tuple(
            index for index, unit in enumerate(self.units) if unit.said is Said.REJECTED and not unit.reported_by
        )

    @property
    def is_cut_off(self) -> bool:
        """It waits for a provider who may have told everything in the part of the log that a restore has lost."""
        return self.restored and self.is_pending and bool(self.open_units or self.unproved_rejections)

    @property
    def is_asking(self) -> bool:
        """NewStore is being asked what it shows of this, beside the regular read-backs."""
        return any(owed.operation in READ_BACKS and owed.seq for owed in self.owed)

    def is_due(self, deadline: Deadline) -> bool:
        """Tell whether its provider has yet to do this."""
        if not self.is_pending or not self.open_units or self.provider is None:
            return False
        if deadline is Deadline.ACKNOWLEDGE:
            is_given_up = any(each.operation is Operation.CREATE for each in self.dead)
            return self.submitted_at is None and not self.is_known_to_provider and not is_given_up
        if deadline is Deadline.BACKORDER:
            return bool(self.backordered)
        return self.submitted_at is not None and self.accepted_at is None

    @property
    def is_known_to_provider(self) -> bool:
        """Its provider has spoken of it."""
        return bool(self.backordered) or any(unit.accepted or unit.said is not Said.OPEN for unit in self.units)

    @property
    def is_rejected(self) -> bool:
        """Rejected units not yet proved, or waiting at NewStore until their siblings are final."""
        rejected = [unit for unit in self.units if unit.said is Said.REJECTED]
        return (not self.closed and bool(rejected)) and (
            not all(unit.is_settled for unit in rejected) or any(unit.said is Said.OPEN for unit in self.units)
        )

    def has_settled(self, said: Said) -> bool:
        """Tell whether any unit of this kind is proved at NewStore."""
        return any(unit.said is said and unit.is_settled for unit in self.units)

    def assignment_of(self, provider: str) -> int:
        """Tell as which of its assignments this provider has the request or had it; 0 for one that never had."""
        if provider == self.provider:
            return self.assignment
        return self.former.index(provider) + 1 if provider in self.former else 0

    def owes(self, operation: Operation, seq: int) -> bool:
        """Tell whether this very delivery is still owed."""
        return any(owed.has_key(operation, seq) for owed in self.owed)

    def delivery(self, operation: Operation, seq: int, *, in_doubt: bool = False) -> Delivery:
        """Make a delivery of this request, to its provider or to NewStore."""
        destination = (self.provider or "") if operation in AT_PROVIDER else NEWSTORE
        return Delivery(destination, operation, seq, in_doubt=in_doubt)

    def with_each(self, indices: Iterable[int], change: Callable[[Unit], Unit]) -> "Request":
        """Give the request with these units changed."""
        units = list(self.units)
        for index in indices:
            units[index] = change(units[index])
        return replace(self, units=tuple(units))

    def with_confirmed(self, indices: Iterable[int], confirmed: Confirmed) -> "Request":
        """Give the request with this confirmed of these units."""
        return self.with_each(indices, lambda unit: confirm(unit, confirmed))

    def with_conflict(self) -> "Request":
        """Give the request with one contradiction more."""
        return replace(self, conflicts=self.conflicts + 1)

    def in_stock(self, units: Iterable[int]) -> "Request":
        """Give the request with these units no longer waited for; the next back order begins anew with the last one."""
        left = tuple(index for index in self.backordered if index not in units)
        if left:
            return replace(self, backordered=left)
        missed = tuple(each for each in self.missed if each.deadline is not Deadline.BACKORDER)
        return replace(self, backordered=(), backordered_at=None, missed=missed)

    def without_dead(self, *operations: Operation) -> "Request":
        """Give the request without the dead deliveries of these kinds."""
        if not self.dead:
            return self
        return replace(self, dead=tuple(each for each in self.dead if each.operation not in operations))

    @property
    def ready(self) -> tuple[Delivery, ...]:
        """The deliveries that may go out now: of the writes to one destination only the first, and every read."""
        heads: dict[str, Delivery] = {}
        for delivery in self.owed:
            if not delivery.is_read:
                heads.setdefault(delivery.destination, delivery)
        return tuple(d for d in self.owed if d.is_read or heads[d.destination] is d)
