"""Keys are compared in constant time, and always all of them."""

from collections.abc import Iterable
from typing import Literal

from aiohttp import web

from gateway.settings import Secret
from gateway.telemetry import metrics

Door = Literal["locations", "providers", "operators"]
"""Where the settings name who may come in."""


def bearer(request: web.Request) -> str:
    """Give the bearer key of a request, or an empty text, which is no key."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def key_among(secrets: Iterable[Secret], key: str) -> int:
    """Tell which of the secrets it is, counted from 1; 0 is none of them."""
    return max([n * secret.matches(key) for n, secret in enumerate(secrets, 1)], default=0)


def count_use(door: Door, name: str, which: int) -> None:
    """Count which of two keys was used, so that a person sees when nobody needs the old one any more."""
    metrics.of(metrics.KEYS_USED, door, name, str(which)).inc()
