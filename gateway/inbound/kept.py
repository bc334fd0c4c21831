"""The bodies of a request as they came: masked for everybody, whole for whoever may act and says why."""

import msgspec
from aiohttp import web

from gateway.domain.deliveries import NEWSTORE
from gateway.ledger import audit, bodies
from gateway.ledger.bodies import Body
from gateway.newstore import errors, webhook
from gateway.providers import READABLE
from gateway.settings import Settings

from .access import OPERATOR
from .answers import json_answer
from .desk import DESK
from .masking import masked
from .problems import Problem
from .queries import Reason, read_as


class RevealOrder(msgspec.Struct, forbid_unknown_fields=True):
    """Why somebody must see personal data."""

    reason: Reason


async def show_bodies(request: web.Request) -> web.Response:
    """Show every body without what it says of a person."""
    settings, found = request.app[DESK].settings, await _kept(request)
    return _answer([_shown(each, masked(each.body, _readable(each, settings))) for each in found], is_masked=True)


async def reveal(request: web.Request) -> web.Response:
    """Show every body as it came, once that is in the audit."""
    order = read_as(RevealOrder, await request.read())
    if not order.reason.strip():
        raise Problem(400, "to see personal data needs a reason; it goes into the audit")
    found = await _kept(request)
    await audit.write(
        request.app[DESK].pool, who=request[OPERATOR].name, action="reveal", subject=request.match_info["id"],
        reason=order.reason.strip(), outcome=f"showed {len(found)} bodies",
    )  # fmt: skip
    return _answer([_shown(each, each.body.decode(errors="replace")) for each in found], is_masked=False)


async def _kept(request: web.Request) -> list[Body]:
    request_id = request.match_info["id"]
    found = None if "\0" in request_id else await bodies.kept(request.app[DESK].pool, request_id)
    if found is None:
        raise Problem(404, "no request has this id; look it up by order or reference in /v1/requests")
    return found


def _answer(shown: list[dict[str, object]], *, is_masked: bool) -> web.Response:
    answer = json_answer({"masked": is_masked, "bodies": shown})
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _shown(body: Body, text: str | None) -> dict[str, object]:
    return {
        "sender": body.sender,
        "is_answer": body.is_answer,
        "about": body.about,
        "at": body.at,
        "bytes": len(body.body),
        "text": text,
    }


def _readable(body: Body, settings: Settings) -> frozenset[str]:
    """Find what is no personal data in a body; of a sender that the settings do not name, nothing is known."""
    if body.sender == NEWSTORE:
        return errors.READABLE if body.is_answer else webhook.READABLE
    provider = settings.providers.get(body.sender)
    return READABLE.get(provider.adapter, frozenset()) if provider else frozenset()
