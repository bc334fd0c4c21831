"""Fulfillment requests: find them, and tell the story of one."""

import asyncio

from aiohttp import web

from gateway.ledger.read import listing
from gateway.web.answers import json_answer

from .context import CONTEXT
from .queries import filters_of, id_of, limit_of, no_such_request, place_of

_READ_SECONDS = 10.0


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


async def show_request(request: web.Request) -> web.Response:
    """Tell one request's whole story."""
    context = request.app[CONTEXT]
    story = await listing.story(context.pool, id_of(request), context.settings.providers)
    if story is None:
        raise no_such_request()
    return json_answer(story)
