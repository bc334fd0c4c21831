"""Which operator asks, and what an operator of that role may do."""

from collections.abc import Iterable
from http import HTTPStatus

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.bearer import bearer, key_among
from gateway.ledger import audit
from gateway.settings import Operator
from gateway.web.answers import ECHO, Problem
from gateway.web.bodies import read_body
from gateway.web.guessing import address_of
from gateway.web.keys import count_use
from gateway.web.routing import role_for

from .context import CONTEXT
from .viewers import for_viewers

OPERATOR = web.RequestKey("operator", Operator)
_BODY_LIMIT = 1_048_576
MAY_ACT = frozenset({"operator", "admin"})


def operator_of(operators: Iterable[Operator], token: str) -> Operator | None:
    """Find whose token it is."""
    found, used = None, 0
    for operator in operators:
        if which := key_among(operator.tokens, token):
            found, used = operator, which
    if found is not None:
        count_use("operators", found.name, used)
    return found


@web.middleware
async def operators_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let named operators in; a viewer reads our words, an operator all and acts, an admin may see personal data."""
    if not request.path.startswith("/v1/"):
        return await handler(request)
    context, token = request.app[CONTEXT], bearer(request.headers)
    operator = operator_of(context.settings.operators, token)
    if operator is None:
        if token:
            await context.guesses.failed("operators", address_of(request, context.settings.trusted_proxies))
        detail = "/v1 needs the token of a named operator; send it as Bearer"
        raise Problem(401, detail, WWW_Authenticate="Bearer")
    request[OPERATOR] = operator
    try:
        _check_may_ask(request, operator)
        if request.method == "POST":
            await read_body(request, _BODY_LIMIT, context.body_seconds)  # what is read once is read
        answer = await handler(request)
        return answer if may_act(operator) else _for_a_viewer(answer)
    except Problem as problem:
        if problem.status == HTTPStatus.FORBIDDEN:
            await _audit_refusal(request, operator, problem)
        raise


def may_act(operator: Operator) -> bool:
    """Tell whether somebody may do things, and so read whatever others wrote of them."""
    return operator.role in MAY_ACT


def _for_a_viewer(answer: web.StreamResponse) -> web.Response:
    assert isinstance(answer, web.Response) and isinstance(answer.body, bytes)  # noqa: S101, PT018 - all below /v1 is JSON
    answer.body = msgspec.json.encode(for_viewers(msgspec.json.decode(answer.body)))
    return answer


def _check_may_ask(request: web.Request, operator: Operator) -> None:
    least = role_for(request) or ("viewer" if request.method == "GET" else "operator")
    if least != "viewer" and not may_act(operator):
        whom = "an admin" if least == "admin" else "an operator"
        raise Problem(403, f"{operator.name} is a {operator.role} and may only read; ask {whom} to do it")
    if least == "admin" and operator.role != "admin":
        raise Problem(403, f"{operator.name} is an {operator.role}; this is for admins alone, ask one")


async def _audit_refusal(request: web.Request, operator: Operator, problem: Problem) -> None:
    """Tell in the audit what somebody tried who may not."""
    theme, _, action = request.path.removeprefix("/v1/").partition("/")
    about = request.match_info.get("id", "")
    if theme != "requests":
        about = f"{theme} {about}".rstrip()
    action, about = (_storable(each) for each in (action.rpartition("/")[2] or theme, about or theme))
    outcome = f"refused: {problem}"
    await audit.write(
        request.app[CONTEXT].pool, who=operator.name, action=action, subject=about, reason="", outcome=outcome
    )  # fmt: skip


def _storable(text: str) -> str:
    return text.replace("\0", "").encode("utf-8", "replace").decode()[:ECHO]
