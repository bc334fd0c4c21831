"""What the files of a provider say: rows that tell of the same thing are one statement.

That is rows of one file about the same request, word, reason and tracking number: a parcel with three products is one
shipment. The file and its first such row name the statement, as `SHIP_7.csv#17`, so it is known again.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from hashlib import sha256
from pathlib import PurePath
from zoneinfo import ZoneInfo

from gateway import canonical
from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel, normal

from . import meaning, rows
from .files_settings import IGNORED, NAMES, Column, FilesSettings, Form
from .port import Malformed, Names, Reading, Statement, Unreadable
from .rows import Row, Table, plain

_PART = re.compile(r"(?P<file>.*)#(?P<row>\d{1,9})", re.DOTALL)
_LONGEST = 500  # characters of a cell that is read
_LONGEST_NAME = 255  # … and of one that names a request
_LONGEST_LINK = 2_000
_LONGEST_PRODUCT = 10_000  # as NewStore's
_MOST_UNITS = 100_000
_WITH_TIME = re.compile("%[HIcXs]")
_BY_A_SPREADSHEET = re.compile(r"\d([.,]\d+)?E\+\d\d+", re.IGNORECASE)
_AS_TEXT = re.compile(r'="(.*)"')  # how a spreadsheet is kept from reading a number
_SEVERAL = re.compile(r"[|;,\r\n]")


class _Bad(Exception):
    """What is wrong with a row, which costs that row alone."""


@dataclass(slots=True)
class _Said:
    """What one row says, or several of the same thing."""

    rows: list[Row]
    names: Names
    said: str
    word: Word | None
    reason: RejectionReason | None = None
    problem: str = ""
    items: dict[str, int] | None = None
    parcel: Parcel | None = None
    as_of: datetime | None = None
    twice: list[str] = field(default_factory=list)

    @property
    def key(self) -> tuple[object, ...]:
        parcel = self.parcel and (normal(self.parcel.carrier), normal(self.parcel.tracking_code))
        return self.names, self.word, self.reason, self.problem, parcel

    def join(self, other: "_Said") -> None:
        """Add what another row says of the same thing."""
        self.rows += other.rows
        for product, count in (other.items or {}).items():
            assert self.items is not None  # noqa: S101 - of one form, all rows name products or none does
            if product in self.items:
                self.twice.append(product)
            self.items[product] = self.items.get(product, 0) + count
        self.as_of = max(filter(None, (self.as_of, other.as_of)), default=None)


def read(settings: FilesSettings, name: str, body: bytes) -> list[Reading]:
    """Read a file, or a part of one that was kept. Raises `Malformed` where none of it can be read."""
    is_part = _PART.fullmatch(name)
    file, first = (is_part["file"], int(is_part["row"])) if is_part else (name, 0)
    form = settings.form_of(PurePath(file.partition("@")[0]).name)
    if form is None:
        kinds = ", ".join(each.names for each in settings.forms.values())
        raise Malformed("name", f"fits none of {kinds}: add what files of this name are to [providers.NAME.forms]")
    if settings.file_names == "reused" and not is_part:
        file = f"{file}@{sha256(body).hexdigest()[:12]}"
    return _read(_table(form, body, first), form, file)


def _table(form: Form, body: bytes, first: int) -> Table:
    text, columns = rows.text_of(body, form.encoding), {str(ours): said for ours, said in form.columns.items()}
    if form.format == "ndjson":
        table = rows.read_ndjson(text, form.encoding, columns=columns, first=first)
    else:
        table = rows.read_csv(
            text, form.encoding, form.delimiter, header_row=form.header_row, columns=columns, first=first
        )
    if form.other_columns is not None:
        known = {plain(str(each)) for each in (*columns.values(), *form.other_columns)}
        if new := [name for name in table.names if plain(name) not in known]:
            raise Malformed("header", f"has new columns: {rows.listed(new)}. Add them to other_columns")
    return table


def _read(table: Table, form: Form, file: str) -> list[Reading]:
    found: dict[tuple[object, ...], _Said | Unreadable] = {}
    for row in table.rows:
        names = Names() if row.problem else _names(row)
        try:
            said = _understood(row, names, form)
        except _Bad as bad:
            found[row.number,] = Unreadable(
                place=f"row {row.number}",
                what=str(bad),
                fingerprint=canonical.fingerprint(row.text.encode()),
                names=names,
                event_id=f"{file}#{row.number}",
                part=table.part([row]),
            )
            continue
        if said is None:
            continue
        before = found.setdefault(said.key, said)
        if before is not said:
            assert isinstance(before, _Said)  # noqa: S101 - their keys differ
            before.join(said)
    return [each if isinstance(each, Unreadable) else _statement(each, table, form, file) for each in found.values()]


def _statement(said: _Said, table: Table, form: Form, file: str) -> Statement:
    unread = ""
    if said.twice and form.counts == "totals":
        unread = f"several rows give a total of {said.twice[0][:200]!r}: which of them is true?"
    parcel = said.parcel
    words = [parcel.carrier, parcel.tracking_code, parcel.tracking_url] if parcel else None
    names = [said.names.request, said.names.reference, said.names.provider_order, said.names.order]
    dated = said.as_of and said.as_of.isoformat()
    understood: object = [names, said.word, said.reason, said.items, words, dated]
    if said.problem or unread:
        understood = [row.text for row in said.rows]
    return Statement(
        names=said.names,
        word=said.word,
        event_id=f"{file}#{said.rows[0].number}",
        fingerprint=canonical.fingerprint(canonical.spell(understood)),
        items=said.items,
        reason=said.reason,
        parcel=parcel,
        problem=said.problem,
        unread=unread,
        is_total=form.counts == "totals",
        as_of=said.as_of,
        is_proof=form.final_rejections,
        part=table.part(said.rows),
    )


def _understood(row: Row, names: Names, form: Form) -> _Said | None:
    """Read one row; None for one that says nothing to us. Raises `_Bad`."""
    if row.problem:
        raise _Bad(row.problem)
    word_said = row.cells.get("word", "")
    word = form.word or form.words.get(plain(word_said))
    if word == IGNORED:
        return None
    if not names:
        raise _Bad(
            "names no request: " + " and ".join(str(form.columns[each]) for each in NAMES if each in form.columns)
        )
    if word is None:
        return _Said([row], names, word_said, None, problem=meaning.unknown("word", word_said or None, form.words))
    assert isinstance(word, Word)  # noqa: S101 - all else was ignored
    said = _Said([row], names, word_said, word, items=_items(row, form), as_of=_as_of(row, form))
    if word is Word.REJECTED:
        said.reason, said.problem = _reason(row, form, word_said)
    if word is Word.SHIPPED:
        said.parcel = _parcel(row, form)
    return said


def _names(row: Row) -> Names:
    told = {each: _spelled(row.cells[each]) for each in NAMES if each in row.cells}
    return Names(**{each: said for each, said in told.items() if len(said) <= _LONGEST_NAME})


def _items(row: Row, form: Form) -> dict[str, int] | None:
    if form.whole_orders:
        return None
    product = _id(row, form, "product", _LONGEST_PRODUCT)
    if form.quantity:
        return {product: form.quantity}
    return {product: _count(row.cells["quantity"], form)}


def _count(said: str, form: Form) -> int:
    """Read a whole number as the provider writes it; zero says something only as a total."""
    number = _number(form.decimal, form.thousands).fullmatch(said)
    if number is None:
        what = f"{said[:60]!r} is no whole number" if said else "is empty"
        raise _Bad(f"{form.columns['quantity']} {what}: send how many units, or see to decimal and thousands")
    count = int(re.sub(r"\D", "", number[1], flags=re.ASCII))
    if count > _MOST_UNITS or (not count and form.counts == "increments"):
        raise _Bad(f"{form.columns['quantity']} is {count}: send a number of units")
    return count


@cache
def _number(decimal: str, thousands: str) -> re.Pattern[str]:
    between = "[ \u00a0\u202f]" if thousands == " " else re.escape(thousands)
    grouped = rf"|\d{{1,3}}(?:{between}\d{{3}})+" if thousands else ""
    return re.compile(rf"(\d{{1,9}}{grouped})(?:{re.escape(decimal)}0+)?", re.ASCII)


def _reason(row: Row, form: Form, word_said: str) -> tuple[RejectionReason | None, str]:
    said = row.cells.get("reason", word_said)
    reason = form.reasons.get(plain(said))
    if reason is None and "reason" not in form.columns:
        reason = form.reason
    return reason, "" if reason else meaning.unknown("reason", said or None, form.reasons)


def _parcel(row: Row, form: Form) -> Parcel:
    """Name the parcel of a row."""
    code = _id(row, form, "tracking_number")
    if _SEVERAL.search(code):
        raise _Bad(f"{form.columns['tracking_number']} names several parcels: send a row for what is in each")
    carrier = _id(row, form, "carrier") if "carrier" in form.columns else form.carrier
    link = row.cells.get("tracking_url", "")
    fits = 0 < len(link) <= _LONGEST_LINK
    return Parcel(carrier, code, link if fits else None)


def _id(row: Row, form: Form, column: Column, longest: int = _LONGEST) -> str:
    """Give a cell that names something."""
    heading, said = form.columns[column], _spelled(row.cells[column])
    if not said:
        raise _Bad(f"{heading} is empty: send it, or the row once it is known")
    if len(said) > longest:
        raise _Bad(f"{heading} has {len(said)} characters, and {longest} at most are read")
    if "+" in said and _BY_A_SPREADSHEET.fullmatch(said):
        raise _Bad(f"{heading} {said[:60]!r} was cut off by a spreadsheet: have it sent as it was")
    return said


def _spelled(said: str) -> str:
    as_text = _AS_TEXT.fullmatch(said) if said.startswith("=") else None
    return as_text[1].strip() if as_text else said


def _as_of(row: Row, form: Form) -> datetime | None:
    """Read when it was so. A day without a time is so until it ends: it is older than nothing that came within it."""
    said = row.cells.get("date", "")
    if not said:
        return None
    try:
        if form.date_format:
            moment, is_day = datetime.strptime(said, form.date_format), not _WITH_TIME.search(form.date_format)  # noqa: DTZ007
        else:
            moment, is_day = datetime.fromisoformat(said), len(said) <= len("2026-11-28")
    except ValueError:
        written = form.date_format or "ISO 8601"
        raise _Bad(f"{form.columns['date']} {said[:60]!r} is no date as {written}: see to date_format") from None
    if is_day:
        moment = moment.replace(hour=23, minute=59, second=59, microsecond=999_999)
    return moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(form.time_zone))
