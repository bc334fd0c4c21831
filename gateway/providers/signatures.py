"""Tell whether a callback comes from the provider that it names, by its Standard Webhooks signature."""

import base64
import binascii
import hmac
from collections.abc import Iterable, Mapping
from hashlib import sha256

from gateway.settings import Secret

SIGNED = "webhook-id:"
"""What a name begins with that only a signature vouches for, so that it is no event's own id."""
_LONGEST = 255  # characters of a name that is kept as it is
_DIGITS = 12  # of a time in seconds; what is longer is none
_TOLERANCE = 300  # seconds between the sender's clock and ours


def signed_with(secrets: Iterable[Secret], headers: Mapping[str, str], body: bytes, now: float) -> int:
    """Tell which of the secrets signed it, counted from 1; 0 is none of them, or more than five minutes off."""
    if not is_in_time(headers, now):
        return 0
    return max([n * _is_signed(secret.reveal(), headers, body) for n, secret in enumerate(secrets, 1)], default=0)


def is_in_time(headers: Mapping[str, str], now: float) -> bool:
    """Tell whether the sender's clock agrees with ours, which is seen before the body is read."""
    timestamp = headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _DIGITS):
        return False
    return abs(now - int(timestamp)) <= _TOLERANCE


def signed_id(headers: Mapping[str, str]) -> str:
    """Give the name of a message that its signature vouches for."""
    message = headers.get("webhook-id", "")
    is_plain = message.isprintable() and message.isascii() and len(message) <= _LONGEST
    return f"{SIGNED}{message if is_plain else sha256(message.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _is_signed(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    message, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = hmac.digest(key, f"{message}.{timestamp}.".encode("utf-8", "surrogateescape") + body, "sha256")
    authentic = False
    for each in headers.get("webhook-signature", "").split():
        version, _, signature = each.partition(",")
        try:
            authentic |= version == "v1" and hmac.compare_digest(base64.b64decode(signature, validate=True), signed)
        except (binascii.Error, ValueError):
            continue
    return authentic
