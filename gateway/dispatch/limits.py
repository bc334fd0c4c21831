"""What a destination can take: its budget and its circuit breaker, decided on a state that all processes share.

closed ─▶ open      too many of the window's calls failed, or the destination blocked our address
open ─▶ half-open   after a while one process may try one call
half-open ─▶ closed | open   as that call went; open for twice as long
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from gateway.ledger.queue.destinations import Destination

_WINDOW = 30.0  # seconds over which failures are counted
_FEWEST = 20  # calls in a window before their failures mean anything
_RATE = 0.5  # of them failed: open
_OPEN_FOR = 10.0  # seconds until the first probe
_OPEN_LONGEST = 300.0
_HALF_OPEN_WITHIN = 60.0  # seconds after which a probe that never came back is given to another process
_FIVE_MINUTES = 300.0  # seconds of the long budget
_BURST = 0.2  # of a budget may be spent at once; the rest comes evenly, so that no window ever sees more than all of it


@dataclass(frozen=True, slots=True)
class Limits:
    """What a destination allows to all processes together; calls at once, per second, and in any five minutes."""

    concurrency: int
    per_second: float
    per_five_minutes: float | None = None

    @property
    def slab(self) -> int:
        """How many calls a process reserves at once."""
        return max(1, int(self.per_second * _BURST / 2))


@dataclass(frozen=True, slots=True)
class Observation:
    """What a process saw of a destination since its last report.

    `failures` are calls that broke, timed out or were answered with 5xx. `extra` are calls that were made beyond the
    ones reserved (a token, a read before a repeat). `wait`: seconds that the destination asked for. `blocked`: it
    shut our address out for so many seconds.
    """

    calls: int = 0
    failures: int = 0
    extra: int = 0
    wait: float = 0.0
    blocked: float = 0.0


def report_and_reserve(
    was: Destination, limits: Limits, seen: Observation, *, owner: str, wanted: int, now: datetime
) -> tuple[Destination, int]:
    """Report what was seen, and reserve up to `wanted` calls: the new state, and how many this process may start."""
    state = _heed(_count(_refill(_trust(was, now), limits, now), seen, owner, now), seen, now)
    granted = max(0, min(wanted, limits.slab, int(state.tokens), int(state.five_minute_tokens)))
    if not granted or (state.not_before and now < state.not_before):
        return state, 0
    if state.is_open:
        if state.half_open_at is None or now < state.half_open_at:
            return state, 0
        # One process tries one call; another may, when it never came back.
        granted = 1
        state = replace(state, half_open_owner=owner, half_open_at=now + timedelta(seconds=_HALF_OPEN_WITHIN))
    return _spend(state, granted), granted


def _trust(state: Destination, now: datetime) -> Destination:
    """Bring back what a clock that was set back has left too far in the future."""
    return replace(
        state,
        not_before=state.not_before and min(state.not_before, now + timedelta(seconds=state.wait)),
        half_open_at=state.half_open_at and min(state.half_open_at, now + timedelta(seconds=_OPEN_LONGEST)),
        window_at=state.window_at and min(state.window_at, now),
    )


def _spend(state: Destination, calls: int) -> Destination:
    return replace(state, tokens=state.tokens - calls, five_minute_tokens=state.five_minute_tokens - calls)


def _refill(state: Destination, limits: Limits, now: datetime) -> Destination:
    """Add what the time since the last report has earned: `_BURST` of a budget at most is kept."""
    since = (now - state.refilled_at).total_seconds() if state.refilled_at else _FIVE_MINUTES
    since = max(0.0, since)
    long = limits.per_second * _FIVE_MINUTES if limits.per_five_minutes is None else limits.per_five_minutes
    return replace(
        state,
        tokens=_earn(state.tokens, limits.per_second, since),
        five_minute_tokens=_earn(state.five_minute_tokens, long, since / _FIVE_MINUTES),
        refilled_at=now,
    )


def _earn(tokens: float, budget: float, share: float) -> float:
    return min(max(1.0, budget * _BURST), tokens + share * budget * (1 - _BURST))


def _count(state: Destination, seen: Observation, owner: str, now: datetime) -> Destination:
    state = _spend(state, seen.extra)
    if state.is_open:
        return _judge_half_open(state, seen, now) if state.half_open_owner == owner and seen.calls else state
    if state.window_at is None or (now - state.window_at).total_seconds() > _WINDOW:
        state = replace(state, calls=0, failures=0, window_at=now)
    calls, failures = state.calls + seen.calls, state.failures + seen.failures
    if calls >= _FEWEST and failures >= _RATE * calls:
        return _open(state, _OPEN_FOR, now)
    return replace(state, calls=calls, failures=failures)


def _judge_half_open(state: Destination, seen: Observation, now: datetime) -> Destination:
    if seen.failures:
        return _open(state, min(_OPEN_LONGEST, 2 * state.open_for), now)
    return replace(
        state, opened_at=None, half_open_at=None, open_for=0.0, half_open_owner=None, calls=0, failures=0, window_at=now
    )  # fmt: skip


def _open(state: Destination, seconds: float, now: datetime) -> Destination:
    return replace(
        state,
        opened_at=state.opened_at or now,
        half_open_at=now + timedelta(seconds=seconds),
        open_for=seconds,
        half_open_owner=None,
        calls=0,
        failures=0,
        window_at=now,
    )


def _heed(state: Destination, seen: Observation, now: datetime) -> Destination:
    """Do what the destination itself asked for."""
    if seen.blocked:
        return _open(state, seen.blocked, now)
    until = now + timedelta(seconds=seen.wait)
    if seen.wait and (state.not_before is None or state.not_before < until):
        return replace(state, not_before=until, wait=seen.wait)
    return state
