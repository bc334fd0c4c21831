"""Tell whether a callback comes from the provider it names: a bearer key, or a Standard Webhooks signature."""

import base64
import binascii
import hmac
from collections.abc import Mapping
from hashlib import sha256

from gateway.settings import Provider

SIGNED = "webhook-id:"
"""What a name begins with that only a signature vouches for, so that it is no event's own id."""
_LONGEST = 255  # characters of a name that is kept as it is
_DIGITS = 12  # of a time in seconds; what is longer is none
_TOLERANCE = 300  # seconds between the sender's clock and ours


def is_authentic(provider: Provider, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Check the key or the signature in constant time; a signature also fails when it is five minutes off."""
    if provider.callback_key is not None:
        scheme, _, key = headers.get("Authorization", "").partition(" ")
        return provider.callback_key.matches(key) and scheme.lower() == "bearer"
    if provider.callback_secret is None:
        return False
    return _is_signed(provider.callback_secret.reveal(), headers, body, now)


def signed_id(provider: Provider, headers: Mapping[str, str]) -> str:
    """Give the name of a message that its signature vouches for; empty where nothing is signed."""
    if provider.callback_secret is None:
        return ""
    message = headers.get("webhook-id", "")
    is_plain = message.isprintable() and message.isascii() and len(message) <= _LONGEST
    return f"{SIGNED}{message if is_plain else sha256(message.encode('utf-8', 'surrogateescape')).hexdigest()}"


def _is_signed(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    message, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not (timestamp.isascii() and timestamp.isdigit() and len(timestamp) <= _DIGITS):
        return False
    if abs(now - int(timestamp)) > _TOLERANCE:
        return False
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
