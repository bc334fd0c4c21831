"""Show a body without what it says of a person: the structure stays, and of the values what a list names."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from gateway.call_errors import as_code

MASK = "•••"
Reading = Callable[[str], str]
"""What is shown of a text that may be read."""

_CODES = frozenset({"error", "error_code"})  # shown only where they are codes: some put a sentence there
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")
_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


def masked(body: bytes, readable: Mapping[str, Reading]) -> str | None:
    """Write JSON with every value masked whose path is not readable; None for what is no JSON."""
    try:
        shown = _mask(msgspec.json.decode(body), "", readable)
        return msgspec.json.format(msgspec.json.encode(shown)).decode()
    except _UNREADABLE:
        return None


def _mask(value: Any, path: str, readable: Mapping[str, Reading]) -> Any:
    if isinstance(value, dict):
        named = [(_named(name, number), each) for number, (name, each) in enumerate(value.items())]
        return {name: _mask(each, f"{path}.{name}".lstrip("."), readable) for name, each in named}
    if isinstance(value, list):
        return [_mask(each, path, readable) for each in value]
    if value in {None, ""}:
        return value
    is_shown = path in readable and (path.rpartition(".")[2] not in _CODES or as_code(value))
    if not is_shown:
        return MASK
    return readable[path](value) if isinstance(value, str) else value


def _named(name: str, number: int) -> str:
    """Keep the name of a field, unless no programmer would give it: it may be a person's."""
    return name if _FIELD.fullmatch(name) else f"{MASK} {number}"
