"""When an owed call is tried again: the schedule, written out."""

from gateway.domain.deliveries import NEWSTORE, READ_BACKS, Operation

_S, _M, _H = 1.0, 60.0, 3600.0
PROVIDER = (2 * _S, 5 * _S, 15 * _S, 1 * _M, 5 * _M, 15 * _M, 1 * _H, 2 * _H, 4 * _H, 8 * _H, 12 * _H)
REPORTS = (1 * _S, 3 * _S, 10 * _S, 30 * _S, 1 * _M, 5 * _M, 15 * _M, 1 * _H, 2 * _H, 4 * _H, 8 * _H)
LOOKS = (1 * _S, 2 * _S, 4 * _S, 8 * _S, 15 * _S, 30 * _S, 1 * _M, 2 * _M)
ORDER_READS = (*LOOKS, 5 * _M, 15 * _M, 1 * _H, 2 * _H, 4 * _H)
ELSEWHERE = (5 * _S, 15 * _S, 1 * _M, 5 * _M, 15 * _M, 1 * _H)
"""For an order of which somebody else tells the provider: as long as it is not there, for ever."""


def delay(destination: str, operation: Operation, attempt: int, jitter: float) -> float | None:
    """Seconds until the next try after `attempt` (1, 2, …) failed, or None where the schedule ends.

    `jitter` in [0, 1) spreads a write over its whole step, so that a recovering destination is not met by all at
    once, and a look over the second half, so that it is not wasted. Read-backs never end here: their time-box does.
    """
    if operation in READ_BACKS:
        return LOOKS[min(attempt, len(LOOKS)) - 1] * (0.5 + 0.5 * jitter)
    if operation is Operation.READ_ORDER:
        return ORDER_READS[attempt - 1] * (0.5 + 0.5 * jitter) if attempt <= len(ORDER_READS) else None
    schedule = REPORTS if destination == NEWSTORE else PROVIDER
    return schedule[attempt - 1] * jitter if attempt <= len(schedule) else None
