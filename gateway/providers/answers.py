"""Read what an answer says: its status is not believed without its body."""

import re
from collections.abc import Collection, Iterator
from typing import Any

import msgspec

from gateway.canonical import BYTE_ORDER_MARK

_FLAGS = frozenset({"success", "succeeded", "successful", "issuccess", "issuccessful", "ok"})
_NO = frozenset({"false", "no", "0", "none", "error", "failed", "failure"})
_ERRORS = frozenset({"error", "errors", "errorcode", "errormessage", "errordescription", "exception", "fault"})
_STATES = frozenset({"status", "state", "result"})
_FAILED = frozenset({"error", "fail", "failed", "failure", "rejected", "refused", "denied", "invalid", "nok", "ko"})
_IDS = frozenset({"id", "orderid", "ordernumber", "reference"})
_ECHOES = frozenset({"query", "search", "filter", "filters", "params", "parameters", "request", "criteria", "meta"})
"""Where an answer may repeat what it was asked, and not what it has found."""


def decoded(body: bytes) -> Any:
    """Read an answer; None for an empty one. Raises `ValueError` for what is no JSON."""
    text = body.removeprefix(BYTE_ORDER_MARK).strip()
    try:
        return msgspec.json.decode(text) if text else None
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def says_no(document: object) -> bool:
    """Tell whether an answer refuses whatever its status: a flag that is false, or an error and no order's id."""
    said = [each for each in (document if isinstance(document, list) else [document]) if isinstance(each, dict)]
    return document is False or any(map(_refuses, said))


def _refuses(answer: dict[str, Any]) -> bool:
    values = {_plain(name): value for name, value in answer.items()}
    if any(name in values and str(values[name]).lower() in _NO for name in _FLAGS):
        return True
    if any(values.get(name) for name in _IDS):
        return False
    is_failed = any(str(values.get(name)).lower() in _FAILED for name in _STATES)
    return is_failed or any(values.get(name) for name in _ERRORS)


def id_of(found: object) -> str | None:
    """Give what names an order, as it can be kept; None for what is no name."""
    is_one = isinstance(found, str | int) and not isinstance(found, bool)
    return str(found).replace("\0", "\N{REPLACEMENT CHARACTER}")[:500] if is_one and found != "" else None


def object_naming(document: object, names: Collection[str]) -> dict[str, Any] | None:
    """Find the object in an answer that has one of these as a value, in whatever letters; None where none has."""
    wanted = {name.casefold() for name in names if name}
    return next((each for each in _objects(document) if wanted & _words(each)), None)


def _words(answer: dict[str, Any]) -> set[str]:
    return {str(value).strip().casefold() for value in answer.values() if isinstance(value, str | int)}


def _objects(document: object) -> Iterator[dict[str, Any]]:
    left = [document]
    while left:
        each = left.pop()
        if isinstance(each, dict):
            yield each
            left += [value for name, value in each.items() if _plain(name) not in _ECHOES]
        elif isinstance(each, list):
            left += each


def _plain(name: str) -> str:
    return re.sub("[_-]", "", name).lower()
