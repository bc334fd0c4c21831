"""What a webhook, an answer or a page says by the mapping: each statement is read, or is unreadable, by itself.

A message is about orders, and says of each order one thing or several. Statements of one order that tell of the same
parcel, or reject for the same reason, are one. What is kept of a message is one order of it, in an envelope that says
where it came from and which of its statements are meant.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gateway import canonical
from gateway.call_errors import as_code
from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel, normal

from . import answers, parcels
from .files_settings import IGNORED
from .port import Look, Malformed, Message, Names, Origin, Reading, Statement, Unreadable
from .rest_expressions import Expression, Odd
from .rest_mapping import MappingFile, Said, Webhook, word_of

ENVELOPE = "gateway_envelope"
_LONGEST = 500  # characters of what is read
_LONGEST_NAME = 255  # … of what names an order or an event
_LONGEST_PRODUCT = 10_000  # as NewStore's
_MOST_UNITS = 100_000
_IN_MILLISECONDS = 1e11  # what is more can't be seconds: that is the year 5138


class _Bad(Exception):
    """What is wrong with a part of a message, and where it stands in an order."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(what)
        self.place = place


@dataclass(frozen=True, slots=True)
class _Envelope:
    """Where a message came from. A part has the place of its order, and which of its statements are meant."""

    of: Origin
    place: str = ""
    only: tuple[int, ...] | None = None

    def around(self, body: object) -> bytes:
        told = {"of": self.of, "place": self.place, "only": self.only}
        return msgspec.json.encode({ENVELOPE: {key: value for key, value in told.items() if value}, "body": body})


@dataclass(frozen=True, slots=True)
class _Order:
    """One order of a message: where it came from, and by what it and the event are named."""

    body: object
    envelope: _Envelope
    source: Said
    names: Names
    event_id: str
    as_of: datetime | None = None

    def event(self, entry: int) -> str:
        """Name what a statement says: the first of an event as the event itself, and one that was kept as it was."""
        is_kept = self.source.event_id is None and self.envelope.only
        return f"{self.event_id}#{entry + 1}" if entry and self.event_id and not is_kept else self.event_id

    def part(self, entries: tuple[int, ...]) -> bytes:
        return replace(self.envelope, only=entries).around(self.body)


@dataclass(slots=True)
class _Told:
    """What one statement says, or several of the same thing."""

    entries: tuple[int, ...]
    word: Word | None
    items: dict[str, int] | None = None
    reason: RejectionReason | None = None
    parcel: Parcel | None = None
    problem: str = ""

    @property
    def never_ship(self) -> Mapping[str, int]:
        return self.items or {} if self.word in {Word.REJECTED, Word.CANCELLED} else {}

    @property
    def key(self) -> tuple[object, ...]:
        parcel = self.parcel and (normal(self.parcel.carrier), normal(self.parcel.tracking_code))
        return self.word, self.reason, self.problem, self.items is None, parcel

    def join(self, other: "_Told") -> None:
        self.entries += other.entries
        for product, count in (other.items or {}).items():
            assert self.items is not None  # noqa: S101 - of one key, both have items or neither does
            self.items[product] = self.items.get(product, 0) + count


def wrapped(of: Origin, document: object) -> bytes:
    """Keep an answer or a page with what it is, so that it can be read at any time."""
    return _Envelope(of).around(document)


def orders_in(orders: Expression, document: object) -> list[Any]:
    """Find the orders in a document. Raises `Odd` where there is no list: nothing is not none."""
    found = orders.of(document)
    if not isinstance(found, list):
        raise Odd(f"{orders} finds {'no list' if found else 'nothing'}")
    return found


def unambiguous(answer: bytes) -> Any:
    """Read an answer or a page. Raises `ValueError` for what is no JSON, or says two things with one key."""
    document = answers.decoded(answer)
    if twice := canonical.ambiguous_keys(answer, canonical.spell(document)):
        raise ValueError(f"{', '.join(sorted(twice))[:200]} stands twice")
    return document


def read(mapping: MappingFile, message: Message) -> list[Reading]:
    """Read a message. Raises `Malformed` where nothing of it can be read."""
    envelope, document = _opened(mapping, message.body)
    source: Said | None = getattr(mapping, envelope.of)
    if source is None:
        raise Malformed("$", f"the mapping has no [{envelope.of}], which reads this: add it, or discard this")
    try:
        orders = [document] if envelope.place else orders_in(source.orders, document)
    except Odd as odd:
        raise Malformed("orders", f"{odd}: this is no message as the mapping has it") from odd
    found: list[Reading] = []
    for number, body in enumerate(orders):
        name = f"{message.name}#{number + 1}." if number and message.name else message.name
        place = envelope.place or ("$" if len(orders) == 1 else f"orders[{number}]")
        found += _read(source, replace(envelope, place=place), body, name)
    return found if len(found) > 1 else [replace(each, part=None) for each in found]


def words(mapping: MappingFile, message: Message) -> dict[str, str]:
    """Give the provider's words in a message, each with ours, or nothing where the mapping has none for it."""
    envelope, document = _opened(mapping, message.body)
    source: Said = getattr(mapping, envelope.of)
    found: dict[str, str] = {}
    if source.word is None or (isinstance(source, Webhook) and source.hint):
        return found
    for body in orders_in(source.orders, document):
        for entry in orders_in(source.statements, body):
            said = source.word.of({**entry, "_order": body}) if isinstance(entry, dict) else None
            if shown := _shown(said):
                found[shown] = str(source.words.get(word_of(shown), ""))
    return found


def unwrapped(body: bytes) -> bytes:
    """Give what a provider sent, without the envelope in which it is kept."""
    try:
        document = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return body
    is_wrapped = isinstance(document, dict) and ENVELOPE in document
    return msgspec.json.encode(document.get("body")) if is_wrapped else body


def _opened(mapping: MappingFile, body: bytes) -> tuple[_Envelope, Any]:
    """Decode a message, and tell what it is: in no envelope it is a webhook, or else what else can come."""
    try:
        document = canonical.decode(body)
        ambiguous = canonical.ambiguous_keys(body, canonical.spell(document))
    except msgspec.DecodeError as error:
        raise Malformed("$", f"no JSON: {error}") from error
    except (UnicodeError, RecursionError, ValueError) as error:
        raise Malformed("$", "not JSON that can be stored: send UTF-8, not nested this deep") from error
    if ambiguous:
        raise Malformed("$", f"{', '.join(sorted(ambiguous))[:200]} stands twice and says two things: send it once")
    if isinstance(document, dict) and ENVELOPE in document:
        try:
            return msgspec.convert(document[ENVELOPE], _Envelope), document.get("body")
        except msgspec.ValidationError as error:
            raise Malformed(f"$.{ENVELOPE}", "is none of this gateway's") from error
    if mapping.webhook is not None:
        return _Envelope("webhook"), document
    return _Envelope("poll" if mapping.poll is not None else "read"), document


def _read(source: Said, envelope: _Envelope, body: object, name: str) -> list[Reading]:
    """Read what is said of one order."""
    try:
        order = _Order(body, envelope, source, _names(source, body), _event(source, body, name))
        if isinstance(source, Webhook) and source.hint:
            named = canonical.fingerprint(canonical.spell([order.event_id, msgspec.to_builtins(order.names)]))
            return [Look(names=order.names, event_id=order.event_id, fingerprint=named, part=order.part(()))]
        order = replace(order, as_of=_as_of(source, body))
        entries = _list(source.statements, body, "statements")
    except _Bad as bad:
        return [_unreadable(_Order(body, envelope, source, _names_if_any(source, body), name), bad, ())]
    return [*_statements(order, entries)]


def _statements(order: _Order, entries: list[object]) -> Iterator[Reading]:
    found: dict[object, _Told | Unreadable] = {}
    for number, entry in enumerate(entries):
        if order.envelope.only and number not in order.envelope.only:
            continue
        try:
            told = _understood(order, entry, number)
        except _Bad as bad:
            place = _Bad(f"statements[{number}].{bad.place}" if len(entries) > 1 else bad.place, str(bad))
            found[number] = _unreadable(order, place, (number,))
            continue
        if told is None:
            continue
        before = found.setdefault(told.key, told)
        if isinstance(before, _Told) and before is not told:
            before.join(told)
    never = Counter(product for each in found.values() if isinstance(each, _Told) for product in each.never_ship)
    for each in found.values():
        yield each if isinstance(each, Unreadable) else _statement(order, each, _twice(order, each, never))


def _twice(order: _Order, told: _Told, never: Counter[str]) -> str:
    """Say what is a total of nothing: one of what never ships counts all of that, whatever the reason is."""
    twice = next((product for product in told.never_ship if never[product] > 1), None)
    if twice is None or order.source.counts == "increments":
        return ""
    return f"several totals say how many of {twice[:200]!r} never ship: have one sent of all reasons and words"


def _statement(order: _Order, told: _Told, unread: str) -> Statement:
    parcel, source = told.parcel, order.source
    words = [parcel.carrier, parcel.tracking_code, parcel.tracking_url] if parcel else None
    dated = order.as_of and order.as_of.isoformat()
    names = [order.names.request, order.names.reference, order.names.provider_order, order.names.order]
    understood: object = [names, told.word, told.reason, told.items, words, dated]
    if told.problem or unread:
        understood = [order.body, told.entries]
    return Statement(
        names=order.names,
        word=told.word,
        event_id=order.event(told.entries[0]),
        fingerprint=canonical.fingerprint(canonical.spell(understood)),
        items=told.items,
        reason=told.reason,
        parcel=parcel,
        problem=told.problem,
        unread=unread,
        is_total=source.counts == "totals" and told.items is not None,
        as_of=order.as_of,
        is_proof=source.final_rejections,
        part=order.part(told.entries),
    )


def _unreadable(order: _Order, bad: _Bad, entries: tuple[int, ...]) -> Unreadable:
    return Unreadable(
        place=f"{order.envelope.place}.{bad.place}",
        what=str(bad),
        fingerprint=canonical.fingerprint(canonical.spell([order.body, entries])),
        names=order.names,
        event_id=order.event(entries[0] if entries else 0),
        part=order.part(entries),
    )


def _understood(order: _Order, entry: object, number: int) -> _Told | None:
    """Read one statement; None for one that says nothing to us. Raises `_Bad`."""
    source = order.source
    if not isinstance(entry, dict):
        raise _Bad("$", "is no object")
    entry = {**entry, "_order": order.body}
    assert source.word is not None  # noqa: S101 - judged when it was read
    said = _found(source.word, entry, "word")
    spelled = word_of(said)
    word = source.words.get(spelled)
    if word == IGNORED:
        return None
    if not isinstance(word, Word):
        return _Told((number,), None, problem=_not_mapped(order, "word", _shown(said)))
    told = _Told((number,), word)
    if spelled not in {word_of(each) for each in source.whole_orders}:
        told.items = _items(source, entry)
    if word is Word.REJECTED:
        reason = _found(source.reason, entry, "reason") if source.reason else None
        told.reason = source.reasons.get(word_of(reason))
        told.problem = "" if told.reason else _not_mapped(order, "reason", _shown(reason))
    if word is Word.SHIPPED:
        told.parcel = _parcel(source, entry)
    return told


def _not_mapped(order: _Order, field: str, said: str | None) -> str:
    """Say which table lacks a word: it shows as long as it is a code, for a person's name may stand there."""
    if said is None:
        return f"{field} is missing: {getattr(order.source, field)} finds none"
    shown = repr(said) if as_code(said) else "(see the body)"
    return f"{field} {shown} is not in [{order.envelope.of}.{field}s]: add it there"


def _shown(said: object) -> str | None:
    return str(said) if isinstance(said, str | int) and said != "" else None


def _items(source: Said, entry: Mapping[str, Any]) -> dict[str, int]:
    lines = _list(source.lines, entry, "lines")
    if not lines:
        raise _Bad("lines", f"{source.lines} finds no line: nothing is not all units")
    items: dict[str, int] = {}
    for number, line in enumerate(lines):
        place = f"lines[{number}]"
        product = _text(source.product, line, f"{place}.product", _LONGEST_PRODUCT)
        items[product] = items.get(product, 0) + _count(source, line, f"{place}.quantity")
    return items


def _count(source: Said, line: object, place: str) -> int:
    """Read a whole number; zero says something only as a total."""
    said = _value(source.quantity, line, place)
    if isinstance(said, str) and said.strip().isascii() and said.strip().isdigit() and len(said) < 10:
        said = int(said)
    if not isinstance(said, int) or isinstance(said, bool):
        raise _Bad(place, f"{source.quantity} is no whole number: send how many units")
    if not (said == 0 and source.counts == "totals") and not 1 <= said <= _MOST_UNITS:
        raise _Bad(place, f"{source.quantity} is no number of units, from 1 to {_MOST_UNITS:,}")
    return said


def _parcel(source: Said, entry: object) -> Parcel:
    carrier = _text(source.carrier, entry, "carrier")
    code = _text(source.tracking_number, entry, "tracking_number")
    link = _found(source.tracking_url, entry, "tracking_url") if source.tracking_url else None
    return parcels.named(carrier, code, link if isinstance(link, str) and _is_storable(link) else None)


def _names(source: Said, body: object) -> Names:
    told = {each: _found(expression, body, each) for each, expression in source.names.items()}
    given = {each: _judged(said, each, _LONGEST_NAME) for each, said in told.items() if said is not None and said != ""}
    if not given:
        sought, finds = " and ".join(map(str, source.names.values())), "finds" if len(told) == 1 else "find"
        raise _Bad(next(iter(told)), f"names no order: {sought} {finds} nothing")
    return Names(**given)


def _names_if_any(source: Said, body: object) -> Names:
    try:
        return _names(source, body)
    except _Bad:
        return Names()


def _event(source: Said, body: object, name: str) -> str:
    return name if source.event_id is None else _text(source.event_id, body, "event_id", _LONGEST_NAME)


def _as_of(source: Said, body: object) -> datetime | None:
    if source.time is None:
        return None
    said = _value(source.time, body, "time")
    if (moment := moment_of(said, source.time_zone)) is None:
        raise _Bad("time", f"{source.time} is no time: send ISO 8601, or seconds since 1970")
    return moment


def moment_of(said: object, time_zone: str) -> datetime | None:
    """Read a time, as ISO 8601 or since 1970; None where it is none."""
    try:
        if isinstance(said, str):
            moment = datetime.fromisoformat(said.strip())
            moment = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(time_zone))
        elif isinstance(said, int | float) and not isinstance(said, bool):
            moment = datetime.fromtimestamp(said / 1000 if said > _IN_MILLISECONDS else said, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return moment if 1970 < moment.year < 9000 else None


def _found(expression: Expression, document: object, place: str) -> Any:
    try:
        return expression.of(document)
    except Odd as odd:
        raise _Bad(place, str(odd)) from odd


def _value(expression: Expression | None, document: object, place: str) -> Any:
    """Give what must be there."""
    assert expression is not None  # noqa: S101 - judged when it was read
    found = _found(expression, document, place)
    if found is None:
        raise _Bad(place, f"{expression} finds nothing")
    return found


def _list(expression: Expression | None, document: object, place: str) -> list[Any]:
    found = _value(expression, document, place)
    if not isinstance(found, list):
        raise _Bad(place, f"{expression} finds no list")
    return found


def _text(expression: Expression | None, document: object, place: str, longest: int = _LONGEST) -> str:
    return _judged(_value(expression, document, place), place, longest)


def _judged(said: object, place: str, longest: int) -> str:
    """Give a text or number that can be stored, without the blanks around it."""
    if not isinstance(said, str | int) or isinstance(said, bool):
        raise _Bad(place, "is neither a text nor a number")
    text = str(said).strip()
    if not text or len(text) > longest or not _is_storable(text):
        raise _Bad(place, f"is blank, longer than {longest} characters, or holds a NUL")
    return text


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text
