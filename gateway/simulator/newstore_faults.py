"""What goes wrong on the way to NewStore: by rate for a whole run, or once and on purpose for a test."""

import random
from collections import Counter, defaultdict, deque
from dataclasses import dataclass
from typing import Literal

from aiohttp import web

REFUSE = web.RequestKey("refuse", bool)
How = Literal["500_before", "500_after", "break_after", "429", "502", "slow", "refuse"]


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of all calls, from 0 to 1, that meet each misfortune; a call meets one at most.

    `most_each` bounds what one request meets, so that none waits for the far end of a retry schedule by bad luck alone.
    """

    error_before: float = 0.0
    error_after: float = 0.0
    break_after: float = 0.0
    too_many_requests: float = 0.0
    bad_gateway: float = 0.0
    slow: float = 0.0
    failed_shipment: float = 0.0
    slow_seconds: float = 0.5
    retry_after: int = 1
    most_each: int | None = None


NO_FAULTS = Faults()
SOME_FAULTS = Faults(
    error_before=0.01, error_after=0.01, break_after=0.01, too_many_requests=0.01, bad_gateway=0.01, most_each=2
)


class FaultInjector:
    """Draws what happens to a call: first what a test asked for, else by rate."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults = faults
        self.met: Counter[str] = Counter()
        self._random = random.Random(f"{seed}:faults")  # noqa: S311 - repeatable, not secret
        self._asked: defaultdict[str, deque[How]] = defaultdict(deque)

    def fail_next(self, operation: str, how: How) -> None:
        """Ask for one misfortune; asked twice it happens to the next two calls."""
        self._asked[operation].append(how)

    def of(self, operation: str, met: int = 0) -> How | None:
        """The misfortune this call meets, if any; its request has met so many."""
        if self._asked[operation]:
            how: How | None = self._asked[operation].popleft()
        else:
            how = None if met == self.faults.most_each else self._drawn(operation)
        if how:
            self.met[how] += 1
        return how

    def _drawn(self, operation: str) -> How | None:
        rates: dict[How, float] = {
            "500_before": self.faults.error_before,
            "500_after": self.faults.error_after,
            "break_after": self.faults.break_after,
            "429": self.faults.too_many_requests,
            "502": self.faults.bad_gateway,
            "slow": self.faults.slow,
            "refuse": self.faults.failed_shipment if operation == "shipment" else 0.0,
        }
        mark = self._random.random()
        for how, rate in rates.items():
            mark -= rate
            if mark < 0:
                return how
        return None
