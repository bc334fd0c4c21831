"""Stop before you reject: a request leaves its provider only once that provider can't ship it any more."""

from .commands import End, RejectByHand, Reroute
from .deliveries import Operation
from .events.assignment import OrderWithdrawn, ProviderAssigned, WithdrawalAsked
from .events.event import Fact
from .events.provider import RejectionProven, UnitsRejected
from .operator_actions import CLOSED, declined
from .requests import Request, Withdrawal

_NEVER_TAKEN = frozenset({End.REFUSED, End.EXHAUSTED, End.ABSENT})


def reroute(request: Request, act: Reroute) -> list[Fact]:
    """Give the request to another provider, at once or after the present one has stopped."""
    if why := _cannot_reroute(request, act) or _cannot_stop(request, act):
        return declined(act, why)
    return _stop(request, act, Withdrawal(act.to, None, act.who, act.reason))


def reject(request: Request, act: RejectByHand) -> list[Fact]:
    """Reject the open units, and those whose rejection waits for proof, once the provider has stopped."""
    if why := _cannot_reject(request) or _cannot_stop(request, act):
        return declined(act, why)
    return _stop(request, act, Withdrawal(None, act.rejection_reason, act.who, act.reason))


def never_reached(request: Request) -> bool:
    """Tell whether no provider can have the order: nothing was sent, or no try of it was taken."""
    if request.restored or request.is_known_to_provider or request.submitted_at:
        return False
    return (
        request.provider is None
        or any(owed.operation is Operation.CREATE and owed.is_unsent for owed in request.owed)
        or any(dead.operation is Operation.CREATE and dead.end in _NEVER_TAKEN for dead in request.dead)
    )


def leave(request: Request, seq: int, proof: str) -> list[Fact]:
    """The provider has stopped: what was asked for follows, if that is still possible."""
    return _leave(request, seq, proof, request.withdrawal)


def _stop(request: Request, act: Reroute | RejectByHand, then: Withdrawal) -> list[Fact]:
    if proof := _proof(request, act):
        return _leave(request, 0, proof, then)
    return [WithdrawalAsked(then.to, then.rejection_reason, then.who, then.reason)]


def _proof(request: Request, act: Reroute | RejectByHand) -> str:
    """How it is known that the provider will not ship, or nothing where it has to be asked."""
    if request.withdrawn:
        return "the order was withdrawn"
    if never_reached(request):
        return "the order never reached a provider"
    return f"{act.who}: {act.stopped}" if act.stopped else ""


def _leave(request: Request, seq: int, proof: str, then: Withdrawal | None) -> list[Fact]:
    stopped: list[Fact] = [OrderWithdrawn(seq, proof)] if request.provider and not request.withdrawn else []
    return [*stopped, *_follow(request, proof, then)] if then else stopped


def _follow(request: Request, proof: str, then: Withdrawal) -> list[Fact]:
    if then.to is not None:
        is_whole = len(request.open_units) == len(request.units)
        return [ProviderAssigned(then.to, request.assignment + 1, then.who, then.reason)] if is_whole else []
    if then.rejection_reason is None or not (units := (*request.open_units, *request.unproved_rejections)):
        return []
    said = UnitsRejected(request.open_units, then.rejection_reason, then.who, then.reason)
    proved = RejectionProven(tuple(sorted(units)), then.rejection_reason, proof)
    return [said, proved] if request.open_units else [proved]


def _cannot_reroute(request: Request, act: Reroute) -> str:
    final = len(request.units) - len(request.open_units)
    if request.closed:
        return CLOSED
    if act.to == request.provider:
        return f"{act.to} is its provider already: redrive what failed there"
    if act.to in request.former:
        return f"{act.to} had it before and may take it for the old order, which it will not ship: choose another"
    if final:
        return f"{final} of {len(request.units)} units are final: reject the rest instead, NewStore reroutes them"
    return ""


def _cannot_reject(request: Request) -> str:
    if request.closed:
        return CLOSED
    if not request.open_units and not request.unproved_rejections:
        return "every unit is final: there is nothing left to reject"
    return ""


def _cannot_stop(request: Request, act: Reroute | RejectByHand) -> str:
    if request.withdrawn or never_reached(request):
        return ""
    if request.provider is None and not act.stopped:
        lost = "after the backup a provider may have got it"
        return f"{lost}: look for {request.reference} there, then say how you know by --provider-stopped"
    if act.stopped:
        # Somebody who looked at the provider a moment ago has not seen what arrives there now.
        is_flying = any(owed.operation is Operation.CREATE and owed.in_flight for owed in request.owed)
        return f"the order is on its way to {request.provider}: look there again in a minute" if is_flying else ""
    if any(owed.operation is Operation.WITHDRAW for owed in request.owed):
        return f"{request.provider} has been asked to stop already: wait for its answer, or give --provider-stopped"
    if not act.can_withdraw:
        return f"{request.provider} may still ship it: have it stop there, then say how you know by --provider-stopped"
    return ""
