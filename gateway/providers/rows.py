"""The rows of a file, as CSV or as one JSON object a line: which there are, and which can't be read.

A row keeps its text as it came. It is numbered as a spreadsheet shows it, so the first one is often the header.
"""

import csv
import io
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from gateway import canonical
from gateway.providers.port import Malformed

DELIMITERS = ",;\t|"
"""Among which the one of a file is found, where the settings name none."""

_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How a text begins that is written so, and has its mark."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: what stands in the columns that were asked for, and what is wrong with it where something is."""

    number: int
    text: str
    cells: Mapping[str, str] = field(default_factory=dict)
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A file that can be read. A part of it needs its `head`, too; `names` are what its columns are called."""

    head: str
    rows: Sequence[Row]
    names: Sequence[str]
    encoding: str

    def part(self, rows: Sequence[Row]) -> bytes:
        """Write some of its rows as a file of the same form."""
        text = self.head + "".join(row.text if row.text.endswith(("\n", "\r")) else f"{row.text}\n" for row in rows)
        return text.encode(self.encoding)


def text_of(body: bytes, encoding: str) -> str:
    """Decode a file, without the mark at its beginning. Raises `Malformed` for a byte that the encoding has not."""
    if body.startswith(_UTF_16) and "16" not in encoding:
        raise Malformed("byte 1", 'begins as UTF-16 does: set encoding = "utf-16"')
    try:
        text = body.decode(encoding).removeprefix("\ufeff")
        text.encode()  # what no text column takes is no text
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        what = f"0x{body[error.start]:02x} is no {encoding}: set the encoding in which the provider writes"
        raise Malformed(f"line {line}, byte {error.start + 1}", what) from error
    except UnicodeError as error:
        raise Malformed("byte 1", f"is no {encoding}: set the encoding in which the provider writes") from error
    return text


def csv_rows(text: str, delimiter: str) -> Iterator[tuple[str, list[str] | None, str]]:
    """Give each row with its text, its cells, and what is wrong with it, where there is something.

    After a row whose quotes do not fit, the next line is taken for a row again: so it costs no other.
    """
    lines = list(io.StringIO(text, newline=""))
    at = 0
    while at < len(lines):
        start = at
        reader = csv.reader(map(lines.__getitem__, range(start, len(lines))), delimiter=delimiter, strict=True)
        try:
            for cells in reader:
                end = start + reader.line_num
                yield lines[at] if end == at + 1 else "".join(lines[at:end]), cells, ""
                at = end
        except csv.Error as error:
            yield lines[at], None, str(error)
            at += 1


def read_csv(
    text: str, encoding: str, delimiter: str, *, header_row: int, columns: Mapping[str, str | int], first: int
) -> Table:
    """Read a CSV. Raises `Malformed` where its header has not each of these columns once.

    Without a header (`header_row` is 0) they are numbers. `first` is the number of the first row below it, 0 where it
    is as it stands.
    """
    wanted = [str(name) for name in columns.values()]
    delimiter = delimiter or detected(text, header_row, wanted)
    found = csv_rows(text, delimiter)
    before = list(itertools.islice(found, header_row))
    header: list[str] = []
    places = {ours: int(number) - 1 for ours, number in columns.items()} if not header_row else {}
    if header_row:
        header = [cell.strip() for cell in (before[-1][1] or [])] if len(before) == header_row else []
        if not any(header):
            raise Malformed(f"row {header_row}", "should be the header, and can't be read")
        there = _same_header(header, wanted)
        places = {ours: there[plain(str(name))] for ours, name in columns.items()}
    head = "".join(text for text, _, _ in before)
    rows = []
    for number, (row, cells, problem) in enumerate(found, start=first or header_row + 1):
        if cells is None:
            rows.append(Row(number, row, problem=f"its quotes do not fit: {problem}"))
        elif any(map(str.strip, cells)):
            width = len(header) or max(len(cells), *(place + 1 for place in places.values()))
            wrong = _wrong(row, cells, width, delimiter)
            named = {} if wrong else {ours: cells[place].strip() for ours, place in places.items()}
            rows.append(Row(number, row, named, wrong))
    return Table(head, rows, header, encoding)


def _wrong(text: str, cells: Sequence[str], width: int, delimiter: str) -> str:
    """Say why it can't be known what a cell of a row is."""
    if len(cells) != width and (len(cells) < width or any(map(str.strip, cells[width:]))):
        return f"has {len(cells)} cells, and needs {width}"
    if "\0" in text:
        return "has a NUL in it"
    if width > 2 and "\n" in text.rstrip("\r\n") and _swallows(cells, width - 1, delimiter):
        return "a cell of it looks like whole rows: see to its quotes"
    return ""


def _swallows(cells: Sequence[str], delimiters: int, delimiter: str) -> bool:
    """Tell whether quotes that do not belong together seem to have made one cell of several rows."""
    return any(line.count(delimiter) >= delimiters for cell in cells if "\n" in cell for line in cell.split("\n"))


def detected(text: str, header_row: int, wanted: Sequence[str]) -> str:
    """Find the delimiter by which the header has most of the wanted columns, or else the most columns."""
    named = {plain(each) for each in wanted}

    def columns(delimiter: str) -> tuple[int, int]:
        rows = list(itertools.islice(csv_rows(text, delimiter), max(header_row, 1)))
        cells = (rows[-1][1] or []) if rows else []
        return len({plain(cell) for cell in cells} & named), len(cells)

    return max(DELIMITERS, key=columns)


def _same_header(header: Sequence[str], wanted: Sequence[str]) -> Mapping[str, int]:
    """Find the columns in a header, by whole names without blanks around them and letter case."""
    there = [plain(name) for name in header]
    named = [plain(name) for name in wanted]
    missing = [name for name in wanted if plain(name) not in there]
    twice = [name for name in wanted if there.count(plain(name)) > 1]
    if missing:
        others = [name for name in header if plain(name) not in named]
        raise Malformed("header", f"{listed(missing)} is missing; beside what is expected it has {listed(others)}")
    if twice:
        raise Malformed("header", f"{listed(twice)} stands there more than once: which of them is meant?")
    return {name: there.index(name) for name in named}


def read_ndjson(text: str, encoding: str, *, columns: Mapping[str, str | int], first: int) -> Table:
    """Read a JSON object from each line. Raises `Malformed` where one of these names is in none of them."""
    named = {ours: plain(str(name)) for ours, name in columns.items()}
    names = dict[str, None]()
    rows = [
        _object(number, line, named, names)
        for number, line in enumerate(io.StringIO(text), start=first or 1)
        if line.strip()
    ]
    missing = [str(name) for name in columns.values() if names and plain(str(name)) not in names]
    if missing:
        others = [name for name in names if name not in named.values()]
        raise Malformed("names", f"{listed(missing)} is missing; beside what is expected it has {listed(others)}")
    return Table("", rows, list(names), encoding)


def _object(number: int, line: str, named: Mapping[str, str], names: dict[str, None]) -> Row:
    try:
        document = canonical.decode(line.encode())
        twice = canonical.ambiguous_keys(line.encode(), canonical.spell(document))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return Row(number, line, problem=f"is no JSON: {error}")
    if not isinstance(document, dict):
        return Row(number, line, problem="is no JSON object")
    if twice:
        return Row(number, line, problem=f"{listed(sorted(twice))} stands twice and says two things")
    flat = dict(_flat(document, ""))
    names |= dict.fromkeys(flat)
    cells = {}
    for ours, name in named.items():
        value = flat.get(name)
        if isinstance(value, list | bool):
            return Row(number, line, problem=f"{name} is no text and no number")
        cells[ours] = "" if value is None else str(value).strip()
    if any("\0" in value for value in cells.values()):
        return Row(number, line, problem="has a NUL in it")
    return Row(number, line, cells)


def _flat(document: Mapping[str, object], path: str) -> Iterator[tuple[str, object]]:
    """Name what is inside of objects as `shipment.tracking_number`."""
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield plain(f"{path}{name}"), value


def plain(name: str) -> str:
    """Write a heading or word as it is compared: letter case and blanks say nothing."""
    return " ".join(name.split()).casefold()


def listed(names: Sequence[str]) -> str:
    """Name columns in a sentence; what stands where a header should be may be long, or a person's."""
    shown = ", ".join(repr(name[:60]) for name in names[:20])
    return (shown + (" …" if len(names) > 20 else "")) or "no other"
