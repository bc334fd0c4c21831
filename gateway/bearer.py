"""Keys that are shown as `Authorization: Bearer`; they are compared in constant time, and always all of them."""

from collections.abc import Iterable, Mapping

from gateway.settings import Secret


def bearer(headers: Mapping[str, str]) -> str:
    """Give the bearer key of a request, or an empty text, which is no key."""
    scheme, _, key = headers.get("Authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def key_among(secrets: Iterable[Secret], key: str) -> int:
    """Tell which of the secrets it is, counted from 1; 0 is none of them."""
    return max([n * secret.matches(key) for n, secret in enumerate(secrets, 1)], default=0)
