"""What providers send, from a message to what came of it: each thing that it says is one command, stored by itself."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

import asyncpg
import msgspec

from gateway.api_shapes import CallbackReceipt
from gateway.domain.commands import ProviderSaid
from gateway.ledger import quarantine
from gateway.ledger.quarantine import Kept
from gateway.ledger.read import naming, request_reads
from gateway.ledger.write.queued import Unstorable
from gateway.ledger.write.writer import Writer
from gateway.providers.port import Adapter, Heard, Look, Malformed, Message, Reading, Statement, Unreadable
from gateway.providers.statements import AdapterBroke, command, fingerprint_of, hint, readings_of
from gateway.settings import Settings
from gateway.telemetry import trace
from gateway.web.location_rules import with_location_rule
from gateway.web.receipts import callback_receipt, repeated_receipt

ApplyEarlyCallbacks = Callable[[list[str]], Awaitable[None]]

_CANT_READ = (
    "it only hints that something of an order has changed, and this provider can't be asked what: look there, "
    "and have its adapter read orders, or the provider call back with all that has happened"
)
_ANSWERED_BY_A_HINT = "asked how an order stands, it answered with a hint again: its adapter must read that answer"
_OURS_TO_MEND = frozenset({"hint_only", "adapter_broke"})
"""Why a message is kept that its sender need not correct."""
_LONG = 65_536  # bytes of a message that takes milliseconds to be read
_AT_ONCE = 200  # statements of one message that wait for their commit together


@dataclass(frozen=True, slots=True)
class Hearing:
    """Stores what providers say. All parts of a process share one."""

    settings: Settings
    pool: asyncpg.Pool
    writer: Writer
    adapters: Mapping[str, Adapter]
    apply_early_callbacks: ApplyEarlyCallbacks

    async def hear(self, provider: str, message: Message, *, is_answer: bool = False) -> list[Heard]:
        """Read a message that is this provider's and store all that it says, in order.

        `is_answer`: it answers a read of an order, so it is no hint to read that. Raises `LedgerUnavailable` where
        something could not be stored: heard again, the rest is a repetition.
        """
        try:
            readings = await _read(self.adapters[provider], message)
        except Malformed as error:
            reason = "adapter_broke" if isinstance(error, AdapterBroke) else "malformed"
            unreadable = Unreadable(place="", what=str(error), fingerprint=sha256(message.body).hexdigest())
            return [await self._keep_unreadable(provider, message, unreadable, (), reason)]
        follows = self.adapters[provider].can.read and not is_answer
        heard: list[Heard] = []
        for start in range(0, len(readings), _AT_ONCE):
            heard += await self._hear_some(provider, message, readings[start : start + _AT_ONCE], follows=follows)
        return heard

    async def hear_news(self, provider: str, message: Message) -> bool:
        """Likewise, of a message that was asked for: tell whether it was new, and anything came of it."""
        return any(each.receipt.result == "applied" for each in await self.hear(provider, message))

    async def _hear_some(
        self, provider: str, message: Message, readings: Sequence[Reading], *, follows: bool
    ) -> list[Heard]:
        """Find whom they are about before the first is queued, so that all are queued in their order."""
        about = await naming.named(self.pool, provider, [each.names for each in readings])
        said = [
            await self._command(provider, message, reading, ids, follows=follows)
            for reading, ids in zip(readings, about, strict=True)
        ]
        if len(readings) == 1 and said[0]:
            trace.about(said[0].request_id, provider=provider)
        work = zip(readings, about, said, strict=True)
        heard = await asyncio.gather(
            *(self._hear_one(provider, message, *each) for each in work), return_exceptions=True
        )
        for each in heard:
            if isinstance(each, BaseException):
                raise each
        return [each for each in heard if isinstance(each, Heard)]

    async def _command(
        self, provider: str, message: Message, reading: Reading, ids: Sequence[str], *, follows: bool
    ) -> ProviderSaid | None:
        """Make the command of what is said; None of what can't be read, and of a hint that nobody `follows`."""
        adapter, about = self.adapters[provider], ids[0] if len(ids) == 1 else ""
        if isinstance(reading, Unreadable):
            return None
        if isinstance(reading, Look):
            return hint(adapter, message, reading, about) if follows else None
        said = command(adapter, message, reading, about)
        return await with_location_rule(self.pool, self.settings, said)

    async def _hear_one(
        self, provider: str, message: Message, reading: Reading, ids: Sequence[str], said: ProviderSaid | None
    ) -> Heard:
        if isinstance(reading, Unreadable) or said is None:
            return await self._keep_unfollowed(provider, message, reading, ids)
        if len(ids) != 1:
            return await self._keep(message, reading, said, ids)
        try:
            applied = await self.writer.apply(said, _part(message, reading))
        except Unstorable as error:
            unstorable = Unreadable(place="", what=str(error), fingerprint=said.fingerprint, part=reading.part)
            return await self._keep_unreadable(provider, message, unstorable, ids, "unstorable")
        trace.link(applied.trace)
        if applied.request is None:
            heard = await self._keep(message, reading, said, ())
            await self.apply_early_callbacks([said.request_id])  # committed before: the other side looks then, too
            return heard
        if applied.events:
            return Heard(*callback_receipt(said.request_id, applied.events))
        before = await request_reads.caused_by(self.pool, applied.request, said)
        return Heard(*repeated_receipt(said.request_id, before))

    async def _keep(self, message: Message, reading: Statement | Look, said: ProviderSaid, ids: Sequence[str]) -> Heard:
        """Keep what is about no request that is here, or about any of several."""
        names = msgspec.to_builtins(reading.names)
        named = said.request_id or next(filter(None, names.values()), "")
        reason, detail = "unknown_request", "nobody has this request yet; it is applied as soon as the request arrives"
        if ids:
            several = f"{', '.join(ids[:3])}{' …' if len(ids) > 3 else ''}"
            reason, detail = "ambiguous_request", f"it may be about {several}: replay it and say which"
        kept = Kept(
            source=said.provider,
            event_id=said.cause if reading.event_id else f"{said.provider}:{said.fingerprint}",
            fingerprint=said.fingerprint,
            request_id=said.request_id or None,
            reason=reason,
            detail=detail,
            at=said.at,
            body=_part(message, reading),
            command=said,
            names=None if said.request_id else names,
        )
        await quarantine.keep(self.pool, kept)
        return Heard(202, CallbackReceipt("quarantined", named, reason, detail))

    async def _keep_unreadable(
        self, provider: str, message: Message, reading: Unreadable, ids: Sequence[str], reason: str
    ) -> Heard:
        """Keep the raw bytes of what can't be read, and say why."""
        what = f"{reading.place}: {reading.what}" if reading.place else reading.what
        detail = what.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
        name = reading.event_id or message.name or reading.fingerprint
        about = ids[0] if len(ids) == 1 else None
        body = _part(message, reading)
        await quarantine.keep(
            self.pool, Kept(provider, name, reading.fingerprint, about, reason, detail, message.at, body)
        )
        status = 202 if reason in _OURS_TO_MEND else 400
        return Heard(status, CallbackReceipt("quarantined", about or "", reason, detail))

    async def _keep_unfollowed(self, provider: str, message: Message, reading: Reading, ids: Sequence[str]) -> Heard:
        """Keep what can't be read, or a hint that leads to no read."""
        if isinstance(reading, Unreadable):
            return await self._keep_unreadable(provider, message, reading, ids, "malformed")
        why = _ANSWERED_BY_A_HINT if self.adapters[provider].can.read else _CANT_READ
        unfollowed = Unreadable(
            place="",
            what=why,
            fingerprint=fingerprint_of(reading),
            names=reading.names,
            event_id=reading.event_id,
            part=reading.part,
        )
        return await self._keep_unreadable(provider, message, unfollowed, ids, "hint_only")


async def _read(adapter: Adapter, message: Message) -> Sequence[Reading]:
    """Read a message, a long one beside all else that goes on here."""
    if len(message.body) < _LONG:
        return readings_of(adapter, message)
    return await asyncio.to_thread(readings_of, adapter, message)


def _part(message: Message, reading: Reading) -> bytes:
    return message.body if reading.part is None else reading.part
