"""What one process knows of one destination between two visits to its shared desk."""

from gateway.calls import Throttled
from gateway.domain.destinations import Destination, Limits, Seen, visit
from gateway.ledger.destinations import Decide
from gateway.newstore.errors import Blocked

from .outcomes import is_failure

_REPORT_EVERY = 0.25  # seconds between visits while there is something to report
_ASK_EVERY = 0.05  # seconds between visits that ask for more
_MOST_UNSETTLED = 8  # times the concurrency: outcomes that wait for their commit
_LOOK_EVERY = 0.5  # seconds between visits while the breaker is open


class Desk:
    """Reservations and observations of one destination."""

    def __init__(self, name: str, limits: Limits, seconds: float) -> None:
        self.name = name
        self.limits = limits
        self.seconds = seconds  # that one call may take
        self.flying = 0
        self._unsettled = 0  # of our claims: the flying ones, and those whose outcome waits for its commit
        self._tokens = 0
        self._others = 0  # calls of other processes, as of the last visit
        self._is_shut = False
        self._visited_at = float("-inf")
        self._started = self._made = self._paid = 0
        self._calls = self._failures = 0
        self._wait = self._blocked = 0.0

    @property
    def room(self) -> int:
        """How many calls this process may claim now; 0 rather than a few, so that claims come in batches."""
        free = self.limits.concurrency - self.flying - self._others
        if free < max(1, self.limits.concurrency // 4) or self._unsettled > _MOST_UNSETTLED * self.limits.concurrency:
            return 0
        return max(0, min(self._tokens, free))

    def is_due(self, now: float) -> bool:
        """Tell whether it is time for a visit."""
        since = now - self._visited_at
        if self._wait or self._blocked:
            return True
        if self._is_shut:
            return since > _LOOK_EVERY
        is_short = self._tokens < max(1, min(self.limits.slab, self.limits.concurrency) // 2)
        return (is_short and since > _ASK_EVERY) or (self._calls > 0 and since > _REPORT_EVERY)

    def start(self) -> None:
        """Spend a reservation."""
        self.flying += 1
        self._unsettled += 1
        self._started += 1
        self._tokens -= 1

    def end(self, error: Exception | None) -> None:
        """Note how a call went."""
        self.flying -= 1
        self._calls += 1
        self._failures += error is not None and is_failure(error)
        if isinstance(error, Blocked):
            self._blocked = max(self._blocked, error.retry_after)
        elif isinstance(error, Throttled):
            self._wait = max(self._wait, error.retry_after)

    def settled(self) -> None:
        """Note that the outcome of a call is stored."""
        self._unsettled -= 1

    def give_up(self) -> None:
        """Note that a claimed call was not made after all."""
        self.flying -= 1
        self._unsettled -= 1
        self._started -= 1

    def made(self, count: int) -> None:
        """Learn how many HTTP requests this process has made there in all, where that is counted."""
        self._made = count

    def decide(self, owner: str) -> Decide:
        """What to do at the desk: report, and reserve."""
        extra = max(0, self._made - self._started - self._paid)
        seen = Seen(self._calls, self._failures, extra, self._wait, self._blocked)
        wanted = max(0, self.limits.slab - self._tokens)
        self._paid += extra
        self._calls = self._failures = 0
        self._wait = self._blocked = 0.0
        return lambda was, now: visit(was, self.limits, seen, owner=owner, wanted=wanted, now=now)

    def visited(self, state: Destination, granted: int, flying: int, now: float) -> None:
        """Take what the desk gave."""
        self._tokens += granted
        self._others = max(0, flying - self._unsettled)
        self._is_shut = state.is_shut
        self._visited_at = now
