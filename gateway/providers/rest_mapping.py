"""The mapping of a provider with a JSON API, a TOML file: its calls, its words, and where things stand.

What its orders are made of, and how its answers, webhooks and pages are read, are JMESPath expressions. They are
compiled when the settings are read, and all that is wrong in the file is named at once.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from gateway.domain.commands import RejectionReason, Word
from gateway.settings.kinds import Around, Flag, InvalidValue, Kind, Source, TimeZone, closest, seconds, text, whole
from gateway.settings.references import file
from gateway.settings.tables import Fault, Readable, Table, read, table_of

from .files_settings import IGNORED, SPELLED, Meaning
from .rest_expressions import Expression, OfAnOrder, OfAPoll, Search, expression
from .rows import plain

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
NAMES: Final = ("request", "reference", "provider_order", "order")
"""By which of them an order is named."""
OF_AN_ORDER: Final = ("reference", "request_id", "order_id", "location", "provider_order", "idempotency_key")
"""What may stand in braces in the path and headers of a call about an order."""
OF_A_POLL: Final = ("since", "page", "offset", "cursor")
PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")

Status: TypeAlias = Annotated[int, whole(400, 499)]


def _text_with(known: tuple[str, ...], *, is_path: bool) -> Kind:
    def read_it(value: object, _: Source) -> str:
        found = text(value)
        if is_path and (not found.startswith("/") or " " in found or "#" in found or "\\" in found):
            raise InvalidValue("must be what comes after url; write it as /orders or /orders?number={reference}")
        for name in PLACEHOLDER.findall(found):
            if name not in known:
                raise InvalidValue(f"has {{{name}}}; {closest(name, known)}choose one of {', '.join(known)}")
        if set(PLACEHOLDER.sub("", found)) & set("{}"):
            raise InvalidValue("has a brace without its other; write {reference}")
        return found

    return Kind(read_it, {"title": "path" if is_path else "text", "type": "string", "minLength": 1})


def _headers(value: Mapping[str, str]) -> Mapping[str, str]:
    for name in value:
        if not _HEADER.fullmatch(name):
            raise InvalidValue(f"{name!r} is no name of a header; write it as Idempotency-Key")
    return MappingProxyType(value)


def word_of(said: object) -> str:
    """Spell a word of the provider's as the tables have it; empty where it said none."""
    return plain(str(said)) if isinstance(said, str | int) else ""


OrderPath: TypeAlias = Annotated[str, _text_with(OF_AN_ORDER, is_path=True)]
PollPath: TypeAlias = Annotated[str, _text_with(OF_A_POLL, is_path=True)]
_FROZEN: Final = Around(after=_headers)
OrderHeaders: TypeAlias = Annotated[Mapping[str, Annotated[str, _text_with(OF_AN_ORDER, is_path=False)]], _FROZEN]
PlainHeaders: TypeAlias = Annotated[Mapping[str, Annotated[str, _text_with((), is_path=False)]], _FROZEN]


def _itself() -> Expression:
    """Give an object as a list of one."""
    return expression("[@]")


@dataclass(frozen=True, kw_only=True)
class OrderCall(Readable):
    """A call about one order."""

    path: OrderPath
    """What comes after `url`, with `{reference}` and the like in it."""
    method: Method = "GET"
    """The method."""
    headers: OrderHeaders = field(default_factory=dict)
    """Headers of this call, with `{idempotency_key}` and the like in them."""
    body: OfAnOrder | None = None
    """What is sent as JSON, made of the order."""

    def needs(self, name: str) -> bool:
        written = (self.path, *self.headers.values())
        return any(f"{{{name}}}" in each for each in written) or name in str(self.body or "")

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        said = f"{written.get('path')} {' '.join(map(str, table_of(written, 'headers').values()))}"
        if "path" in written and "body" not in written and not PLACEHOLDER.search(said):
            yield Fault(("path",), "names no order; write {reference} or the like into it, or add a body")


@dataclass(frozen=True, kw_only=True)
class Create(OrderCall):
    """How the provider is told of an order. Without this table somebody else tells it."""

    method: Method = "POST"
    """The method."""
    body: OfAnOrder = field()  # not None, as of other calls
    """What is sent as JSON, made of the order."""
    provider_order: Search | None = None
    """In the answer: the provider's own id of the order. An answer without it leaves open whether it was taken."""
    exists: tuple[Status, ...] = ()
    """Statuses that say that it has the order already, as 409: a look-up then finds out."""
    idempotent: Flag = False
    """`true` where the provider promises that a second create of one reference makes no second order."""


@dataclass(frozen=True, kw_only=True)
class LookUp(OrderCall):
    """How the provider is asked whether it has an order, by our reference."""

    orders: Search = field(default_factory=_itself)
    """In the answer: the list of orders. An empty one says that it has none; nothing says nothing."""
    reference: Search
    """In each of them: our reference. One that has another is not this order."""
    provider_order: Search | None = None
    """In each of them: the provider's own id."""
    absent: tuple[Status, ...] = ()
    """Statuses that say that there is no such order, as 404, where the provider answers a wrong path otherwise."""


@dataclass(frozen=True, kw_only=True)
class Withdraw(OrderCall):
    """How an order is stopped, for good. A refusal, as 409, says that it goes on."""

    method: Method = "DELETE"
    """The method."""
    stopped: Search | None = None
    """In the answer: `true` once nothing more of it ships. Without this key 200 and 204 say so."""
    absent: tuple[Status, ...] = ()
    """Statuses that say that there is no such order."""


@dataclass(frozen=True, kw_only=True)
class Said(Readable):
    """What a message says: of which orders, in which words, and where counts, parcels and times stand in it."""

    orders: Search = field(default_factory=_itself)
    """The orders that it is about, as a list. Without this key it is about one."""
    reference: Search | None = None
    """In an order: our reference."""
    request: Search | None = None
    """In an order: NewStore's id of the request."""
    provider_order: Search | None = None
    """In an order: the provider's own id."""
    order: Search | None = None
    """In an order: NewStore's order number, which names a request while only one of that order is open here."""
    event_id: Search | None = None
    """In an order: what the provider calls this event, by which a repetition is known. An id of an order is none."""
    time: Search | None = None
    """In an order: when it was so, as ISO 8601 or seconds since 1970."""
    statements: Search = field(default_factory=_itself)
    """In an order: what is said one by one, as its cartons, as a list. Without this key the order itself is."""
    word: Search | None = None
    """In a statement: the provider's word. In a statement `_order` is the order around it."""
    reason: Search | None = None
    """In a statement: why, of what is rejected."""
    lines: Search | None = None
    """In a statement: its lines, as a list."""
    product: Search | None = None
    """In a line: the product."""
    quantity: Search | None = None
    """In a line: how many."""
    tracking_number: Search | None = None
    """In a statement: the parcel's tracking number."""
    carrier: Search | None = None
    """In a statement: who carries it."""
    tracking_url: Search | None = None
    """In a statement: a link to where it is."""
    words: Annotated[Mapping[str, Meaning], SPELLED] = field(default_factory=dict)
    """The provider's words, and ours: accepted, rejected, cancelled, shipped, backordered, or ignored."""
    reasons: Annotated[Mapping[str, RejectionReason], SPELLED] = field(default_factory=dict)
    """Its reasons, and ours: no_inventory, which empties the DC's stock, or cannot_fulfill."""
    whole_orders: tuple[str, ...] = ()
    """Its words that mean all open units of the order, and have no lines."""
    counts: Literal["totals", "increments"] = "totals"
    """Whether a message counts how many there are by now, or what is new. What is told twice then counts twice."""
    final_rejections: Flag = False
    """`true` where the provider never ships what it has rejected or cancelled. Else it is stopped first."""
    time_zone: TimeZone = "UTC"
    """Of times that name none."""

    @property
    def names(self) -> Mapping[str, Any]:
        return {each: found for each in NAMES if (found := getattr(self, each)) is not None}


@dataclass(frozen=True, kw_only=True)
class _Source(Said):
    """What messages of one kind say."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        for at, what in (*_misnamed(written), *_gaps(written)):
            yield Fault(at, what)


@dataclass(frozen=True, kw_only=True)
class Webhook(_Source):
    """What its webhooks say. The settings tell how they are signed."""

    hint: Flag = True
    """`false` where a webhook is the truth. Else it only says that the order is to be read, by `[read]`."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        if written.get("hint", True) is False:
            yield from super().judge(written, source)
        else:
            for at, what in _misnamed(written):
                yield Fault(at, what)


@dataclass(frozen=True, kw_only=True)
class _Asked(_Source):
    """What answers and pages say: they say the same again whenever they are asked for."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        if written.get("counts") == "increments" and "event_id" not in written:
            what = 'needs event_id, by which what was read before is known; add that, or write "totals"'
            yield Fault(("counts",), what)


@dataclass(frozen=True, kw_only=True)
class Read(OrderCall, _Asked):
    """How the provider is asked how an order stands, and what its answer says."""


@dataclass(frozen=True, kw_only=True)
class Poll(_Asked):
    """How the provider is asked for news, and what a page says. `poll_seconds` of the settings says how often."""

    path: PollPath
    """What comes after `url`, with `{since}`, `{page}`, `{offset}` or `{cursor}` in it. An empty parameter is
    left out."""
    method: Method = "GET"
    """The method."""
    headers: PlainHeaders = field(default_factory=dict)
    """Headers of this call."""
    body: OfAPoll | None = None
    """What is sent as JSON, made of `since`, `page`, `offset` and `cursor`."""
    updated: Search | None = None
    """In a page: when its orders were changed, as a list. `{since}` is made of it, by the provider's own clock."""
    more: Search | None = None
    """In a page: whether another follows. Without this key one does after each that is not empty, where they
    are counted."""
    next: Search | None = None
    """In a page: the `{cursor}` of the next one."""
    first_page: Annotated[int, whole(0, 1)] = 1
    """The number of the first page."""
    since_as: Literal["iso", "seconds", "milliseconds"] = "iso"
    """How `{since}` is written."""
    overlap: Annotated[float, seconds(86_400)] = 600.0
    """Seconds that each round of pages reaches back before the last one, for what appears late."""
    reach_back: Annotated[float, seconds(30 * 86_400)] = 86_400.0
    """Seconds that the very first round reaches back."""

    def needs(self, name: str) -> bool:
        return f"{{{name}}}" in self.path or name in str(self.body or "")

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        path = f"{written.get('path', '')} {written.get('body', '')}"
        for what, key in (("since", "updated"), ("cursor", "next")):
            if what in path and key not in written:
                yield Fault((key,), f"is missing; {{{what}}} is made of it")
            if key in written and what not in path:
                yield Fault((key,), f"is of no use without {{{what}}} in the path; add that, or remove this")


@dataclass(frozen=True)
class MappingFile(Readable):
    """What one kind of provider is like."""

    _: KW_ONLY
    headers: PlainHeaders = field(default_factory=dict)
    """Headers of every call."""
    create: Create | None = None
    """How the provider is told of an order. Without this table somebody else tells it."""
    look_up: LookUp | None = None
    """How the provider is asked whether it has an order, by our reference."""
    withdraw: Withdraw | None = None
    """How an order is stopped, for good. A refusal, as 409, says that it goes on."""
    said: Said | None = None
    """What is the same in webhooks, answers and pages. Each of those tables may say else."""
    webhook: Webhook | None = None
    """What its webhooks say."""
    read: Read | None = None
    """How the provider is asked how an order stands, and what its answer says."""
    poll: Poll | None = None
    """How the provider is asked for news, and what a page says."""

    sources: ClassVar = ("webhook", "read", "poll")

    @classmethod
    def complete(cls, written: Table, source: Source) -> Table:
        """Tell each kind of message what is so of all."""
        common = table_of(written, "said")
        tables = {name: each for name in cls.sources if isinstance(each := written.get(name), dict)}
        told = {name: {**common, **each} for name, each in tables.items()}
        return super().complete(written, source) | told

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        has = {name for name in ("create", "look_up", "withdraw", *cls.sources) if name in written}
        if not has & {"create", "look_up"}:
            yield Fault(
                ("create",), "is missing; add how the provider is told of an order, or [look_up] how it is found"
            )
        if not has & set(cls.sources):
            yield Fault(("poll",), "is missing; add it, or [webhook]: what becomes of an order is heard nowhere else")
        if "read" not in has and "webhook" in has and table_of(written, "webhook").get("hint", True) is True:
            yield Fault(("webhook", "hint"), "needs [read]; add that, or hint = false where a webhook is the truth")
        if table_of(written, "create").get("exists") and "look_up" not in has:
            yield Fault(("create", "exists"), "needs [look_up], to find out; add that, or remove this")
        for name in ("create", "look_up"):
            if "{provider_order}" in str(table_of(written, name).get("path")):
                yield Fault((name, "path"), "can't have {provider_order}, which is not known yet; write {reference}")


def _misnamed(written: Table) -> Iterator[tuple[tuple[str, ...], str]]:
    """Say what is wrong with how orders and events are named."""
    if not written.keys() & set(NAMES):
        yield ("reference",), f"is missing; say where an order is named, by one of {', '.join(NAMES)}"
    event = written.get("event_id")
    for name in NAMES:
        if event is not None and event == written.get(name):
            what = f"is {name}, too, so all that is said of an order would be one event; name another, or remove this"
            yield ("event_id",), what


def _gaps(written: Table) -> Iterator[tuple[tuple[str, ...], str]]:
    """Say what is missing to read messages of one kind."""
    words, whole_orders = table_of(written, "words"), written.get("whole_orders", [])
    if "word" not in written:
        yield ("word",), "is missing; say where the provider's word stands, or write it in quotes, as \"'SHIPPED'\""
    if not words:
        yield ("words",), 'is missing; add what each word means, as { SHIPPED = "shipped" }'
    spelled = {word_of(said): ours for said, ours in words.items()}
    whole_words = {word_of(said) for said in whole_orders} if isinstance(whole_orders, list) else set()
    for said in sorted(whole_words):
        if spelled.get(said) not in {Word.ACCEPTED, Word.REJECTED, Word.CANCELLED}:
            yield ("whole_orders",), f"has {said!r}, which is no word of words that may mean all units; correct it"
    of_units = {ours for said, ours in spelled.items() if ours != IGNORED and said not in whole_words}
    needed = {name: "what units are meant" for name in ("lines", "product", "quantity") if of_units}
    if Word.SHIPPED in of_units:
        needed |= {"tracking_number": "what is shipped", "carrier": "what is shipped"}
    if Word.REJECTED in spelled.values():
        needed |= {"reason": "why it is rejected", "reasons": "why it is rejected"}
    for name, what in needed.items():
        if name not in written:
            yield (name,), f"is missing; say where to read {what}"


def mapping_file(value: object, source: Source) -> MappingFile:
    """Read a mapping. Raises pydantic's `ValidationError` with all of its faults, each at its place in that file."""
    from pydantic_core import ValidationError  # noqa: PLC0415 - nobody waits for it who reads no settings

    path = file(value, source)
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise InvalidValue(f"{path} can't be read ({error.strerror}); create it or correct the path") from None
    except ValueError as error:
        why = error if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        raise InvalidValue(f"{path} is not TOML: {why}; correct it there") from None
    try:
        return read(MappingFile, written, source)
    except ValidationError as error:
        faults = [
            {key: each[key] for key in ("type", "input", "ctx") if key in each} | {"loc": (path.name, *each["loc"])}
            for each in error.errors(include_url=False)
        ]
        raise ValidationError.from_exception_data("mapping", faults) from None  # type: ignore[arg-type]


Mapped: TypeAlias = Annotated[MappingFile, Kind(mapping_file, {"title": "file", "type": "string", "minLength": 1})]
"""Named in the settings by its path."""
