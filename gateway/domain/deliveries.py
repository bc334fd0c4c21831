"""The calls that a request owes to the outside: one delivery is one owed call."""

from dataclasses import dataclass
from enum import StrEnum

from .units import Said

NEWSTORE = "newstore"
"""The destination of every report; every other destination is a provider's name."""


class Operation(StrEnum):
    """What a delivery does at its destination."""

    CREATE = "create"
    ACKNOWLEDGE = "acknowledge"
    SHIP = "ship"
    REJECT = "reject"
    CANCEL = "cancel"
    READ_SHIPMENT = "read_shipment"
    READ_REJECTION = "read_rejection"
    READ_CANCELLATION = "read_cancellation"


READ_BACK = {
    Operation.SHIP: Operation.READ_SHIPMENT,
    Operation.REJECT: Operation.READ_REJECTION,
    Operation.CANCEL: Operation.READ_CANCELLATION,
}
"""Which read-back proves which report."""

READS = frozenset(READ_BACK.values())

REPORT = {Said.SHIPPED: Operation.SHIP, Said.REJECTED: Operation.REJECT, Said.CANCELLED: Operation.CANCEL}
"""Which report tells NewStore what was said of a unit."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One owed call; `seq` is the version of the event that owes it, 0 for a read-back (one per resource)."""

    destination: str
    operation: Operation
    seq: int

    @property
    def is_read(self) -> bool:
        return self.operation in READS


@dataclass(frozen=True, slots=True)
class Parcel:
    """One parcel as the provider named it."""

    carrier: str
    tracking_code: str
    tracking_url: str | None = None
