"""How long the answers of the public listener take, how many there are of each, and the traces they begin."""

import time

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.telemetry import metrics, trace

from .context import CONTEXT

_NOBODYS = frozenset({401, 403, 404, 405, 413, 415})  # whoever sends these has no say in what is traced
_FAULTS = frozenset({400, 422, 500, 503})


@web.middleware
async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell metrics and traces of a message and its answer."""
    started = time.perf_counter()
    context, named = request.app[CONTEXT], request.match_info
    settings = context.settings
    location, provider = named.get("location"), named.get("provider")
    span = None
    if location or provider:
        name: trace.Name = "request.receive" if location else "callback.receive"
        span = trace.receive(name, request.headers.get("traceparent"))
    response = await handler(request)
    if context.draining.is_set():
        response.force_close()  # what the sender has more goes to another process
    kept = None
    if response.status not in _NOBODYS:
        kept = trace.end(span, failed=response.status in _FAULTS, status=response.status)
    if location is not None:
        label = location if location in settings.locations else metrics.UNKNOWN
        metrics.of(metrics.INGEST_ANSWERS, label, str(response.status)).inc()
        if response.status == 200:
            metrics.ACK_SECONDS.observe(time.perf_counter() - started, kept)
    elif provider is not None:
        label = provider if provider in settings.providers else metrics.UNKNOWN
        metrics.of(metrics.CALLBACK_ANSWERS, label, str(response.status)).inc()
    return response
