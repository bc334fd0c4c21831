"""What follows from how a call went: one table of outcomes, and what becomes of the delivery."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from random import random

from gateway.call_errors import (
    LONGEST_WAIT,
    Disputed,
    Inconclusive,
    NotSent,
    NotThere,
    NotYet,
    Redirected,
    Refused,
    Throttled,
    Unknown,
)
from gateway.domain.commands import CallEnded, CallTaken, End, ReadBack
from gateway.domain.decide import Command
from gateway.domain.deliveries import HARMLESS, READS, Operation
from gateway.ledger.queue.claims import Claim
from gateway.ledger.write.queued import Reschedule
from gateway.newstore.errors import Blocked, Disliked, NotReached, Retired, Unauthorized, Unreadable
from gateway.sending import NotDispatched

from .retry import ELSEWHERE, delay

_WORDS = {
    Operation.ACKNOWLEDGE: "acceptances",
    Operation.SHIP: "shipments",
    Operation.REJECT: "rejections",
    Operation.CANCEL: "cancellations",
}
_NEVER_IN_DOUBT = HARMLESS | {Operation.READ_ORDER}
_MOST_GONE = 6  # answers 410 to one call, within a minute, while others of its kind pass
_FARTHEST = 10 * 365 * 86_400.0  # seconds; a year may have four digits


class Undecidable(Exception):
    """A write may have happened and nothing can tell: it is never sent again by itself."""


@dataclass(frozen=True, slots=True)
class HeldBack:
    """What the gateway itself is to hold back, and why."""

    scope: str
    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """A class of outcomes: whether it uses up a step of the schedule, leaves a doubt, or is the end.

    What uses up no step comes again after so many seconds, where nothing else says when.
    """

    name: str
    counts: bool = True
    doubt: bool = False
    end: End | None = None
    seconds: float = 0.0


OUTCOMES: dict[type[Exception], Outcome] = {
    NotDispatched: Outcome("not_made", counts=False),  # another process makes it
    NotSent: Outcome("retry"),  # it never left, or was answered with "not now"
    Throttled: Outcome("wait", counts=False),  # 429, or 503 that says when
    NotYet: Outcome("pending", counts=False),  # an earlier report of the same units is not shown
    NotThere: Outcome("not_there", counts=False),  # somebody else has to tell the provider of it
    Blocked: Outcome("blocked", counts=False),  # NewStore's 403 without JSON: our address, for five minutes
    NotReached: Outcome("not_reached", counts=False, seconds=1.0),  # a read that went first was in vain
    Disliked: Outcome("firewall", counts=False, seconds=30.0),  # a 403 without JSON, and others pass: once more
    Retired: Outcome("retired", counts=False),  # 410: looked at again, until a hold keeps the operation back
    Unauthorized: Outcome("auth"),  # refused with a fresh token: mend the settings
    Unreadable: Outcome("unreadable"),  # a read-back of unknown shape: its time-box ends it
    # Followed, it would take our key elsewhere and make some writes GETs. It may have been taken (303), and will be
    # once somebody has corrected a URL: so it is tried again, after a look, and needs a person when the schedule ends.
    Redirected: Outcome("redirect", doubt=True),
    Unknown: Outcome("unknown", doubt=True),  # it may have happened
    Inconclusive: Outcome(
        "inconclusive", end=End.REFUSED
    ),  # of a look without a write behind it: it will be no clearer
    Refused: Outcome("refused", end=End.REFUSED),
    Disputed: Outcome("disputed", end=End.UNDECIDABLE),  # it says no, and may have it all the same
    Undecidable: Outcome("undecidable", end=End.UNDECIDABLE),
}
"""What went wrong -> what that is called and does."""

FAILURES = frozenset(each.name for each in OUTCOMES.values()) - {"wait", "pending", "not_there", "not_made"}
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


def is_late(error: Exception | None) -> bool:
    """Tell whether a call took longer than we waited for it, or than what stands before the destination did."""
    return isinstance(error, Unknown) and (isinstance(error.__cause__, TimeoutError) or error.status == 504)


def after(error: Exception, claim: Claim, now: datetime, grace: float) -> Reschedule | CallEnded:
    """Decide what becomes of a write that was not taken; `grace` is how long an unknown one is left to show up."""
    outcome = outcome_of(error)
    if outcome.end is not None:
        return _ended(claim, now, outcome.end, error)
    if _is_alone(error, claim):
        return _ended(claim, now, End.REFUSED, error)
    if not outcome.counts:
        return _uncounted(error, claim, outcome, grace)
    doubt = claim.operation not in _NEVER_IN_DOUBT and (claim.doubt or outcome.doubt)
    wait = delay(claim.destination, claim.operation, claim.tries + 1, random())  # noqa: S311 - jitter
    if wait is None:
        return _ended(claim, now, End.UNDECIDABLE if doubt else End.EXHAUSTED, error)
    return Reschedule(max(wait, grace) if doubt else wait, doubt=doubt, counts=outcome.counts)


def next_look(claim: Claim) -> float:
    """Seconds until a read-back looks again that has not seen everything."""
    return delay(claim.destination, claim.operation, claim.tries + 1, random()) or 0.0  # noqa: S311 - jitter


def _uncounted(error: Exception, claim: Claim, outcome: Outcome, grace: float) -> Reschedule:
    wait, doubt = outcome.seconds, claim.doubt
    if isinstance(error, Throttled):
        wait = error.retry_after if error.retry_after <= LONGEST_WAIT else 1.0  # a hold keeps it back from then on
        if error.doubt and claim.operation not in HARMLESS | READS:
            wait, doubt = max(wait, grace), True
    elif isinstance(error, NotThere):
        wait = ELSEWHERE[min(claim.attempt, len(ELSEWHERE)) - 1] * (0.5 + 0.5 * random())  # noqa: S311 - jitter
    elif isinstance(error, NotYet | Retired):  # as often as a read-back looks, whose time-box ends it
        wait = delay(claim.destination, Operation.READ_SHIPMENT, claim.attempt, random()) or 0.0  # noqa: S311 - jitter
        wait = min(wait, claim.unsure_for) if claim.unsure_for else wait
    return Reschedule(wait, doubt=doubt, counts=False, blocked=isinstance(error, Disliked | Retired))


def _is_alone(error: Exception, claim: Claim) -> bool:
    """Tell whether this one call is turned away for good, while others like it pass."""
    if isinstance(error, Retired):
        return not error.is_whole and claim.blocks >= _MOST_GONE
    return isinstance(error, Disliked) and claim.blocks > 0 and claim.operation not in READS


def held_back(error: Exception | None, claim: Claim, now: datetime) -> HeldBack | None:
    """Say what no call should go to any more before a person has looked, after one went like this."""
    if isinstance(error, Retired) and error.is_whole:
        told = f"NewStore answered 410 on {now:%Y-%m-%d %H:%M} UTC: it takes {_WORDS[claim.operation]} there no more"
        remedy = "ask NewStore what replaces it and upgrade the gateway, then release this hold"
        return HeldBack("operation", claim.operation, f"{told}; {remedy}")
    return left_alone(claim.destination, error, now)


def left_alone(destination: str, error: Exception | None, now: datetime) -> HeldBack | None:
    """Hold a destination back that asked to be left alone for longer than anybody means it."""
    if not isinstance(error, Throttled) or error.retry_after <= LONGEST_WAIT:
        return None
    until = now + timedelta(seconds=min(error.retry_after, _FARTHEST))
    told = f"{destination} asked to be left alone until {until:%Y-%m-%d %H:%M} UTC"
    return HeldBack("destination", destination, f"{told}: ask it why, and release this hold when it may be called")


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
