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
    """`who` and `reason` are given where a person rerouted the request."""

    provider: str
    assignment: int
    who: str = ""
    reason: str = ""


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
    """`who` and `remark` are given where a person rejected them."""

    units: tuple[int, ...]
    reason: RejectionReason
    who: str = ""
    remark: str = ""


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
class UnitsReopened:
    """A person takes back what was said of units, before NewStore was told; `reports` are not owed any more."""

    units: tuple[int, ...]
    reports: tuple[int, ...]
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class CallbackRefused:
    """`message` is the cause of what was refused: the same id with other content may put it right."""

    word: str
    reason: str
    detail: str
    message: str = ""


@dataclass(frozen=True, slots=True)
class CallbackWithoutEffect:
    """The provider said again, in another message, what was already so.

    `units` are those that NewStore had shown before the provider told them, after a restore.
    """

    word: str
    units: tuple[int, ...] = ()
    detail: str = ""


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
class UnitsUnverifiable:
    """They were sent, and it was found out that this tenant shows nowhere what became of them."""

    operation: Operation
    units: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SurplusShown:
    """NewStore shows more units taken than we ever sent for this key; `detail` says what a restored log can't place."""

    operation: Operation
    product: str
    surplus: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ShownBeyondLog:
    """NewStore shows what the log of a restored request lacks: it is what became of these units of one product.

    The facts that follow say it as the provider and the report would have. `refusals` is how often NewStore had refused
    them before.
    """

    operation: Operation
    units: tuple[int, ...]
    refusals: int
    detail: str


@dataclass(frozen=True, slots=True)
class DeliveryDied:
    operation: Operation
    seq: int
    end: End
    detail: str


@dataclass(frozen=True, slots=True)
class Redriven:
    """A person owes a delivery once more. `units` are those of a report; `was_seq` is the delivery it repeats.

    `parcel` is given where a shipment is told in other words than before.
    """

    operation: Operation
    was_seq: int
    units: tuple[int, ...]
    in_doubt: bool
    who: str
    reason: str
    parcel: Parcel | None = None


@dataclass(frozen=True, slots=True)
class RecheckAsked:
    """A person, or the gateway after a restore, wants to know what became of a kind of call; `operation` tells it."""

    operation: Operation
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Rechecked:
    """That read was made; of a look-up `outcome` is "found" or "absent", else a count or what went wrong."""

    operation: Operation
    seq: int
    outcome: str


@dataclass(frozen=True, slots=True)
class Closed:
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Noted:
    who: str
    text: str


@dataclass(frozen=True, slots=True)
class TakenOver:
    who: str


@dataclass(frozen=True, slots=True)
class WithdrawalAsked:
    """The provider is asked to stop; then the request goes to `to`, or its units are rejected."""

    to: str | None
    rejection_reason: RejectionReason | None
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class OrderWithdrawn:
    """The provider will do nothing more with the open units; `seq` is 0 where no call to it was needed."""

    seq: int
    proof: str


@dataclass(frozen=True, slots=True)
class WithdrawalRefused:
    """The provider goes on with the order, and so does the gateway."""

    seq: int
    detail: str


@dataclass(frozen=True, slots=True)
class QuarantineLeft:
    """A message left quarantine: `outcome` is "replayed" or "discarded", `message` its cause."""

    outcome: str
    message: str
    who: str
    reason: str


@dataclass(frozen=True, slots=True)
class Declined:
    """What a person commanded can't be done; `why` says what to do instead."""

    who: str
    action: str
    why: str


TURNED_AWAY = frozenset({"unknown_product", "negative_quantity", "too_many_units", "other_provider"})
"""Why a callback is answered with 4xx: its sender may correct it, under the same id."""

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
    | UnitsReopened
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
    | UnitsUnverifiable
    | SurplusShown
    | ShownBeyondLog
    | DeliveryDied
    | Redriven
    | RecheckAsked
    | Rechecked
    | Closed
    | Noted
    | TakenOver
    | WithdrawalAsked
    | OrderWithdrawn
    | WithdrawalRefused
    | QuarantineLeft
    | Declined
)


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a request's log; `cause` names the message it came from, `fingerprint` that message's content."""

    version: int
    at: datetime
    cause: str
    fingerprint: str
    fact: Fact
