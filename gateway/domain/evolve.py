"""Fold events into a request's state, and say which calls each event owes."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from .commands import Word
from .deliveries import AT_PROVIDER, NEWSTORE, READ_BACK, READS, REPORT, Delivery, Operation
from .events import (
    Acknowledged,
    CallbackQuarantined,
    CallbackRefused,
    CallbackWithoutEffect,
    ConflictingBody,
    ConflictingCallback,
    ConflictingLocation,
    Declined,
    DeliveryDied,
    Event,
    Noted,
    OrderWithdrawn,
    ProviderAssigned,
    RecheckAsked,
    Rechecked,
    Redriven,
    Reported,
    ReportRefused,
    RequestReceived,
    ShownBeyondLog,
    Submitted,
    SurplusShown,
    TakenOver,
    UnitsAccepted,
    UnitsCancelled,
    UnitsProved,
    UnitsRefused,
    UnitsRejected,
    UnitsReopened,
    UnitsShipped,
    UnitsUnverifiable,
    UnitsUnverified,
    UnitsWithdrawn,
    WithdrawalAsked,
    WithdrawalRefused,
)
from .evolve_operator_actions import EXITS
from .requests import Dead, Refusal, Request
from .units import Confirmed, Said, Unit, confirm, say


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
    before = request
    if request.refused:
        request = _with_another_word(request, event)
    apply = _APPLY.get(type(fact))
    changed = apply(request, fact, event) if apply else request
    return replace(
        changed,
        version=event.version,
        changed_at=event.at if _moves(before, changed, fact) else request.changed_at,
        settled_at=changed.settled_at or (None if changed.is_pending else event.at),
        owed=(
            *(d for d in changed.owed if not _settles(fact, d) and _still_needed(changed, d)),
            *owe(request, changed, event),
        ),
        causes={**request.causes, event.cause: event.fingerprint},
    )


_CHANGES_NOTHING = (
    CallbackRefused, CallbackWithoutEffect, Declined, Noted, TakenOver, RecheckAsked, Rechecked
)  # fmt: skip


def _moves(before: Request, changed: Request, fact: Any) -> bool:
    """Tell whether it begins a new wait: whoever has to move may have waited since before it."""
    return not isinstance(fact, _CHANGES_NOTHING) or changed.failure not in {None, before.failure}


def owe(before: Request | None, request: Request, event: Event) -> list[Delivery]:
    """Say which outgoing calls an event owes; `request` is the state after it."""
    owes = _OWES.get(type(event.fact))
    owed = owes(before, request, event) if owes else None
    return [owed] if owed and owed not in request.owed and _still_needed(request, owed) else []


def _owes_create(_: Request | None, request: Request, event: Event) -> Delivery | None:
    return Delivery(request.provider, Operation.CREATE, event.version) if request.provider else None


def _owes_acknowledgement(before: Request | None, _: Request, event: Event) -> Delivery | None:
    is_first = before is None or before.accepted_at is None
    return Delivery(NEWSTORE, Operation.ACKNOWLEDGE, event.version) if is_first else None


def _owes_read_back(_: Request | None, __: Request, event: Event) -> Delivery | None:
    fact: Any = event.fact
    return Delivery(NEWSTORE, READ_BACK[fact.operation], 0) if fact.verifiable else None


def _owes_again(_: Request | None, request: Request, event: Event) -> Delivery:
    fact: Any = event.fact
    seq = 0 if fact.operation in READS and not fact.was_seq else event.version
    return Delivery(_destination(request, fact.operation), fact.operation, seq, in_doubt=fact.in_doubt)


def _owes(operation: Operation) -> Callable[[Request | None, Request, Event], Delivery]:
    return lambda _, request, event: Delivery(_destination(request, operation), operation, event.version)


def _owes_read(_: Request | None, request: Request, event: Event) -> Delivery:
    fact: Any = event.fact
    return Delivery(_destination(request, fact.operation), fact.operation, event.version)


def _destination(request: Request, operation: Operation) -> str:
    return (request.provider or "") if operation in AT_PROVIDER else NEWSTORE


_OWES: dict[type[Any], Callable[[Request | None, Request, Event], Delivery | None]] = {
    ProviderAssigned: _owes_create,
    UnitsAccepted: _owes_acknowledgement,
    UnitsShipped: _owes(Operation.SHIP),
    UnitsWithdrawn: _owes(Operation.REJECT),
    UnitsCancelled: _owes(Operation.CANCEL),
    Reported: _owes_read_back,
    Redriven: _owes_again,
    RecheckAsked: _owes_read,
    WithdrawalAsked: _owes(Operation.WITHDRAW),
}


def _settles(fact: Any, delivery: Delivery) -> bool:
    if isinstance(fact, UnitsReopened):
        return delivery.seq in fact.reports
    if isinstance(fact, ShownBeyondLog):  # somebody had the order: sent now, it would be worked a second time
        return delivery.operation is Operation.CREATE
    operation = _SETTLES.get(type(fact)) or getattr(fact, "operation", None)
    return getattr(fact, "seq", None) == delivery.seq and operation is delivery.operation


_SETTLES: dict[type[Any], Operation] = {
    Submitted: Operation.CREATE,
    Acknowledged: Operation.ACKNOWLEDGE,
    OrderWithdrawn: Operation.WITHDRAW,
    WithdrawalRefused: Operation.WITHDRAW,
}


def _still_needed(request: Request, delivery: Delivery) -> bool:
    if request.closed:
        return False
    if delivery.operation in AT_PROVIDER:
        return not request.withdrawn
    return (
        not delivery.is_read
        or delivery.seq > 0
        or any(
            unit.confirmed is Confirmed.SENT and READ_BACK[REPORT[unit.said]] is delivery.operation
            for unit in request.units
        )
    )


def _confirm_all(request: Request, units: Iterable[int], confirmed: Confirmed) -> Request:
    return request.with_each(units, lambda unit: confirm(unit, confirmed))


def _of_report(request: Request, seq: int) -> list[int]:
    return [i for i, unit in enumerate(request.units) if unit.by == seq and unit.confirmed is Confirmed.NOT_SENT]


def _assigned(request: Request, fact: ProviderAssigned, _: Event) -> Request:
    """The new provider knows nothing of the request yet, whatever the one that was withdrawn said and did."""
    anew = request.with_each(range(len(request.units)), lambda unit: replace(unit, accepted=0))
    former = (*request.former, request.provider) if request.provider else ()
    return replace(
        anew, provider=fact.provider, assignment=fact.assignment, submitted_at=None, withdrawn=False, former=former
    )


def _submitted(request: Request, _: Submitted, event: Event) -> Request:
    return replace(request.without_dead(Operation.CREATE), submitted_at=request.submitted_at or event.at)


def _accepted(request: Request, fact: UnitsAccepted, event: Event) -> Request:
    after = request.with_each(fact.units, lambda unit: replace(unit, accepted=event.version))
    return replace(after, accepted_at=request.accepted_at or event.at).without_dead(Operation.CREATE)


def _shipped(request: Request, fact: UnitsShipped, event: Event) -> Request:
    after = request.with_each(fact.units, lambda unit: say(unit, Said.SHIPPED, event.version))
    parcels = {**request.parcels, **dict.fromkeys(fact.units, fact.parcel)}
    return replace(after, shipped_at=request.shipped_at or event.at, parcels=parcels)


def _rejected(request: Request, fact: UnitsRejected, _: Event) -> Request:
    after = request.with_each(fact.units, lambda unit: say(unit, Said.REJECTED, 0))
    return after.without_dead(Operation.CREATE)


def _withdrawn(request: Request, fact: UnitsWithdrawn, event: Event) -> Request:
    return request.with_each(fact.units, lambda unit: replace(unit, by=event.version))


def _cancelled(request: Request, fact: UnitsCancelled, event: Event) -> Request:
    after = request.with_each(fact.units, lambda unit: say(unit, Said.CANCELLED, event.version))
    return after.without_dead(Operation.CREATE)


def _reported(request: Request, fact: Reported, _: Event) -> Request:
    confirmed = Confirmed.SENT if fact.verifiable else Confirmed.UNVERIFIABLE
    after = _confirm_all(request, _of_report(request, fact.seq), confirmed)
    return replace(after, dead=tuple(each for each in after.dead if each.seq != fact.seq))


def _report_refused(request: Request, fact: ReportRefused, _: Event) -> Request:
    return _confirm_all(request, _of_report(request, fact.seq), Confirmed.REFUSED)


def _proved(request: Request, fact: UnitsProved, _: Event) -> Request:
    return _confirm_all(request, fact.units, Confirmed.PROVED)


def _refused(request: Request, fact: UnitsRefused, _: Event) -> Request:
    refused = _confirm_all(request, fact.units, Confirmed.REFUSED)
    return refused.with_each(fact.units, lambda unit: replace(unit, refusals=unit.refusals + 1))


def _unverified(request: Request, fact: UnitsUnverified, _: Event) -> Request:
    return _confirm_all(request, fact.units, Confirmed.UNVERIFIED)


def _unverifiable(request: Request, fact: UnitsUnverifiable, _: Event) -> Request:
    return _confirm_all(request, fact.units, Confirmed.UNVERIFIABLE)


def _shown_beyond(request: Request, fact: ShownBeyondLog, event: Event) -> Request:
    """Await that the provider tells it again; who ships has accepted, and NewStore need not be told so any more."""
    after = request.without_dead(Operation.CREATE)
    after = after.with_each(fact.units[:1], lambda unit: replace(unit, refusals=unit.refusals + fact.refusals))
    if fact.operation is Operation.SHIP:
        after = after.with_each(fact.units, lambda unit: replace(unit, accepted=unit.accepted or event.version))
    untold = tuple(index for index in fact.units if request.units[index].said is Said.OPEN)
    return replace(after, untold=(*request.untold, *untold))


def _told_at_last(request: Request, fact: CallbackWithoutEffect, _: Event) -> Request:
    return replace(request, untold=tuple(unit for unit in request.untold if unit not in fact.units))


def _surplus(request: Request, _: SurplusShown, __: Event) -> Request:
    return replace(request, surplus=True)


def _conflict(request: Request, _: Any, __: Event) -> Request:
    return replace(request, conflicts=request.conflicts + 1)


def _with_another_word(request: Request, event: Event) -> Request:
    """Whatever else is said under the id of a refused message takes its place."""
    message = event.fact.message if isinstance(event.fact, CallbackRefused) else event.cause
    return replace(request, refused=tuple(each for each in request.refused if each.message != message))


def _callback_refused(request: Request, fact: CallbackRefused, event: Event) -> Request:
    """One by somebody who should have nothing to say any more counts as a conflict; all are seen by a person."""
    if is_welcome(request, fact):
        return request
    if fact.reason in _MAY_SHIP_TWICE or len(request.refused) == _MOST_REFUSED:
        return _conflict(request, fact, event)
    return replace(request, refused=(*request.refused, Refusal(fact.message, fact.word, fact.detail)))


def is_welcome(request: Request, fact: CallbackRefused) -> bool:
    """Tell whether nobody needs to look: an acceptance is late, or a former provider will not ship."""
    if fact.word == Word.ACCEPTED:
        return fact.reason == "units_not_open" or (fact.reason == "other_provider" and not request.is_pending)
    return fact.reason == "other_provider" and fact.word in {Word.REJECTED, Word.CANCELLED}


_MAY_SHIP_TWICE = frozenset({"other_provider", "withdrawn", "another_parcel", "closed"})
_MOST_REFUSED = 10  # that are told apart; more of them only a person's note answers


def _quarantined(request: Request, _: CallbackQuarantined, __: Event) -> Request:
    return replace(request, quarantined=request.quarantined + 1)


def _died(request: Request, fact: DeliveryDied, _: Event) -> Request:
    if fact.operation is Operation.CREATE and request.is_known_to_provider:
        return request
    return replace(request, dead=(*request.dead, Dead(fact.operation, fact.seq, fact.end)))


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
    CallbackRefused: _callback_refused,
    CallbackQuarantined: _quarantined,
    Reported: _reported,
    ReportRefused: _report_refused,
    UnitsProved: _proved,
    UnitsRefused: _refused,
    UnitsUnverified: _unverified,
    UnitsUnverifiable: _unverifiable,
    SurplusShown: _surplus,
    ShownBeyondLog: _shown_beyond,
    CallbackWithoutEffect: _told_at_last,
    DeliveryDied: _died,
    **EXITS,
}
