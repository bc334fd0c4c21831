"""Tokens that nobody keeps: each says until when it is good, and is signed with a key made from its client's secret.

So every process knows them, also after a start; a new secret ends those of the old one. They are JSON Web Tokens, as
NewStore's are, for clients that look into theirs.
"""

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from gateway.settings import Secret

LIFETIME = 3600
"""Seconds."""
_PURPOSE = b"a token of the fulfillment gateway"


class _Claims(msgspec.Struct):
    sub: str
    iat: int
    exp: int


@dataclass(frozen=True, slots=True)
class Shown:
    """What a token is: by which secret, counted from 1, or 0 where by none; and whether its time is over."""

    secret: int
    is_over: bool = False


def issue(client: str, secret: Secret, now: float) -> str:
    """Make a token for a client."""
    claims = _Claims(client, int(now), int(now) + LIFETIME)
    signed = f"{_HEAD}.{_text(msgspec.json.encode(claims))}"
    return f"{signed}.{_signature(secret, signed)}"


def look_at(client: str, secrets: Sequence[Secret], token: str, now: float) -> Shown:
    """Tell whose a token is; all secrets are tried, in constant time."""
    signed, _, signature = token.rpartition(".")
    by = max([n * _is_signed(each, signed, signature) for n, each in enumerate(secrets, 1)], default=0)
    if not by:
        return Shown(0)
    claimed = signed.partition(".")[2]  # we signed it, so it is what `issue` writes
    claims = msgspec.json.decode(base64.urlsafe_b64decode(claimed + "=" * (-len(claimed) % 4)), type=_Claims)
    return Shown(by, is_over=claims.exp <= now) if claims.sub == client else Shown(0)


def _is_signed(secret: Secret, signed: str, signature: str) -> bool:
    # surrogatepass: a header with stray bytes is a wrong token, not a crash
    given = signature.encode("utf-8", "surrogatepass")
    return hmac.compare_digest(_signature(secret, signed).encode(), given)


def _signature(secret: Secret, signed: str) -> str:
    key = hmac.digest(secret.reveal().encode(), _PURPOSE, "sha256")
    return _text(hmac.digest(key, signed.encode("utf-8", "surrogatepass"), "sha256"))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


_HEAD = _text(b'{"alg":"HS256","typ":"JWT"}')
