"""Compose and read without a network: whoever opens a socket meanwhile is told so."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from gateway.call_errors import CallError, Refused
from gateway.domain.orders import Order
from gateway.providers import rest_reading
from gateway.providers.conformance.calm import NoSession
from gateway.providers.files_settings import IGNORED
from gateway.providers.port import (
    Adapter,
    Call,
    Look,
    Malformed,
    Message,
    Names,
    Origin,
    Reading,
    Statement,
    Unreadable,
)

from .providers_unread import unread

_MOST_SHOWN = 400  # bytes of what can't be read


class Kind(StrEnum):
    """What a file has: a message, or the answer to one of our calls."""

    WEBHOOK = "webhook"
    READ = "read"
    POLL = "poll"
    CREATE = "create"
    LOOK_UP = "look_up"
    WITHDRAW = "withdraw"


_OF_A_MESSAGE: Mapping[Kind, Origin] = {Kind.WEBHOOK: "webhook", Kind.READ: "read", Kind.POLL: "poll"}
_OF_AN_ANSWER: Mapping[Kind | None, Call] = {
    Kind.CREATE: "create", Kind.LOOK_UP: "look_up", Kind.WITHDRAW: "withdraw",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Read:
    """One thing that a message says, in our words."""

    what: str
    facts: Mapping[str, str]


@dataclass(slots=True)
class Heard:
    """What is read of one message."""

    file: str
    readings: list[Read] = field(default_factory=list)
    answered: str = ""
    """What an answer to one of our calls comes to."""
    ignored: list[str] = field(default_factory=list)
    """Words that say nothing to us."""
    unknown: list[str] = field(default_factory=list)
    """Words that the adapter has none of ours for."""
    not_read: list[str] = field(default_factory=list)
    """Parts without which the same would be read."""
    malformed: str = ""
    is_clear: bool = True
    """Nothing of it goes to a person."""


@dataclass(slots=True)
class Tried:
    """What would be sent, what was read, and what was wrong with how that was done."""

    reference: str
    call: str = ""
    """By what it would be sent, where its adapter shows that."""
    sent: str = ""
    messages: list[Heard] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not self.faults and all(each.is_clear for each in self.messages)


def calm() -> Any:
    """Give the session of an adapter that makes no calls."""
    return NoSession()


def tried(adapter: Adapter, order: Order, messages: Mapping[Path, bytes], place: str, kind: Kind | None) -> Tried:
    """Compose an order and read messages, as if they were posted to this place, or came in another way."""
    found = Tried(order.reference)
    with _no_socket(found.faults):
        try:
            found.sent = _text(adapter.compose(order))
            found.call = adapter.shown(order)
        except Exception as error:  # noqa: BLE001 - a stranger's code is what is tried
            found.faults.append(f"compose raises {type(error).__name__}: {error}")
        for path, body in messages.items():
            if kind in _OF_AN_ANSWER:
                found.messages.append(_judged(adapter, str(path), body, _OF_AN_ANSWER[kind]))
            else:
                found.messages.append(_heard(adapter, path, body, place, kind, found.faults))
    found.faults += getattr(adapter.session, "asked", ())
    return found


def _judged(adapter: Adapter, file: str, body: bytes, call: Call) -> Heard:
    """Tell what an answer comes to; one that is a plain no is clear, too."""
    try:
        return Heard(file, answered=adapter.judged(call, body))
    except Refused as no:
        return Heard(file, answered=no.detail)
    except CallError as error:
        return Heard(file, malformed=f"{error.detail}, of {_text(body[:_MOST_SHOWN])}", is_clear=False)


def _heard(adapter: Adapter, path: Path, body: bytes, place: str, kind: Kind | None, faults: list[str]) -> Heard:
    heard, now = Heard(str(path)), datetime.now(UTC)
    name = "" if path.suffix == ".json" else str(path)  # what an API sends has no name of its own

    def message(of: bytes) -> Message:
        kept = adapter.kept(_OF_A_MESSAGE[kind], of) if kind else of
        return Message(kept, now, name=name, path=place)

    def says(document: object) -> object:
        try:
            return [_in_words(each) for each in adapter.read(message(msgspec.json.encode(document)))]
        except Malformed:
            return None

    try:
        readings = adapter.read(message(body))
        heard.readings = [_in_words(each, body) for each in readings]
        heard.is_clear = all(map(_is_clear, readings))
        words = adapter.words(message(body))
        heard.ignored = [said for said, ours in words.items() if ours == IGNORED]
        heard.unknown = [said for said, ours in words.items() if not ours]
        if any(isinstance(each, Statement) and each.word for each in readings) or not (readings or words):
            heard.not_read = [*unread(_document(body), says)]
    except Malformed as error:
        heard.malformed, heard.is_clear = f"{error}, of {_text(body[:_MOST_SHOWN])}", False
    except Exception as error:  # noqa: BLE001 - a stranger's code is what is tried
        faults.append(f"read raises {type(error).__name__} ({error}) of {path}: it may raise nothing but Malformed")
    return heard


def _document(body: bytes) -> object:
    """Decode a message; one that is no JSON has no parts that could be left out."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None


def _is_clear(reading: Reading) -> bool:
    if isinstance(reading, Statement):
        return not (reading.problem or reading.unread)
    return not isinstance(reading, Unreadable)


def _in_words(reading: Reading, body: bytes = b"") -> Read:
    """Say what was read, of a message with this body."""
    event = reading.event_id or "none; a repetition is known by what it says"
    facts: dict[str, Any] = {"of": _names(reading.names), "event": event}
    match reading:
        case Look():
            what = "a hint: how the order stands is read now"
        case Unreadable():
            what = f"unreadable at {reading.place}: {reading.what}"
            part = body if reading.part is None else rest_reading.unwrapped(reading.part)
            facts["bytes"] = _text(part[:_MOST_SHOWN])
        case Statement():
            what = _said(reading)
            facts |= {"problem": reading.problem, "not understood": reading.unread, "as of": reading.as_of}
            if reading.reason:
                facts["reason"] = f"{reading.reason}{'' if reading.is_proof else ', which is no promise'}"
            if reading.parcel:
                facts["parcel"] = f"{reading.parcel.carrier} {reading.parcel.tracking_code}"
                facts["its link"] = reading.parcel.tracking_url
    return Read(what, {fact: f"{value}" for fact, value in facts.items() if value})


def _said(reading: Statement) -> str:
    if reading.word is None:
        return "an unknown word: it goes to a person, and changes nothing"
    items = ", ".join(f"{count} of {product}" for product, count in (reading.items or {}).items())
    unsure = ", ".join(f"{product} (no count)" for product in reading.uncounted)
    units = ", ".join(filter(None, (items, unsure))) or ("every open unit" if reading.items is None else "no unit")
    return f"{reading.word}: {units}{', in all so far' if reading.is_total else ''}"


def _names(names: Names) -> str:
    given = {
        "NewStore's id": names.request, "our reference": names.reference, "the provider's id": names.provider_order,
        "NewStore's order": names.order,
    }  # fmt: skip
    return ", ".join(f"{kind} {name}" for kind, name in given.items() if name) or "no order that it names"


def _text(body: bytes) -> str:
    """Show bytes: as text where they are some."""
    try:
        return body.decode()
    except UnicodeDecodeError:
        return repr(body)


class _Watch:
    """Where it is noted who opens a socket, while none may be opened; a hook can't be taken away again."""

    noted: ClassVar[list[str] | None] = None


@contextmanager
def _no_socket(faults: list[str]) -> Iterator[None]:
    """Let no socket be opened, and note who tries."""
    sys.addaudithook(_refuse_sockets)
    _Watch.noted = faults
    try:
        yield
    finally:
        _Watch.noted = None


def _refuse_sockets(event: str, _: tuple[Any, ...]) -> None:
    if event.startswith("socket.") and _Watch.noted is not None:
        _Watch.noted.append(f"{event}: composing and reading are pure, and open no socket")
        raise PermissionError(f"{event} is not allowed here")
