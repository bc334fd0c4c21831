"""A request leaves its provider, once that one can't ship it any more: for another, or by a rejection."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from gateway.domain.commands import RejectionReason
from gateway.domain.deliveries import Operation
from gateway.domain.events.assignment import WithdrawalAsked
from gateway.domain.events.event import Fact
from gateway.domain.requests import Request, Withdrawal
from gateway.domain.withdrawal import leave_for, never_reached

from .act import CLOSED, Act, Asked, Choice

_STOPPED = Asked(
    question="Did the provider tell you that it will not ship it? Who, and how?",
    hint="Leave it empty where nobody did: the gateway then asks the provider to stop, and waits for its word.",
    help="Who told you how that the provider will not ship it.",
    most=1_000,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leave(Act):
    """`provider_stopped` is how a person knows that the provider has; `can_withdraw`: the gateway may ask it itself."""

    is_final = True

    can_withdraw: bool
    provider_stopped: str = ""

    def _stop(self, request: Request, then: Withdrawal) -> list[Fact]:
        if proof := self._proof(request):
            return leave_for(request, 0, proof, then)
        return [WithdrawalAsked(then.to, then.rejection_reason, then.who, then.reason)]

    def _proof(self, request: Request) -> str:
        """How it is known that the provider will not ship, or nothing where it has to be asked."""
        if request.withdrawn:
            return "the order was withdrawn"
        if never_reached(request):
            return "the order never reached a provider"
        return f"{self.who}: {self.provider_stopped}" if self.provider_stopped else ""

    def _cannot_stop(self, request: Request) -> str:
        if request.withdrawn or never_reached(request):
            return ""
        if request.provider is None and not self.provider_stopped:
            lost = "after the backup a provider may have got it"
            return f"{lost}: look for {request.reference} there, then say how you know by --provider-stopped"
        if self.provider_stopped:
            # Somebody who looked at the provider a moment ago has not seen what arrives there now.
            is_flying = any(owed.operation is Operation.CREATE and owed.in_flight for owed in request.owed)
            return f"the order is on its way to {request.provider}: look there again in a minute" if is_flying else ""
        if any(owed.operation is Operation.WITHDRAW for owed in request.owed):
            return f"{request.provider} has been asked to stop already: wait for its answer, or give --provider-stopped"
        if not self.can_withdraw:
            return (
                f"{request.provider} may still ship it: have it stop there, then say how you know by --provider-stopped"
            )
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reroute(_Leave):
    """Give the request to another provider, at once or after the present one has stopped."""

    action = "reroute"
    label = "Reroute"
    help = "Give requests to another provider, once the present one can't ship them any more."
    asks: ClassVar[Mapping[str, Asked]] = {
        "to": Asked(
            question="To which provider?",
            help="The provider that shall have it.",
            missing="name the provider that shall have it with {option}",
            names="provider",
        ),
        "provider_stopped": _STOPPED,
    }
    many = "reroutes"
    consequence = "the request goes to another provider under a new reference; NewStore learns nothing of it"

    to: str

    def decide(self, request: Request) -> list[Fact]:
        if why := self._cannot_reroute(request) or self._cannot_stop(request):
            return self.declined(why)
        return self._stop(request, Withdrawal(self.to, None, self.who, self.reason))

    def _cannot_reroute(self, request: Request) -> str:
        final = len(request.units) - len(request.open_units)
        if request.closed:
            return CLOSED
        if self.to == request.provider:
            return f"{self.to} is its provider already: redrive what failed there"
        if self.to in request.former:
            return f"{self.to} had it before and may take it for the old order, which it will not ship: choose another"
        if final:
            return f"{final} of {len(request.units)} units are final: reject the rest instead, NewStore reroutes them"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RejectByHand(_Leave):
    """Reject the open units, and those whose rejection waits for proof, once the provider has stopped."""

    action = "reject"
    label = "Reject upstream"
    help = "Reject open units at NewStore, so that it reroutes them, once the provider can't ship them any more."
    asks: ClassVar[Mapping[str, Asked]] = {
        "rejection_reason": Asked(
            question="Why?",
            help="cannot_fulfill, or no_inventory: it empties the DC's stock.",
            option="as",
            missing="say what NewStore shall hear with {option}: cannot_fulfill, or no_inventory, which empties the "
            "stock",
            choices={
                RejectionReason.CANNOT_FULFILL: Choice(
                    "This DC can't fulfill this order (only this order avoids this DC)",
                    "NewStore reroutes the units and excludes this DC for this order only",
                ),
                RejectionReason.NO_INVENTORY: Choice(
                    "No inventory (NewStore sets this DC's stock of these products to zero)",
                    "NewStore reroutes the units and sets this DC's stock of them to zero",
                ),
            },
        ),
        "provider_stopped": _STOPPED,
    }
    many = "rejections"

    rejection_reason: RejectionReason

    def decide(self, request: Request) -> list[Fact]:
        if why := _cannot_reject(request) or self._cannot_stop(request):
            return self.declined(why)
        return self._stop(request, Withdrawal(None, self.rejection_reason, self.who, self.reason))


def _cannot_reject(request: Request) -> str:
    if request.closed:
        return CLOSED
    if not request.open_units and not request.unproved_rejections:
        return "every unit is final: there is nothing left to reject"
    return ""
