"""Compose and read without a network: whoever opens a socket meanwhile is told so."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

from gateway.domain.orders import Order
from gateway.providers.conformance.calm import NoSession
from gateway.providers.port import Adapter, Look, Malformed, Message, Names, Reading, Statement, Unreadable

_MOST_SHOWN = 400  # bytes of what can't be read


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
    malformed: str = ""


@dataclass(slots=True)
class Tried:
    """What would be sent, what was read, and what was wrong with how that was done."""

    reference: str
    sent: str = ""
    messages: list[Heard] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def calm() -> Any:
    """Give the session of an adapter that makes no calls."""
    return NoSession()


def tried(adapter: Adapter, order: Order, messages: Mapping[Path, bytes], place: str) -> Tried:
    """Compose an order and read messages, as if they were posted to this place."""
    found = Tried(order.reference)
    with _no_socket(found.faults):
        try:
            found.sent = _text(adapter.compose(order))
        except Exception as error:  # noqa: BLE001 - a stranger's code is what is tried
            found.faults.append(f"compose raises {type(error).__name__}: {error}")
        for path, body in messages.items():
            found.messages.append(_heard(adapter, str(path), body, place, found.faults))
    found.faults += getattr(adapter.session, "asked", ())
    return found


def _heard(adapter: Adapter, file: str, body: bytes, place: str, faults: list[str]) -> Heard:
    heard = Heard(file)
    message = Message(body, datetime.now(UTC), name=file, path=place)
    try:
        heard.readings = [_in_words(message, each) for each in adapter.read(message)]
    except Malformed as error:
        heard.malformed = f"{error}, of {_text(body[:_MOST_SHOWN])}"
    except Exception as error:  # noqa: BLE001 - a stranger's code is what is tried
        faults.append(f"read raises {type(error).__name__} ({error}) of {file}: it may raise nothing but Malformed")
    return heard


def _in_words(message: Message, reading: Reading) -> Read:
    facts: dict[str, Any] = {"of": _names(reading.names), "event": reading.event_id}
    match reading:
        case Look():
            what = "a hint: how the order stands is read now"
        case Unreadable():
            what = f"unreadable at {reading.place}: {reading.what}"
            part = message.body if reading.part is None else reading.part
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
    items = ", ".join(f"{count} of {product}" for product, count in (reading.items or {}).items())
    unsure = ", ".join(f"{product} (no count)" for product in reading.uncounted)
    units = ", ".join(filter(None, (items, unsure))) or ("every open unit" if reading.items is None else "no unit")
    return f"{reading.word or 'an unknown word'}: {units}{', in all so far' if reading.is_total else ''}"


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
