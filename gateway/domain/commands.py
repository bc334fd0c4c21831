"""Everything that can happen to a request from outside, as one typed message each."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from .deliveries import Operation, Parcel


class Word(StrEnum):
    """What a provider can say of units."""

    ACCEPTED = "accepted"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    SHIPPED = "shipped"


class RejectionReason(StrEnum):
    """NewStore's two reasons: `no_inventory` also sets the DC's stock to zero, `cannot_fulfill` only excludes it."""

    NO_INVENTORY = "no_inventory"
    CANNOT_FULFILL = "cannot_fulfill"


class OnProviderCancel(StrEnum):
    """What a location does with a provider's own "cancelled", of which NewStore has no word for why."""

    QUARANTINE = "quarantine"
    REJECT = "reject"
    CANCEL = "cancel"


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
    fingerprint: str  # hex SHA-256 of the body as it came

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

    `word` is None when the adapter does not know the provider's word; `problem` then says which it was.
    `is_proof` tells that a rejection by this provider is its promise not to ship (its contract says so).
    """

    request_id: str
    at: datetime
    provider: str
    cause: str
    fingerprint: str
    word: Word | None
    items: Mapping[str, int] | None = None
    reason: RejectionReason | None = None
    parcel: Parcel | None = None
    problem: str = ""
    is_proof: bool = True
    on_cancel: OnProviderCancel = OnProviderCancel.QUARANTINE


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTaken:
    """The destination took an owed write. `found` when a look-up or read-back showed it, not the call's own answer."""

    request_id: str
    at: datetime
    operation: Operation
    seq: int
    attempt: int
    provider_order: str | None = None
    found: bool = False
    verifiable: bool = True
    fingerprint: str = ""

    @property
    def cause(self) -> str:
        return f"call:{self.operation}:{self.seq}:{self.attempt}"


class End(StrEnum):
    """Why a delivery ended without being taken."""

    REFUSED = "refused"  # the destination said no, for good
    EXHAUSTED = "exhausted"  # the retry schedule is used up
    UNDECIDABLE = "undecidable"  # it may have happened, and nothing can tell


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
"""What NewStore counts units by: product, and for shipments carrier and tracking code."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """What NewStore shows for one kind of report: units taken and units refused (with the reason), by key.

    `parcels` gives the parcel of each shipment report by its seq. `overdue`: the time-box for a proof has passed.
    """

    request_id: str
    at: datetime
    operation: Operation
    attempt: int
    taken: Mapping[Key, int]
    refused: Mapping[Key, tuple[int, str]]
    parcels: Mapping[int, Parcel]
    overdue: bool
    fingerprint: str = ""

    @property
    def cause(self) -> str:
        return f"read:{self.operation}:{self.at.isoformat()}"


Command = Receive | Assign | ProviderSaid | CallTaken | CallEnded | ReadBack
