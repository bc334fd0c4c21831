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
from gateway.providers.port import Adapter, Malformed, Message, Names, Reading, Statement, Unreadable
from gateway.providers.statements import command
from gateway.settings import Settings
from gateway.telemetry import trace
from gateway.web.location_rules import with_location_rule
from gateway.web.receipts import callback_receipt, repeated_receipt

ApplyEarlyCallbacks = Callable[[list[str]], Awaitable[None]]

_AT_ONCE = 200  # statements of one message that wait for their commit together


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one thing that was said: the status that tells it to a sender over HTTP, and the receipt."""

    status: int
    receipt: CallbackReceipt


@dataclass(frozen=True, slots=True)
class Hearing:
    """Stores what providers say. All parts of a process share one."""

    settings: Settings
    pool: asyncpg.Pool
    writer: Writer
    adapters: Mapping[str, Adapter]
    apply_early_callbacks: ApplyEarlyCallbacks

    async def hear(self, provider: str, message: Message) -> list[Heard]:
        """Read a message that is this provider's and store all that it says, in order.

        Raises `LedgerUnavailable` where something could not be stored: heard again, the rest is a repetition.
        """
        try:
            readings = self.adapters[provider].read(message)
        except Malformed as error:
            unreadable = Unreadable(place="", what=str(error), fingerprint=sha256(message.body).hexdigest())
            return [await self._keep_unreadable(provider, message, unreadable, (), "malformed")]
        heard: list[Heard] = []
        for start in range(0, len(readings), _AT_ONCE):
            heard += await self._hear_some(provider, message, readings[start : start + _AT_ONCE])
        return heard

    async def _hear_some(self, provider: str, message: Message, readings: Sequence[Reading]) -> list[Heard]:
        """Find whom they are about before the first is queued, so that all are queued in their order."""
        about = await self._named(provider, readings)
        said = [
            await self._command(provider, message, reading, ids) for reading, ids in zip(readings, about, strict=True)
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

    async def _named(self, provider: str, readings: Sequence[Reading]) -> list[list[str]]:
        """Find the requests that each may be about; NewStore's own id needs no look, where it is all that is given."""
        if all(each.names == Names(request=each.names.request) for each in readings):
            return [[each.names.request] if each.names else [] for each in readings]
        return await naming.named(self.pool, provider, [each.names for each in readings])

    async def _command(
        self, provider: str, message: Message, reading: Reading, ids: Sequence[str]
    ) -> ProviderSaid | None:
        """Make the command of a statement; None of what can't be read."""
        if not isinstance(reading, Statement):
            return None
        said = command(self.adapters[provider], message, reading, ids[0] if len(ids) == 1 else "")
        return await with_location_rule(self.pool, self.settings, said)

    async def _hear_one(
        self, provider: str, message: Message, reading: Reading, ids: Sequence[str], said: ProviderSaid | None
    ) -> Heard:
        if not isinstance(reading, Statement) or said is None:
            assert isinstance(reading, Unreadable)  # noqa: S101 - there is nothing else
            return await self._keep_unreadable(provider, message, reading, ids, "malformed")
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

    async def _keep(self, message: Message, statement: Statement, said: ProviderSaid, ids: Sequence[str]) -> Heard:
        """Keep what is about no request that is here, or about any of several."""
        names = msgspec.to_builtins(statement.names)
        named = said.request_id or next(filter(None, names.values()), "")
        reason, detail = "unknown_request", "nobody has this request yet; it is applied as soon as the request arrives"
        if ids:
            several = f"{', '.join(ids[:3])}{' …' if len(ids) > 3 else ''}"
            reason, detail = "ambiguous_request", f"it may be about {several}: replay it and say which"
        kept = Kept(
            source=said.provider,
            event_id=said.cause,
            fingerprint=said.fingerprint,
            request_id=said.request_id or None,
            reason=reason,
            detail=detail,
            at=said.at,
            body=_part(message, statement),
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
        return Heard(400, CallbackReceipt("quarantined", about or "", reason, detail))


def _part(message: Message, reading: Reading) -> bytes:
    return message.body if reading.part is None else reading.part
