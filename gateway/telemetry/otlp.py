"""Hand spans to a collector by OTLP over HTTP, in a thread of its own and within bounds of its own.

Only this module imports OpenTelemetry, and only where a collector is configured.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import cache
from importlib.metadata import version
from socket import getaddrinfo, socket
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection

from gateway.addresses import Forbidden, refuse

from . import metrics
from .logs import log
from .trace import Context, Span

_ONE_EXPORT = 2.0  # seconds
_LAST_EXPORT = 1.0  # seconds that a stop waits for it
_EVERY = 2_000  # milliseconds
_MOST_WAITING = 4_096
LAST_EXPORT = "last export"
"""The name of a thread that outlives a stop when the collector is slow."""
_REFUSALS = {401, 403, 404}
_KINDS = {"server": SpanKind.SERVER, "client": SpanKind.CLIENT}


class _Counted(SpanExporter):
    """Count what arrives and what does not."""

    def __init__(self, endpoint: str) -> None:
        self._there = OTLPSpanExporter(endpoint, timeout=_ONE_EXPORT, session=_session())

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._there.export(spans)
        arrived = result is SpanExportResult.SUCCESS
        metrics.of(metrics.SPANS, "sent" if arrived else "lost").inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._there.shutdown()  # type: ignore[no-untyped-call]


class _Judged(HTTPConnection):
    def _new_conn(self) -> socket:
        _judge_name(self.host)
        return _judged(self.host, super()._new_conn())


class _JudgedSecure(HTTPSConnection):
    def _new_conn(self) -> socket:
        _judge_name(self.host)
        return _judged(self.host, super()._new_conn())


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Judged


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _JudgedSecure


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *options: Any, **more: Any) -> None:
        super().init_poolmanager(*options, **more)
        self.poolmanager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}


def _judge_name(host: str) -> None:
    """Refuse before anybody is called."""
    with suppress(OSError):  # whoever connects says so
        _judge(host, (str(found[4][0]) for found in getaddrinfo(host, None)))


def _judged(host: str, connected: socket) -> socket:
    """Give a connection back, before its first byte, if the name has not come to lead elsewhere meanwhile."""
    try:
        _judge(host, [connected.getpeername()[0]])
    except Forbidden:
        connected.close()
        raise
    return connected


def _judge(host: str, addresses: Iterable[str]) -> None:
    try:
        refuse(addresses)
    except Forbidden:
        _tell(host)
        raise


@cache
def _tell(host: str) -> None:
    """Say once what the exporter keeps to itself."""
    log("collector.refused", host=host)


def _session() -> requests.Session:
    """Lead to the collector that the settings name, and to no proxy of the environment and nowhere further."""
    session = requests.Session()
    session.trust_env = False
    session.max_redirects = 0
    for scheme in ("http://", "https://"):
        session.mount(scheme, _Adapter())
    return session


@asynccontextmanager
async def exporter(endpoint: str) -> AsyncIterator[Callable[[Span], None]]:
    """Give what exports a span; a collector that is down loses spans and holds up nobody."""
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # a line for each retry; the metric tells as well
    processor = BatchSpanProcessor(
        _Counted(_of_traces(endpoint)),
        max_queue_size=_MOST_WAITING,
        schedule_delay_millis=_EVERY,
    )
    resource = Resource(
        {"service.name": "fulfillment-gateway", "service.version": version("newstore-fulfillment-gateway")}
    )
    try:
        yield lambda span: processor.on_end(_readable(span, resource))
    finally:
        await _shut(processor)


async def ask(endpoint: str) -> str:
    """Export nothing, and tell what would keep a collector from taking spans; empty where nothing does."""
    return await asyncio.to_thread(_asked, _of_traces(endpoint))


def _asked(url: str) -> str:
    headers = {"Content-Type": "application/x-protobuf"}  # in which a message without fields has no bytes
    try:
        with _session() as session, session.post(url, b"", headers=headers, timeout=_ONE_EXPORT) as answer:
            status = answer.status_code
    except Forbidden as error:
        return f"{url} {error}"
    except requests.TooManyRedirects:
        return f"{url} sends elsewhere, where no span follows: correct telemetry.otlp_endpoint"
    except requests.RequestException as error:
        return f"{url} can't be reached ({type(error).__name__}): check telemetry.otlp_endpoint, and that it runs"
    if status in _REFUSALS or status >= 500:
        return f"{url} answered {status}: check telemetry.otlp_endpoint, which takes OTLP over HTTP"
    return ""


def _of_traces(endpoint: str) -> str:
    return f"{endpoint.rstrip('/')}/v1/traces"


async def _shut(processor: BatchSpanProcessor) -> None:
    """Export what is left; the thread is left alone when that takes too long."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()

    def shut() -> None:
        processor.shutdown()  # type: ignore[no-untyped-call]
        with suppress(RuntimeError):  # nobody waits any more
            loop.call_soon_threadsafe(done.set)

    threading.Thread(target=shut, name=LAST_EXPORT, daemon=True).start()
    with suppress(TimeoutError):
        async with asyncio.timeout(_LAST_EXPORT):
            await done.wait()


def _readable(span: Span, resource: Resource) -> ReadableSpan:
    context = span.context
    return ReadableSpan(
        name=span.name,
        # What failed is kept although nobody chose it, so it counts as sampled here.
        context=_told(Context(context.trace_id, context.span_id, sampled=True), is_remote=False),
        parent=_told(span.parent, is_remote=True) if span.parent else None,
        resource=resource,
        attributes=span.facts,
        links=[Link(_told(each, is_remote=True)) for each in span.links],
        kind=_KINDS[span.kind],
        status=Status(StatusCode.ERROR if span.failed else StatusCode.UNSET),
        start_time=span.started,
        end_time=span.ended,
    )


def _told(context: Context, *, is_remote: bool) -> SpanContext:
    return SpanContext(int(context.trace_id, 16), int(context.span_id, 16), is_remote, TraceFlags(int(context.sampled)))
