"""Acme: a provider with an API of its own. One call makes an order, and one webhook tells several things."""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, ClassVar

import aiohttp
import msgspec

from gateway import canonical
from gateway.call_errors import Inconclusive, Refused
from gateway.domain.commands import RejectionReason, Word
from gateway.domain.orders import Order
from gateway.providers import parcels
from gateway.providers.port import (
    Adapter,
    Admission,
    Capabilities,
    Malformed,
    Message,
    Names,
    Proof,
    Statement,
    Taken,
    Unreadable,
)
from gateway.providers.transports.http import answered, call, failed
from gateway.settings import Certificates, ProviderSettings
from gateway.settings.references import Key
from gateway.settings.urls import BaseUrl

SIGNATURE = "X-Acme-Signature"
WORDS = {"TAKEN": Word.ACCEPTED, "SHIPPED": Word.SHIPPED, "SHORT": Word.REJECTED, "DROPPED": Word.CANCELLED}
REASONS = {"no_stock": RejectionReason.NO_INVENTORY, "damaged": RejectionReason.CANNOT_FULFILL}


@dataclass(frozen=True)
class AcmeSettings(ProviderSettings, Certificates):
    """The keys of `[providers.NAME]` beside those that every provider has."""

    live: ClassVar = ProviderSettings.live | {"api_key", "webhook_secret"}
    addressed: ClassVar = frozenset({"url"})
    shown_to_us: ClassVar = ("webhook_secret",)

    url: BaseUrl
    """Where its API is."""
    api_key: Key
    """What we show it."""
    webhook_secret: Key
    """What it signs its webhooks with."""

    @property
    def address(self) -> str:
        return self.url


class Line(msgspec.Struct):
    sku: str
    qty: Annotated[int, msgspec.Meta(ge=1, le=100_000)]


class Event(msgspec.Struct):
    """One thing that has happened to an order."""

    id: str
    order: str
    what: str
    lines: list[Line]
    why: str = ""
    carrier: str = ""
    tracking: str = ""


class Number(msgspec.Struct):
    """What an order is called there."""

    number: str
    ref: str = ""


class Numbers(msgspec.Struct):
    orders: list[Number]


class Cancelled(msgspec.Struct):
    cancelled: bool


class Acme(Adapter):
    """Calls Acme, and reads its webhooks."""

    settings = AcmeSettings
    provider: AcmeSettings
    can = Capabilities(look_up=True, idempotent=True, withdraw=True)
    credentials = (SIGNATURE,)
    readable: ClassVar[Mapping[str, Any]] = {"events.id": "id", "events.order": "id", "events.what": "word"}

    def __init__(self, provider: AcmeSettings, session: aiohttp.ClientSession) -> None:
        super().__init__(provider, session)
        self._url, self._secret = provider.url.rstrip("/"), provider.webhook_secret

    def compose(self, order: Order) -> bytes:
        to = order.ship_to
        return json.dumps(
            {
                "ref": order.reference,
                "service": order.service_level,
                "to": {"name": to.name, "street": to.lines, "city": to.city, "zip": to.zip_code, "country": to.country},
                "lines": [{"sku": line.product, "qty": line.count} for line in order.lines],
            }
        ).encode()

    async def create(self, order: Order, body: bytes) -> Taken:
        status, answer = await self._call("POST", "/orders", body)
        if status not in {200, 201}:
            raise failed(status, answer)
        return Taken(status, answered(status, answer, Number).number)

    async def look_up(self, order: Order) -> Taken | None:
        status, answer = await self._call("GET", f"/orders?ref={order.reference}")
        if status != 200:
            raise failed(status, answer)
        found = answered(status, answer, Numbers).orders
        for each in found:
            if each.ref == order.reference:
                return Taken(status, each.number)
        if found:
            raise Inconclusive("the look-up names another order", status, answer)
        return None

    async def withdraw(self, order: Order) -> str | None:
        status, answer = await self._call("POST", f"/orders/{order.reference}/cancel")
        if status == 404:
            return None
        if status != 200:
            raise failed(status, answer)
        if not answered(status, answer, Cancelled).cancelled:
            raise Refused("it goes on with the order", status, answer)
        return "cancelled: true"

    async def check(self) -> None:
        await self.look_up(Order(request_id="", reference="NS-CHECK-CONFIG"))

    async def _call(self, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
        headers = {"X-Api-Key": self.provider.api_key.reveal(), "Content-Type": "application/json"}
        return await call(self.session, method, self._url + path, headers, body, seconds=self.provider.timeout)

    def admit(self, headers: Mapping[str, str], now: float) -> Admission:
        return Admission.TO_BE_PROVED if SIGNATURE in headers else Admission.REFUSED

    def authentic(self, message: Message) -> Proof | None:
        signed = hmac.new(self._secret.reveal().encode(), message.body, sha256).hexdigest().encode()
        shown = message.headers.get(SIGNATURE, "").encode("utf-8", "replace")
        return Proof(1) if hmac.compare_digest(signed, shown) else None

    def read(self, message: Message) -> list[Statement | Unreadable]:
        try:
            events = canonical.decode(message.body)["events"]
            return [self._read(place, event) for place, event in enumerate(events)]
        except (ValueError, RecursionError, KeyError, TypeError) as error:
            raise Malformed("$.events", f"no list of events ({type(error).__name__})") from error

    def _read(self, place: int, event: Any) -> Statement | Unreadable:
        spelled = canonical.spell(event)
        kept: dict[str, Any] = {"fingerprint": canonical.fingerprint(spelled), "part": b'{"events":[' + spelled + b"]}"}
        try:
            said = msgspec.convert(event, Event)
        except msgspec.ValidationError as error:
            return Unreadable(place=f"$.events[{place}]", what=str(error), names=_named(event), **kept)
        if "\0" in "".join((said.id, said.order, said.carrier, said.tracking, *(line.sku for line in said.lines))):
            return Unreadable(place=f"$.events[{place}]", what="holds a NUL character", **kept)
        items: dict[str, int] = {}
        for line in said.lines:
            items[line.sku] = items.get(line.sku, 0) + line.qty
        word, reason = WORDS.get(said.what), REASONS.get(said.why)
        if word and not items:
            return Unreadable(place=f"$.events[{place}].lines", what="names no unit", names=_named(event), **kept)
        problem = "" if word else f"what {said.what!r} is unknown"
        if word is Word.REJECTED and reason is None:
            problem = f"why {said.why!r} is unknown"
        parcel = parcels.named(said.carrier, said.tracking) if said.tracking else None
        return Statement(
            names=Names(reference=said.order), word=word, event_id=said.id, items=items, reason=reason, parcel=parcel,
            problem=problem, **kept,
        )  # fmt: skip


def _named(event: Any) -> Names:
    """Find whom an event is about that can't be read."""
    order = event.get("order") if isinstance(event, dict) else None
    return Names(reference=order if isinstance(order, str) and "\0" not in order else "")
