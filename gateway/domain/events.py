"""What has happened to a request, one type each: the only thing the ledger ever adds to a request's story."""

from dataclasses import dataclass
from datetime import datetime

from .commands import End, RejectionReason
from .deliveries import Operation, Parcel


@dataclass(frozen=True, slots=True)
class RequestReceived:
    location: str
    order_id: str | None
    service_level: str | None
    reference: str
    provider: str | None
    products: tuple[str, ...]
    fingerprint: str


@dataclass(frozen=True, slots=True)
class ProviderAssigned:
    provider: str
    assignment: int


@dataclass(frozen=True, slots=True)
class ConflictingBody:
    """The same id came again with another body; it is kept and not delivered."""

    fingerprint: str


@dataclass(frozen=True, slots=True)
class ConflictingLocation:
    """The same id came again for another DC; it is kept and not delivered."""

    location: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Submitted:
    seq: int
    provider_order: str | None
    found: bool


@dataclass(frozen=True, slots=True)
class UnitsAccepted:
    units: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnitsShipped:
    units: tuple[int, ...]
    parcel: Parcel


@dataclass(frozen=True, slots=True)
class UnitsRejected:
    units: tuple[int, ...]
    reason: RejectionReason


@dataclass(frozen=True, slots=True)
class UnitsWithdrawn:
    """Proof that the provider will not ship these rejected units: only now may NewStore be told."""

    units: tuple[int, ...]
    reason: RejectionReason
    proof: str


@dataclass(frozen=True, slots=True)
class UnitsCancelled:
    units: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CallbackRefused:
    word: str
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class CallbackWithoutEffect:
    """The provider said again, in another message, what was already so."""

    word: str


@dataclass(frozen=True, slots=True)
class CallbackQuarantined:
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class ConflictingCallback:
    """A message came again under the same id with other content."""

    repeated: str


@dataclass(frozen=True, slots=True)
class Acknowledged:
    seq: int


@dataclass(frozen=True, slots=True)
class Reported:
    operation: Operation
    seq: int
    found: bool
    verifiable: bool


@dataclass(frozen=True, slots=True)
class ReportRefused:
    operation: Operation
    seq: int
    reason: str


@dataclass(frozen=True, slots=True)
class UnitsProved:
    operation: Operation
    units: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class UnitsRefused:
    operation: Operation
    units: tuple[int, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class UnitsUnverified:
    operation: Operation
    units: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SurplusShown:
    """NewStore shows more units taken than we ever sent for this key."""

    operation: Operation
    product: str
    surplus: int


@dataclass(frozen=True, slots=True)
class DeliveryDied:
    operation: Operation
    seq: int
    end: End
    detail: str


Fact = (
    RequestReceived
    | ProviderAssigned
    | ConflictingBody
    | ConflictingLocation
    | Submitted
    | UnitsAccepted
    | UnitsShipped
    | UnitsRejected
    | UnitsWithdrawn
    | UnitsCancelled
    | CallbackRefused
    | CallbackWithoutEffect
    | CallbackQuarantined
    | ConflictingCallback
    | Acknowledged
    | Reported
    | ReportRefused
    | UnitsProved
    | UnitsRefused
    | UnitsUnverified
    | SurplusShown
    | DeliveryDied
)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a request's log; `cause` names the message it came from, `fingerprint` that message's content."""

    version: int
    at: datetime
    cause: str
    fingerprint: str
    fact: Fact
