"""What follows from how a call went: one table of outcomes, and what becomes of the delivery."""

from dataclasses import dataclass
from datetime import datetime
from random import random

from gateway.calls import Disputed, Inconclusive, NotSent, NotYet, Redirected, Refused, Throttled, Unknown
from gateway.domain.commands import CallEnded, CallTaken, Command, End, ReadBack
from gateway.domain.deliveries import READ_BACK, Operation
from gateway.domain.retry import delay
from gateway.ledger.entries import Again, Claim
from gateway.newstore.errors import Blocked, Unauthorized, Unreadable
from gateway.sending import NotLeft

_HARMLESS = frozenset({Operation.ACKNOWLEDGE, Operation.LOOK_UP, Operation.WITHDRAW})
"""Writes that may be repeated whatever became of them: they change nothing the second time."""


class Undecidable(Exception):
    """A write may have happened and nothing can tell: it is never sent again by itself."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A class of outcomes: whether it uses up a step of the schedule, leaves a doubt, or is the end."""

    name: str
    counts: bool = True
    doubt: bool = False
    end: End | None = None


OUTCOMES: dict[type[Exception], Outcome] = {
    NotLeft: Outcome("not_made", counts=False),  # another process makes it
    NotSent: Outcome("retry"),  # it never left, or was answered with "not now"
    Throttled: Outcome("wait", counts=False),  # 429, or 503 that says when
    NotYet: Outcome("pending", counts=False),  # an earlier report of the same units is not shown
    Blocked: Outcome("blocked", counts=False),  # NewStore's 403 without JSON: our address, for five minutes
    Unauthorized: Outcome("auth"),  # refused with a fresh token: mend the settings
    Unreadable: Outcome("unreadable"),  # a read-back of unknown shape: its time-box ends it
    # Followed, it would take our key elsewhere and make some writes GETs. It may have been taken (303), and will be
    # once somebody has corrected a URL: so it is tried again, after a look, and needs a person when the schedule ends.
    Redirected: Outcome("redirect", doubt=True),
    Unknown: Outcome("unknown", doubt=True),  # it may have happened
    Inconclusive: Outcome(
        "inconclusive", end=End.REFUSED
    ),  # only of a look that a person asked for: it will be no clearer
    Refused: Outcome("refused", end=End.REFUSED),
    Disputed: Outcome("disputed", end=End.UNDECIDABLE),  # it says no, and may have it all the same
    Undecidable: Outcome("undecidable", end=End.UNDECIDABLE),
}
"""What went wrong -> what that is called and does."""

FAILURES = frozenset(each.name for each in OUTCOMES.values()) - {"wait", "pending", "not_made"}
"""What a call that went wrong is called; having to come later is no failure, nor is a call that was never made."""


def outcome_of(error: Exception) -> Outcome:
    """Find the outcome of a failed call: its own, or else its nearest parent's."""
    return next(OUTCOMES[kind] for kind in type(error).__mro__ if kind in OUTCOMES)


def success_of(command: Command) -> str:
    """Name how a call went well: `done`, `found` by a look before a repeat, or `pending` where nothing shows yet."""
    if isinstance(command, ReadBack) and not command.taken and not command.refused:
        return "pending"
    return "found" if isinstance(command, CallTaken) and command.found else "done"


def is_failure(error: Exception) -> bool:
    """Tell whether it speaks against the destination's health: no connection, a time-out, or 5xx."""
    if not isinstance(error, NotSent | Unknown) or isinstance(error, Throttled):
        return False
    if error.status is None:
        return error.__cause__ is not None  # the transport's own; without one it is what we made of an answer
    return error.status >= 500


def after(error: Exception, claim: Claim, now: datetime, grace: float) -> Again | CallEnded:
    """Decide what becomes of a write that was not taken; `grace` is how long an unknown one is left to show up."""
    outcome = outcome_of(error)
    if outcome.end is not None:
        return _ended(claim, now, outcome.end, error)
    if isinstance(error, NotLeft):
        return Again(0.0, doubt=claim.doubt, counts=outcome.counts)
    if isinstance(error, Throttled):
        return Again(error.retry_after, doubt=claim.doubt, counts=outcome.counts)
    if isinstance(error, NotYet):  # as often as a read-back looks, whose time-box ends it
        look = delay(claim.destination, READ_BACK[claim.operation], claim.attempt, random())  # noqa: S311 - jitter
        return Again(look or 0.0, doubt=claim.doubt, counts=outcome.counts)
    doubt = claim.operation not in _HARMLESS and (claim.doubt or outcome.doubt)
    wait = delay(claim.destination, claim.operation, claim.tries + 1, random())  # noqa: S311 - jitter
    if wait is None:
        return _ended(claim, now, End.UNDECIDABLE if doubt else End.EXHAUSTED, error)
    return Again(max(wait, grace) if doubt else wait, doubt=doubt, counts=outcome.counts)


def _ended(claim: Claim, now: datetime, end: End, error: Exception) -> CallEnded:
    return CallEnded(
        request_id=claim.request_id,
        at=now,
        operation=claim.operation,
        seq=claim.seq,
        attempt=claim.attempt,
        end=end,
        detail=str(error)[:500],
    )
