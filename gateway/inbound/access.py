"""Who may speak: keys are compared in constant time, and always all of them."""

from collections.abc import Iterable

from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.settings import Operator, Secret

from .desk import DESK
from .problems import Problem

OPERATOR = web.RequestKey("operator", Operator)
_MAY_ACT = frozenset({"operator", "admin"})


def bearer(request: web.Request) -> str:
    """Give the bearer key of a request, or an empty text, which is no key."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def is_key(secrets: Iterable[Secret], key: str) -> bool:
    return any([secret.matches(key) for secret in secrets])  # noqa: C419 - a list: no early end


def operator_of(operators: Iterable[Operator], token: str) -> Operator | None:
    """Find whose token it is."""
    found = None
    for operator in operators:
        if operator.token.matches(token):
            found = operator
    return found


@web.middleware
async def operators_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let named operators in; a viewer reads, an operator also acts, and an admin may see personal data."""
    if not request.path.startswith("/v1/"):
        return await handler(request)
    operator = operator_of(request.app[DESK].settings.operators, bearer(request))
    if operator is None:
        detail = "/v1 needs the token of a named operator; send it as Bearer"
        raise Problem(401, detail, WWW_Authenticate="Bearer")
    if request.method != "GET" and operator.role not in _MAY_ACT:
        whom = "an admin" if request.path.endswith("/reveal") else "an operator"
        raise Problem(403, f"{operator.name} is a {operator.role} and may only read; ask {whom} to do it")
    request[OPERATOR] = operator
    return await handler(request)


def may_see_people(request: web.Request) -> str:
    """Tell who it is that sees personal data. Raises a 403 for everybody but an admin."""
    operator = request[OPERATOR]
    if operator.role != "admin":
        raise Problem(403, f"{operator.name} is an {operator.role}; personal data is shown to admins alone, ask one")
    return operator.name
