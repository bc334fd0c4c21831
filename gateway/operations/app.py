"""What operations asks and does: lists, stories, counts, acts, holds, quarantine, audit; health and metrics."""

import asyncio
from collections.abc import Mapping

import asyncpg
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from gateway.ledger import audit
from gateway.ledger.database.connections import DATABASE_AWAY
from gateway.ledger.database.readiness import Readiness, sentence
from gateway.ledger.read import listing
from gateway.ledger.read.database_metrics import Numbers
from gateway.ledger.write.writer import Writer
from gateway.providers.contract import Adapter
from gateway.settings import Settings
from gateway.telemetry import metrics
from gateway.web.answers import Problem, json_answer, name_no_version, not_ready, problems
from gateway.web.guessing import Guesses
from gateway.web.listening import MOST
from gateway.web.timeouts import within

from . import openapi
from .access import operators_only
from .acts import ACTIONS, BULK, act_on_many, act_on_one
from .bodies import reveal, show_bodies
from .context import CONTEXT, OperationsContext, Reload
from .holds import list_holds, place_hold, release_hold
from .overview import list_destinations, list_failures, list_locations, show_me, show_trends, summarize
from .quarantine import discard, list_quarantine, replay, reveal_quarantined, show_quarantine
from .queries import filters_of, id_of, limit_of, no_such_request, number_of, place_of
from .reloading import reload_settings

NUMBERS = web.AppKey("numbers", Numbers)
READINESS = web.AppKey("readiness", Readiness)

_OPENMETRICS = "application/openmetrics-text"
_READ_SECONDS = 10.0
_READY_SECONDS = 2.0
_ANSWERS = "SELECT"


def internal_app(
    settings: Settings,
    pool: asyncpg.Pool,
    writer: Writer,
    adapters: Mapping[str, Adapter],
    draining: asyncio.Event | None = None,
    *,
    readiness: Readiness | None = None,
    reload: Reload | None = None,
    body_seconds: float = 10.0,
) -> web.Application:
    """Build the internal listener."""
    app = web.Application(middlewares=[problems, operators_only])
    app.on_response_prepare.append(name_no_version)
    draining = draining or asyncio.Event()
    guesses = Guesses(MOST["internal"] // 2, draining)
    app[CONTEXT] = OperationsContext(settings, pool, writer, adapters, draining, guesses, reload, body_seconds)
    app[READINESS] = readiness or Readiness()
    app[NUMBERS] = numbers = Numbers(pool, settings)
    app.on_cleanup.append(lambda _: numbers.close())
    app.add_routes(
        [
            web.get("/v1/requests", list_requests, allow_head=False),
            web.get("/v1/requests/{id}", show_request, allow_head=False),
            web.get("/v1/requests/{id}/bodies", show_bodies, allow_head=False),
            web.post("/v1/requests/{id}/reveal", reveal),
            web.post(f"/v1/requests/{{id}}/{{action:{'|'.join(ACTIONS)}}}", act_on_one),
            *(web.post(f"/v1/{path}", act_on_many(action)) for path, action in BULK.items()),
            web.get("/v1/me", show_me, allow_head=False),
            web.get("/v1/summary", summarize, allow_head=False),
            web.get("/v1/failures", list_failures, allow_head=False),
            web.get("/v1/trends", show_trends, allow_head=False),
            web.get("/v1/locations", list_locations, allow_head=False),
            web.get("/v1/destinations", list_destinations, allow_head=False),
            web.get("/v1/holds", list_holds, allow_head=False),
            web.post("/v1/holds", place_hold),
            web.post("/v1/holds/{id}/release", release_hold),
            web.get("/v1/quarantine", list_quarantine, allow_head=False),
            web.get("/v1/quarantine/{id}", show_quarantine, allow_head=False),
            web.post("/v1/quarantine/{id}/reveal", reveal_quarantined),
            web.post("/v1/quarantine/{id}/replay", replay),
            web.post("/v1/quarantine/{id}/discard", discard),
            web.post("/v1/reload", reload_settings),
            web.get("/v1/audit", list_audit, allow_head=False),
            web.get("/readyz", readyz, allow_head=False),
            web.get("/livez", livez, allow_head=False),
            web.get("/metrics", show_metrics, allow_head=False),
            web.get("/openapi.json", show_openapi, allow_head=False),
        ]
    )
    return app


async def list_requests(request: web.Request) -> web.Response:
    """List requests, newest first, a page at a time."""
    asked = dict(request.query)
    limit, after = limit_of(asked.pop("limit", "50")), asked.pop("after", None)
    filters = filters_of(asked)
    place_of(after)
    async with asyncio.timeout(_READ_SECONDS):
        context = request.app[CONTEXT]
        page, next_page = await listing.requests(context.pool, filters, after, limit, context.settings.providers)
    return json_answer({"requests": page, "next_page": next_page})


async def list_audit(request: web.Request) -> web.Response:
    """List who did what and why, newest first."""
    asked = request.query
    limit, before = limit_of(asked.get("limit", "50")), number_of("before", asked.get("before"))
    if any("\0" in value for value in asked.values()):
        raise Problem(400, "a filter holds a NUL character; remove it")
    rows = await audit.page(
        request.app[CONTEXT].pool,
        before=before,
        subject=asked.get("subject"),
        who=asked.get("who"),
        action=asked.get("action"),
        limit=limit + 1,
    )
    next_page = str(rows[limit - 1]["id"]) if len(rows) > limit else None
    return json_answer({"audit": rows[:limit], "next_page": next_page})


async def show_request(request: web.Request) -> web.Response:
    """Tell one request's whole story."""
    context = request.app[CONTEXT]
    story = await listing.story(context.pool, id_of(request), context.settings.providers)
    if story is None:
        raise no_such_request()
    return json_answer(story)


async def readyz(request: web.Request) -> web.Response:
    """Say whether this process can store anything, and means to go on doing so."""
    context = request.app[CONTEXT]
    if context.draining.is_set():
        raise not_ready("this process is about to stop; send to another one")
    if reason := request.app[READINESS].reason:
        raise not_ready(reason)
    try:
        await within(_READY_SECONDS, context.pool.execute(_ANSWERS))
    except DATABASE_AWAY as error:
        raise not_ready(sentence(error)) from error
    return web.Response(text="ready\n")


async def livez(_request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def show_metrics(request: web.Request) -> web.Response:
    """Tell this process' numbers and, as far as the database answers, those of all; with exemplars if asked for."""
    await request.app[NUMBERS].refresh()
    metrics.WRITER_WAITING.set(request.app[CONTEXT].writer.waiting)
    if _OPENMETRICS in request.headers.get("Accept", ""):
        body: bytes = openmetrics.generate_latest(metrics.REGISTRY)  # type: ignore[no-untyped-call]
        return web.Response(body=body, headers={"Content-Type": openmetrics.CONTENT_TYPE_LATEST})
    return web.Response(body=generate_latest(metrics.REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def show_openapi(_request: web.Request) -> web.Response:
    return json_answer(openapi.document())
