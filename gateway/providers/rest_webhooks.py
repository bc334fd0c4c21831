"""Tell whether a webhook is its provider's: by a key in its head, or by a signature of its body."""

import base64
import hmac
from collections.abc import Mapping, Sequence

from gateway.bearer import bearer, key_among
from gateway.settings import Secret

from . import signatures
from .port import Admission, Message, Proof
from .rest_settings import WebhookSettings
from .transports.authentication import sign


def credentials(webhooks: WebhookSettings | None) -> tuple[str, ...]:
    """Give the headers with which a webhook shows whose it is."""
    if webhooks is None or webhooks.kind in {"bearer", "basic"}:
        return ("Authorization",)
    return ("webhook-signature",) if webhooks.kind == "standard" else (webhooks.header or "",)


def admit(
    webhooks: WebhookSettings | None, secrets: Sequence[Secret], headers: Mapping[str, str], now: float
) -> Admission:
    """Judge the head of a webhook; a signature is told by the body alone."""
    match webhooks:
        case WebhookSettings(kind="hmac"):
            is_signed = headers.get(webhooks.header or "", "").startswith(webhooks.prefix or "")
            return Admission.TO_BE_PROVED if is_signed and webhooks.header in headers else Admission.REFUSED
        case WebhookSettings(kind="standard"):
            return Admission.TO_BE_PROVED if signatures.is_in_time(headers, now) else Admission.REFUSED
        case WebhookSettings():
            return Admission.PROVED if _key_shown(webhooks, secrets, headers) else Admission.REFUSED
    return Admission.REFUSED


def authentic(webhooks: WebhookSettings | None, secrets: Sequence[Secret], message: Message) -> Proof | None:
    """Find the key that was shown, or the secret that signed."""
    headers, body = message.headers, message.body
    match webhooks:
        case WebhookSettings(kind="hmac"):
            shown = headers.get(webhooks.header or "", "")
            signed = [_is_signed(webhooks, each, body, shown) for each in secrets]  # always all of them
            return Proof(signed.index(True) + 1) if any(signed) else None
        case WebhookSettings(kind="standard"):
            used = signatures.signed_with(secrets, headers, body, message.at.timestamp())
            return Proof(used, signatures.signed_id(headers)) if used else None
        case WebhookSettings():
            used = _key_shown(webhooks, secrets, headers)
            return Proof(used) if used else None
    return None


def _is_signed(webhooks: WebhookSettings, secret: Secret, body: bytes, shown: str) -> bool:
    wanted = sign(secret, body, webhooks.algorithm, webhooks.encoding, webhooks.prefix or "")
    return hmac.compare_digest(wanted.encode(), shown.strip().encode("utf-8", "surrogatepass"))


def _key_shown(webhooks: WebhookSettings, secrets: Sequence[Secret], headers: Mapping[str, str]) -> int:
    """Tell which of the keys is shown, counted from 1; 0 is none of them."""
    if webhooks.kind == "bearer":
        return key_among(secrets, bearer(headers))
    if webhooks.kind == "header":
        shown, prefix = headers.get(webhooks.header or "", ""), webhooks.prefix or ""
        return key_among(secrets, shown.removeprefix(prefix).strip() if shown.startswith(prefix) else "")
    scheme, _, pair = headers.get("Authorization", "").partition(" ")
    try:
        user, _, password = base64.b64decode(pair.strip(), validate=True).decode().partition(":")
    except ValueError:
        return 0
    used = key_among(secrets, password)
    return used if scheme.lower() == "basic" and Secret(webhooks.user or "").matches(user) else 0
