"""How webhooks show that they are the provider's."""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from multidict import CIMultiDict

from gateway.providers.port import Admission, Message, Proof
from gateway.providers.rest import Rest
from gateway.providers.rest_settings import WebhookSettings
from gateway.settings import Secret
from tests.providers.rest import NOW, settings

BODY = b'{"event": "e-1"}'
FIRST, SECOND = "s" * 20, "t" * 20
WHSEC = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3"


def mapped(webhooks: Mapping[str, Any], *secrets: str) -> Rest:
    shown = tuple(map(Secret, secrets or (FIRST, SECOND)))
    provider = replace(settings(), webhooks=WebhookSettings(**webhooks), webhook_secrets=shown)
    return Rest(provider, None)  # type: ignore[arg-type]


def proved(webhooks: Mapping[str, Any], headers: Mapping[str, str], *secrets: str, body: bytes = BODY) -> Proof | None:
    """Let a webhook in as the gateway does."""
    adapter = mapped(webhooks, *secrets)
    head = CIMultiDict(headers)
    if adapter.admit(head, NOW.timestamp()) is Admission.REFUSED:
        return None
    return adapter.authentic(Message(body, NOW, headers=head))


def signed(secret: str, algorithm: str = "sha256") -> bytes:
    return hmac.digest(secret.encode(), BODY, algorithm)


def basic(pair: str) -> str:
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


HEX = {"kind": "hmac", "header": "X-Signature", "prefix": "sha256="}
BASE64 = {"kind": "hmac", "header": "X-Acme", "algorithm": "sha512", "encoding": "base64"}
HEADER = {"kind": "header", "header": "X-Api-Key", "prefix": "Key"}
BASIC = {"kind": "basic", "user": "acme"}
GOOD: list[tuple[dict[str, str], str, str]] = [
    (HEX, "x-signature", f"sha256={signed(FIRST).hex()}"),
    (BASE64, "X-Acme", base64.b64encode(signed(FIRST, "sha512")).decode()),
    (HEADER, "X-Api-Key", f"Key {FIRST}"),
    ({"kind": "bearer"}, "Authorization", f"Bearer {FIRST}"),
    (BASIC, "Authorization", basic(f"acme:{FIRST}")),
]


@pytest.mark.parametrize(("webhooks", "header", "shown"), GOOD, ids=lambda each: str(each)[:30])
def test_a_webhook_shows_its_first_or_its_second_secret(webhooks: dict[str, str], header: str, shown: str) -> None:
    assert proved(webhooks, {header: shown}) == Proof(1)
    assert proved(webhooks, {header: shown}, SECOND, FIRST) == Proof(2)
    assert proved(webhooks, {header: shown}, SECOND) is None
    assert proved(webhooks, {}) is None


BAD: list[tuple[dict[str, str], str, str]] = [
    (HEX, "X-Signature", signed(FIRST).hex()),
    (HEX, "X-Signature", "sha256="),
    (HEX, "X-Signature", f"sha256={signed(FIRST).hex()[:-1]}"),
    (HEX, "X-Signature", "sha256=\udcff"),
    (HEX, "X-Other", f"sha256={signed(FIRST).hex()}"),
    (BASE64, "X-Acme", base64.b64encode(signed(FIRST)).decode()),
    (HEADER, "X-Api-Key", FIRST),
    (HEADER, "X-Api-Key", "Key"),
    ({"kind": "bearer"}, "Authorization", FIRST),
    (BASIC, "Authorization", basic(f"other:{FIRST}")),
    (BASIC, "Authorization", basic("acme:")),
    (BASIC, "Authorization", f"Bearer {basic(f'acme:{FIRST}')[6:]}"),
    (BASIC, "Authorization", "Basic %%%"),
    (BASIC, "Authorization", "Basic \udcff"),
]


@pytest.mark.parametrize(("webhooks", "header", "shown"), BAD, ids=lambda each: ascii(each)[:40])
def test_a_webhook_that_shows_something_else_is_nobodys(webhooks: dict[str, str], header: str, shown: str) -> None:
    assert proved(webhooks, {header: shown}) is None


def test_a_signature_is_of_its_body() -> None:
    assert proved(HEX, {"X-Signature": f"sha256={signed(FIRST).hex()}"}, body=BODY + b" ") is None


def test_a_signature_of_standard_webhooks_vouches_for_the_name_of_its_message() -> None:
    stamp = str(int(NOW.timestamp()))
    key = base64.b64decode(WHSEC.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"m-1.{stamp}.".encode() + BODY, "sha256")).decode()
    head = {"webhook-id": "m-1", "webhook-timestamp": stamp, "webhook-signature": f"v1,{signature}"}
    assert proved({"kind": "standard"}, head, WHSEC) == Proof(1, "webhook-id:m-1")
    assert proved({"kind": "standard"}, head | {"webhook-id": "m-2"}, WHSEC) is None
    assert proved({"kind": "standard"}, head | {"webhook-timestamp": str(int(stamp) - 3600)}, WHSEC) is None


@pytest.mark.parametrize(
    ("webhooks", "headers"),
    [(HEX, ("X-Signature",)), (BASIC, ("Authorization",)), ({"kind": "standard"}, ("webhook-signature",))],
)
def test_a_wrong_proof_is_counted_by_the_header_that_carries_it(
    webhooks: dict[str, str], headers: tuple[str, ...]
) -> None:
    assert mapped(webhooks).credentials == headers
