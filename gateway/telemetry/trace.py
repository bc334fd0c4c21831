"""Spans of our own: a few, made by hand, and exported only where a collector is configured (see `otlp.py`).

Whether a request is traced is decided by its id, so that the webhook, its calls and the callbacks days later are traced
together or not at all; a sender who traces decides for itself. What fails, and what a person does, is kept in any case.

A first try continues the trace of what owed it. Later tries, read-backs and callbacks begin traces of their own, linked
to what they come from: no trace is open for hours.
"""

import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from hashlib import blake2b
from re import compile as pattern
from typing import Final, Literal

from gateway.settings import Telemetry

from . import metrics

Name = Literal[
    "request.receive",  # NewStore's webhook
    "callback.receive",  # a provider's word
    "delivery.attempt",  # one try of an owed call, or one poll
    "message.hear",  # one of what a poll brought
    "operator.act",  # what a person does about a request, a hold or a message
]
Fact = str | int | float | bool
Exemplar = dict[str, str]
"""What a histogram shows beside a count: the trace of one of those counted."""

_TRACEPARENT = pattern(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_TRACE_ID: Final = "trace_id"  # Grafana looks for it by this name
_NOTHING: Final = {"0" * 32, "0" * 16}


@dataclass(frozen=True, slots=True)
class Context:
    """Where a span stands, as W3C's `traceparent` says it."""

    trace_id: str
    span_id: str
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-0{self.sampled:d}"


def read(traceparent: str | None) -> Context | None:
    """Read a `traceparent`; None for what is none."""
    found = _TRACEPARENT.fullmatch(traceparent) if traceparent else None
    if (
        found is None
        or found[1] == "ff"
        or {found[2], found[3]} & _NOTHING
        or (found[1] == "00" and len(found[0]) > 55)
    ):
        return None
    return Context(found[2], found[3], sampled=bool(int(found[4], 16) & 1))


@dataclass(slots=True)
class Span:
    """One piece of work: it is known to others by its context only where somebody traces it."""

    name: Name
    kind: Literal["server", "client"]
    parent: Context | None = None
    sampled: bool = False
    started: int = field(default_factory=time.time_ns)
    facts: dict[str, Fact] = field(default_factory=dict)
    links: list[Context] = field(default_factory=list)
    failed: bool = False
    ended: int = 0
    _context: Context | None = None

    @property
    def is_told(self) -> bool:
        """Others learn of it: it is sampled, or it passes on the trace of somebody who does not sample."""
        return self.sampled or self.parent is not None

    @property
    def context(self) -> Context:
        if self._context is None:
            trace_id = self.parent.trace_id if self.parent else secrets.token_hex(16)
            self._context = Context(trace_id, secrets.token_hex(8), self.sampled)
        return self._context

    def link(self, traceparent: str | None) -> None:
        """Join it to the trace that it comes from."""
        if (there := read(traceparent)) and (self.parent is None or there.trace_id != self.parent.trace_id):
            self.links.append(there)


@dataclass(slots=True)
class _Tracing:
    ratio: float
    export: Callable[[Span], None]


_tracing: _Tracing | None = None
_current: ContextVar[Span | None] = ContextVar("span", default=None)


def receive(name: Name, traceparent: str | None) -> Span | None:
    """Begin the span of a message that came in; None where nothing is traced."""
    if _tracing is None:
        return None
    parent = read(traceparent)
    span = Span(name, "server", parent, sampled=parent is not None and parent.sampled)
    _current.set(span)
    return span


def about(request_id: str, **facts: Fact) -> None:
    """Say which request the present work is about, which decides whether it is traced."""
    if _tracing is None or (span := _current.get()) is None:
        return
    span.facts |= {"request_id": request_id, **facts}
    span.sampled = span.sampled or _is_chosen(request_id, _tracing.ratio)


def attempt(owed_by: str | None, *, continues: bool, **facts: Fact) -> Span | None:
    """Begin the span of one try, within the trace of what owes it or linked to that."""
    if _tracing is None:
        return None
    there = read(owed_by)
    span = Span("delivery.attempt", "client", there if continues else None, there is not None and there.sampled)
    span.facts |= facts
    if not continues:
        span.link(owed_by)
    _current.set(span)
    return span


@contextmanager
def act(name: str, **facts: Fact) -> Iterator[Span]:
    """Trace what a person does while this is open, always: it tells why calls are repeated, or are not made."""
    span = Span("operator.act", "server", sampled=True, facts={"act": name, **facts})
    before = _current.set(span)
    failed = True
    try:
        yield span
        failed = False
    finally:
        end(span, failed=failed)
        _current.reset(before)


@contextmanager
def hearing() -> Iterator[None]:
    """Trace what one message of a poll says while this is open; the poll is traced where any of them is."""
    poll = _current.get()
    if _tracing is None or poll is None:
        yield
        return
    span = Span("message.hear", "server", poll.context)
    before = _current.set(span)
    failed = True
    try:
        yield
        failed = False
    finally:
        _current.reset(before)
        end(span, failed=failed)
        poll.sampled |= span.sampled


def link(traceparent: str | None) -> None:
    """Join the present work to the trace that it comes from."""
    if (span := _current.get()) is not None:
        span.link(traceparent)


def end(span: Span | None, *, failed: bool, **facts: Fact) -> Exemplar | None:
    """End a span once; if it is traced or went wrong, keep it and name its trace to what was measured."""
    if span is None or _tracing is None or span.ended or not (span.sampled or failed):
        return None
    span.ended, span.failed = time.time_ns(), failed
    span.facts |= facts
    metrics.of(metrics.SPANS, "made").inc()
    _tracing.export(span)
    return {_TRACE_ID: span.context.trace_id}


def exemplar(traceparent: str | None) -> Exemplar | None:
    """Name a trace to what was measured, where it is kept."""
    there = read(traceparent)
    return {_TRACE_ID: there.trace_id} if there and there.sampled else None


def kept(span: Span | None) -> str | None:
    """Name the trace that shows an ended span; None where it was not kept."""
    return span.context.trace_id if span is not None and span.ended else None


def context() -> Context | None:
    """Tell where the present work stands; None where nobody traces it."""
    span = _current.get() if _tracing is not None else None
    return span.context if span is not None and span.is_told else None


def current() -> str | None:
    """Give the `traceparent` of the present work, where it is traced."""
    here = context()
    return str(here) if here else None


def headers() -> dict[str, str]:
    """Give the header that hands the present trace on to whom we call."""
    told = current()
    return {"traceparent": told} if told else {}


def _is_chosen(request_id: str, ratio: float) -> bool:
    digest = blake2b(request_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < ratio * 2**64


@asynccontextmanager
async def exporting(settings: Telemetry) -> AsyncIterator[None]:
    """Trace while this is open, if the settings name a collector."""
    global _tracing  # noqa: PLW0603 - one process, one collector
    if settings.otlp_endpoint is None:
        yield
        return
    from .otlp import exporter  # noqa: PLC0415 - an extra that nobody pays for who does not use it

    async with exporter(settings.otlp_endpoint) as export:
        _tracing = _Tracing(settings.sample_ratio, export)
        try:
            yield
        finally:
            _tracing = None
