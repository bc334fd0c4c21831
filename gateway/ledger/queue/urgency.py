"""Which owed call goes first at a destination: a head start in time, so that nothing starves."""

from gateway.domain.deliveries import AT_PROVIDER, READS, REVERSALS, Operation

HEAD_START = {
    0: 660.0, 1: 60.0,  # what makes a parcel move or tells that it did
    2: 660.0, 3: 60.0,  # what a brake may hold back
    4: 630.0, 5: 30.0,  # acceptance
    6: 600.0, 7: 0.0,  # reads
}  # fmt: skip
"""Urgency -> seconds by which such a call is treated as older than it is; even ones are express."""

BRAKED = (2, 3)
"""The urgencies of rejections and cancellations."""


def urgency(operation: Operation, *, is_express: bool) -> int:
    """Sort an operation into one of eight classes; a lower one goes first where both are as old."""
    if operation in REVERSALS:
        rank = 1
    elif operation in READS:
        rank = 3
    else:
        rank = 2 if operation is Operation.ACKNOWLEDGE else 0
    return 2 * rank + (not is_express)


TOLD = tuple(
    (operation, urgency(operation, is_express=is_express))
    for operation in Operation
    if operation not in AT_PROVIDER
    for is_express in (True, False)
)
"""What NewStore is told and asked, with the urgencies that it has there: a lane may wait for one of its operations."""
