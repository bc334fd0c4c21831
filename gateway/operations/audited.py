"""The audit: who did what and why."""

from aiohttp import web

from gateway.ledger import audit
from gateway.web.answers import Problem, json_answer

from .context import CONTEXT
from .queries import limit_of, number_of


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
