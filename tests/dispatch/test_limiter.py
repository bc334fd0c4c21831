"""What one process does between two reports."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.call_errors import CallError, Refused, Throttled, Unknown
from gateway.dispatch.limiter import DestinationLimiter
from gateway.dispatch.limits import Limits
from gateway.dispatch.outcomes import Undecidable
from gateway.ledger.queue.destinations import Destination

T0 = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
LIMITS = Limits(32, 100.0)  # slabs of 10


class Shared:
    """The row that all limiters of a destination change."""

    def __init__(self) -> None:
        self.state = Destination("acme", 0.0, 0.0, None)

    def report_and_reserve(self, limiter: DestinationLimiter, seconds: float) -> int:
        decide = limiter.decide(f"owner of {id(limiter)}")
        self.state, granted = decide(self.state, T0 + timedelta(seconds=seconds))
        limiter.take(self.state, granted, seconds)
        return granted


def failure() -> CallError:
    return Unknown("answered 500", 500)


def attempted(limiter: DestinationLimiter, error: Exception | None = None) -> None:
    limiter.end(error, limiter.start())


def opened() -> tuple[Shared, DestinationLimiter]:
    shared, limiter = Shared(), DestinationLimiter("acme", LIMITS, 5.0)
    shared.report_and_reserve(limiter, 0)
    for _ in range(20):
        attempted(limiter, failure())
    shared.report_and_reserve(limiter, 1)
    assert shared.state.is_open
    return shared, limiter


def test_a_limiter_takes_a_slab_and_spends_it_call_by_call() -> None:
    shared, limiter = Shared(), DestinationLimiter("acme", LIMITS, 5.0)
    assert limiter.room == 0
    assert shared.report_and_reserve(limiter, 0) == 10
    assert limiter.room == 10
    reserved = limiter.start()
    assert (limiter.room, limiter.in_flight) == (9, 1)
    limiter.end(None, reserved)
    assert (limiter.room, limiter.in_flight) == (9, 0)


def test_a_call_that_was_not_made_gives_its_reservation_back() -> None:
    shared, limiter = Shared(), DestinationLimiter("acme", LIMITS, 5.0)
    shared.report_and_reserve(limiter, 0)
    limiter.release(limiter.start())
    attempted(limiter, Undecidable("nothing was sent"))
    attempted(limiter, LookupError("broke"))
    assert (limiter.room, limiter.in_flight) == (10, 0)
    shared.report_and_reserve(limiter, 1)
    assert shared.state.calls == 0


def test_what_was_reserved_before_the_breaker_opened_is_void() -> None:
    shared, limiter = opened()
    other = DestinationLimiter("acme", LIMITS, 5.0)
    quiet = replace(shared.state, opened_at=None, half_open_at=None)
    other.take(quiet, 10, 0)
    shared.report_and_reserve(other, 12)
    assert other.room == 0
    shared.report_and_reserve(other, 13)
    assert other.room == 1
    assert limiter.room == 0


def test_a_process_with_a_full_limiter_finds_out_that_the_breaker_opened_and_probes() -> None:
    shared, _ = opened()
    idle = DestinationLimiter("acme", LIMITS, 5.0)
    idle.take(replace(shared.state, opened_at=None, half_open_at=None), 10, 0)
    assert not idle.is_due(1)
    assert idle.is_due(3)
    assert shared.report_and_reserve(idle, 12) == 0
    assert idle.is_due(13)
    assert shared.report_and_reserve(idle, 13) == 1


def test_a_probe_that_waits_for_work_stays_one_call() -> None:
    shared, limiter = opened()
    for seconds in (12, 80, 150):
        shared.report_and_reserve(limiter, seconds)
        assert limiter.room == 1


def test_an_unused_probe_goes_back_to_a_process_that_had_it_before_when_the_other_is_gone() -> None:
    limits = Limits(4, 5.0)  # slabs of 1
    shared, first, second = Shared(), DestinationLimiter("acme", limits, 5.0), DestinationLimiter("acme", limits, 5.0)
    shared.state = replace(shared.state, opened_at=T0, half_open_at=T0)
    for limiter, seconds in ((first, 1), (second, 62), (first, 123)):
        assert shared.report_and_reserve(limiter, seconds) == 1
        assert shared.state.half_open_owner == f"owner of {id(limiter)}"
        assert limiter.room == 1


def test_calls_from_before_the_opening_are_no_verdict_on_the_probe() -> None:
    shared, limiter = Shared(), DestinationLimiter("acme", LIMITS, 5.0)
    shared.report_and_reserve(limiter, 0)
    old = [limiter.start() for _ in range(4)]
    for _ in range(20):
        attempted(limiter, failure())
    shared.report_and_reserve(limiter, 1)
    shared.report_and_reserve(limiter, 12)
    probe = limiter.start()
    limiter.end(failure(), old[0])
    limiter.end(None, old[1])
    shared.report_and_reserve(limiter, 13)
    assert shared.state.is_open
    assert shared.state.open_for == 10
    limiter.end(None, probe)
    shared.report_and_reserve(limiter, 14)
    assert not shared.state.is_open


def test_a_probe_that_never_got_there_is_made_again() -> None:
    shared, limiter = opened()
    shared.report_and_reserve(limiter, 12)
    attempted(limiter, Undecidable("nothing was sent"))
    shared.report_and_reserve(limiter, 13)
    assert shared.state.is_open
    assert limiter.room == 1


def test_a_refusal_is_an_answer_and_closes_the_breaker() -> None:
    shared, limiter = opened()
    shared.report_and_reserve(limiter, 12)
    attempted(limiter, Refused("no", 422))
    shared.report_and_reserve(limiter, 13)
    assert not shared.state.is_open


def test_what_could_not_be_reported_is_reported_the_next_time() -> None:
    shared, limiter = Shared(), DestinationLimiter("acme", LIMITS, 5.0)
    shared.report_and_reserve(limiter, 0)
    attempted(limiter, failure())
    attempted(limiter, Throttled(30, 429))
    limiter.made(5)
    limiter.decide("me")  # and the database went away
    assert limiter.is_due(0.3)
    shared.report_and_reserve(limiter, 1)
    assert (shared.state.calls, shared.state.failures) == (2, 1)
    assert shared.state.not_before == T0 + timedelta(seconds=31)
    shared.report_and_reserve(limiter, 2)
    assert (shared.state.calls, shared.state.failures) == (2, 1)


def test_calls_beyond_the_reserved_ones_are_paid_once() -> None:
    limits = Limits(32, 100.0, 1_000.0)
    shared, limiter = Shared(), DestinationLimiter("acme", limits, 5.0)
    shared.report_and_reserve(limiter, 0)
    before = shared.state.five_minute_tokens
    attempted(limiter)
    limiter.made(4)  # a token and two reads besides
    shared.report_and_reserve(limiter, 0)
    assert shared.state.five_minute_tokens == before - 3 - 1  # and the one that fills the slab again
    shared.report_and_reserve(limiter, 0)
    assert shared.state.five_minute_tokens == before - 3 - 1


def test_where_calls_are_not_counted_a_look_before_a_repeat_is_paid_as_well() -> None:
    limits = Limits(32, 100.0, 1_000.0)
    shared, limiter = Shared(), DestinationLimiter("acme", limits, 5.0)
    shared.report_and_reserve(limiter, 0)
    before = shared.state.five_minute_tokens
    limiter.end(None, limiter.start(doubt=True))
    shared.report_and_reserve(limiter, 0)
    shared.report_and_reserve(limiter, 0)
    assert shared.state.five_minute_tokens == before - 2


def test_few_free_places_are_left_until_there_are_more() -> None:
    shared, limiter = Shared(), DestinationLimiter("acme", Limits(8, 1_000.0), 5.0)
    shared.report_and_reserve(limiter, 0)
    reserved = [limiter.start() for _ in range(7)]
    assert limiter.room == 0
    limiter.end(None, reserved.pop())
    assert limiter.room == 2


def test_a_wait_of_more_than_a_day_is_left_to_a_person() -> None:
    shared, limiter = Shared(), DestinationLimiter("acme", LIMITS, 5.0)
    shared.report_and_reserve(limiter, 0)
    attempted(limiter, Throttled(86_401, 429))
    shared.report_and_reserve(limiter, 1)
    assert shared.state.not_before is None
    attempted(limiter, Throttled(86_400, 429))
    shared.report_and_reserve(limiter, 2)
    assert shared.state.not_before == T0 + timedelta(seconds=86_402)
