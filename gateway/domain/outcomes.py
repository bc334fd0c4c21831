"""What follows from how an owed call went; a call that is no longer owed changes nothing."""

from collections.abc import Callable

from .commands import CallEnded, CallTaken, End
from .deliveries import READ_BACK, READ_BACKS, Operation
from .events.assignment import WithdrawalRefused
from .events.calls import Acknowledged, DeliveryDied, OrderRead, Rechecked, Reported, ReportRefused, Submitted
from .events.event import Fact
from .events.provider import UnitsAccepted
from .requests import Request
from .withdrawal import leave


def taken(request: Request, call: CallTaken) -> list[Fact]:
    if call.operation in READ_BACKS or not request.owes(call.operation, call.seq):
        return []
    return _TAKEN[call.operation](request, call)


def ended(request: Request, call: CallEnded) -> list[Fact]:
    if not request.owes(call.operation, call.seq):
        return []
    if call.operation is Operation.LOOK_UP or (call.operation in READ_BACKS and call.seq and not request.is_cut_off):
        return [Rechecked(call.operation, call.seq, f"no answer: {call.detail}")]
    if call.end is End.REFUSED and call.operation in READ_BACK:
        return [ReportRefused(call.operation, call.seq, call.detail)]
    if call.end is End.REFUSED and call.operation is Operation.WITHDRAW:
        return [WithdrawalRefused(call.seq, call.detail)]
    return [DeliveryDied(call.operation, call.seq, call.end, call.detail)]


def _created(request: Request, call: CallTaken) -> list[Fact]:
    return [Submitted(call.seq, call.provider_order, call.found), *_accepted(request, call)]


def _accepted(request: Request, call: CallTaken) -> list[Fact]:
    """Where the location has it so, what was taken counts as accepted."""
    units = tuple(
        index for index in request.open_units if not request.units[index].accepted and index not in request.backordered
    )
    return [UnitsAccepted(units)] if call.accepts and units and request.withdrawal is None else []


def _looked_up(request: Request, call: CallTaken) -> list[Fact]:
    dead = [each.seq for each in request.dead if each.operation is Operation.CREATE]
    found: list[Fact] = [Submitted(seq, call.provider_order, found=True) for seq in dead] if call.found else []
    accepted = _accepted(request, call) if found else []
    return [*found, *accepted, Rechecked(call.operation, call.seq, "found" if call.found else "absent")]


def _withdrawn(request: Request, call: CallTaken) -> list[Fact]:
    return leave(request, call.seq, call.proof)


def _order_read(request: Request, call: CallTaken) -> list[Fact]:
    return [OrderRead(d.destination, d.seq) for d in request.owed if d.has_key(call.operation, call.seq)]


def _acknowledged(_: Request, call: CallTaken) -> list[Fact]:
    return [Acknowledged(call.seq)]


def _reported(_: Request, call: CallTaken) -> list[Fact]:
    return [Reported(call.operation, call.seq, call.found, call.verifiable)]


_TAKEN: dict[Operation, Callable[[Request, CallTaken], list[Fact]]] = {
    Operation.CREATE: _created,
    Operation.LOOK_UP: _looked_up,
    Operation.WITHDRAW: _withdrawn,
    Operation.READ_ORDER: _order_read,
    Operation.ACKNOWLEDGE: _acknowledged,
    Operation.SHIP: _reported,
    Operation.REJECT: _reported,
    Operation.CANCEL: _reported,
}
