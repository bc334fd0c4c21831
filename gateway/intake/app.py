"""The public listener: what the world sends. A 2xx means: committed."""

import asyncio
import time

import asyncpg
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.ledger.write.writer import Writer
from gateway.settings import Settings
from gateway.telemetry import metrics, trace
from gateway.web.answers import name_no_version, problems
from gateway.web.guessing import Guesses
from gateway.web.listening import MOST

from .callbacks import call_back
from .context import CONTEXT, ApplyEarlyCallbacks, IntakeContext
from .newstore import receive

_NOBODYS = frozenset({401, 403, 404, 405, 413, 415})  # whoever sends these has no say in what is traced
_FAULTS = frozenset({400, 422, 500, 503})


def public_app(
    settings: Settings,
    writer: Writer,
    pool: asyncpg.Pool,
    apply_early_callbacks: ApplyEarlyCallbacks,
    body_seconds: float = 10.0,
    *,
    draining: asyncio.Event | None = None,
) -> web.Application:
    """Build the public listener; `apply_early_callbacks` is called with ids whose messages came before the request."""
    app = web.Application(middlewares=[_count, problems], client_max_size=settings.body_limit)
    app.on_response_prepare.append(name_no_version)
    draining = draining or asyncio.Event()
    guesses = Guesses(MOST["public"] // 2, draining)
    app[CONTEXT] = IntakeContext(settings, writer, pool, apply_early_callbacks, body_seconds, draining, guesses)
    app.add_routes(
        [
            web.post("/newstore/{location}/fulfillment_requests", receive),
            web.post("/providers/{provider}/callbacks", call_back),
            web.get("/livez", livez, allow_head=False),
        ]
    )
    return app


async def livez(_request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


@web.middleware
async def _count(request: web.Request, handler: Handler) -> web.StreamResponse:
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
