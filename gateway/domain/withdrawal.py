"""Stop before you reject: a request leaves its provider only once that provider can't ship it any more."""

from .commands import End, RejectionReason
from .deliveries import Operation
from .events.assignment import OrderWithdrawn, ProviderAssigned, WithdrawalAsked
from .events.event import Fact
from .events.provider import RejectionProven, UnitsRejected
from .requests import Request, Withdrawal

_NEVER_TAKEN = frozenset({End.REFUSED, End.EXHAUSTED, End.ABSENT})


def never_reached(request: Request) -> bool:
    """Tell whether no provider can have the order: nothing was sent, or no try of it was taken."""
    if request.restored or request.is_known_to_provider or request.submitted_at:
        return False
    return (
        request.provider is None
        or any(owed.operation is Operation.CREATE and owed.is_unsent for owed in request.owed)
        or any(dead.operation is Operation.CREATE and dead.end in _NEVER_TAKEN for dead in request.dead)
    )


def reject_unpromised(
    request: Request, units: tuple[int, ...], reason: RejectionReason, why: str, *, can_withdraw: bool
) -> list[Fact]:
    """Reject units that the provider may yet ship: NewStore hears of it once the order is stopped there.

    Where something else of the order is open, or it can't be stopped from here, a person has to find out.
    """
    rejected = UnitsRejected(units, reason)
    if request.withdrawn:
        return [rejected, RejectionProven(units, reason, "the order was withdrawn")]
    if can_withdraw and units == request.open_units and request.withdrawal is None:
        return [rejected, WithdrawalAsked(None, reason, "gateway", why)]
    return [rejected]


def leave(request: Request, seq: int, proof: str) -> list[Fact]:
    """The provider has stopped: what was asked for follows, if that is still possible."""
    return leave_for(request, seq, proof, request.withdrawal)


def leave_for(request: Request, seq: int, proof: str, then: Withdrawal | None) -> list[Fact]:
    """The provider has stopped: this follows."""
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
