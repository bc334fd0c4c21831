"""A provider to which orders go as files, and which tells as files what became of them.

An order is one file whose name says our reference, so a repeat changes nothing and a look-up looks for that name. What
came is moved to `archive/` once all that it says is kept, or to `unreadable/` with the reason beside it.
"""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

import aiohttp
import msgspec

from gateway.call_errors import Inconclusive, Refused
from gateway.domain.orders import Address, Order, OrderLine

from . import files_reading
from .files_settings import ATTRIBUTE, TEXT, FilesSettings
from .port import Adapter, Capabilities, Malformed, Message, Page, Reading, Taken
from .transports.folder import Entry, FileStore, LocalFolder, NotThere, Unfit, is_meant, marked, whole

ARCHIVE, UNREADABLE, WITHDRAWN = "archive", "unreadable", "withdrawn"
"""Folders of ours, made where they are missing, beside those of the settings."""

LARGEST = 8 * 1_048_576
"""Bytes of a file that is read, and of all that are read at once."""
_MOST_FILES = 50
_HEAD = 65_536  # bytes that are kept of a larger one
_UNFIT = "gateway-unfit"  # in the place of a header: why a file can't be read, where its bytes do not show it


@dataclass(frozen=True, slots=True)
class _Taken:
    entry: Entry
    message: Message


class Files(Adapter):
    """Puts orders for one provider of this kind into its folder, and reads what it puts there."""

    settings: ClassVar = FilesSettings
    provider: FilesSettings

    def __init__(self, provider: Any, session: aiohttp.ClientSession, store: FileStore | None = None) -> None:
        super().__init__(provider, session)
        self.store = store or LocalFolder(provider.folder, provider.timeout)
        self.pause: Callable[[float], Awaitable[object]] = asyncio.sleep
        self.can = Capabilities(
            look_up=True, idempotent=provider.idempotent, withdraw=provider.withdraw, poll=True, callbacks=False
        )

    def compose(self, order: Order) -> bytes:
        """Write an order as a file. Raises `Refused` where its encoding has not all of its characters."""
        form = self.provider.orders
        table = [
            {heading: _field(said, order, line, number) for heading, said in form.columns.items()}
            for number, line in enumerate(order.lines, start=1)
        ]
        if form.format == "ndjson":
            text = "".join(msgspec.json.encode(row).decode() + "\n" for row in table)
        else:
            out = io.StringIO(newline="")
            csv.writer(out, delimiter=form.delimiter).writerows([[*form.columns], *(row.values() for row in table)])
            text = out.getvalue()
        try:
            return text.encode(form.encoding)
        except UnicodeEncodeError as error:
            what = f"the order has {text[error.start]!r}, which {form.encoding} has not"
            raise Refused(f"{what}: set orders.encoding to utf-8 if the provider can read it") from error

    async def create(self, order: Order, body: bytes) -> Taken:
        """Put the order into the outbox, unless it is there or was."""
        name = self._name_of(order)
        if await self._has(WITHDRAWN, name):
            raise Refused(f"{WITHDRAWN}/{name} is there: the order was withdrawn")
        if not await self._found(name):
            await self.store.write(self.provider.outbox, name, body)
        return Taken()

    async def look_up(self, order: Order) -> Taken | None:
        """Look for the order's file, also where the provider moves what it has fetched."""
        name = self._name_of(order)
        if await self._found(name):
            return Taken()
        if self.provider.fetched:
            return None
        raise Inconclusive(f"{name} is not in {self.provider.outbox}: {_ASK}")

    async def withdraw(self, order: Order) -> str | None:
        """Take the order's file away, before the provider has."""
        if not self.can.withdraw:
            return await super().withdraw(order)
        name, outbox = self._name_of(order), self.provider.outbox
        proof = f"{outbox}/{name} was taken away before it was fetched"
        try:
            await self.store.move(outbox, name, WITHDRAWN)
        except NotThere:
            if await self._has(WITHDRAWN, name):
                return proof
            if await self._found(name):
                raise Refused(f"{name} was fetched: have the provider stop the order, and say how you know") from None
            if self.provider.fetched:
                return None
            raise Refused(f"{name} is not in {outbox}: {_ASK}") from None
        return proof

    async def _found(self, name: str) -> bool:
        """Look in the order in which a file moves, so that one which moves meanwhile is found."""
        for folder in (self.provider.outbox, *self.provider.fetched):
            if await self._has(folder, name):
                return True
        return False

    async def _has(self, folder: str, name: str) -> bool:
        try:
            await self.store.read(folder, name, 0)
        except NotThere:
            return False
        except Unfit:  # it is there, whatever it is
            return True
        return True

    def _name_of(self, order: Order) -> str:
        return self.provider.orders.name.format(reference=order.reference, location=order.location)

    async def poll(self, cursor: str) -> Page:
        """Read the files that have come whole, oldest first. The cursor tells how far it is, and nobody needs it."""
        entries = await self._whole()
        taken: list[_Taken] = []
        size = 0
        for entry in sorted(entries, key=lambda each: (each.modified, each.name))[:_MOST_FILES]:
            size += min(entry.size, LARGEST)
            if taken and size > LARGEST:
                break
            if message := await self._message(entry):
                taken.append(_Taken(entry, message))
                cursor = f"{entry.modified} {message.name}"
        return Page([each.message for each in taken], cursor, more=0 < len(taken) < len(entries), receipt=taken)

    async def _whole(self) -> list[Entry]:
        """Find the files that have their marker, or look twice for those that stand still."""
        inbox = self.provider.inbox
        entries = await self.store.entries(inbox)
        if self.provider.marker:
            return marked(entries, self.provider.marker)
        if not any(is_meant(each.name) for each in entries):
            return []
        await self.pause(self.provider.still_for)
        return whole(entries, await self.store.entries(inbox))

    async def _message(self, entry: Entry) -> Message | None:
        """Read a file; None for one that went away or changed meanwhile."""
        name, at = entry.name.encode(errors="backslashreplace").decode(), datetime.now(UTC)
        try:
            body = await self.store.read(self.provider.inbox, entry.name, LARGEST + 1)
        except NotThere:
            return None
        except Unfit as unfit:
            return Message(b"", at, name, {_UNFIT: str(unfit)})
        if len(body) > LARGEST:
            return Message(body[:_HEAD], at, name, {_UNFIT: f"has {entry.size} bytes, and {LARGEST} at most are read"})
        if len(body) != entry.size:
            return None
        if self.provider.file_names == "unique" and await self._came_before(entry.name, body):
            return Message(body, at, name, {_UNFIT: _OTHER_CONTENT})
        return Message(body, at, name)

    async def _came_before(self, name: str, body: bytes) -> bool:
        """Tell whether a file of this name was taken before, and said something else."""
        try:
            return await self.store.read(ARCHIVE, name, LARGEST) != body
        except (NotThere, Unfit):
            return False

    async def acknowledge(self, page: Page) -> None:
        """Put the files of a page aside, all but those that have changed since."""
        there = {each.name: each for each in await self.store.entries(self.provider.inbox)}
        for taken in page.receipt:
            name = taken.entry.name
            if there.get(name) == taken.entry:
                await self._put_aside(name, self._why(taken.message))

    async def _put_aside(self, name: str, why: str) -> None:
        inbox, to = self.provider.inbox, UNREADABLE if why else ARCHIVE
        try:
            if self.provider.marker:  # before its file: beside the next one of that name it would lie too early
                await self.store.move(inbox, f"{name}{self.provider.marker}", to)
            now_called = await self.store.move(inbox, name, to)
        except NotThere:
            return
        if why:
            text = f"{name}: {why}\nPut it back into {inbox}/ once that is mended.\n"
            await self.store.write(to, f"{now_called}.why", text.encode(errors="backslashreplace"))

    def _why(self, message: Message) -> str:
        try:
            self.read(message)
        except Malformed as malformed:
            return str(malformed)
        return ""

    async def check(self) -> None:
        """See that all folders are there and may be used."""
        await self.store.check(self.provider.outbox, writable=True)
        await self.store.check(self.provider.inbox, writable=True)
        for folder in self.provider.fetched:
            await self.store.check(folder, writable=False)

    def read(self, message: Message) -> Sequence[Reading]:
        """Read a file, or what was kept of one. Raises `Malformed` where all of it is to be put aside."""
        if why := message.headers.get(_UNFIT):
            raise Malformed("file", why)
        return files_reading.read(self.provider, message.name, message.body)


_ASK = "the provider has fetched it, or never had it. Ask it, or name in `fetched` where it moves what it has"
_OTHER_CONTENT = (
    "a file of this name came before and said something else: have it sent under a new name, "
    'or set file_names = "reused" if each of them says something new'
)


def _field(said: str, order: Order, line: OrderLine, number: int) -> str:
    """Give what stands in a column of an order file."""
    if said.startswith(TEXT):
        return said.removeprefix(TEXT)
    if said.startswith(ATTRIBUTE):
        name = said.removeprefix(ATTRIBUTE)
        return dict(order.details.attributes).get(name, "") if name not in (own := dict(line.attributes)) else own[name]
    whose, _, what = said.partition(".")
    if what:
        return _of_an_address(order.ship_to if whose == "ship_to" else order.bill_to, what)
    fields = {
        "request": order.request_id,
        "reference": order.reference,
        "order": order.order_id,
        "location": order.location,
        "service_level": order.shipping_method,
        "carrier": order.details.carrier,
        "attributes": "; ".join(f"{name}={value}" for name, value in line.attributes),
        "line": str(number),
        "product": line.sku,
        "quantity": str(line.count),
    }
    return fields[said]


def _of_an_address(address: Address, what: str) -> str:
    if what.startswith("line_"):
        number = int(what.removeprefix("line_")) - 1
        return address.lines[number] if number < len(address.lines) else ""
    found: str = getattr(address, what)
    return found
