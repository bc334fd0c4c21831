"""A provider that speaks NewStore's dialect, and takes the gateway for NewStore: it changes a URL and its credentials.

It gets NewStore's own body, and nothing else: an order is looked up, stopped or asked about nowhere. By NewStore's
contract the same request may come again, so a create is repeated until it is answered. What the provider rejects it
will not ship, as NewStore would have it.
"""

import hmac
from base64 import b64decode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, ClassVar
from urllib.parse import parse_qsl

import aiohttp
import msgspec

from gateway.bearer import bearer, key_among
from gateway.call_errors import NotSent, Unknown
from gateway.domain.orders import Order

from . import newstore_answers, newstore_reading, tokens
from .newstore_bodies import (
    BODIES,
    Cancellations,
    ErrorAnswer,
    Rejections,
    Shipments,
    Stored,
    TokenAnswer,
    TokenCall,
    TokenError,
)
from .newstore_reading import PLACE
from .newstore_settings import NewstoreSettings
from .port import (
    Adapter,
    Admission,
    Capabilities,
    Heard,
    Kind,
    Malformed,
    Message,
    Names,
    Place,
    Proof,
    Reply,
    Reported,
    Statement,
    Taken,
    Use,
)
from .transports.authentication import call
from .transports.http import failed

_LONGEST_KEY = 200  # characters of an Idempotency-Key
_WRONG = {400: ErrorAnswer, 401: ErrorAnswer, 403: ErrorAnswer, 404: ErrorAnswer, 500: ErrorAnswer, 503: ErrorAnswer}
_WRONG_BODY = {408: ErrorAnswer, 409: ErrorAnswer, 413: ErrorAnswer, 415: ErrorAnswer}
_NO_TOKEN = dict.fromkeys((400, 401, 408, 413, 415, 500, 503), TokenError)
_SUMMARIES = {
    "acknowledgement": "A NewStore-native provider accepts a request",
    "rejection": "A NewStore-native provider rejects a whole request",
    "reject_items": "A NewStore-native provider rejects units",
    "canceled_items": "A NewStore-native provider cancels units",
    "shipment": "A NewStore-native provider ships units, in one parcel or several",
}
_SHOWN: Mapping[str, type] = {
    "rejection": Rejections,
    "reject_items": Rejections,
    "canceled_items": Cancellations,
    "shipment": Shipments,
}
_TOKEN_PATHS = ("auth/realms/{realm}/protocol/openid-connect/token", "v0/token")


def _places() -> tuple[Place, ...]:
    told = (
        Place(path=f"{PLACE}{{id}}/{word}", summary=_SUMMARIES[word], takes=(body,),
              answers={201: Stored, **_WRONG, **_WRONG_BODY})
        for word, body in BODIES.items()
    )  # fmt: skip
    asked = (
        Place(path=f"{PLACE}{{id}}/{word}", method="GET", use=Use.ASKS, answers={200: shape, **_WRONG},
              summary=f"What the provider has reported by {word}; 404 while that is nothing")
        for word, shape in _SHOWN.items()
    )  # fmt: skip
    tokens_at = (
        Place(path=path, use=Use.SIGNS_IN, takes=(TokenCall,), is_form=True, answers={200: TokenAnswer, **_NO_TOKEN},
              summary="A NewStore-native provider gets a token")
        for path in _TOKEN_PATHS
    )  # fmt: skip
    return (*told, *asked, *tokens_at)


class Newstore(Adapter):
    """Sends one provider of this kind its orders, and is NewStore to it."""

    settings = NewstoreSettings
    provider: NewstoreSettings
    places = _places()
    credentials = ("Authorization",)
    readable: ClassVar[Mapping[str, Kind]] = {
        "rejection_reason": "word",
        "missing_product_ids": "id",
        "missing_items.reason": "word",
        "missing_items.product_ids": "id",
        "product_ids": "id",
        "line_items.product_ids": "id",
        "line_items.shipment.carrier": "plain",
        "line_items.shipment.tracking_code": "plain",
        "line_items.shipment.tracking_url": "link",
        "id": "id",
        "error_code": "plain",
    }

    def __init__(self, provider: NewstoreSettings, session: aiohttp.ClientSession) -> None:
        super().__init__(provider, session)
        self._shown_by = provider.shown_by(session)
        self.can = Capabilities(idempotent=True)

    def compose(self, order: Order) -> bytes:
        """Give the body as NewStore sent it."""
        return order.body

    async def create(self, order: Order, body: bytes) -> Taken:
        """Post the request as NewStore would. Whatever a 2xx says, but for a web page, it is received; so is a 409."""
        status, answer = await self._call("POST", order, body)
        if status == 409:
            return Taken(status)
        if not 200 <= status < 300:
            raise failed(status, answer)
        if answer.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<"):
            raise Unknown(f"answered {status} with a web page: that is not the provider's word", status, answer)
        return Taken(status)

    async def check(self) -> None:
        """Reach the provider: all that it must take is a request, so any answer of its own is one."""
        status, answer = await self._call("HEAD", Order(request_id="", reference="NS-CHECK-CONFIG"))
        if status in {401, 403} or status >= 500:
            raise NotSent(f"answered {status}: check the URL and the key of the provider", status, answer)

    async def _call(self, method: str, order: Order, body: bytes | None = None) -> tuple[int, bytes]:
        headers = {"X-Gateway-Reference": order.reference}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": order.idempotency_key}
        return await call(
            self.session, self._shown_by, method, self.provider.url, headers=headers, body=body,
            seconds=self.provider.timeout,
        )  # fmt: skip

    def admit(self, headers: Mapping[str, str], now: float) -> Admission:
        """Let in whoever shows a token that we gave, as long as it is good."""
        shown = self._token(headers, now)
        if not shown.secret:
            return Admission.REFUSED
        return Admission.EXPIRED if shown.is_over else Admission.PROVED

    def authentic(self, message: Message) -> Proof | None:
        """Find the secret for which the token was given, and name the call: its path, and its key where it has one."""
        shown = self._token(message.headers, message.at.timestamp())
        if not shown.secret or shown.is_over:
            return None
        with suppress(Malformed):
            return Proof(shown.secret, newstore_reading.called(message)._replace(key=_key(message)).name)
        return Proof(shown.secret)

    def _token(self, headers: Mapping[str, str], now: float) -> tokens.Shown:
        return tokens.look_at(self.provider.client_id, self.provider.client_secrets, bearer(headers), now)

    def sign_in(self, message: Message) -> Reply | None:
        """Give a token for the client's id and secret, wherever in the call they are shown."""
        try:
            asked = _asked(message)
        except (ValueError, msgspec.MsgspecError, RecursionError):
            why = "send grant_type, client_id and client_secret as a form"
            return newstore_answers.no_token(400, "invalid_request", why)
        if asked.grant_type == "password":
            client, secret = asked.username, asked.password
        elif asked.grant_type == "client_credentials":
            client, secret = _basic(message.headers) or (asked.client_id, asked.client_secret)
        else:
            why = "send grant_type=client_credentials"
            return newstore_answers.no_token(400, "unsupported_grant_type", why)
        used = key_among(self.provider.client_secrets, secret)
        if not (_is_same(self.provider.client_id, client) and used):
            return None
        given = tokens.issue(client, self.provider.client_secrets[used - 1], message.at.timestamp())
        return newstore_answers.token(given, tokens.LIFETIME, asked.scope)

    def read(self, message: Message) -> list[Statement]:
        """Read a call. Raises `Malformed` with the JSON path of what is wrong."""
        repeats = self.provider.same_call == "repetition"
        return newstore_reading.read(message, self.provider.carriers, repeats=repeats)

    def answer(self, message: Message, heard: Sequence[Heard]) -> Reply:
        """Answer 201, or with one of NewStore's codes."""
        return newstore_answers.answer(_word(message), heard)

    def refusal(self, place: Place | None, status: int, why: str) -> Reply:
        """Say it in NewStore's words: 401 without a token, 403 for a wrong one."""
        if place is not None and place.use is Use.SIGNS_IN:
            known = {403: (401, "unauthorized_client"), 503: (503, "temporarily_unavailable")}
            return newstore_answers.no_token(*known.get(status, (status, "invalid_request")), why)
        return newstore_answers.error(status, why)

    def asks(self, message: Message) -> Names:
        """Name the request by its id in the path."""
        try:
            return Names(request=newstore_reading.called(message).request_id)
        except Malformed:
            return Names()

    def tell(self, message: Message, reported: Sequence[Reported] | None) -> Reply:
        """Show what the provider has reported."""
        return newstore_answers.tell(_word(message), reported)


def _word(message: Message) -> str:
    return message.path.rpartition("/")[2]


def _key(message: Message) -> str:
    key: str = message.headers.get("Idempotency-Key", "")
    return key if key.isascii() and key.isprintable() and len(key) <= _LONGEST_KEY else ""


def _is_same(ours: str, theirs: str) -> bool:
    return hmac.compare_digest(ours.encode(), theirs.encode("utf-8", "surrogatepass"))


def _asked(message: Message) -> TokenCall:
    """Read a form, or JSON where the head says so. Raises `ValueError` or `MsgspecError`."""
    if "json" in message.headers.get("Content-Type", ""):
        return msgspec.json.decode(message.body, type=TokenCall)
    fields: dict[str, Any] = dict(parse_qsl(message.body.decode(), keep_blank_values=True, max_num_fields=20))
    return msgspec.convert(fields, type=TokenCall)


def _basic(headers: Mapping[str, str]) -> tuple[str, str] | None:
    """Give the user and password of HTTP Basic; None where nothing is shown so."""
    scheme, _, shown = headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = b64decode(shown).decode("utf-8", "replace").partition(":")
    except ValueError:
        return "", ""
    return user, password
