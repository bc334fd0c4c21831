"""What operations asks: lists, stories, counts, health and metrics. Reads only, for every role."""

import asyncio
from dataclasses import dataclass

import asyncpg
import orjson
from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from gateway.ledger import listing
from gateway.settings import Settings
from gateway.telemetry.metrics import REGISTRY

from . import openapi
from .access import bearer, operator_of
from .problems import Problem, problems

_MOST = 200
_READ_SECONDS = 10.0
_READY_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Desk:
    settings: Settings
    pool: asyncpg.Pool


DESK = web.AppKey("desk", Desk)
OPERATOR = web.RequestKey("operator", str)


def internal_app(settings: Settings, pool: asyncpg.Pool) -> web.Application:
    """Build the internal listener."""
    app = web.Application(middlewares=[problems, _operators_only])
    app[DESK] = Desk(settings, pool)
    app.add_routes(
        [
            web.get("/v1/requests", list_requests, allow_head=False),
            web.get("/v1/requests/{id}", show_request, allow_head=False),
            web.get("/v1/summary", summarize, allow_head=False),
            web.get("/readyz", readyz, allow_head=False),
            web.get("/livez", livez, allow_head=False),
            web.get("/metrics", show_metrics, allow_head=False),
            web.get("/openapi.json", show_openapi, allow_head=False),
        ]
    )
    return app


@web.middleware
async def _operators_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    if not request.path.startswith("/v1/"):
        return await handler(request)
    operator = operator_of(request.app[DESK].settings.operators, bearer(request))
    if operator is None:
        detail = "/v1 needs the token of a named operator; send it as Bearer"
        raise Problem(401, detail, WWW_Authenticate="Bearer")
    request[OPERATOR] = operator.name
    async with asyncio.timeout(_READ_SECONDS):
        return await handler(request)


async def list_requests(request: web.Request) -> web.Response:
    """List requests, newest first, a page at a time."""
    asked = dict(request.query)
    known = (*listing.FILTERS, "after", "limit")
    if unknown := asked.keys() - set(known):
        raise Problem(400, f"no filter {', '.join(sorted(unknown))}; choose from {', '.join(known)}")
    if asked.get("status", "pending") not in listing.STATUSES:
        raise Problem(400, f"no such status; choose one of {', '.join(listing.STATUSES)}")
    if any("\0" in value for value in asked.values()):
        raise Problem(400, "a filter holds a NUL character; remove it")
    limit = _limit(asked.pop("limit", "50"))
    after = asked.pop("after", None)
    try:
        listing.place(after)
    except (ValueError, OverflowError, OSError):
        raise Problem(400, "after is no cursor; use the next_page of the page before") from None
    page, next_page = await listing.requests(request.app[DESK].pool, asked, after, limit)
    return _json({"requests": page, "next_page": next_page})


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(_MOST)) and 1 <= int(text) <= _MOST):
        raise Problem(400, f"limit is no page size; choose a whole number from 1 to {_MOST}")
    return int(text)


async def show_request(request: web.Request) -> web.Response:
    """Tell one request's whole story."""
    request_id = request.match_info["id"]
    story = None if "\0" in request_id else await listing.story(request.app[DESK].pool, request_id)
    if story is None:
        raise Problem(404, "no request has this id; look it up by order or reference in /v1/requests")
    return _json(story)


async def summarize(request: web.Request) -> web.Response:
    """Count what is open, per location and provider."""
    return _json(await listing.summary(request.app[DESK].pool))


async def readyz(request: web.Request) -> web.Response:
    """Say whether this process can store anything."""
    async with asyncio.timeout(_READY_SECONDS):
        await request.app[DESK].pool.fetchval("SELECT 1")
    return web.Response(text="ready\n")


async def livez(_request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def show_metrics(_request: web.Request) -> web.Response:
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def show_openapi(_request: web.Request) -> web.Response:
    return _json(openapi.document())


def _json(document: object) -> web.Response:
    return web.Response(body=orjson.dumps(document), content_type="application/json")
