"""What a JSON text says, however it is spelled, and the keys with which it says two things."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec


def _number(text: str) -> float | int:
    value = float(text)
    return int(value) if value.is_integer() else value


BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""What some senders begin a text with; it says nothing."""
_DECODER = msgspec.json.Decoder(float_hook=_number)
_ENCODER = msgspec.json.Encoder(order="sorted")


def decode(body: bytes) -> Any:
    """Read a JSON text; 1.0 is 1. Raises `msgspec.DecodeError`, `UnicodeError` or `RecursionError`."""
    return _DECODER.decode(body.removeprefix(BYTE_ORDER_MARK))


def spell(document: object) -> bytes:
    """Write a document in the one way in which equal ones are equal: sorted keys, no blanks, one form of each text."""
    return _ENCODER.encode(document)


def fingerprint(spelled: bytes) -> str:
    """Name what was spelled: hex SHA-256."""
    return sha256(spelled).hexdigest()


def ambiguous_keys(body: bytes, spelled: bytes) -> set[str]:
    """Find the keys that stand twice in one object with different values: readers differ in which of them they take.

    A pair that was read over has taken its colon with it, so bodies of which all was read need no second look.
    """
    if body.count(b":") == spelled.count(b":") and b"\\u003" not in body:
        return set()
    found: set[str] = set()

    def read(pairs: Sequence[tuple[str, Any]]) -> Mapping[str, Any]:
        values: dict[str, Any] = {}
        found.update(key for key, value in pairs if values.setdefault(key, value) != value)
        return values

    json.loads(body, object_pairs_hook=read)
    return found
