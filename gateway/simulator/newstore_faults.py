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
    """Shares of all calls, from 0 to 1, that meet each misfortune; a call meets one at most."""

    error_before: float = 0.0
    error_after: float = 0.0
    break_after: float = 0.0
    too_many_requests: float = 0.0
    bad_gateway: float = 0.0
    slow: float = 0.0
    failed_shipment: float = 0.0
    slow_seconds: float = 0.5
    retry_after: int = 1


NO_FAULTS = Faults()


class Fate:
    """Draws what happens to a call: first what a test asked for, else by rate."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self.faults = faults
        self.met: Counter[str] = Counter()
        self._random = random.Random(seed)  # noqa: S311 - repeatable, not secret
        self._asked: defaultdict[str, deque[How]] = defaultdict(deque)

    def fail_next(self, operation: str, how: How) -> None:
        """Ask for one misfortune; asked twice it happens to the next two calls."""
        self._asked[operation].append(how)

    def of(self, operation: str) -> How | None:
        """The misfortune this call meets, if any."""
        how = self._asked[operation].popleft() if self._asked[operation] else self._drawn(operation)
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
