"""Fold events into a request's state, and say which calls each event owes."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from .deliveries import NEWSTORE, READ_BACK, REPORT, Delivery, Operation
from .events import (
    Acknowledged,
    CallbackQuarantined,
    CallbackRefused,
    CallbackWithoutEffect,
    ConflictingBody,
    ConflictingCallback,
    ConflictingLocation,
    DeliveryDied,
    Event,
    ProviderAssigned,
    Reported,
    ReportRefused,
    RequestReceived,
    Submitted,
    SurplusShown,
    UnitsAccepted,
    UnitsCancelled,
    UnitsProved,
    UnitsRefused,
    UnitsRejected,
    UnitsShipped,
    UnitsUnverified,
    UnitsWithdrawn,
)
from .requests import Request
from .units import CONFIRMED_NEXT, SAID_NEXT, Confirmed, Said, Unit


def evolve(request_id: str, request: Request | None, event: Event) -> Request:
    """Apply one event: the state after it, its owed calls included."""
    fact = event.fact
    if request is None and isinstance(fact, RequestReceived):
        return Request(
            id=request_id,
            version=event.version,
            location=fact.location,
            order_id=fact.order_id,
            service_level=fact.service_level,
            reference=fact.reference,
            provider=fact.provider,
            assignment=1 if fact.provider else 0,
            fingerprint=fact.fingerprint,
            received_at=event.at,
            changed_at=event.at,
            units=tuple(Unit(product) for product in fact.products),
            owed=(Delivery(fact.provider, Operation.CREATE, event.version),) if fact.provider else (),
            causes={event.cause: event.fingerprint},
        )
    if request is None or isinstance(fact, RequestReceived) or event.version != request.version + 1:
        raise ValueError(f"event {event.version} does not follow {request and request.version}")
    apply = _APPLY.get(type(fact))
    changed = apply(request, fact, event) if apply else request
    changed = replace(
        changed,
        version=event.version,
        changed_at=request.changed_at if isinstance(fact, _CHANGES_NOTHING) else event.at,
        causes={**request.causes, event.cause: event.fingerprint},
    )
    owed = (*(d for d in changed.owed if not _settles(fact, d) and _still_needed(changed, d)), *owe(changed, event))
    changed = replace(changed, owed=owed)
    if not changed.is_pending and changed.settled_at is None:
        changed = replace(changed, settled_at=event.at)
    return changed


# Whoever has to move has waited since before such a message.
_CHANGES_NOTHING = (CallbackRefused, CallbackWithoutEffect)


def owe(request: Request, event: Event) -> list[Delivery]:
    """Say which outgoing calls an event owes; `request` is the state after it."""
    seq, fact = event.version, event.fact
    match fact:
        case ProviderAssigned(provider=provider):
            return [Delivery(provider, Operation.CREATE, seq)]
        case UnitsAccepted() if all(unit.accepted in {0, seq} for unit in request.units):
            return [Delivery(NEWSTORE, Operation.ACKNOWLEDGE, seq)]
        case Reported(operation=operation, verifiable=True):
            read = Delivery(NEWSTORE, READ_BACK[operation], 0)
            return [] if read in request.owed else [read]
    report = _OWES.get(type(fact))
    return [Delivery(NEWSTORE, report, seq)] if report else []


_OWES: dict[type[Any], Operation] = {
    UnitsShipped: Operation.SHIP,
    UnitsWithdrawn: Operation.REJECT,
    UnitsCancelled: Operation.CANCEL,
}


def _settles(fact: Any, delivery: Delivery) -> bool:
    operation = _SETTLES.get(type(fact)) or getattr(fact, "operation", None)
    return getattr(fact, "seq", None) == delivery.seq and operation is delivery.operation


_SETTLES = {Submitted: Operation.CREATE, Acknowledged: Operation.ACKNOWLEDGE}


def _still_needed(request: Request, delivery: Delivery) -> bool:
    return not delivery.is_read or any(
        unit.confirmed is Confirmed.SENT and READ_BACK[REPORT[unit.said]] is delivery.operation
        for unit in request.units
    )


def _each(request: Request, indices: Iterable[int], change: Callable[[Unit], Unit]) -> Request:
    units = list(request.units)
    for index in indices:
        units[index] = change(units[index])
    return replace(request, units=tuple(units))


def _say(unit: Unit, said: Said, by: int) -> Unit:
    if said not in SAID_NEXT[unit.said]:
        raise ValueError(f"a unit that is {unit.said} cannot become {said}")
    return replace(unit, said=said, by=by)


def _confirm(unit: Unit, confirmed: Confirmed) -> Unit:
    if confirmed not in CONFIRMED_NEXT[unit.confirmed]:
        raise ValueError(f"a unit that is {unit.confirmed} cannot become {confirmed}")
    return replace(unit, confirmed=confirmed)


def _confirm_all(request: Request, units: Iterable[int], confirmed: Confirmed) -> Request:
    return _each(request, units, lambda unit: _confirm(unit, confirmed))


def _of_report(request: Request, seq: int) -> list[int]:
    return [i for i, unit in enumerate(request.units) if unit.by == seq and unit.confirmed is Confirmed.NOT_SENT]


def _assigned(request: Request, fact: ProviderAssigned, _: Event) -> Request:
    return replace(request, provider=fact.provider, assignment=fact.assignment)


def _submitted(request: Request, _: Submitted, event: Event) -> Request:
    return replace(request, submitted_at=request.submitted_at or event.at)


def _accepted(request: Request, fact: UnitsAccepted, event: Event) -> Request:
    after = _each(request, fact.units, lambda unit: replace(unit, accepted=event.version))
    return replace(after, accepted_at=request.accepted_at or event.at, dead=_without_create(request))


def _shipped(request: Request, fact: UnitsShipped, event: Event) -> Request:
    after = _each(request, fact.units, lambda unit: _say(unit, Said.SHIPPED, event.version))
    return replace(after, shipped_at=request.shipped_at or event.at)


def _rejected(request: Request, fact: UnitsRejected, _: Event) -> Request:
    after = _each(request, fact.units, lambda unit: _say(unit, Said.REJECTED, 0))
    return replace(after, dead=_without_create(request))


def _withdrawn(request: Request, fact: UnitsWithdrawn, event: Event) -> Request:
    return _each(request, fact.units, lambda unit: replace(unit, by=event.version))


def _cancelled(request: Request, fact: UnitsCancelled, event: Event) -> Request:
    after = _each(request, fact.units, lambda unit: _say(unit, Said.CANCELLED, event.version))
    return replace(after, dead=_without_create(request))


def _without_create(request: Request) -> tuple[tuple[Operation, int], ...]:
    """A provider that speaks of the request has it: the create that seemed dead is not missing."""
    return tuple(each for each in request.dead if each[0] is not Operation.CREATE)


def _is_known_to_provider(request: Request) -> bool:
    return any(unit.accepted or unit.said is not Said.OPEN for unit in request.units)


def _reported(request: Request, fact: Reported, _: Event) -> Request:
    confirmed = Confirmed.SENT if fact.verifiable else Confirmed.UNVERIFIABLE
    return _confirm_all(request, _of_report(request, fact.seq), confirmed)


def _report_refused(request: Request, fact: ReportRefused, _: Event) -> Request:
    return _confirm_all(request, _of_report(request, fact.seq), Confirmed.REFUSED)


def _proved(request: Request, fact: UnitsProved, _: Event) -> Request:
    return _confirm_all(request, fact.units, Confirmed.PROVED)


def _refused(request: Request, fact: UnitsRefused, _: Event) -> Request:
    return _confirm_all(request, fact.units, Confirmed.REFUSED)


def _unverified(request: Request, fact: UnitsUnverified, _: Event) -> Request:
    return _confirm_all(request, fact.units, Confirmed.UNVERIFIED)


def _surplus(request: Request, _: SurplusShown, __: Event) -> Request:
    return replace(request, surplus=True)


def _conflict(request: Request, _: Any, __: Event) -> Request:
    return replace(request, conflicts=request.conflicts + 1)


def _quarantined(request: Request, _: CallbackQuarantined, __: Event) -> Request:
    return replace(request, quarantined=request.quarantined + 1)


def _died(request: Request, fact: DeliveryDied, _: Event) -> Request:
    if fact.operation is Operation.CREATE and _is_known_to_provider(request):
        return request
    return replace(request, dead=(*request.dead, (fact.operation, fact.seq)))


_APPLY: dict[type[Any], Callable[[Request, Any, Event], Request]] = {
    ProviderAssigned: _assigned,
    ConflictingBody: _conflict,
    ConflictingLocation: _conflict,
    ConflictingCallback: _conflict,
    Submitted: _submitted,
    UnitsAccepted: _accepted,
    UnitsShipped: _shipped,
    UnitsRejected: _rejected,
    UnitsWithdrawn: _withdrawn,
    UnitsCancelled: _cancelled,
    CallbackQuarantined: _quarantined,
    Reported: _reported,
    ReportRefused: _report_refused,
    UnitsProved: _proved,
    UnitsRefused: _refused,
    UnitsUnverified: _unverified,
    SurplusShown: _surplus,
    DeliveryDied: _died,
}
