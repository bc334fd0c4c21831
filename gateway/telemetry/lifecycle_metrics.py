"""What a stored change of a request adds to the counters, and how long its last step took."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from gateway.domain.events import (
    CallbackQuarantined,
    CallbackRefused,
    ConflictingBody,
    ConflictingCallback,
    ConflictingLocation,
    Event,
    ReportRefused,
    RequestReceived,
    UnitsAccepted,
    UnitsCancelled,
    UnitsProved,
    UnitsRefused,
    UnitsRejected,
    UnitsShipped,
)
from gateway.domain.evolve import is_welcome
from gateway.domain.requests import Request

from . import metrics, trace
from .logs import log


def passed(before: Request | None, after: Request, events: Sequence[Event], traced: str | None) -> None:
    """Count what these events did, in the trace of this `traceparent`; call it once they are committed."""
    for event in events:
        if count := _COUNTS.get(type(event.fact)):
            count(after, event.fact)
    _time(before, after, traced)
    if after.failure and after.failure != (before and before.failure):
        log(
            "request.failed", request_id=after.id, location=after.location, provider=after.provider,
            reason=after.failure,
        )  # fmt: skip


def came_again(request: Request, kind: str) -> None:
    """Count a message that changed nothing."""
    metrics.of(metrics.DUPLICATES, request.location, kind).inc()


def _time(before: Request | None, after: Request, traced: str | None) -> None:
    since = after.received_at
    for step, at, was in (
        ("submitted", after.submitted_at, before and before.submitted_at),
        ("accepted", after.accepted_at, before and before.accepted_at),
        ("shipped", after.shipped_at, before and before.shipped_at),
        ("proved", None if after.closed else after.settled_at, before and before.settled_at),
    ):
        if at and not was:
            metrics.of(metrics.STEP_SECONDS, after.location, step).observe(_seconds(since, at), trace.exemplar(traced))
        since = at or since
    if after.settled_at and not (before and before.settled_at):
        metrics.of(metrics.SETTLED, after.location).inc()


def _seconds(since: datetime, at: datetime) -> float:
    return max(0.0, (at - since).total_seconds())


def _units(counter: Any) -> Callable[[Request, Any], None]:
    return lambda request, fact: _count(counter, request, len(fact.units))


def _count(counter: Any, request: Request, units: int) -> None:
    metrics.of(counter, request.location, request.provider or metrics.NO_PROVIDER).inc(units)


def _conflict(kind: str) -> Callable[[Request, Any], None]:
    return lambda request, _: metrics.of(metrics.CONFLICTS, request.location, kind).inc()


_COUNTS: dict[type, Callable[[Request, Any], None]] = {
    RequestReceived: lambda request, _: metrics.of(metrics.RECEIVED, request.location).inc(),
    UnitsAccepted: _units(metrics.ACCEPTED_UNITS),
    UnitsShipped: _units(metrics.SHIPPED_UNITS),
    UnitsRejected: _units(metrics.REJECTED_UNITS),
    UnitsCancelled: _units(metrics.CANCELLED_UNITS),
    UnitsProved: _units(metrics.PROVED_UNITS),
    UnitsRefused: _units(metrics.REFUSED_UNITS),
    ReportRefused: lambda request, fact: _count(
        metrics.REFUSED_UNITS, request, sum(unit.by == fact.seq for unit in request.units)
    ),
    ConflictingBody: _conflict("body"),
    ConflictingLocation: _conflict("location"),
    ConflictingCallback: _conflict("callback"),
    CallbackQuarantined: lambda request, fact: log(
        "message.quarantined", source=request.provider, reason=fact.reason, request_id=request.id
    ),
    CallbackRefused: lambda request, fact: metrics.of(
        metrics.CALLBACKS_REFUSED, request.provider or metrics.NO_PROVIDER
    ).inc(not is_welcome(request, fact)),
}
