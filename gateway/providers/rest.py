"""A provider with a JSON API of its own: its mapping describes the calls, and how messages are read.

Nothing here knows a vendor. What a status says is not believed without its body, and what an expression finds nothing
for is never taken for an empty list, for all units, or for one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import quote

import aiohttp
import msgspec

from gateway.call_errors import Disputed, Inconclusive, NotSent, Refused
from gateway.domain.orders import Order

from . import answers, rest_answers, rest_reading, rest_webhooks
from .confirming import confirmed
from .port import Adapter, Admission, Call, Capabilities, Message, Origin, Page, Proof, Reading, Taken
from .rest_document import document
from .rest_expressions import Expression, Odd
from .rest_mapping import OF_AN_ORDER, PLACEHOLDER, OrderCall, Poll
from .rest_polling import Place
from .rest_settings import RestSettings
from .transports.authentication import call
from .transports.http import NOT_TAKEN, failed

_NOBODYS = Order(request_id="", reference="NS-CHECK-CONFIG")


class Rest(Adapter):
    """Calls one provider of this kind, and reads what it says."""

    settings: ClassVar = RestSettings
    provider: RestSettings

    def __init__(self, provider: RestSettings, session: aiohttp.ClientSession) -> None:
        super().__init__(provider, session)
        mapping = self.mapping = provider.mapping
        self._shown_by = provider.shown_by(session)
        self.credentials = rest_webhooks.credentials(provider.webhooks)
        self.can = Capabilities(
            create=mapping.create is not None,
            look_up=mapping.look_up is not None,
            idempotent=mapping.create is not None and mapping.create.idempotent,
            withdraw=mapping.withdraw is not None,
            read=mapping.read is not None,
            poll=mapping.poll is not None,
            callbacks=mapping.webhook is not None,
        )

    def compose(self, order: Order) -> bytes:
        """Make the body of an order. Raises `Refused` where the mapping makes nothing of this one."""
        if self.mapping.create is None:
            return b""
        return _body(self.mapping.create, order) or b""

    async def create(self, order: Order, body: bytes) -> Taken:
        """Send an order. Where the answer leaves a doubt, a look-up ends it or a person does."""
        create = self.mapping.create
        if create is None:
            return await super().create(order, body)
        status, answer = await self._call(create, order, body)
        if status in create.exists:
            return await confirmed(self.look_up, order, status, answer, exists=True)
        if not 200 <= status < 300:
            raise failed(status, answer)
        try:
            return rest_answers.taken(create, status, answer)
        except Disputed:
            if not self.can.look_up:
                raise
            return await confirmed(self.look_up, order, status, answer, exists=False)

    async def look_up(self, order: Order) -> Taken | None:
        """Ask by our reference whether the provider has the order: it has where one of the answer has that reference.

        Raises `Inconclusive` for any other answer: other orders, a web page, something without a list of orders.
        """
        look_up = self.mapping.look_up
        if look_up is None:
            return await super().look_up(order)
        status, answer = await self._call(look_up, order)
        if status in look_up.absent and _is_json(answer):
            return None
        if not 200 <= status < 300:
            raise _not_read("the look-up", status, answer)
        found = rest_answers.found(look_up, status, answer)
        for reference, named in found:
            if reference.strip().casefold() == order.reference.casefold():
                return Taken(status, named)
        if found:
            raise Inconclusive(f"the look-up answered {status} and other orders than this one", status, answer)
        return None

    async def withdraw(self, order: Order) -> str | None:
        """Have an order stopped. 202 says that it may yet, and any refusal that it goes on."""
        withdraw = self.mapping.withdraw
        if withdraw is None:
            return await super().withdraw(order)
        known = await self._known(withdraw, order)
        if known is None:
            return None
        status, answer = await self._call(withdraw, known)
        if status in withdraw.absent and _is_json(answer):
            return None
        if not 200 <= status < 300:
            raise failed(status, answer)
        return rest_answers.stopped(withdraw, status, answer)

    async def read_order(self, order: Order) -> Message:
        """Ask how an order stands. Raises `NotSent` for an answer without any order: that is no state of one."""
        read = self.mapping.read
        if read is None:
            return await super().read_order(order)
        known = await self._known(read, order)
        if known is None:
            raise NotSent("the provider does not know the order: nothing can be read of it yet")
        at = datetime.now(UTC)
        status, answer = await self._call(read, known)
        if not 200 <= status < 300:
            raise _not_read("the read", status, answer)
        try:
            told = rest_reading.unambiguous(answer)
            orders = rest_reading.orders_in(read.orders, told)
        except (ValueError, Odd) as error:
            raise NotSent(f"the read answered {status} and nothing of a known shape", status, answer) from error
        if not orders:
            raise NotSent(f"the read answered {status} and no order", status, answer)
        return Message(rest_reading.wrapped("read", told), at)

    async def poll(self, cursor: str) -> Page:
        """Ask for a page. Raises `NotSent` for what is none, so that it is asked for again."""
        poll = self.mapping.poll
        if poll is None:
            return await super().poll(cursor)
        at = datetime.now(UTC)
        place = Place.of(cursor, poll, at)
        asked = place.asked(poll)
        body = None if poll.body is None else _encoded(poll.body, asked)
        status, answer = await self._send(poll, _path(poll.path, asked), poll.headers, body)
        if not 200 <= status < 300:
            raise _not_read("the poll", status, answer)
        try:
            page = rest_reading.unambiguous(answer)
            following, more = place.after(poll, page)
        except ValueError as error:
            raise NotSent(
                f"the poll answered {status} and no JSON: that is not the provider's word", status, answer
            ) from error
        except Odd as odd:
            raise NotSent(f"the poll answered {status}, but {odd}", status, answer) from odd
        return Page([Message(rest_reading.wrapped("poll", page), at)], str(following), more)

    async def check(self) -> None:
        """Reach the provider by a look-up that finds nothing, or by a poll."""
        if not self.can.look_up:
            await (self.poll("") if self.can.poll else super().check())
        elif await self.look_up(_NOBODYS):
            raise Inconclusive("the look-up found an order that can't be there: see to look_up.reference")

    async def _known(self, about: OrderCall, order: Order) -> Order | None:
        """Give an order with the provider's own id, where the call needs that; None where it has no such order."""
        if order.provider_order or not about.needs("provider_order"):
            return order
        if not self.can.look_up:
            raise Refused("the provider's own id of the order is not known, and no look-up tells it: ask the provider")
        found = await self.look_up(order)
        if found is None:
            return None
        if not found.provider_order:
            raise Refused("the look-up found the order and no id of it: add look_up.provider_order to the mapping")
        return replace(order, provider_order=found.provider_order)

    async def _call(self, about: OrderCall, order: Order, body: bytes | None = None) -> tuple[int, bytes]:
        path, headers = _addressed(about, order)
        return await self._send(about, path, headers, _body(about, order) if body is None else body)

    async def _send(
        self, about: OrderCall | Poll, path: str, headers: Mapping[str, str], body: bytes | None
    ) -> tuple[int, bytes]:
        return await call(
            self.session,
            self._shown_by,
            about.method,
            self.provider.url + path,
            headers=self._headers(headers, has_body=body is not None),
            body=body,
            seconds=self.provider.timeout,
        )

    def _headers(self, headers: Mapping[str, str], *, has_body: bool) -> dict[str, str]:
        of_a_body = {"Content-Type": "application/json"} if has_body else {}
        return {**of_a_body, "Accept": "application/json", **self.mapping.headers, **headers}

    def shown(self, order: Order) -> str:
        """Show the call that tells of an order, but for its body."""
        create = self.mapping.create
        if create is None:
            return ""
        path, headers = _addressed(create, order)
        sent = {**self._headers(headers, has_body=True), **self._shown_by.masked}
        return "\n".join(
            [f"{create.method} {self.provider.url}{path}", *(f"{name}: {each}" for name, each in sent.items())]
        )

    def judged(self, call: Call, answer: bytes) -> str:
        return rest_answers.judged(self.mapping, call, answer)

    def words(self, message: Message) -> Mapping[str, str]:
        return rest_reading.words(self.mapping, message)

    def admit(self, headers: Mapping[str, str], now: float) -> Admission:
        return rest_webhooks.admit(self.provider.webhooks, self.provider.webhook_secrets, headers, now)

    def authentic(self, message: Message) -> Proof | None:
        return rest_webhooks.authentic(self.provider.webhooks, self.provider.webhook_secrets, message)

    def kept(self, kind: Origin, body: bytes) -> bytes:
        """Give a saved answer or page as it is kept; what is no JSON stays as it is, and is read as none."""
        try:
            return rest_reading.wrapped(kind, answers.decoded(body))
        except ValueError:
            return body

    def read(self, message: Message) -> Sequence[Reading]:
        """Read a webhook, an answer or a page. Raises `Malformed` where nothing of it can be read."""
        return rest_reading.read(self.mapping, message)


def _body(about: OrderCall, order: Order) -> bytes | None:
    return None if about.body is None else _encoded(about.body, document(order))


def _encoded(body: Expression, of: object) -> bytes:
    try:
        made = body.of(of)
    except Odd as odd:
        raise Refused(f"the mapping can't make a body of this: {odd}") from odd
    if made is None:
        raise Refused("the mapping makes nothing of this: see to its body")
    return msgspec.json.encode(made)


def _addressed(about: OrderCall, order: Order) -> tuple[str, dict[str, str]]:
    """Fill the path and the headers of a call about an order."""
    told = {name: getattr(order, name) for name in OF_AN_ORDER}
    return _path(about.path, told), {name: _in_header(name, each, told) for name, each in about.headers.items()}


def _path(template: str, told: Mapping[str, Any]) -> str:
    """Fill a path. A parameter that is empty is left out; a part of the path that is leads nowhere."""
    path, mark, query = template.partition("?")
    parts = [_filled(part, told, escaped=True) for part in path.split("/")]
    if {"", ".", ".."} & {filled for part, filled in zip(path.split("/"), parts, strict=True) if "{" in part}:
        raise Refused(f"{path} can't be called: what stands in its braces is not known")
    pairs = [_filled(pair, told, escaped=True) for pair in query.split("&")] if mark else []
    left = [pair for pair in pairs if not pair.endswith("=")]
    return "/".join(parts) + (f"?{'&'.join(left)}" if left else "")


def _filled(template: str, told: Mapping[str, Any], *, escaped: bool = False) -> str:
    return PLACEHOLDER.sub(
        lambda found: quote(str(told[found[1]]), safe="") if escaped else str(told[found[1]]), template
    )


def _in_header(name: str, template: str, told: Mapping[str, Any]) -> str:
    filled = _filled(template, told)
    if not (filled.isascii() and filled.isprintable()):
        raise Refused(f"the header {name} can't carry what the order has there: leave it out of the mapping")
    return filled


def _not_read(what: str, status: int, answer: bytes) -> NotSent:
    hint = ": check the URL, the mapping and the key of the provider" if status in NOT_TAKEN else ""
    return NotSent(f"{what} answered {status}{hint}", status, answer)


def _is_json(answer: bytes) -> bool:
    """Tell whether a "no such order" is the provider's word, and no page of something before it."""
    try:
        answers.decoded(answer)
    except ValueError:
        return False
    return True
