"""An adapter for tests: a provider that mostly hints, is asked for more, and is polled.

It says a list of things, as `[{"look": "NS…"}, {"of": "r-1", "shipped": {"TEE": 1}, "in": "1Z"}, {"other": 1}]`: a hint
by our reference, the units shipped of a request so far, and something else.
"""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import msgspec

from gateway.call_errors import NotSent, Refused, Unknown
from gateway.domain.commands import Word
from gateway.domain.deliveries import Parcel
from gateway.domain.orders import Order
from gateway.providers.port import (
    Adapter,
    Capabilities,
    Look,
    Message,
    Names,
    Page,
    Reading,
    Statement,
    Taken,
    Unreadable,
)
from gateway.providers.transports.http import call


def saying(*things: dict[str, Any]) -> Message:
    """Make a message of these things."""
    return Message(msgspec.json.encode(things), datetime.now(UTC))


class Hinting(Adapter):
    """Can do everything but withdraw."""

    can = Capabilities(look_up=True, read=True, poll=True)

    def compose(self, order: Order) -> bytes:
        return msgspec.json.encode(
            {"ref": order.reference, "lines": {line.product: line.count for line in order.lines}}
        )

    async def create(self, order: Order, body: bytes) -> Taken:
        return _taken(await self._ask("POST", "orders", body))

    async def look_up(self, order: Order) -> Taken | None:
        status, body = await call(self.session, "GET", self._at("orders", order.reference), {}, seconds=self._seconds)
        return None if status == 404 else _taken(_of(status, body))

    async def read_order(self, order: Order) -> Message:
        at = datetime.now(UTC)
        return Message(await self._ask("GET", f"status/{order.provider_order or order.reference}"), at)

    async def poll(self, cursor: str) -> Page:
        at = datetime.now(UTC)
        page = msgspec.json.decode(await self._ask("GET", f"news?after={quote(cursor)}"))
        messages = [Message(msgspec.json.encode(each), at) for each in page["messages"]]
        return Page(messages, page["cursor"], more=page.get("more", False), receipt=page["cursor"])

    async def acknowledge(self, page: Page) -> None:
        await self._ask("POST", f"got/{page.receipt}")

    def read(self, message: Message) -> list[Reading]:
        return [_reading(each) for each in msgspec.json.decode(message.body)]

    @property
    def _seconds(self) -> float:
        return self.provider.timeout

    def _at(self, *path: str) -> str:
        return "/".join((self.provider.address, *path))

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        return _of(*await call(self.session, method, self._at(path), {}, body, seconds=self._seconds))


class Told(Hinting):
    """Likewise, but somebody else tells it of its orders."""

    can = Capabilities(create=False, look_up=True, read=True)


class Deaf(Hinting):
    """It hints, and can't be asked."""

    can = Capabilities(look_up=True)


def _of(status: int, body: bytes) -> bytes:
    if status < 300:
        return body
    if status >= 500:
        raise Unknown(f"answered {status}", status, body)
    raise (Refused if status == 404 else NotSent)(f"answered {status}", status, body)


def _taken(body: bytes) -> Taken:
    return Taken(200, msgspec.json.decode(body)["id"])


def _reading(said: dict[str, Any]) -> Reading:
    fingerprint = msgspec.json.encode(said).hex()
    if "look" in said:
        return Look(names=Names(reference=said["look"]), event_id=said.get("event", ""))
    if "of" not in said:
        return Unreadable(place="$", what="says nothing that is known", fingerprint=fingerprint)
    return Statement(
        names=Names(request=said["of"]),
        word=Word.SHIPPED,
        fingerprint=fingerprint,
        items=said["shipped"],
        parcel=Parcel("UPS", said["in"]),
        is_total=True,
        part=msgspec.json.encode([said]),
    )
