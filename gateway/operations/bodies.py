"""Bodies as they came: masked for everybody, whole for an admin who says why."""

from collections.abc import Mapping, Sequence

import msgspec
from aiohttp import web

from gateway.domain.deliveries import NEWSTORE
from gateway.ledger import audit
from gateway.ledger.read import bodies
from gateway.ledger.read.bodies import OURS, Body
from gateway.newstore import errors, webhook
from gateway.providers.port import Adapter
from gateway.settings import Operator
from gateway.web.answers import json_answer

from .access import OPERATOR, may_act
from .context import CONTEXT
from .masking import Reading, masked
from .queries import id_of, no_such_request, reason_in
from .viewers import KINDS

_MOST = 10_000  # bytes that are shown of what is no JSON


async def show_bodies(request: web.Request) -> web.Response:
    """Show every body without what it says of a person."""
    adapters, operator = request.app[CONTEXT].adapters, request[OPERATOR]
    found = [_shown(each, without_people(each, adapters, operator)) for each in await _kept(request)]
    return unkept({"masked": True, "bodies": found})


async def reveal(request: web.Request) -> web.Response:
    """Show every body as it came, once that is in the audit."""
    return await revealed(request, request.match_info["id"], await _kept(request))


async def revealed(request: web.Request, subject: str, found: Sequence[Body]) -> web.Response:
    """Show bodies as they came, once it is in the audit who sees them and why."""
    who, reason = request[OPERATOR].name, reason_in(await request.read(), "to see personal data")
    outcome = f"showed {len(found)} bodies"
    await audit.write(
        request.app[CONTEXT].pool, who=who, action="reveal", subject=subject, reason=reason, outcome=outcome
    )  # fmt: skip
    return unkept({"masked": False, "bodies": [_shown(each, _whole(each.body)) for each in found]})


def without_people(body: Body, adapters: Mapping[str, Adapter], operator: Operator) -> str | None:
    """Write a body without what it says of a person, as far as this one may read it; None for what is no JSON."""
    return masked(body.body, _readable(body, adapters, operator))


def unkept(document: object) -> web.Response:
    """Answer with what no cache may keep."""
    answer = json_answer(document)
    answer.headers["Cache-Control"] = "no-store"
    return answer


async def _kept(request: web.Request) -> list[Body]:
    found = await bodies.kept(request.app[CONTEXT].pool, id_of(request))
    if found is None:
        raise no_such_request()
    return found


def _whole(body: bytes) -> str:
    try:
        msgspec.json.decode(body)
        return body.decode()
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return body[:_MOST].decode(errors="backslashreplace")


def _shown(body: Body, text: str | None) -> dict[str, object]:
    return {
        "sender": body.sender,
        "is_answer": body.is_answer,
        "about": body.about,
        "at": body.at,
        "bytes": len(body.body),
        "text": text,
    }


def _readable(body: Body, adapters: Mapping[str, Adapter], operator: Operator) -> Mapping[str, Reading]:
    """Find what is no personal data in a body; of a sender that the settings do not name, nothing is known."""
    if body.sender == NEWSTORE:
        return dict.fromkeys(errors.READABLE if body.is_answer else webhook.READABLE, str)
    adapter = adapters.get(body.destination if body.sender == OURS else body.sender)
    kinds = adapter.readable if adapter else {}
    return {path: str if may_act(operator) else KINDS[kind] for path, kind in kinds.items()}
