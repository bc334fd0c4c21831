"""What follows from how a call went: try again, and when, or leave it to a person."""

from datetime import datetime
from random import random

from gateway.calls import Refused, Throttled, Unknown
from gateway.domain.commands import CallEnded, End
from gateway.domain.deliveries import Operation
from gateway.domain.retry import delay
from gateway.ledger.entries import Again, Claim

_HARMLESS = frozenset({Operation.ACKNOWLEDGE, Operation.LOOK_UP, Operation.WITHDRAW})
"""Writes that may be repeated whatever became of them: they change nothing the second time."""


class Undecidable(Exception):
    """A write may have happened and nothing can tell: it is never sent again by itself."""


def name(error: Exception) -> str:
    """Name the class of an outcome, for attempts and metrics."""
    if isinstance(error, Throttled):
        return "wait"
    if isinstance(error, Refused):
        return "refused"
    if isinstance(error, Undecidable):
        return "undecidable"
    return "unknown" if isinstance(error, Unknown) else "retry"


def after(error: Exception, claim: Claim, now: datetime, grace: float) -> Again | CallEnded:
    """Decide what becomes of a write that was not taken; `grace` is how long an unknown one is left to show up."""

    def ended(end: End) -> CallEnded:
        return CallEnded(
            request_id=claim.request_id,
            at=now,
            operation=claim.operation,
            seq=claim.seq,
            attempt=claim.attempt,
            end=end,
            detail=str(error)[:500],
        )

    if isinstance(error, Throttled):
        return Again(error.retry_after, doubt=claim.doubt, counts=False)
    if isinstance(error, Refused):
        return ended(End.REFUSED)
    if isinstance(error, Undecidable):
        return ended(End.UNDECIDABLE)
    doubt = claim.operation not in _HARMLESS and (claim.doubt or isinstance(error, Unknown))
    wait = delay(claim.destination, claim.operation, claim.tries + 1, random())  # noqa: S311 - jitter
    if wait is None:
        return ended(End.UNDECIDABLE if doubt else End.EXHAUSTED)
    return Again(max(wait, grace) if doubt else wait, doubt=doubt, counts=True)
