"""Fold events into a request's state, and say which calls each event owes."""

from dataclasses import replace

from .deliveries import AT_PROVIDER, READ_BACK, REPORT, Delivery, Operation
from .events.assignment import RequestReceived
from .events.event import Event, Fact
from .events.messages import CallbackRefused
from .requests import Request
from .units import Confirmed, Said


def evolve(request_id: str, request: Request | None, event: Event) -> Request:
    """Apply one event: the state after it, its owed calls included."""
    fact = event.fact
    if request is None and isinstance(fact, RequestReceived):
        return fact.begin(request_id, event)
    if request is None or isinstance(fact, RequestReceived) or event.version != request.version + 1:
        raise ValueError(f"event {event.version} does not follow {request and request.version}")
    before = request
    if request.refused:
        request = _with_another_word(request, event)
    changed = fact.apply(request, event)
    if changed.backordered:
        changed = changed.in_stock([i for i in changed.backordered if changed.units[i].said is not Said.OPEN])
    return replace(
        changed,
        version=event.version,
        changed_at=event.at if _moves(before, changed, fact) else request.changed_at,
        settled_at=changed.settled_at or (None if changed.is_pending else event.at),
        owed=(
            *(d for d in changed.owed if not fact.settles(d) and _still_needed(changed, d)),
            *owe(request, changed, event),
        ),
        causes={**request.causes, event.cause: event.fingerprint},
    )


def owe(before: Request | None, request: Request, event: Event) -> list[Delivery]:
    """Say which outgoing calls an event owes; `request` is the state after it."""
    owed = event.fact.owes(before, request, event)
    return [owed] if owed and owed not in request.owed and _still_needed(request, owed) else []


def _moves(before: Request, changed: Request, fact: Fact) -> bool:
    """Tell whether it begins a new wait: whoever has to move may have waited since before it."""
    return fact.begins_wait or changed.failure not in {None, before.failure}


def _still_needed(request: Request, delivery: Delivery) -> bool:
    if delivery.operation is Operation.READ_ORDER:
        return True  # whatever was settled: the provider may have done something else
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


def _with_another_word(request: Request, event: Event) -> Request:
    """Whatever else is said under the id of a refused message takes its place."""
    message = event.fact.message if isinstance(event.fact, CallbackRefused) else event.cause
    return replace(request, refused=tuple(each for each in request.refused if each.message != message))
