"""The budget and the breaker of a destination, as those see them who report to it."""

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.dispatch.limits import Limits, Observation, report_and_reserve
from gateway.ledger.queue.destinations import Destination

T0 = datetime(2026, 11, 27, 8, 0, tzinfo=UTC)
NEW = Destination("acme", 0.0, 0.0, None)
LIMITS = Limits(32, 180.0, 4800.0)
QUIET = Observation(0, 0)

budgets = st.one_of(st.integers(1, 400).map(float), st.floats(0.2, 400.0))
changes = st.lists(
    st.tuples(
        st.one_of(st.floats(0, 2), st.floats(0, 400), st.sampled_from([0.0, 0.05, 0.25, 1.0, 60.0])),
        st.integers(0, 200),
        st.sampled_from([0, 0, 0, 1, 7]),
    ),
    max_size=60,
)


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def go(
    state: Destination,
    seconds: float,
    seen: Observation = QUIET,
    *,
    owner: str = "one",
    wanted: int = 1_000,
    limits: Limits = LIMITS,
) -> tuple[Destination, int]:
    return report_and_reserve(state, limits, seen, owner=owner, wanted=wanted, now=at(seconds))


def opened(seconds: float = 0.0) -> Destination:
    return go(go(NEW, seconds)[0], seconds, Observation(20, 10))[0]


@given(budgets, st.one_of(st.none(), st.integers(1, 9000).map(float)), changes)
def test_whoever_is_granted_a_call_finds_all_windows_before_it_within_the_budget(
    per_second: float, per_five_minutes: float | None, steps: list[tuple[float, int, int]]
) -> None:
    limits = Limits(1_000, per_second, per_five_minutes)
    state, now, log = NEW, 0.0, list[tuple[float, int]]()
    for pause, wanted, extra in steps:
        now += pause
        state, granted = go(state, now, Observation(0, 0, extra), wanted=wanted, limits=limits)
        log.append((now, granted + extra))
        if granted:
            # a call can't be divided: a budget of 1.5 means two in the worst second
            assert sum(n for t, n in log if t > now - 1) <= math.ceil(per_second)
            if per_five_minutes is not None:
                assert sum(n for t, n in log if t > now - 300) <= per_five_minutes


def test_a_budget_is_used_up_by_those_who_keep_asking() -> None:
    state, total = NEW, 0
    for tenth in range(3_000):
        state, granted = go(state, tenth / 10, wanted=50)
        total += granted
    assert 4700 <= total <= 4800


def test_budgets_smaller_than_a_call_are_kept_and_starve_nobody() -> None:
    limits = Limits(1, 0.2, 4.0)
    state, total = NEW, 0
    for second in range(301):
        state, granted = go(state, float(second), wanted=5, limits=limits)
        total += granted
    assert total == 4


def test_no_more_is_granted_than_asked_for_or_than_a_slab() -> None:
    assert go(NEW, 0, wanted=3)[1] == 3
    assert go(NEW, 0, wanted=0)[1] == 0
    assert go(NEW, 0, wanted=1_000)[1] == LIMITS.slab == 18


def test_the_breaker_opens_when_half_of_twenty_calls_failed_and_not_before() -> None:
    assert not go(NEW, 0, Observation(19, 19))[0].is_open
    assert not go(NEW, 0, Observation(20, 9))[0].is_open
    assert go(NEW, 0, Observation(20, 10))[0].is_open
    apart = go(go(NEW, 0, Observation(10, 10))[0], 29, Observation(10, 10), owner="two")[0]
    assert apart.is_open


def test_failures_of_another_window_are_forgotten() -> None:
    assert not go(go(NEW, 0, Observation(19, 19))[0], 31, Observation(1, 1))[0].is_open


def test_an_open_breaker_lets_nobody_try_before_its_time() -> None:
    state = opened()
    assert go(state, 9.9)[1] == 0
    assert go(state, 10.1)[1] == 1


def test_an_open_breaker_lets_one_process_try_one_call() -> None:
    state, granted = go(opened(), 11)
    assert (granted, state.half_open_owner) == (1, "one")
    assert go(state, 11.1)[1] == 0
    assert go(state, 11.1, owner="two")[1] == 0


def test_a_process_that_wants_nothing_does_not_take_the_probe() -> None:
    state, granted = go(opened(), 11, wanted=0)
    assert (granted, state.half_open_owner) == (0, None)


def test_a_probe_is_paid_for_out_of_the_budget() -> None:
    unpaid = go(opened(), 11, wanted=0)[0]
    paid, granted = go(opened(), 11)
    assert granted == 1
    assert (paid.tokens, paid.five_minute_tokens) == (unpaid.tokens - 1, unpaid.five_minute_tokens - 1)


def test_a_breaker_closes_by_itself_when_the_probe_went_well() -> None:
    state = go(go(opened(), 11)[0], 12, Observation(1, 0))[0]
    assert not state.is_open
    assert (state.opened_at, state.half_open_at, state.half_open_owner, state.calls) == (None, None, None, 0)
    assert go(state, 12, owner="two")[1] == 18


def test_each_failed_probe_doubles_the_time_until_the_next_up_to_five_minutes() -> None:
    state, now, waits = opened(), 0.0, []
    for _ in range(7):
        assert state.half_open_at is not None
        waits.append((state.half_open_at - at(now)).total_seconds())
        now += waits[-1]
        state, granted = go(state, now)
        assert granted == 1
        state = go(state, now, Observation(1, 1))[0]
    assert waits == [10, 20, 40, 80, 160, 300, 300]


def test_what_others_report_meanwhile_is_no_verdict_on_the_probe() -> None:
    probing = go(opened(), 11)[0]
    assert go(probing, 12, Observation(5, 0), owner="two", wanted=0)[0].is_open
    assert go(probing, 12, Observation(5, 5), owner="two", wanted=0)[0].open_for == probing.open_for


def test_a_prober_that_vanished_is_replaced() -> None:
    probing = go(opened(), 11)[0]
    assert go(probing, 70, owner="two")[1] == 0
    state, granted = go(probing, 72, owner="two")
    assert (granted, state.half_open_owner) == (1, "two")
    assert not go(state, 73, Observation(1, 0), owner="two")[0].is_open


def test_nothing_is_granted_before_the_time_a_destination_asked_for() -> None:
    state, granted = go(NEW, 0, Observation(1, 0, wait=30.0))
    assert granted == 0
    assert go(state, 29.9, owner="two")[1] == 0
    assert go(state, 30.1, owner="two")[1] == 18


def test_a_shorter_wait_does_not_shorten_a_longer_one() -> None:
    state = go(go(NEW, 0, Observation(1, 0, wait=30.0))[0], 1, Observation(1, 0, wait=2.0))[0]
    assert state.not_before == at(30)


def test_a_destination_that_blocked_us_is_left_alone_for_as_long_as_it_said_and_then_probed() -> None:
    state, granted = go(NEW, 0, Observation(1, 0, blocked=300.0))
    assert (state.is_open, granted) == (True, 0)
    assert go(state, 299)[1] == 0
    assert go(state, 301)[1] == 1


def test_a_clock_set_back_grants_nothing_for_time_that_did_not_pass() -> None:
    spent = go(NEW, 3600)[0]
    spent = replace(spent, tokens=0.0, five_minute_tokens=0.0)
    back, granted = go(spent, 0)
    assert granted == 0
    assert go(back, 0.5)[1] > 0


def test_a_clock_set_back_stops_nobody_for_longer_than_was_asked_for() -> None:
    waiting = go(NEW, 7200, Observation(1, 0, wait=600.0))[0]
    assert go(go(waiting, 0)[0], 601)[1] > 0
    is_open = opened(7200)
    assert go(go(is_open, 0)[0], 301)[1] == 1
    counted = go(NEW, 7200, Observation(19, 19))[0]
    assert not go(go(counted, 0)[0], 31, Observation(1, 1))[0].is_open


def test_a_day_is_waited_as_asked() -> None:
    state = go(NEW, 0, Observation(1, 0, wait=86_400.0))[0]
    assert go(state, 86_390)[1] == 0
    assert go(state, 86_401)[1] > 0
