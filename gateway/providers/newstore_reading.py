"""What a call in NewStore's dialect says, in our words."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote, unquote

import msgspec

from gateway import canonical
from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel

from . import meaning, parcels
from .newstore_bodies import BODIES, REASONS, WORDS, CanceledItems, Rejection, RejectItems, ShipItems
from .port import Malformed, Message, Names, Statement

PLACE = "v0/d/fulfillment_requests/"
_LONGEST_ID = 255  # as NewStore's


class Call(NamedTuple):
    """A call: its word at the end of the path, the request as a path has it, and what tells it from others."""

    word: str
    request: str
    key: str

    @property
    def name(self) -> str:
        return "/".join(self)

    @property
    def request_id(self) -> str:
        return unquote(self.request)


def called(message: Message) -> Call:
    """Tell which call it is, by the name under which it was kept, else by its path. Raises `Malformed`."""
    word, _, rest = message.name.partition("/")
    request, _, key = rest.partition("/")
    if word not in WORDS:
        request, _, word = message.path.removeprefix(PLACE).partition("/")
        key = message.name
    request_id = unquote(request)
    if word not in WORDS or not 1 <= len(request_id) <= _LONGEST_ID or "\0" in request_id:
        raise Malformed("$", f"is no call about a request: post it to /{PLACE}ID/ and one of {', '.join(WORDS)}")
    return Call(word, quote(request_id, safe=""), key)


class _Said(NamedTuple):
    """One thing that a call says; `alone` is a call that says only this, as its word and its document."""

    alone: tuple[str, Mapping[str, Any]]
    items: Mapping[str, int] | None = None
    reason: str = ""
    parcel: Parcel | None = None
    unread: str = ""


def read(message: Message, carriers: Mapping[str, str], *, repeats: bool) -> list[Statement]:
    """Read a call; `repeats`: one that says the same again is the same. Raises `Malformed`."""
    call = called(message)
    document, spelled = _decoded(call.word, message.body)
    said = list(_READ[call.word](document, carriers))
    when = "" if repeats else f"@{message.at.isoformat()}"
    key = call.key or canonical.fingerprint(spelled)[:12] + when
    return [
        _statement(call, each, f"{key}#{number}" if len(said) > 1 else key, is_part=len(said) > 1)
        for number, each in enumerate(said)
    ]


def _statement(call: Call, said: _Said, key: str, *, is_part: bool) -> Statement:
    word, document = said.alone
    reason = REASONS.get(said.reason)
    problem = meaning.unknown("reason", said.reason, REASONS) if said.reason and reason is None else ""
    return Statement(
        names=Names(request=call.request_id),
        word=None if problem else WORDS[word],
        event_id=Call(word, call.request, key).name,
        fingerprint=canonical.fingerprint(canonical.spell([word, call.request_id, document])),
        items=said.items,
        reason=reason,
        parcel=said.parcel,
        problem=problem,
        unread=said.unread,
        part=canonical.spell(document) if is_part else None,
    )


def _decoded(word: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """Give the document of a body, and how it is spelled; only an acceptance may have none."""
    try:
        document = canonical.decode(body) if body.strip() or word != "acknowledgement" else {}
        msgspec.convert(document, type=BODIES[word])
        spelled = canonical.spell(document)
        twice = canonical.ambiguous_keys(body, spelled)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        what, _, path = str(error).partition(" - at `")
        raise Malformed(path.rstrip("`") or "$", what) from error
    except (UnicodeError, RecursionError) as error:
        raise Malformed("$", "not JSON that can be stored: send UTF-8 without NUL, not nested this deep") from error
    if b"\\u0000" in spelled.replace(rb"\\", b""):  # an escaped backslash escapes nothing more
        raise Malformed("$", "has a NUL in it, which can't be stored: send text without one")
    if twice:
        raise Malformed("$", f"{', '.join(sorted(twice))} stands twice and says two things: send each key once")
    return document, spelled


def _acknowledgement(document: dict[str, Any], _: Mapping[str, str]) -> Iterator[_Said]:
    yield _Said(("acknowledgement", document), unread=meaning.unread(document, Word.ACCEPTED, (), ()))


def _rejection(document: dict[str, Any], _: Mapping[str, str]) -> Iterator[_Said]:
    """All that is open: the missing products for lack of stock, and the rest because the order can't be fulfilled.

    So the stock of what is there is not set to zero.
    """
    told = msgspec.convert(document, type=Rejection)
    others = {name: value for name, value in document.items() if name not in Rejection.__struct_fields__}
    unread = meaning.unread(others, Word.REJECTED, (), ())
    if told.rejection_reason != RejectionReason.NO_INVENTORY:
        yield _Said(("rejection", document), reason=told.rejection_reason, unread=unread)
        return
    if not told.missing_product_ids:
        why = "is missing: name the products of which there is no stock, or the stock of all would be set to zero"
        raise Malformed("$.missing_product_ids", why)
    missing = {"reason": told.rejection_reason, "product_ids": told.missing_product_ids}
    yield _Said(
        ("reject_items", {"missing_items": [missing]}), _count(told.missing_product_ids), told.rejection_reason,
        unread=unread,
    )  # fmt: skip
    rest = RejectionReason.CANNOT_FULFILL
    yield _Said(("rejection", {"rejection_reason": str(rest)}), reason=rest, unread=unread)


def _reject_items(document: dict[str, Any], _: Mapping[str, str]) -> Iterator[_Said]:
    read_of_one = ("reason", "product_ids")
    told = msgspec.convert(document, type=RejectItems).missing_items
    for number, (one, missing) in enumerate(zip(document["missing_items"], told, strict=True)):
        unread = meaning.counted_twice(f"$.missing_items[{number}]", one, read_of_one)
        alone = ("reject_items", {"missing_items": [one]})
        yield _Said(alone, _count(missing.product_ids), missing.reason, unread=unread)


def _canceled_items(document: dict[str, Any], _: Mapping[str, str]) -> Iterator[_Said]:
    told = msgspec.convert(document, type=CanceledItems)
    unread = meaning.counted_twice("$", document, ("product_ids",))
    yield _Said(("canceled_items", document), _count(told.product_ids), unread=unread)


def _shipment(document: dict[str, Any], carriers: Mapping[str, str]) -> Iterator[_Said]:
    told = msgspec.convert(document, type=ShipItems).line_items
    for number, (one, line) in enumerate(zip(document["line_items"], told, strict=True)):
        place, shipment = f"$.line_items[{number}]", line.shipment
        if not shipment.tracking_code.strip():
            raise Malformed(f"{place}.shipment.tracking_code", "is blank: send the shipment once it is known")
        yield _Said(
            ("shipment", {"line_items": [one]}),
            _count(line.product_ids),
            parcel=parcels.named(carriers, shipment.carrier, shipment.tracking_code, shipment.tracking_url),
            unread=meaning.counted_twice(place, one, ("product_ids", "shipment")),
        )


def _count(products: Sequence[str]) -> dict[str, int]:
    return dict(Counter(products))


_READ: Mapping[str, Callable[[dict[str, Any], Mapping[str, str]], Iterator[_Said]]] = {
    "acknowledgement": _acknowledgement,
    "rejection": _rejection,
    "reject_items": _reject_items,
    "canceled_items": _canceled_items,
    "shipment": _shipment,
}
