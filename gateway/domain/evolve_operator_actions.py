"""Fold what persons had done into a request's state."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from .commands import End
from .deliveries import AT_PROVIDER, Operation
from .events import (
    Closed,
    Event,
    Noted,
    OrderWithdrawn,
    QuarantineLeft,
    Rechecked,
    Redriven,
    TakenOver,
    UnitsReopened,
    WithdrawalAsked,
    WithdrawalRefused,
)
from .requests import Dead, Request, Withdrawal
from .units import Confirmed, Said, Unit, confirm, say


def _redriven(request: Request, fact: Redriven, event: Event) -> Request:
    def owed_again(unit: Unit) -> Unit:
        unsent = unit if unit.confirmed is Confirmed.NOT_SENT else confirm(unit, Confirmed.NOT_SENT)
        # NewStore counts by parcel, and of this one it has refused nothing yet.
        return replace(unsent, by=event.version, refusals=0 if fact.parcel else unit.refusals)

    dead = tuple(each for each in request.dead if (each.operation, each.seq) != (fact.operation, fact.was_seq))
    parcels = {**request.parcels, **dict.fromkeys(fact.units, fact.parcel)} if fact.parcel else request.parcels
    return replace(request.with_each(fact.units, owed_again), dead=dead, parcels=parcels)


def _reopened(request: Request, fact: UnitsReopened, event: Event) -> Request:
    """The provider has spoken of the order, so it has it, although it may have said nothing of it that still counts."""
    after = request.with_each(fact.units, lambda unit: say(unit, Said.OPEN, 0))
    return replace(after, submitted_at=request.submitted_at or (event.at if request.provider else None))


def _rechecked(request: Request, fact: Rechecked, _: Event) -> Request:
    if fact.operation is not Operation.LOOK_UP or fact.outcome != "absent":
        return request
    absent = (Dead(d.operation, d.seq, End.ABSENT) if d.operation is Operation.CREATE else d for d in request.dead)
    return replace(request, dead=tuple(absent))


def _closed(request: Request, _: Closed, __: Event) -> Request:
    return replace(request, closed=True, dead=(), conflicts=0, refused=(), withdrawal=None)


def _noted(request: Request, _: Noted, __: Event) -> Request:
    return replace(request, conflicts=0, refused=())


def _taken_over(request: Request, fact: TakenOver, _: Event) -> Request:
    return replace(request, taken_by=fact.who)


def _withdrawal_asked(request: Request, fact: WithdrawalAsked, _: Event) -> Request:
    asked = Withdrawal(fact.to, fact.rejection_reason, fact.who, fact.reason)
    return replace(request.without_dead(Operation.WITHDRAW), withdrawal=asked)


def _order_withdrawn(request: Request, _: OrderWithdrawn, __: Event) -> Request:
    return replace(request.without_dead(*AT_PROVIDER), withdrawal=None, withdrawn=True)


def _withdrawal_refused(request: Request, _: WithdrawalRefused, __: Event) -> Request:
    return replace(request, withdrawal=None)


def _quarantine_left(request: Request, _: QuarantineLeft, __: Event) -> Request:
    return replace(request, quarantined=max(0, request.quarantined - 1))


EXITS: dict[type[Any], Callable[[Request, Any, Event], Request]] = {
    Redriven: _redriven,
    UnitsReopened: _reopened,
    Rechecked: _rechecked,
    Closed: _closed,
    Noted: _noted,
    TakenOver: _taken_over,
    WithdrawalAsked: _withdrawal_asked,
    OrderWithdrawn: _order_withdrawn,
    WithdrawalRefused: _withdrawal_refused,
    QuarantineLeft: _quarantine_left,
}
