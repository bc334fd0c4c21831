"""What a stored change of a request adds to the counters, and how long its last step took."""

from collections.abc import Sequence
from datetime import datetime

from gateway.domain.events import FACTS
from gateway.domain.events.event import Event, Fact
from gateway.domain.events.messages import CallbackQuarantined
from gateway.domain.requests import Request

from . import metrics, trace
from .logs import log


def passed(before: Request | None, after: Request, events: Sequence[Event], traced: str | None) -> None:
    """Count what these events did, in the trace of this `traceparent`; call it once they are committed."""
    for event in events:
        if event.fact.counts:
            _count(after, event.fact)
        if isinstance(event.fact, CallbackQuarantined):
            log("message.quarantined", source=after.provider, reason=event.fact.reason, request_id=after.id)
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


def _count(request: Request, fact: Fact) -> None:
    counter, labels = _COUNTERS[fact.kind]
    told = {
        "location": request.location, "provider": request.provider or metrics.NO_PROVIDER, "kind": fact.counted_as
    }  # fmt: skip
    metrics.of(counter, *(told[label] for label in labels)).inc(fact.counted(request))


_COUNTERS = {kind: metrics.COUNTERS[f"gateway_{fact.counts}_total"] for kind, fact in FACTS.items() if fact.counts}
"""By kind of fact: the counter that it adds to, and that one's labels."""
