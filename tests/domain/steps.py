"""Short ways to bring a request somewhere and to see what one more command does."""

from collections.abc import Mapping
from datetime import timedelta

from gateway.domain.commands import CallEnded, CallTaken, End, Key, ReadBack, RejectionReason, Word
from gateway.domain.decide import Command
from gateway.domain.deliveries import READ_BACK, Operation, Parcel, normal
from gateway.domain.events.event import Event
from gateway.domain.handle import handle
from gateway.domain.requests import Request
from gateway.domain.units import Said
from tests.requests import AT, PARCEL, said

NO_STOCK = RejectionReason.NO_INVENTORY


def after(*commands: Command, start: Request | None = None) -> Request:
    request = start
    for command in commands:
        request, _ = handle(request, command)
    assert request is not None
    return request


def events(request: Request | None, command: Command) -> list[Event]:
    return handle(request, command)[1]


def names(request: Request, command: Command) -> list[str]:
    return [type(event.fact).__name__ for event in events(request, command)]


def operations(request: Request) -> list[Operation]:
    return [each.operation for each in request.owed]


def taken(request: Request, operation: Operation, *, verifiable: bool = True) -> Request:
    """The first owed call of this operation is answered with a yes."""
    owed = next(each for each in request.owed if each.operation is operation)
    call = CallTaken(request_id=request.id, at=AT, operation=operation, seq=owed.seq, attempt=1, verifiable=verifiable)
    return after(call, start=request)


def looked_up(request: Request, *, found: bool) -> Request:
    """The look-up that a person asked for is answered."""
    owed = next(each for each in request.owed if each.operation is Operation.LOOK_UP)
    call = CallTaken(request_id=request.id, at=AT, operation=owed.operation, seq=owed.seq, attempt=1, found=found)
    return after(call, start=request)


def stopped(request: Request) -> Request:
    """The provider answers that it will do nothing more with the order."""
    owed = next(each for each in request.owed if each.operation is Operation.WITHDRAW)
    call = CallTaken(request_id=request.id, at=AT, operation=owed.operation, seq=owed.seq, attempt=1, proof="204")
    return after(call, start=request)


def ended(request: Request, operation: Operation, end: End) -> Request:
    """The first owed call of this operation is given up."""
    owed = next(each for each in request.owed if each.operation is operation)
    call = CallEnded(request_id=request.id, at=AT, operation=operation, seq=owed.seq, attempt=9, end=end, detail="503")
    return after(call, start=request)


def reject(*products: str, event: str = "rejected") -> Command:
    return said(Word.REJECTED, event=event, items=dict.fromkeys(products, 1), reason=NO_STOCK)


def ship(event: str = "shipped", parcel: Parcel = PARCEL, **items: int) -> Command:
    return said(Word.SHIPPED, event=event, items=items or None, parcel=parcel)


def shown(
    request: Request,
    taken: Mapping[Key, int],
    refused: Mapping[Key, tuple[int, str]] | None = None,
    *,
    operation: Operation = Operation.SHIP,
    overdue: bool = False,
    recheck: bool = False,
) -> ReadBack:
    """What NewStore shows; every shipment went as the one parcel of these tests."""
    read = READ_BACK[operation]
    seq = next(owed.seq for owed in request.owed if owed.operation is read and owed.seq) if recheck else 0
    return ReadBack(
        request_id=request.id,
        at=AT + timedelta(seconds=request.version),
        operation=operation,
        attempt=1,
        taken=taken,
        refused=refused or {},
        parcels={unit.reported_by: PARCEL for unit in request.units if unit.said is Said.SHIPPED},
        overdue=overdue,
        seq=seq,
    )


def parcel_of(product: str) -> Key:
    return (product, normal(PARCEL.carrier), normal(PARCEL.tracking_code))
