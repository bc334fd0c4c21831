"""A provider that takes NewStore's own JSON and calls back with one event endpoint.

It is idempotent on NewStore's `id` by contract, and is the authority on its own rejections: what it rejects, it
will not ship. Orders go to the provider's URL; `GET {url}/{reference}` looks one up, `DELETE` stops it: 200 or 204
promises that nothing more of it ships, 404 that there is no such order, 409 says that it is shipping.
"""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Annotated
from urllib.parse import quote

import aiohttp
import msgspec

from gateway.calls import (
    MOST_BYTES,
    NotSent,
    Redirected,
    Refused,
    Throttled,
    Unknown,
    as_code,
    read_at_most,
    retry_after,
)
from gateway.domain.commands import OnProviderCancel, ProviderSaid, RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.settings import Provider
from gateway.telemetry import trace

from .contract import Malformed, Order, Taken

WORDS = {
    "accepted": Word.ACCEPTED,
    "rejected": Word.REJECTED,
    "cancelled": Word.CANCELLED,
    "shipped": Word.SHIPPED,
}
REASONS = {
    "no_inventory": RejectionReason.NO_INVENTORY,
    "cannot_fulfill": RejectionReason.CANNOT_FULFILL,
}
READABLE = frozenset(
    {
        "id", "type", "event_id", "occurred_at", "fulfillment_request_id", "items.product_id", "items.quantity",
        "shipment.carrier", "shipment.tracking_number", "shipment.tracking_url",
    }
)  # fmt: skip
_NOT_TAKEN = {401, 403, 404, 405, 408, 425}  # set up wrongly, or not now: nothing was done, and mending it helps
_THROTTLED = {429, 503}


class Http:
    """Calls one provider of this kind."""

    def __init__(self, session: aiohttp.ClientSession, provider: Provider) -> None:
        self._session = session
        self._provider = provider
        self._timeout = aiohttp.ClientTimeout(total=provider.timeout)
        self.can_look_up = provider.look_up
        self.is_idempotent = True
        self.can_withdraw = provider.withdraw

    async def create(self, order: Order) -> Taken:
        """Post the body as NewStore sent it. 409 means that the provider has it already."""
        status, body = await self._call("POST", self._provider.url, order)
        if status == 409 or 200 <= status < 300:
            return Taken(status, _provider_order(body))
        if status >= 500:
            raise Unknown(f"answered {status}: it may have taken the order", status, body)
        if status in _NOT_TAKEN:
            raise NotSent(f"answered {status}: check the URL and the key of the provider", status, body)
        raise Refused(f"answered {status}: it will not take this order", status, body)

    async def look_up(self, order: Order) -> Taken | None:
        """Ask by our reference whether the provider has the order."""
        status, body = await self._call("GET", self._url_of(order), order)
        if status == 404:
            return None
        if 200 <= status < 300:
            return Taken(status, _provider_order(body))
        hint = ": check the URL and the key of the provider" if status in _NOT_TAKEN else ""
        raise NotSent(f"the look-up answered {status}{hint}", status, body)

    async def withdraw(self, order: Order) -> str | None:
        """Delete the order. Only 200 and 204 say that it has stopped: 202 means that it may yet."""
        status, body = await self._call("DELETE", self._url_of(order), order)
        if status in {200, 204}:
            return f"answered {status}"
        if status == 404:
            return None
        if status >= 500 and status != 501:
            raise Unknown(f"answered {status}: it may have stopped", status, body)
        if status == 202 or status in _NOT_TAKEN - {405}:
            raise NotSent(f"answered {status}: it has not stopped yet", status, body)
        why = "it can't withdraw an order" if status in {405, 501} else "it goes on with the order"
        raise Refused(f"answered {status}: {why}", status, body)

    def _url_of(self, order: Order) -> str:
        return f"{self._provider.url.rstrip('/')}/{quote(order.reference, safe='')}"

    async def check(self) -> None:
        """Reach the provider by a look-up that finds nothing."""
        await self.look_up(Order("", "NS-CHECK-CONFIG", "NS-CHECK-CONFIG", b""))

    async def _call(self, method: str, url: str, order: Order) -> tuple[int, bytes]:
        headers = {
            "Authorization": f"Bearer {self._provider.api_key.reveal()}",
            "X-Gateway-Reference": order.reference,
            **trace.headers(),
        }
        if method == "POST":
            headers |= {"Content-Type": "application/json", "Idempotency-Key": order.idempotency_key}
        try:
            async with self._session.request(
                method,
                url,
                headers=headers,
                data=order.body if method == "POST" else None,
                timeout=self._timeout,
                allow_redirects=False,
            ) as answer:
                body = await read_at_most(answer.content, MOST_BYTES)
        except aiohttp.ClientConnectorError as error:
            raise NotSent(
                f"can't be reached ({type(error).__name__}): check the URL of the provider, and that it runs"
            ) from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unknown(f"no answer ({type(error).__name__})") from error
        if answer.status in _THROTTLED and (answer.status == 429 or "Retry-After" in answer.headers):
            raise Throttled(retry_after(answer.headers.get("Retry-After", "")), answer.status, body)
        if 300 <= answer.status < 400:
            raise Redirected(answer.status, body)
        return answer.status, body


class _Answer(msgspec.Struct):
    id: str | int | None = None


def _provider_order(body: bytes) -> str | None:
    try:
        found = msgspec.json.decode(body, type=_Answer).id
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    return None if found is None else str(found).replace("\0", "�")[:500]


_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]


class _Item(msgspec.Struct):
    product_id: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]  # as NewStore's
    quantity: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1


class _Shipment(msgspec.Struct):
    carrier: _Text
    tracking_number: _Text
    tracking_url: Annotated[str, msgspec.Meta(max_length=2_000)] | None = None


class _Callback(msgspec.Struct):
    type: _Text
    fulfillment_request_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    event_id: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    items: list[_Item] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    shipment: _Shipment | None = None


def read_callback(body: bytes, provider: str, at: datetime, on_cancel: OnProviderCancel) -> ProviderSaid:
    """Read one event. A word or reason that is not in the tables above has none of ours: the domain quarantines it.

    Raises `Malformed` with the JSON path of what is wrong.
    """
    try:
        said = msgspec.json.decode(body, type=_Callback)
        _storable(said)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        what, _, path = str(error).partition(" - at `")
        raise Malformed(path.rstrip("`") or "$", what) from error
    except (UnicodeError, RecursionError) as error:
        raise Malformed("$", "not JSON that can be stored: send UTF-8 without NUL, not nested this deep") from error
    word = WORDS.get(said.type)
    if word is Word.SHIPPED and not said.items:
        raise Malformed("$.items", "a shipment needs its items, with product_id and quantity")
    if word and said.items == []:
        raise Malformed("$.items", "names no unit; name those that are meant, or leave it out to mean all of them")
    quantities: dict[str, int] = {}
    for item in said.items or ():
        quantities[item.product_id] = quantities.get(item.product_id, 0) + item.quantity
    fingerprint = sha256(body).hexdigest()
    reason = REASONS.get(said.reason or "")
    problem = "" if word else _unknown("type", said.type, WORDS)
    if word is Word.REJECTED and reason is None:
        problem = _unknown("reason", said.reason, REASONS)
    shipment = said.shipment
    return ProviderSaid(
        request_id=said.fulfillment_request_id,
        at=at,
        provider=provider,
        cause=f"{provider}:{said.event_id or fingerprint}",
        fingerprint=fingerprint,
        word=word,
        items=quantities or None,
        reason=reason,
        parcel=Parcel(shipment.carrier, shipment.tracking_number, shipment.tracking_url) if shipment else None,
        problem=problem,
        on_cancel=on_cancel,
    )


def _unknown(field: str, said: str | None, known: Iterable[str]) -> str:
    """Say what is not in the tables, as long as it is a code: a person's name may stand in a sentence."""
    if said is None:
        what = "is missing"
    else:
        what = f"{said!r} is unknown" if as_code(said) else "is unknown, and no code (see the body)"
    return f"{field} {what}: send one of {', '.join(known)}"


def _storable(said: _Callback) -> None:
    """Find what no text column takes (NUL, lone surrogates) before it reaches the writer."""
    if b"\\u0000" in msgspec.json.encode(said).replace(rb"\\", b""):  # an escaped backslash escapes nothing more
        raise UnicodeError("NUL")
