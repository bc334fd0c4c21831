"""Who may speak: keys are compared in constant time, and always all of them."""

from collections.abc import Iterable

from aiohttp import web

from gateway.settings import Operator, Secret


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
