"""Cases of reading alone: it is pure, and whatever bytes come, it says what it can't read."""

import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from gateway.domain.commands import Word
from gateway.providers.port import Adapter, Look, Malformed, Message, Names, Reading, Statement

from .calm import NoSession
from .messages import FIRST, SECOND, accepts, rejects, ships
from .stand import Failed, Stand, expect

_SEED = 945
_TRIES = 300  # of each sample
_STRANGE = (b"", b"\0", b"null", b"[]", b"{}", b"0", b'"a"', b"\xff\xfe", b"\xef\xbb\xbf{}", b"[" * 100_000, b"{" * 9)
_INSERTED = (b"\0", b"\\u0000", b"\\ud800", b"\xff", b'"', b"{", b"}", b",", b"-1", b"1e999", b"null", b"[]", b"\r\n")


async def reading_is_pure(stand: Stand) -> None:
    messages = await _samples(stand)
    calm: Any = NoSession()
    alone = type(stand.adapter)(stand.adapter.provider, calm)
    first = [stand.adapter.read(each) for each in messages]
    for turn in (messages, messages[::-1]):
        again = [alone.read(each) for each in turn]
        wanted = first if turn is messages else first[::-1]
        expect(not calm.asked, "; ".join(calm.asked[:1]))
        expect(again == wanted, "the same message is read in two ways: reading must depend on nothing else")


async def whatever_bytes_come_are_read_or_malformed(stand: Stand) -> None:
    for message in await _samples(stand):
        for body in (*_STRANGE, *_spoilt(message.body)):
            _read(stand.adapter, replace(message, body=body))


def _read(adapter: Adapter, message: Message) -> None:
    try:
        readings = adapter.read(message)
    except Malformed:
        return
    except Exception as error:
        told = f"{type(error).__name__} ({error}) of {message.body[:200]!r}"
        raise Failed(f"reading raises nothing but Malformed, and this raised {told}") from error
    for each in readings:
        for text in _texts(each):
            if not _is_storable(text):
                raise Failed(f"{text!r} can't be stored (NUL, or half a character): it was read of {message.body!r}")


async def _samples(stand: Stand) -> list[Message]:
    """Give a message of each kind, also what a hint leads to."""
    order = await stand.sent("TEE", "TEE", "CAP")
    steps = [accepts(order, TEE=2, CAP=1)] if Word.ACCEPTED in stand.target.words else []
    steps.append(ships(order, FIRST, TEE=1))
    if Word.REJECTED in stand.target.words:
        steps.append(rejects(order, stand.target, CAP=1))
    steps.append(ships(order, SECOND, TEE=1))
    messages = [message for step in steps for message in await stand.told(step)]
    hints = [message for message in messages if any(isinstance(each, Look) for each in stand.adapter.read(message))]
    return messages + [await stand.adapter.read_order(order) for _ in hints[:1]]


def _spoilt(body: bytes) -> Iterator[bytes]:
    """Spoil a message in many ways, the same each time."""
    draw = random.Random(_SEED)  # noqa: S311 - repeatable, not secret
    for _ in range(_TRIES):
        start = draw.randrange(len(body))
        end = min(len(body), start + draw.randrange(1, 12))
        kept = body[start:end]
        put = draw.choice((b"", kept[::-1], kept * 3, bytes([draw.randrange(256)]), *_INSERTED))
        yield body[:start] + put + body[end:]
    yield from (body[: len(body) * part // 10] for part in range(10))
    yield body + body


def _texts(reading: Reading) -> Iterator[str]:
    named: Names = reading.names
    yield from (named.request, named.reference, named.provider_order, named.order, reading.event_id)
    if isinstance(reading, Statement):
        yield from (*(reading.items or ()), *reading.uncounted)
        if reading.parcel:
            parcel = reading.parcel
            yield from (parcel.carrier, parcel.tracking_code, parcel.tracking_url or "", parcel.carrier_said or "")


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


CASES = (reading_is_pure, whatever_bytes_come_are_read_or_malformed)
