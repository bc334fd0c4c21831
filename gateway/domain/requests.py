"""A fulfillment request: one row, the fold of its events, and what is derived from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .deliveries import Delivery, Operation
from .units import Confirmed, Said, Unit


class Status(StrEnum):
    """NewStore's own words for how far a request is."""

    DISPATCHED = "dispatched"
    ACKNOWLEDGED = "acknowledged"
    PARTIALLY_COMPLETED = "partially_completed"
    COMPLETED = "completed"


# status -> statuses allowed next; a step may be skipped, none is taken back.
STATUS_NEXT: dict[Status, frozenset[Status]] = {
    Status.DISPATCHED: frozenset({Status.ACKNOWLEDGED, Status.PARTIALLY_COMPLETED, Status.COMPLETED}),
    Status.ACKNOWLEDGED: frozenset({Status.PARTIALLY_COMPLETED, Status.COMPLETED}),
    Status.PARTIALLY_COMPLETED: frozenset({Status.COMPLETED}),
    Status.COMPLETED: frozenset(),
}


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
    dead: tuple[tuple[Operation, int], ...] = ()
    causes: Mapping[str, str] = field(default_factory=dict)
    """Message -> fingerprint: all that were applied in a fold; from the ledger only those asked about."""

    @property
    def status(self) -> Status:
        final = sum(unit.said is not Said.OPEN for unit in self.units)
        if final == len(self.units):
            return Status.COMPLETED
        if final:
            return Status.PARTIALLY_COMPLETED
        return Status.ACKNOWLEDGED if any(unit.accepted for unit in self.units) else Status.DISPATCHED

    @property
    def is_pending(self) -> bool:
        """A unit not said final, or said and not yet proved."""
        return not all(unit.is_settled for unit in self.units)

    @property
    def failure(self) -> str | None:
        """Why a person must look: refused, unverified, a dead delivery, or more shown than sent."""
        confirmed = {unit.confirmed for unit in self.units}
        if Confirmed.REFUSED in confirmed:
            return "refused"
        if Confirmed.UNVERIFIED in confirmed:
            return "unverified"
        if self.surplus:
            return "surplus"
        if self.dead and self.is_pending:
            return f"dead_{self.dead[0][0]}"
        return None

    @property
    def is_rejected(self) -> bool:
        """Rejected units not yet proved, or waiting at NewStore until their siblings are final."""
        rejected = [unit for unit in self.units if unit.said is Said.REJECTED]
        return bool(rejected) and (
            not all(unit.is_settled for unit in rejected) or any(unit.said is Said.OPEN for unit in self.units)
        )

    def has_settled(self, said: Said) -> bool:
        """Tell whether any unit of this kind is proved at NewStore."""
        return any(unit.said is said and unit.is_settled for unit in self.units)

    @property
    def ready(self) -> tuple[Delivery, ...]:
        """The deliveries that may go out now: of the writes to one destination only the first, and every read."""
        heads: dict[str, Delivery] = {}
        for delivery in self.owed:
            if not delivery.is_read:
                heads.setdefault(delivery.destination, delivery)
        return tuple(d for d in self.owed if d.is_read or heads[d.destination] is d)
