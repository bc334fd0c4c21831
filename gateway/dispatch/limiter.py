"""What one process knows of one destination between two reports to the state that all share."""

from gateway.call_errors import LONGEST_WAIT, CallError, Throttled
from gateway.ledger.queue.destinations import Decide, Destination
from gateway.newstore.errors import Blocked
from gateway.settings import LONGEST_CALL, LONGEST_TIMEOUT
from gateway.telemetry.logs import log

from .limits import Limits, Observation, report_and_reserve
from .outcomes import is_failure

_REPORT_EVERY = 0.25  # seconds between reports while there is something to report
_ASK_EVERY = 0.05  # seconds between reports that ask for more
_MOST_UNSETTLED = 8  # times the concurrency: outcomes that wait for their commit
_LOOK_EVERY = 0.5  # seconds between reports while the breaker is open
_LOOK_ANYWAY = 2.0  # seconds between reports of a process that wants nothing: another may have opened the breaker


class DestinationLimiter:
    """Reservations and observations of one destination."""

    def __init__(self, name: str, limits: Limits, seconds: float) -> None:
        self.name = name
        self.limits = limits
        self.seconds = seconds  # that one call may take
        self.in_flight = 0
        self._slowest = 0.0  # order that it took, in seconds
        self._unsettled = 0  # of our claims: the in_flight ones, and those whose outcome waits for its commit
        self._tokens = 0
        self._is_open = False
        self._openings = 0  # of the breaker
        self._reported_at = float("-inf")
        self._started = self._paid = self._looks = 0
        self._made: int | None = None
        self._calls = self._failures = 0
        self._wait = self._blocked = 0.0
        self._reported = Observation(0, 0)

    @property
    def room(self) -> int:
        """How many calls this process may claim now; 0 rather than a few, so that claims come in batches."""
        free = self.limits.concurrency - self.in_flight
        if free < max(1, self.limits.concurrency // 4) or self._unsettled > _MOST_UNSETTLED * self.limits.concurrency:
            return 0
        return max(0, min(self._tokens, free))

    @property
    def may_poll(self) -> bool:
        """Whether one call may start beside those that are owed; it may spend a reservation that is yet to come."""
        return self.in_flight < self.limits.concurrency and (self._tokens > 0 or not self._is_open)

    @property
    def is_open(self) -> bool:
        """Whether the breaker is open: what starts now is a probe."""
        return self._is_open

    @property
    def most_claimed(self) -> int:
        """How many claims of all processes may be open: calls at once, and ours that only wait for their commit."""
        return self.limits.concurrency + self._unsettled - self.in_flight

    def is_due(self, now: float) -> bool:
        """Tell whether it is time to report and reserve."""
        since = now - self._reported_at
        if self._wait or self._blocked:
            return True
        if self._is_open:
            return since > _LOOK_EVERY
        is_short = self._tokens < max(1, min(self.limits.slab, self.limits.concurrency) // 2)
        return (is_short and since > _ASK_EVERY) or (self._calls > 0 and since > _REPORT_EVERY) or since > _LOOK_ANYWAY

    def start(self, *, doubt: bool = False) -> int:
        """Spend a reservation, and tell which: `end` or `release` wants it back."""
        self.in_flight += 1
        self._unsettled += 1
        self._started += 1
        self._tokens -= 1
        self._looks += doubt and self._made is None
        return self._openings

    def end(self, error: Exception | None, reserved: int, *, tells: bool = True) -> None:
        """Note how a call went, where it `tells`; one from before the breaker opened says nothing of what is since."""
        self.in_flight -= 1
        if error is not None and not isinstance(error, CallError):
            self._give_back(reserved)  # it never got there
            return
        if reserved == self._openings and (tells or self._is_open):
            self._calls += 1
            self._failures += error is not None and is_failure(error)
        if isinstance(error, Blocked):
            self._blocked = max(self._blocked, error.retry_after)
        elif isinstance(error, Throttled) and error.retry_after <= LONGEST_WAIT:  # beyond, a hold keeps calls back
            self._wait = max(self._wait, error.retry_after)

    def took(self, seconds: float) -> None:
        """Note how long it took over an order."""
        self._slowest = max(self._slowest, seconds)

    def may_go_on(self, *, late: bool) -> float:
        """Seconds in which an order without an answer may yet be made there: twice what the slowest took that we saw.

        One that was `late` is given as long as any call, and a provider with a longer time-out that time.
        """
        longest = self.seconds if self.seconds > LONGEST_CALL else LONGEST_CALL if late else 0.0
        return min(LONGEST_TIMEOUT, max(longest, 2 * self._slowest))

    def settled(self) -> None:
        """Note that the outcome of a call is stored."""
        self._unsettled -= 1

    def release(self, reserved: int) -> None:
        """Note that a claimed call was not made after all."""
        self.in_flight -= 1
        self._unsettled -= 1
        self._give_back(reserved)

    def _give_back(self, reserved: int) -> None:
        self._started -= 1
        self._tokens += reserved == self._openings

    def made(self, count: int) -> None:
        """Learn how many HTTP requests this process has made there in all, where that is counted."""
        self._made = count

    def decide(self, owner: str) -> Decide:
        """Say how to change the shared state: report, and reserve."""
        extra = self._looks if self._made is None else max(0, self._made - self._started - self._paid)
        seen = self._reported = Observation(self._calls, self._failures, extra, self._wait, self._blocked)
        wanted = max(int(self._is_open), self.limits.slab - self._tokens)  # a probe not used in time may be another's
        return lambda was, now: report_and_reserve(was, self.limits, seen, owner=owner, wanted=wanted, now=now)

    def take(self, state: Destination, granted: int, now: float) -> None:
        """Take what was granted; what was reported is told, and what came since is not."""
        told = self._reported
        self._calls -= told.calls
        self._failures -= told.failures
        self._paid += told.extra
        self._looks = max(0, self._looks - told.extra)
        self._wait = self._wait if self._wait > told.wait else 0.0
        self._blocked = self._blocked if self._blocked > told.blocked else 0.0
        if state.is_open and not self._is_open:
            self._openings += 1
            self._tokens = 0  # reserved when things were well
            log("breaker.opened", destination=self.name)
        elif self._is_open and not state.is_open:
            log("breaker.closed", destination=self.name)
        self._is_open = state.is_open
        self._tokens = min(self._tokens + granted, 1) if state.is_open else self._tokens + granted
        self._reported_at = now
