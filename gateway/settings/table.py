import json
import re
from collections.abc import Callable
from typing import TypeVar, cast

from gateway.settings.kinds import NAME, InvalidValue, closest

T = TypeVar("T")
Kind = Callable[[object], T]


def key_path(*keys: str) -> str:
    """Where something stands, written as TOML would: `locations."DC.01".provider`."""
    return ".".join(key if re.fullmatch(r"[A-Za-z0-9_\[\]-]+", key) else json.dumps(key) for key in keys)


class Table:
    """One table of the file.

    A value that is missing or unfit leaves a fault and a hole; `load` raises before anyone meets the hole,
    so that every fault of the file is found in one run.
    """

    def __init__(self, values: dict[str, object], path: tuple[str, ...], faults: list[str]) -> None:
        self.values = values
        self.path = path
        self.faults = faults
        self.known: set[str] = set()
        self.opened: list[Table] = []

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def fault(self, key: str, what: str) -> None:
        """Note what is wrong at this key and what to do."""
        self.faults.append(f"{key_path(*self.path, key)}: {what}")

    def need(self, key: str, kind: Kind[T]) -> T:
        """A value that must be there."""
        if key not in self.values:
            self.fault(key, f"is missing; add {key} here")
        return cast("T", self.optional(key, kind))

    def optional(self, key: str, kind: Kind[T], otherwise: object = None) -> T | None:
        """A value that may be left out; `otherwise` is then read as if it were written."""
        self.known.add(key)
        value = self.values.get(key, otherwise)
        return None if value is None else self._read(key, kind, value)

    def given(self, **kinds: Kind[object]) -> dict[str, object]:
        """What the file says of these; a shape's own defaults stand for the rest."""
        values = {key: self.optional(key, kind) for key, kind in kinds.items()}
        return {key: value for key, value in values.items() if value is not None}

    def several(self, key: str, kind: Kind[T], most: int) -> tuple[T, ...]:
        """A list of one up to `most` values, each with a place of its own."""
        values = self.need(key, _list)
        if values is None:
            return ()
        if not 1 <= len(values) <= most:
            self.fault(key, f"has {len(values)} entries; write 1 to {most}")
        return tuple(cast("T", self._read(f"{key}[{n}]", kind, value)) for n, value in enumerate(values))

    def one_or_two(self, key: str, kind: Kind[T]) -> tuple[T, ...]:
        """A value, or a list of it and the one that takes its place."""
        if isinstance(self.values.get(key), list):
            return self.several(key, kind, most=2)
        value = self.need(key, kind)
        return () if value is None else (value,)

    def table(self, key: str) -> "Table":
        """The table of this name; one left out is empty."""
        self.known.add(key)
        return self._open((*self.path, key), self.values.get(key, {}))

    def named(self, key: str) -> dict[str, "Table"]:
        """The tables `[key.NAME]`."""
        tables = self.table(key)
        for name in tables.values:
            if not NAME.fullmatch(name):
                tables.fault(name, "is not a name; use 1 to 64 letters, digits, dots, dashes or underscores")
        return {name: tables.table(name) for name in tables.values}

    def rows(self, key: str) -> list["Table"]:
        """The tables `[[key]]`."""
        rows = self.optional(key, _list) or []
        return [self._open((*self.path, f"{key}[{n}]"), row) for n, row in enumerate(rows)]

    def note_unknown_keys(self) -> None:
        """Call it when everything has been read: what nobody asked for is a fault."""
        for key in [key for key in self.values if key not in self.known]:
            self.fault(key, f"is not known here; {closest(key, sorted(self.known)) or 'remove it'}".rstrip())
        for table in self.opened:
            table.note_unknown_keys()

    def _open(self, path: tuple[str, ...], values: object) -> "Table":
        if isinstance(values, dict):
            table = Table(values, path, self.faults)
        else:
            self.faults.append(f"{key_path(*path)}: must be a table; write [{key_path(*path)}] and its keys below")
            table = Table({}, path, [])  # its missing keys are no news
        self.opened.append(table)
        return table

    def _read(self, key: str, kind: Kind[T], value: object) -> T | None:
        try:
            return kind(value)
        except InvalidValue as unfit:
            self.fault(key, str(unfit))
            return None


def _list(value: object) -> list[object]:
    if not isinstance(value, list):
        raise InvalidValue("must be a list; write it in square brackets")
    return value
