"""Who has the request: it is received, given to a provider, and taken from one that has stopped."""

from dataclasses import dataclass, replace

from gateway.domain.commands import RejectionReason
from gateway.domain.deliveries import AT_PROVIDER, Delivery, Operation
from gateway.domain.requests import Request, Withdrawal
from gateway.domain.units import Unit

from .event import Event, Fact, Party


@dataclass(frozen=True, slots=True)
class RequestReceived(Fact):
    kind = "request_received"
    hands_to = Party.GATEWAY
    counts = "received_requests"

    location: str
    order_id: str | None
    service_level: str | None
    reference: str
    provider: str | None
    products: tuple[str, ...]
    fingerprint: str

    def begin(self, request_id: str, event: Event) -> Request:
        """Make the first state."""
        return Request(
            id=request_id,
            version=event.version,
            location=self.location,
            order_id=self.order_id,
            service_level=self.service_level,
            reference=self.reference,
            provider=self.provider,
            assignment=1 if self.provider else 0,
            fingerprint=self.fingerprint,
            received_at=event.at,
            changed_at=event.at,
            units=tuple(Unit(product) for product in self.products),
            owed=(Delivery(self.provider, Operation.CREATE, event.version),) if self.provider else (),
            causes={event.cause: event.fingerprint},
        )


@dataclass(frozen=True, slots=True)
class ProviderAssigned(Fact):
    """`who` and `reason` are given where a person rerouted the request."""

    kind = "provider_assigned"
    hands_to = Party.GATEWAY
    calls = Operation.CREATE

    provider: str
    assignment: int
    who: str = ""
    reason: str = ""

    def apply(self, request: Request, _: Event) -> Request:
        """The new provider knows nothing of the request yet, whatever the one that was withdrawn said and did."""
        anew = request.with_each(range(len(request.units)), lambda unit: replace(unit, accepted=0))
        former = (*request.former, request.provider) if request.provider else ()
        return replace(
            anew,
            provider=self.provider,
            assignment=self.assignment,
            submitted_at=None,
            withdrawn=False,
            former=former,
            missed=(),
            backordered=(),
            backordered_at=None,
        )


@dataclass(frozen=True, slots=True)
class WithdrawalAsked(Fact):
    """The provider is asked to stop; then the request goes to `to`, or its units are rejected."""

    kind = "withdrawal_asked"
    hands_to = Party.PROVIDER
    calls = Operation.WITHDRAW

    to: str | None
    rejection_reason: RejectionReason | None
    who: str
    reason: str

    def apply(self, request: Request, _: Event) -> Request:
        asked = Withdrawal(self.to, self.rejection_reason, self.who, self.reason)
        return replace(request.without_dead(Operation.WITHDRAW), withdrawal=asked)


@dataclass(frozen=True, slots=True)
class OrderWithdrawn(Fact):
    """The provider will do nothing more with the open units; `seq` is 0 where no call to it was needed."""

    kind = "order_withdrawn"
    hands_to = Party.GATEWAY

    seq: int
    proof: str

    def apply(self, request: Request, _: Event) -> Request:
        return replace(request.without_dead(*AT_PROVIDER), withdrawal=None, withdrawn=True)

    def settles(self, delivery: Delivery) -> bool:
        return delivery.has_key(Operation.WITHDRAW, self.seq)


@dataclass(frozen=True, slots=True)
class WithdrawalRefused(Fact):
    """The provider goes on with the order, and so does the gateway."""

    kind = "withdrawal_refused"

    seq: int
    detail: str

    def apply(self, request: Request, _: Event) -> Request:
        return replace(request, withdrawal=None)

    def settles(self, delivery: Delivery) -> bool:
        return delivery.has_key(Operation.WITHDRAW, self.seq)
