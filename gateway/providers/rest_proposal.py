"""Propose how the webhooks or answers of a provider are read, from one of them: a person checks it, and maps the words.

A field is known by its name, as a column of a file is.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import msgspec

from gateway import canonical

from .files_mapping import MAP_ME, ours_of
from .port import Malformed
from .rest_expressions import Expression

_EVENT: Final = {"event", "event_id", "eventid", "message_id", "messageid"}
_NAMES: Final = ("reference", "request", "order")
_OF_A_STATEMENT: Final = ("word", "reason", "tracking_number", "carrier", "tracking_url")
_DEEPEST: Final = 4  # objects in objects, among which orders are looked for
_MOST_WORDS: Final = 50
_OUR_REFERENCE: Final = re.compile(r"NS[0-9A-Z]{14}(-\d+)?")
_AROUND: Final = "_order."
_CHECK: Final = {
    "order": "  # CHECK: NewStore's number of the order? If it is ours write reference, if its own provider_order"
}
_MEANT: Final = {
    "words": "accepted, rejected, cancelled, shipped, backordered, or ignored",
    "reasons": "no_inventory (empties the DC's stock) or cannot_fulfill",
}


@dataclass(slots=True)
class Proposal:
    """What was found, and what only a person can say."""

    keys: dict[str, str] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def toml(self) -> str:
        """Write it as a table of a mapping."""
        lines = ["[said]", *(f"{key} = {json.dumps(path)}{_CHECK.get(key, '')}" for key, path in self.keys.items())]
        for table in ("words", "reasons"):
            if said := getattr(self, table):
                lines += [
                    "",
                    f"[said.{table}]  # {_MEANT[table]}",
                    *(f'{json.dumps(each)} = "{MAP_ME}"' for each in said),
                ]
        return "\n".join(lines)

    @property
    def told(self) -> dict[str, object]:
        """Give all of it for programs."""
        return {**asdict(self), "toml": self.toml}


def propose(body: bytes) -> Proposal:
    """Look at a message. Raises `Malformed` where there is nothing to see."""
    try:
        document = canonical.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Malformed("$", f"no JSON: {error}") from error
    found, (path, orders) = Proposal(), _orders(document)
    if path:
        found.keys["orders"] = path
    _take(found, orders, (*_NAMES, "event_id", "date"), "")
    if "order" in found.keys and "reference" not in found.keys and _is_ours(found.keys["order"], orders):
        found.keys["reference"] = found.keys.pop("order")
    path, statements = next(((at, each) for at, each in _lists(orders) if _has(each, "tracking_number")), ("", orders))
    if path:
        found.keys["statements"] = f"{path} || [@]"
        _take(found, statements, _OF_A_STATEMENT, "")
        _take(found, orders, _OF_A_STATEMENT, _AROUND)
    else:
        _take(found, orders, _OF_A_STATEMENT, "")
    for at, lines in (*_lists(statements), *_lists(orders)):
        if _has(lines, "product"):
            found.keys["lines"] = at
            _take(found, lines, ("product", "quantity"), "")
            break
    found.words = _said(found.keys.get("word", ""), statements, orders)
    found.reasons = _said(found.keys.get("reason", ""), statements, orders)
    _note_what_is_missing(found)
    _note_what_is_not_read(found, orders)
    return found


def _orders(document: object) -> tuple[str, list[Any]]:
    """Find the objects that name an order, nearest to the outside: the expression for them, and they."""
    level: list[tuple[str, object]] = [("", document)]
    for _ in range(_DEEPEST):
        for path, each in level:
            objects = each if isinstance(each, list) else [each]
            if any(_has(objects, name) for name in _NAMES):
                return (path or "@" if isinstance(each, list) else f"[{path}]" if path else ""), objects
        level = [
            (f"{path}.{_quoted(key)}".removeprefix("."), value)
            for path, each in level if isinstance(each, dict) for key, value in each.items()
        ]  # fmt: skip
    raise Malformed("$", "names no order that is known by its name: write a mapping by hand")


def _lists(objects: Sequence[Any]) -> Iterator[tuple[str, list[Any]]]:
    """Give the lists of objects in objects, also one level deeper: their paths, and what is in them."""
    for each in (each for each in objects if isinstance(each, dict)):
        for key, value in each.items():
            if isinstance(value, dict):
                yield from ((f"{_quoted(key)}.{path}", inner) for path, inner in _lists([value]))
            elif isinstance(value, list) and value and all(isinstance(line, dict) for line in value):
                yield _quoted(key), value


def _leaves(document: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, str, object]]:
    """Give each plain field: what it says, its path, and what stands there."""
    for key, value in document.items():
        at = f"{path}{_quoted(key)}"
        if isinstance(value, dict):
            yield from _leaves(value, f"{at}.")
        elif not isinstance(value, list) and value not in {None, ""}:
            yield "event_id" if key.casefold() in _EVENT else ours_of(key), at, value


def _has(objects: Sequence[Any], ours: str) -> bool:
    return any(ours == said for each in objects if isinstance(each, dict) for said, _, _ in _leaves(each))


def _take(found: Proposal, objects: Sequence[Any], wanted: Sequence[str], before: str) -> None:
    """Note where what is wanted stands, and what more may say the same."""
    for each in (each for each in objects if isinstance(each, dict)):
        for said, path, _ in _leaves(each):
            key, at = "time" if said == "date" else said, before + path
            if said in wanted and found.keys.setdefault(key, at) != at and at not in "".join(found.notes):
                found.notes.append(f"{at} may say {key}, too: it is taken from {found.keys[key]}")


def _said(path: str, statements: Sequence[Any], orders: Sequence[Any]) -> list[str]:
    """Give each word that stands there, once."""
    if not path:
        return []
    objects = orders if path.startswith(_AROUND) else statements
    words = [Expression(path.removeprefix(_AROUND)).of(each) for each in objects]
    return list(dict.fromkeys(str(word) for word in words if word is not None))[:_MOST_WORDS]


def _note_what_is_missing(found: Proposal) -> None:
    for key, what in (("word", "what has happened"), ("lines", "which units are meant"), ("quantity", "how many")):
        if key not in found.keys:
            found.notes.append(f"nothing says {what}: name {key} by hand, or ask for it")
    if "lines" not in found.keys:
        found.notes.append("it may be a hint, which says nothing but which order is to be read: then add [read]")
    if "event_id" not in found.keys:
        found.notes.append('nothing names the event: ask for an id, or let counts = "totals" be true')
    found.notes.append("ask for a message of each kind: one shows its own words alone")


def _note_what_is_not_read(found: Proposal, orders: Sequence[Any]) -> None:
    of_a_statement = found.keys.get("statements", "").removesuffix(" || [@]")
    for path in dict.fromkeys(path for path, _ in _lists(orders)):
        if path not in {of_a_statement, found.keys.get("lines")}:
            joined = f': statements may join both, as "[{of_a_statement}, {path}][]"' if of_a_statement else ""
            found.notes.append(f"it also has a list, {path}, which nothing here reads{joined}")


def _is_ours(path: str, orders: Sequence[Any]) -> bool:
    """Tell whether what stands there is a reference that this gateway makes."""
    return any(_OUR_REFERENCE.fullmatch(str(Expression(path).of(each))) for each in orders if isinstance(each, dict))


def _quoted(key: str) -> str:
    """Write a key as an expression has it."""
    return key if key.isidentifier() and key.isascii() else json.dumps(key)
