"""What one process does between two visits to a desk."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.calls import CallError, Refused, Throttled, Unknown
from gateway.dispatch.limiter import Desk
from gateway.dispatch.limits import Limits
from gateway.dispatch.outcomes import Undecidable
from gateway.ledger.queue.destinations import Destination

T0 = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
LIMITS = Limits(32, 100.0)  # slabs of 10


class Shared:
    """The row that all desks of a destination visit."""

    def __init__(self) -> None:
        self.state = Destination("acme", 0.0, 0.0, None)

    def visit(self, desk: Desk, seconds: float) -> int:
        decide = desk.decide(f"owner of {id(desk)}")
        self.state, granted = decide(self.state, T0 + timedelta(seconds=seconds))
        desk.visited(self.state, granted, seconds)
        return granted


def failure() -> CallError:
    return Unknown("answered 500", 500)


def fly(desk: Desk, error: Exception | None = None) -> None:
    desk.end(error, desk.start())


def opened() -> tuple[Shared, Desk]:
    shared, desk = Shared(), Desk("acme", LIMITS, 5.0)
    shared.visit(desk, 0)
    for _ in range(20):
        fly(desk, failure())
    shared.visit(desk, 1)
    assert shared.state.is_shut
    return shared, desk


def test_a_desk_takes_a_slab_and_spends_it_call_by_call() -> None:
    shared, desk = Shared(), Desk("acme", LIMITS, 5.0)
    assert desk.room == 0
    assert shared.visit(desk, 0) == 10
    assert desk.room == 10
    reserved = desk.start()
    assert (desk.room, desk.flying) == (9, 1)
    desk.end(None, reserved)
    assert (desk.room, desk.flying) == (9, 0)


def test_a_call_that_was_not_made_gives_its_reservation_back() -> None:
    shared, desk = Shared(), Desk("acme", LIMITS, 5.0)
    shared.visit(desk, 0)
    desk.give_up(desk.start())
    fly(desk, Undecidable("nothing was sent"))
    fly(desk, LookupError("broke"))
    assert (desk.room, desk.flying) == (10, 0)
    shared.visit(desk, 1)
    assert shared.state.calls == 0


def test_what_was_reserved_before_the_breaker_opened_is_void() -> None:
    shared, desk = opened()
    other = Desk("acme", LIMITS, 5.0)
    quiet = replace(shared.state, shut_at=None, probe_at=None)
    other.visited(quiet, 10, 0)
    shared.visit(other, 12)
    assert other.room == 0
    shared.visit(other, 13)
    assert other.room == 1
    assert desk.room == 0


def test_a_process_with_a_full_desk_finds_out_that_the_breaker_opened_and_probes() -> None:
    shared, _ = opened()
    idle = Desk("acme", LIMITS, 5.0)
    idle.visited(replace(shared.state, shut_at=None, probe_at=None), 10, 0)
    assert not idle.is_due(1)
    assert idle.is_due(3)
    assert shared.visit(idle, 12) == 0
    assert idle.is_due(13)
    assert shared.visit(idle, 13) == 1


def test_a_probe_that_waits_for_work_stays_one_call() -> None:
    shared, desk = opened()
    for seconds in (12, 80, 150):
        shared.visit(desk, seconds)
        assert desk.room == 1


def test_an_unused_probe_goes_back_to_a_process_that_had_it_before_when_the_other_is_gone() -> None:
    limits = Limits(4, 5.0)  # slabs of 1
    shared, first, second = Shared(), Desk("acme", limits, 5.0), Desk("acme", limits, 5.0)
    shared.state = replace(shared.state, shut_at=T0, probe_at=T0)
    for desk, seconds in ((first, 1), (second, 62), (first, 123)):
        assert shared.visit(desk, seconds) == 1
        assert shared.state.prober == f"owner of {id(desk)}"
        assert desk.room == 1


def test_calls_from_before_the_opening_are_no_verdict_on_the_probe() -> None:
    shared, desk = Shared(), Desk("acme", LIMITS, 5.0)
    shared.visit(desk, 0)
    old = [desk.start() for _ in range(4)]
    for _ in range(20):
        fly(desk, failure())
    shared.visit(desk, 1)
    shared.visit(desk, 12)
    probe = desk.start()
    desk.end(failure(), old[0])
    desk.end(None, old[1])
    shared.visit(desk, 13)
    assert shared.state.is_shut
    assert shared.state.shut_for == 10
    desk.end(None, probe)
    shared.visit(desk, 14)
    assert not shared.state.is_shut


def test_a_probe_that_never_got_there_is_made_again() -> None:
    shared, desk = opened()
    shared.visit(desk, 12)
    fly(desk, Undecidable("nothing was sent"))
    shared.visit(desk, 13)
    assert shared.state.is_shut
    assert desk.room == 1


def test_a_refusal_is_an_answer_and_closes_the_breaker() -> None:
    shared, desk = opened()
    shared.visit(desk, 12)
    fly(desk, Refused("no", 422))
    shared.visit(desk, 13)
    assert not shared.state.is_shut


def test_what_could_not_be_reported_is_reported_the_next_time() -> None:
    shared, desk = Shared(), Desk("acme", LIMITS, 5.0)
    shared.visit(desk, 0)
    fly(desk, failure())
    fly(desk, Throttled(30, 429))
    desk.made(5)
    desk.decide("me")  # and the database went away
    assert desk.is_due(0.3)
    shared.visit(desk, 1)
    assert (shared.state.calls, shared.state.failures) == (2, 1)
    assert shared.state.not_before == T0 + timedelta(seconds=31)
    shared.visit(desk, 2)
    assert (shared.state.calls, shared.state.failures) == (2, 1)


def test_calls_beyond_the_reserved_ones_are_paid_once() -> None:
    limits = Limits(32, 100.0, 1_000.0)
    shared, desk = Shared(), Desk("acme", limits, 5.0)
    shared.visit(desk, 0)
    before = shared.state.long_tokens
    fly(desk)
    desk.made(4)  # a token and two reads besides
    shared.visit(desk, 0)
    assert shared.state.long_tokens == before - 3 - 1  # and the one that fills the slab again
    shared.visit(desk, 0)
    assert shared.state.long_tokens == before - 3 - 1


def test_where_calls_are_not_counted_a_look_before_a_repeat_is_paid_as_well() -> None:
    limits = Limits(32, 100.0, 1_000.0)
    shared, desk = Shared(), Desk("acme", limits, 5.0)
    shared.visit(desk, 0)
    before = shared.state.long_tokens
    desk.end(None, desk.start(doubt=True))
    shared.visit(desk, 0)
    shared.visit(desk, 0)
    assert shared.state.long_tokens == before - 2


def test_few_free_places_are_left_until_there_are_more() -> None:
    shared, desk = Shared(), Desk("acme", Limits(8, 1_000.0), 5.0)
    shared.visit(desk, 0)
    reserved = [desk.start() for _ in range(7)]
    assert desk.room == 0
    desk.end(None, reserved.pop())
    assert desk.room == 2


def test_a_wait_of_more_than_a_day_is_left_to_a_person() -> None:
    shared, desk = Shared(), Desk("acme", LIMITS, 5.0)
    shared.visit(desk, 0)
    fly(desk, Throttled(86_401, 429))
    shared.visit(desk, 1)
    assert shared.state.not_before is None
    fly(desk, Throttled(86_400, 429))
    shared.visit(desk, 2)
    assert shared.state.not_before == T0 + timedelta(seconds=86_402)
