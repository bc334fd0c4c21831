"""The calls that a request owes to the outside: one delivery is one owed call."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from .units import Said

NEWSTORE = "newstore"
"""The destination of every report; every other destination is a provider's name."""


class Operation(StrEnum):
    """What a delivery does at its destination."""

    CREATE = "create"
    LOOK_UP = "look_up"  # only when a person asks: whether the provider has the order
    WITHDRAW = "withdraw"
    READ_ORDER = "read_order"  # how the order stands at its provider
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

READ_BACKS = frozenset(READ_BACK.values())
"""What is read at NewStore."""

READS = READ_BACKS | {Operation.READ_ORDER}
"""What changes nothing out there: no read waits for another call, and none is ever in doubt."""

AT_PROVIDER = frozenset({Operation.CREATE, Operation.LOOK_UP, Operation.WITHDRAW, Operation.READ_ORDER})
"""What is asked of the provider; all else is told to NewStore."""

HARMLESS = frozenset({Operation.ACKNOWLEDGE, Operation.LOOK_UP, Operation.WITHDRAW})
"""Writes that may be repeated whatever became of them: they change nothing the second time."""

REPORT = {Said.SHIPPED: Operation.SHIP, Said.REJECTED: Operation.REJECT, Said.CANCELLED: Operation.CANCEL}
"""Which report tells NewStore what was said of a unit."""


REVERSALS = frozenset({Operation.REJECT, Operation.CANCEL})
"""The reports that a brake may hold back."""


WRITES = (Operation.ACKNOWLEDGE, *REPORT.values())
"""What NewStore is told; a hold may keep one of them back as a whole."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One owed call; `seq` is the version of the event that owes it, 0 for the regular read-back of a resource.

    How its tries went is no fact of the story: a state folded from events knows only the doubt it began with.
    """

    destination: str
    operation: Operation
    seq: int
    in_doubt: bool = field(default=False, compare=False)  # it may have happened: found out before it is sent
    in_flight: bool = field(default=False, compare=False)
    hold: int = field(default=0, compare=False)  # the number of what keeps it back; 0 where nothing does
    not_before: datetime | None = field(default=None, compare=False)  # until then its destination asked to wait
    unmapped: tuple[tuple[str, str], ...] = field(default=(), compare=False)  # it waits for these words to be mapped

    @property
    def is_read(self) -> bool:
        return self.operation in READS

    @property
    def is_unsent(self) -> bool:
        """No try of it can have been taken."""
        return not (self.in_doubt or self.in_flight)

    def has_key(self, operation: Operation, seq: int) -> bool:
        """Tell whether it is the one delivery of its request that has this operation and number."""
        return self.seq == seq and self.operation is operation


@dataclass(frozen=True, slots=True)
class Parcel:
    """One parcel as NewStore is told of it, and the provider's own words where those are others."""

    carrier: str
    tracking_code: str
    tracking_url: str | None = None
    carrier_said: str | None = None
    code_said: str | None = None

    def is_same(self, other: "Parcel") -> bool:
        """Tell whether the provider named the same parcel."""
        return normal(self.code_said or self.tracking_code) == normal(other.code_said or other.tracking_code)

    def corrected(self, carrier: str, tracking_code: str) -> "Parcel":
        """Give what NewStore is told instead; an empty word leaves what was told."""
        said = (self.carrier_said or self.carrier, self.code_said or self.tracking_code)
        told = (carrier or self.carrier, tracking_code or self.tracking_code)
        words = (None if ours == theirs else theirs for ours, theirs in zip(told, said, strict=True))
        return Parcel(*told, self.tracking_url, *words)

    @property
    def link(self) -> str | None:
        """The tracking URL where a browser may follow it; anything else that was sent as one stays a text."""
        url = self.tracking_url or ""
        return url if url.lower().startswith(("https://", "http://")) and url.isprintable() else None


def normal(text: str | None) -> str:
    """Write a carrier or tracking code as it is compared: without blanks and letter case, and empty where none is."""
    plain = "".join((text or "").split()).casefold()
    return "" if plain == "n/a" else plain
