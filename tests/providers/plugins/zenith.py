"""Zenith: its webhook is a hint, its answers are totals, it is polled, its tokens expire, and nothing is a promise."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp
import msgspec

from gateway import canonical
from gateway.call_errors import Inconclusive, Unknown
from gateway.domain.commands import RejectionReason, Word
from gateway.domain.orders import Order
from gateway.providers import parcels, signatures
from gateway.providers.port import (
    Adapter,
    Admission,
    Capabilities,
    Look,
    Malformed,
    Message,
    Names,
    Page,
    Proof,
    Reading,
    Statement,
    Taken,
)
from gateway.providers.transports.http import Answer, answered, ask, failed
from gateway.settings import ProviderSettings
from gateway.settings.references import Key, SigningKey
from gateway.settings.urls import BaseUrl


@dataclass(frozen=True)
class ZenithSettings(ProviderSettings):
    """What `[providers.NAME]` says of a Zenith."""

    url: BaseUrl
    """Where its API is."""
    api_key: Key
    """What tokens are got with."""
    secret: SigningKey
    """What it signs its webhooks with."""


class Token(msgspec.Struct):
    access_token: str


class Line(msgspec.Struct):
    sku: str
    qty: int
    accepted: int = 0
    short: int = 0


class Box(msgspec.Struct):
    carrier: str
    tracking: str
    lines: list[Line]


class Kept(msgspec.Struct):
    """An order as Zenith shows it: all that is so by now."""

    id: str
    reference: str
    status: str
    changed: datetime
    lines: list[Line]
    boxes: list[Box]


class Changed(msgspec.Struct):
    orders: list[msgspec.Raw]
    cursor: str


class Hint(msgspec.Struct):
    topic: str
    reference: str


class Zenith(Adapter):
    settings = ZenithSettings
    provider: ZenithSettings
    can = Capabilities(look_up=True, read=True, poll=True)
    credentials = ("webhook-signature",)

    def __init__(self, provider: ZenithSettings, session: aiohttp.ClientSession) -> None:
        super().__init__(provider, session)
        self._token = ""

    def compose(self, order: Order) -> bytes:
        lines = [{"sku": each.product, "qty": each.count} for each in order.lines]
        return json.dumps({"reference": order.reference, "lines": lines}).encode()

    async def create(self, order: Order, body: bytes) -> Taken:
        told = await self._call("POST", "/orders", body)
        if not 200 <= told.status < 300:
            raise failed(told.status, told.body)
        at = told.headers.get("Location", "")
        if not at.startswith("/orders/by-id/"):
            raise Unknown(f"answered {told.status} without a Location", told.status, told.body)
        return Taken(told.status, at.rpartition("/")[2])

    async def look_up(self, order: Order) -> Taken | None:
        status, answer, _ = await self._call("GET", f"/orders/{order.reference}")
        if status == 404:
            return None
        if status != 200:
            raise failed(status, answer)
        found = answered(status, answer, Kept)
        if found.reference != order.reference:
            raise Inconclusive("the look-up gave another order", status, answer)
        return Taken(status, found.id)

    async def read_order(self, order: Order) -> Message:
        status, answer, _ = await self._call("GET", f"/orders/{order.reference}")
        if status != 200:
            raise failed(status, answer)
        return Message(answer, answered(status, answer, Kept).changed)

    async def poll(self, cursor: str) -> Page:
        status, answer, _ = await self._call("GET", f"/orders?changed_since={cursor}")
        if status != 200:
            raise failed(status, answer)
        found = answered(status, answer, Changed)
        messages = [Message(bytes(each), msgspec.json.decode(each, type=Kept).changed) for each in found.orders]
        return Page(messages, found.cursor)

    async def check(self) -> None:
        await self.look_up(Order(request_id="", reference="NS-CHECK-CONFIG"))

    async def _call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Repeat a call once under a new token, where the old one has expired: a 401 says that nothing was done."""
        for _ in range(2):
            told = await self._once(method, path, body, {"Authorization": f"Bearer {await self._bearer()}"})
            if told.status != 401:
                break
            self._token = ""
        return told

    async def _bearer(self) -> str:
        if not self._token:
            status, answer, _ = await self._once("POST", "/token", b"", {"X-Key": self.provider.api_key.reveal()})
            if status != 200:
                raise failed(status, answer)
            self._token = answered(status, answer, Token).access_token
        return self._token

    async def _once(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        url = self.provider.url.rstrip("/") + path
        return await ask(self.session, method, url, headers, body, seconds=self.provider.timeout)

    def admit(self, headers: Mapping[str, str], now: float) -> Admission:
        return Admission.TO_BE_PROVED if signatures.is_in_time(headers, now) else Admission.REFUSED

    def authentic(self, message: Message) -> Proof | None:
        secrets, now = (self.provider.secret,), message.at.timestamp()
        used = signatures.signed_with(secrets, message.headers, message.body, now)
        return Proof(used, signatures.signed_id(message.headers)) if used else None

    def read(self, message: Message) -> list[Reading]:
        try:
            document = canonical.decode(message.body)
            spelled = canonical.spell(document)
            if b"\\u0000" in spelled:
                raise Malformed("$", "holds a NUL character")
            if isinstance(document, dict) and "topic" in document:
                hint = msgspec.convert(document, Hint)
                named = Names(reference=hint.reference)
                return [Look(names=named, fingerprint=canonical.fingerprint(spelled), event_id=message.name)]
            return [*_totals(msgspec.convert(document, Kept))]
        except (ValueError, RecursionError) as error:
            raise Malformed("$", str(error)[:200]) from error


def _totals(kept: Kept) -> list[Statement]:
    """Say what is so by now: of each parcel its pieces, of the order what was accepted and what is short."""
    totals: list[tuple[Word, dict[str, int], dict[str, Any]]] = []
    if accepted := _counts(kept.lines, "accepted"):
        totals.append((Word.ACCEPTED, accepted, {}))
    totals += [
        (Word.SHIPPED, _counts(box.lines, "qty"), {"parcel": parcels.named(box.carrier, box.tracking)})
        for box in kept.boxes
    ]
    if short := _counts(kept.lines, "short"):
        totals.append((Word.REJECTED, short, {"reason": RejectionReason.NO_INVENTORY}))
    names = Names(reference=kept.reference, provider_order=kept.id)
    common: dict[str, Any] = {"names": names, "is_total": True, "as_of": kept.changed, "is_proof": False}
    found = []
    for word, items, more in totals:
        what = [kept.reference, word, items, *(getattr(more.get("parcel"), "tracking_code", "") for _ in "1")]
        found.append(Statement(word=word, items=items, fingerprint=_name(what), **more, **common))
    if kept.status not in {"OPEN", "CLOSED"}:
        what = [kept.reference, kept.status]
        problem = f"status {kept.status[:40]!r} is unknown"
        found.append(Statement(word=None, problem=problem, fingerprint=_name(what), **common))
    return found


def _counts(lines: list[Line], field: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for each in lines:
        if count := getattr(each, field):
            found[each.sku] = found.get(each.sku, 0) + count
    return found


def _name(what: object) -> str:
    return canonical.fingerprint(canonical.spell(what))
