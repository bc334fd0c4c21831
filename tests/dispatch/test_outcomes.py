"""One row for every way in which a call can fail."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import pytest

from gateway import call_errors
from gateway.call_errors import CallError, NotSent, Redirected, Throttled, Unknown
from gateway.dispatch.outcomes import OUTCOMES, Undecidable, after, is_failure, outcome_of
from gateway.domain.commands import CallEnded, End
from gateway.domain.deliveries import NEWSTORE, Operation
from gateway.ledger.queue.claims import Claim
from gateway.ledger.write.queued import Reschedule
from gateway.newstore import errors
from gateway.newstore.errors import Blocked, Unauthorized, Unreadable
from gateway.sending import NotDispatched
from tests.requests import AT

CLAIM = Claim(
    "r-1", Operation.SHIP, 3, NEWSTORE, "DC01", date(2026, 11, 1), 4, 2, doubt=False, owner="me", overdue=False
)


def transport(error: CallError) -> CallError:
    error.__cause__ = OSError("reset")
    return error


def kinds(of: type[Exception] = CallError) -> Iterator[type[Exception]]:
    for kind in of.__subclasses__():
        yield kind
        yield from kinds(kind)


OURS = [kind for kind in kinds() if kind.__module__ in {call_errors.__name__, errors.__name__}]


@pytest.mark.parametrize("kind", OURS, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_way_to_fail_has_a_row_of_its_own_or_its_parents(kind: type[Exception]) -> None:
    own = next(each for each in kind.__mro__ if each in OUTCOMES)
    assert own is not CallError
    assert own is kind or kind in {errors.Refused, call_errors.NotThere}


def test_the_table_knows_no_way_to_fail_that_does_not_exist() -> None:
    assert set(OUTCOMES) <= {*OURS, NotDispatched, Undecidable}
    assert len({outcome.name for outcome in OUTCOMES.values()}) == len(OUTCOMES)


@pytest.mark.parametrize(
    "error",
    [
        transport(NotSent("can't be reached")),
        transport(Unknown("no answer in time")),
        Unknown("answered 500", 500),
        Unknown("answered 599", 599),
        NotSent("the look-up answered 502", 502),
    ],
    ids=str,
)
def test_no_connection_a_time_out_and_5xx_speak_against_a_destination(error: Exception) -> None:
    assert is_failure(error)


@pytest.mark.parametrize(
    "error",
    [
        NotSent("answered 404: check the URL", 404),
        Redirected(302),
        NotSent("NewStore does not show it yet"),
        Unknown("answered 408", 408),
        Throttled(5, 429),
        Throttled(5, 503),
        Blocked(300, 403),
        Unauthorized("no token", 400),
        Unreadable("a shape that we do not know", 200),
        call_errors.Refused("answered 422", 422),
        errors.Refused("answered 400", 400, b"", "not_found"),
        Undecidable("only a person can tell"),
    ],
    ids=str,
)
def test_nothing_else_does(error: Exception) -> None:
    assert not is_failure(error)


@pytest.mark.parametrize("error", [Throttled(30, 429), Blocked(300, 403)])
@pytest.mark.parametrize("doubt", [False, True])
def test_a_call_that_is_told_to_wait_uses_up_no_try_and_keeps_its_doubt(error: Throttled, *, doubt: bool) -> None:
    then = after(error, replace(CLAIM, doubt=doubt), AT, 10.0)
    assert then == Reschedule(error.retry_after, doubt=doubt, counts=False)


def test_an_unknown_outcome_is_left_its_grace_and_uses_up_a_try() -> None:
    then = after(Unknown("reset"), replace(CLAIM, tries=0), AT, 45.0)
    assert isinstance(then, Reschedule)
    assert then.delay == 45.0
    assert (then.doubt, then.counts) == (True, True)


def test_a_doubt_lasts_until_somebody_has_looked() -> None:
    then = after(NotSent("refused"), replace(CLAIM, doubt=True), AT, 10.0)
    assert isinstance(then, Reschedule)
    assert then.doubt


def test_a_write_that_changes_nothing_the_second_time_is_in_no_doubt() -> None:
    then = after(Unknown("reset"), replace(CLAIM, operation=Operation.ACKNOWLEDGE), AT, 10.0)
    assert isinstance(then, Reschedule)
    assert not then.doubt


@pytest.mark.parametrize(
    ("error", "end"),
    [
        (call_errors.Refused("no", 422), End.REFUSED),
        (Undecidable("who knows"), End.UNDECIDABLE),
        (NotSent("refused"), End.EXHAUSTED),
        (Unknown("reset"), End.UNDECIDABLE),
        (Redirected(303), End.UNDECIDABLE),
    ],
)
def test_a_call_ends_when_it_is_refused_or_its_schedule_is_used_up(error: Exception, end: End) -> None:
    then = after(error, replace(CLAIM, tries=50), AT, 10.0)
    assert isinstance(then, CallEnded)
    assert then.end is end
    assert outcome_of(error).name
