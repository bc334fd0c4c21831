"""What is told of a request from outside, as one typed message each; what people command is in `acts`."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from .deliveries import READ_BACK, Operation, Parcel


class Word(StrEnum):
    """What a provider can say of units."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    SHIPPED = "shipped"
    BACKORDERED = "backordered"  # it lacks them now, and may get them


class RejectionReason(StrEnum):
    """NewStore's two reasons: `no_inventory` also sets the DC's stock to zero, `cannot_fulfill` only excludes it."""

    NO_INVENTORY = "no_inventory"
    CANNOT_FULFILL = "cannot_fulfill"


class SameParcel(StrEnum):
    """What a provider means by a second message about the same parcel and product."""

    ANOTHER_PIECE = "another_piece"  # as many more as it names
    REPETITION = "repetition"  # what it told before
    TOTAL = "total"  # all that the parcel holds of the product by now
    ASK = "ask"  # nobody knows: a person decides


class OnProviderCancel(StrEnum):
    """What a location does with a provider's own "cancelled", of which NewStore has no word for why."""

    QUARANTINE = "quarantine"
    REJECT = "reject"
    CANCEL = "cancel"


Words = tuple[tuple[str, str], ...]
"""Words that are not mapped, each with what kind of word it is."""


class AcceptWhen(StrEnum):
    """When a location tells NewStore that a request is accepted."""

    SAID = "said"  # once the provider says so
    TAKEN = "taken"  # once it has taken the order


class OnBackorder(StrEnum):
    """What a location does with units that its provider lacks now, and may get."""

    WAIT = "wait"
    REJECT = "reject"  # once the provider has stopped


class AfterGrace(StrEnum):
    """What follows where a back order has waited for as long as it may."""

    PERSON = "person"
    REJECT = "reject"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receive:
    """NewStore asks a DC to fulfill a request. `provider` is None where the location has none."""

    request_id: str
    at: datetime
    location: str
    provider: str | None
    order_id: str | None
    service_level: str | None
    products: tuple[str, ...]
    fingerprint: str  # hex SHA-256 of what the body says, however it is spelled

    @property
    def cause(self) -> str:
        return f"newstore:{self.location}:{self.fingerprint[:16]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """A request that had no provider gets one."""

    request_id: str
    at: datetime
    provider: str
    fingerprint: str = ""

    @property
    def cause(self) -> str:
        return "gateway:routing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSaid:
    """A provider's message. `items` counts units by product; None means every unit that is still open.

    `uncounted` are lines by product that give no count, at least one unit each. `unread` names what of the message was
    not understood and may change what it means: it is then left to a person.
    `word` is None when the adapter does not know the provider's word; `problem` then says which it was.
    `is_proof` tells that a rejection by this provider is its promise not to ship (its contract says so); where it is
    none, an order of which nothing else is open is stopped there first, if it can be (`can_withdraw`).
    `is_total` tells that the counts are those by now, and not what came to them; `as_of` when that was so.
    `unmapped` are words of the provider of which nobody has said what they mean; it is then left to a person, too.
    `is_hint`: it says nothing itself, only that the order is to be read.
    `replays` is the cause of the quarantined message that a person applies again by this one.
    """

    request_id: str
    at: datetime
    provider: str
    cause: str
    fingerprint: str
    word: Word | None
    items: Mapping[str, int] | None = None
    uncounted: Mapping[str, int] = field(default_factory=dict)
    unread: str = ""
    reason: RejectionReason | None = None
    parcel: Parcel | None = None
    same_parcel: SameParcel = SameParcel.ASK
    problem: str = ""
    unmapped: Words = ()
    is_proof: bool = True
    can_withdraw: bool = False
    is_total: bool = False
    as_of: datetime | None = None
    is_hint: bool = False
    on_cancel: OnProviderCancel = OnProviderCancel.QUARANTINE
    on_backorder: OnBackorder = OnBackorder.WAIT
    replays: str = ""
    replayed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTaken:
    """The destination took an owed write. `found` when a look-up or read-back showed it, not the call's own answer.

    `accepts`: its location tells NewStore of an order that was taken that it is accepted.
    Of a look-up that a person asked for it is the answer; of a withdrawal `proof` says how the provider stopped; of a
    read of the order `answer` is what came, kept with the try.
    """

    request_id: str
    at: datetime
    operation: Operation
    seq: int
    attempt: int
    provider_order: str | None = None
    found: bool = False
    accepts: bool = False
    verifiable: bool = True
    proof: str = ""
    answer: bytes = b""
    fingerprint: str = ""

    @property
    def cause(self) -> str:
        return f"call:{self.operation}:{self.seq}:{self.attempt}"


class End(StrEnum):
    """Why a delivery ended without being taken."""

    REFUSED = "refused"  # the destination said no, for good
    EXHAUSTED = "exhausted"  # the retry schedule is used up
    UNDECIDABLE = "undecidable"  # it may have happened, and nothing can tell
    ABSENT = "absent"  # it could have happened, and a look-up that a person asked for found nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class CallEnded:
    """An owed write will not be tried again by itself."""

    request_id: str
    at: datetime
    operation: Operation
    seq: int
    attempt: int
    end: End
    detail: str
    fingerprint: str = ""

    @property
    def cause(self) -> str:
        return f"call:{self.operation}:{self.seq}:{self.attempt}"


Key = tuple[str, str | None, str | None]
"""What NewStore counts units by: product, and for shipments carrier and tracking code in their normal form."""


SHOWN = "read:"
"""How the causes begin of what NewStore shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """What NewStore shows for one kind of report: units taken and units refused (with the reason), by key.

    `parcels` gives the parcel of each shipment report by its seq. `overdue`: the time-box for a proof has passed.
    `seq` is 0 for the regular read-back and else the recheck that was asked for; `answered` is False where NewStore
    gave no answer that can be read, `exists` where it shows such reports nowhere. `refusals` is what was said of
    refused units, kept with the try; `spelled` gives the parcel of a key as NewStore writes it.
    """

    request_id: str
    at: datetime
    operation: Operation
    attempt: int
    taken: Mapping[Key, int]
    refused: Mapping[Key, tuple[int, str]]
    parcels: Mapping[int, Parcel]
    overdue: bool
    seq: int = 0
    answered: bool = True
    exists: bool = True
    refusals: bytes = b""
    spelled: Mapping[Key, Parcel] = field(default_factory=dict)
    fingerprint: str = ""

    @property
    def cause(self) -> str:
        return f"{SHOWN}{self.operation}:{self.at.isoformat()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compare:
    """Find out what NewStore shows of a restored request beyond its log, once for each hold that was released."""

    request_id: str
    at: datetime
    hold: int
    read_backs: frozenset[Operation] = frozenset(READ_BACK)  # the reports that this tenant reads back
    fingerprint: str = ""

    @property
    def cause(self) -> str:
        return f"gateway:released:{self.hold}"


class Deadline(StrEnum):
    """What a provider has a certain time for."""

    ACKNOWLEDGE = "acknowledge"  # to take the order: `acknowledge_within`
    ACCEPT = "accept"  # to accept units of an order that it has: `accept_within`
    BACKORDER = "backorder"  # to get the units that it lacks: the location's `backorder_grace`


@dataclass(frozen=True, slots=True, kw_only=True)
class Overdue:
    """Time has passed: the `seconds` that the settings give this provider for something are over.

    They count from `since`. `can_read`: it can be asked how the order stands. `after` is what follows a back order; to
    reject it, the provider is stopped first, if it can be (`can_withdraw`).
    """

    request_id: str
    at: datetime
    deadline: Deadline
    provider: str
    assignment: int
    since: datetime
    seconds: float
    can_read: bool
    after: AfterGrace = AfterGrace.PERSON
    can_withdraw: bool = False
    fingerprint: str = ""

    @property
    def cause(self) -> str:
        return f"gateway:overdue:{self.deadline}:{self.assignment}:{self.since.isoformat()}"


def replayed(said: ProviderSaid, at: datetime, who: str) -> ProviderSaid:
    """Make the command that applies a quarantined message again; given twice it is applied once."""
    return replace(said, at=at, cause=f"{said.cause}~1", replays=said.cause, replayed_by=who)
