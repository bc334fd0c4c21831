"""What `[providers.NAME]` says of a provider whose adapter is `files`."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import KW_ONLY, dataclass, field, fields
from datetime import datetime
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Literal, TypeAlias

from gateway.domain.commands import RejectionReason, Word
from gateway.settings import ProviderSettings
from gateway.settings.kinds import Around, Flag, InvalidValue, Kind, Source, Text, TimeZone, seconds, text, whole
from gateway.settings.references import Folder
from gateway.settings.tables import Fault, Readable, Table, table_of

from .rows import plain

Format = Literal["csv", "ndjson"]
Column = Literal[
    "request", "reference", "provider_order", "order", "product", "quantity", "word", "reason", "carrier",
    "tracking_number", "tracking_url", "date",
]  # fmt: skip
"""What a column can say, in our words."""
NAMES: Final[tuple[Column, ...]] = ("request", "reference", "provider_order", "order")
"""By which of them a row names its request."""
IGNORED: Final = "ignored"
"""What a provider's word is mapped to that changes nothing."""

ORDER_COLUMNS: Final = {
    "reference": "reference", "request": "request", "order": "order", "service_level": "service_level",
    "carrier": "carrier", "line": "line", "product": "product", "quantity": "quantity", "attributes": "attributes",
    "name": "ship_to.name", "company": "ship_to.company", "address_1": "ship_to.line_1", "address_2": "ship_to.line_2",
    "zip_code": "ship_to.zip_code", "city": "ship_to.city", "state": "ship_to.state", "country": "ship_to.country",
    "phone": "ship_to.phone", "email": "ship_to.email",
}  # fmt: skip
"""What an order file has where the settings name nothing else: its headings, and what stands below them."""
_OF_AN_ADDRESS: Final = (
    "name", "first_name", "last_name", "company", "line_1", "line_2", "zip_code", "city", "state", "country", "phone",
    "email",
)  # fmt: skip
ORDER_FIELDS: Final = (
    "request", "reference", "order", "location", "service_level", "carrier", "attributes", "line",
    "product", "quantity", *(f"{whose}.{each}" for whose in ("ship_to", "bill_to") for each in _OF_AN_ADDRESS),
)  # fmt: skip
TEXT: Final = "text:"
"""How a column of an order file begins that is the same in all: `text:DTC`."""
ATTRIBUTE: Final = "attribute:"
"""… and one with an extended attribute of the line, or else of the request: `attribute:engraving`."""


def _spelled(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """Spell the provider's words as they are compared."""
    found: dict[str, object] = {}
    for said, ours in written.items():
        if found.setdefault(plain(said), ours) != ours:
            raise InvalidValue(f"names {said!r} twice, if blanks and capitals are left out; keep one of the two")
    return MappingProxyType(found)


def _meaning(value: object, _: Source) -> Word | Literal["ignored"]:
    if value == IGNORED:
        return "ignored"
    try:
        return Word(str(value))
    except ValueError:
        raise InvalidValue(f"is not a word known here; choose one of {', '.join(Word)}, {IGNORED}") from None


def _encoding(value: object, _: Source) -> str:
    name = text(value)
    try:
        b"a".decode(name)
    except UnicodeError:
        return name
    except LookupError:
        raise InvalidValue("is no encoding; write one such as utf-8, latin-1, cp1252 or shift_jis") from None
    return name


def _delimiter(value: object, _: Source) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in '"\r\n ':
        raise InvalidValue('must be one character, as ";" or "\\t"; leave it out to have it found in each file')
    return value


def _inside(value: object, _: Source) -> str:
    name = text(value)
    if name.startswith(("/", "\\")) or {"", ".", ".."} & set(name.replace("\\", "/").split("/")):
        raise InvalidValue("must be a folder inside of `folder`; write its name, without .. and without / before it")
    return name


def _date_format(value: object, _: Source) -> str:
    form = text(value)
    try:
        datetime.strptime(datetime(2026, 11, 28, 13, 5).strftime(form), form)  # noqa: DTZ001, DTZ007 - the form alone
    except ValueError:
        raise InvalidValue("is no format of dates; write it as %d.%m.%Y or %m/%d/%Y %H:%M") from None
    return form


def _order_file(value: object, _: Source) -> str:
    name = text(value)
    rest = name.replace("{reference}", "").replace("{location}", "")
    if "{reference}" not in name or set(rest) & set("{}/\\") or name.startswith("."):
        raise InvalidValue(
            "must be a file's name with {reference} in it, as 940_{reference}.csv; {location} may be, too"
        )
    return name


def _of_an_order(value: object, _: Source) -> str:
    said = text(value)
    if said not in ORDER_FIELDS and not said.startswith((TEXT, ATTRIBUTE)):
        raise InvalidValue(
            f"is nothing of an order; write {TEXT}…, {ATTRIBUTE}NAME, or one of {', '.join(ORDER_FIELDS)}"
        )
    return said


def _heading(value: object, _: Source) -> str | int:
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 1_000:
        return value
    return text(value)


def _marker(value: object, _: Source) -> str:
    name = text(value)
    if not name.startswith(".") or not name[1:].replace("-", "").replace("_", "").isalnum():
        raise InvalidValue("must be how the name of a second file ends; write it as .done")
    return name


def _one(value: object, _: Source) -> int:
    if value != 1 or isinstance(value, bool):
        raise InvalidValue("can only be 1: a row is one unit; else name the column as columns.quantity")
    return 1


def _texts(read: Callable[[Any, Source], Any], **more: object) -> Kind:
    return Kind(read, {"type": "string", "minLength": 1, **more})


Encoding: TypeAlias = Annotated[str, _texts(_encoding)]
Delimiter: TypeAlias = Annotated[str, _texts(_delimiter, maxLength=1)]
Inside: TypeAlias = Annotated[str, _texts(_inside)]
OrderColumn: TypeAlias = Annotated[str, _texts(_of_an_order)]
Heading: TypeAlias = Annotated[str | int, Kind(_heading, {"type": ["string", "integer"]})]
_FROZEN: Final = Around(after=MappingProxyType)
SPELLED: Final = Around(after=_spelled)
"""Of a table whose keys are words of the provider's."""
Meaning: TypeAlias = Annotated[Word | Literal["ignored"], Kind(_meaning, {"enum": [*Word, IGNORED]})]


@dataclass(frozen=True)
class OrderFile(Readable):
    """What an order looks like as a file: a row for each product."""

    format: Format = "csv"
    """`csv`, or `ndjson`: a JSON object on each line."""
    file: Annotated[str, _texts(_order_file)] = ""
    """Its name, with `{reference}` in it. Without one it is `{reference}.csv`, or `.ndjson`."""
    delimiter: Delimiter = ","
    """What stands between two cells of a CSV."""
    encoding: Encoding = "utf-8"
    """How its characters are written."""
    columns: Annotated[Mapping[str, OrderColumn], _FROZEN] = field(default_factory=lambda: ORDER_COLUMNS)
    """The provider's headings, and what stands below them: request, reference, order, location, service_level, carrier,
    attributes, line, product, quantity, `ship_to.name` and the like, `attribute:NAME`, or `text:…` where it is always
    the same."""

    @property
    def name(self) -> str:
        return self.file or f"{{reference}}.{self.format}"


@dataclass(frozen=True)
class Form(Readable):
    """How files of one kind are read: what their columns and words mean."""

    _: KW_ONLY
    names: Text = "*"
    """Which files are of this kind, as `SHIP_*.csv`."""
    format: Format = "csv"
    """`csv`, or `ndjson`: a JSON object on each line."""
    delimiter: Annotated[str, _texts(_delimiter, maxLength=1)] = ""
    """What stands between cells. Without one it is found in each file, among comma, semicolon, tab and bar."""
    encoding: Encoding = "utf-8"
    """How its characters are written. A file with a byte that this encoding has not is put aside."""
    header_row: Annotated[int, whole(0, 100)] = 1
    """The row with the headings; 0 where there is none, and columns are counted from 1."""
    columns: Annotated[Mapping[Column, Heading], _FROZEN] = field(default_factory=dict)
    """Our words, and the headings (or numbers) of their columns. Ours are request, reference, order, provider_order,
    product, quantity, word, reason, carrier, tracking_number, tracking_url and date. In NDJSON `a.b` is `b` inside
    of `a`."""
    other_columns: tuple[Text, ...] | None = None
    """Which headings may stand beside those. Without it any may: new ones are read over."""
    words: Annotated[Mapping[str, Meaning], SPELLED] = field(default_factory=dict)
    """The provider's words in column `word`: accepted, rejected, cancelled, shipped, backordered, or ignored."""
    word: Word | None = None
    """What every row says, where there is no column `word`."""
    reasons: Annotated[Mapping[str, RejectionReason], SPELLED] = field(default_factory=dict)
    """Its words in column `reason` (or `word`): no_inventory, which empties the DC's stock, or cannot_fulfill."""
    reason: RejectionReason | None = None
    """The reason of every rejection, where no row tells it."""
    carrier: Text = ""
    """Who carries every parcel, where there is no column `carrier`."""
    quantity: Annotated[int, Kind(_one, {"enum": [1]})] | None = None
    """1 where each row is one unit, and no column counts them."""
    counts: Literal["increments", "totals"] = "increments"
    """Whether a row tells what is new, or how many there are by now."""
    whole_orders: Flag = False
    """`true` where rows name no product, and mean all units of the request that are open."""
    decimal: Literal[".", ","] = "."
    """What stands before a fraction: 2.0 or 2,0."""
    thousands: Literal["", ".", ",", " ", "'"] = ""
    """What stands between thousands: 1.000 or 1,000."""
    date_format: Annotated[str, _texts(_date_format)] = ""
    """As %d.%m.%Y. Without one dates are as ISO 8601 has them."""
    time_zone: TimeZone = "UTC"
    """Of dates that name none."""
    final_rejections: Flag = False
    """`true` where the provider never ships what it has rejected or cancelled. Else it is stopped first."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        if "forms" not in written:  # of several kinds, each is whole by itself
            for at, what in _gaps(written):
                yield Fault(at, what)

    def fits(self, name: str) -> bool:
        return fnmatchcase(name.casefold(), self.names.casefold())


def _gaps(written: Table) -> Iterator[tuple[tuple[str, ...], str]]:
    """Say what is missing to read files of one kind, or stands beside what says otherwise."""
    has = table_of(written, "columns").keys()
    if not has & set(NAMES):
        yield ("columns",), f"names no request; add the heading of one of {', '.join(NAMES)}"
    if ("word" in has) is ("word" in written):
        yield ("word",), "is missing; add it, or columns.word and words (and never both)"
    if "word" in has and not written.get("words"):
        yield ("words",), 'is missing; add what each word of columns.word means, as { SHP = "shipped" }'
    if ("product" in has) is bool(written.get("whole_orders")):
        yield ("columns", "product"), "is missing; add it, or whole_orders = true (and never both)"
    if "product" in has and ("quantity" in has) is ("quantity" in written):
        yield ("columns", "quantity"), "is missing; add it, or quantity = 1 where each row is one unit (and never both)"
    if written.get("whole_orders") and written.get("counts") == "totals":
        yield ("counts",), "needs products to count; remove it, or whole_orders"
    yield from _gaps_of_words(written, has)
    yield from _gaps_of_numbers(written)


def _gaps_of_words(written: Table, has: Any) -> Iterator[tuple[tuple[str, ...], str]]:
    said = {written.get("word"), *map(str, table_of(written, "words").values())}
    if Word.SHIPPED in said and "tracking_number" not in has:
        yield ("columns", "tracking_number"), "is missing; add the heading of what is shipped"
    if Word.SHIPPED in said and not written.get("carrier") and "carrier" not in has:
        yield ("columns", "carrier"), "is missing; add it, or carrier where all parcels go by one"
    if Word.REJECTED in said and not (written.get("reasons") or written.get("reason")):
        yield ("reasons",), "is missing for what is rejected; add what each means, or one reason for all"


def _gaps_of_numbers(written: Table) -> Iterator[tuple[tuple[str, ...], str]]:
    said = table_of(written, "columns").values()
    numbers = [each for each in said if isinstance(each, int)]
    if len(numbers) not in {0, len(said)} or bool(numbers) is not (written.get("header_row") == 0):
        yield ("columns",), "must be headings, or all be numbers beside header_row = 0; write them alike"
    if numbers and written.get("format") == "ndjson":
        yield ("columns",), "can't be numbers in NDJSON; write the names"


@dataclass(frozen=True)
class FilesSettings(ProviderSettings, Form):
    """A provider to which orders go as files, and which tells as files what became of them."""

    live: ClassVar = (
        ProviderSettings.live
        | {each.name for each in fields(Form)}
        | {"fetched", "file_names", "idempotent", "withdraw", "orders", "forms"}
    )

    folder: Folder
    """The folder that is shared with the provider. All others lie in it."""
    _: KW_ONLY
    outbox: Inside = "out"
    """Where orders are put for the provider."""
    inbox: Inside = "in"
    """Where the provider puts its files."""
    fetched: tuple[Inside, ...] = ()
    """Where the provider moves orders that it has fetched. Without it a look-up finds only the others."""
    marker: Annotated[str, _texts(_marker)] = ""
    """How the name of the empty file ends that follows a whole one, as `.done`. Without it files must stand still."""
    still_for: Annotated[float, seconds(30)] = 2.0
    """How long a file must stand still."""
    file_names: Literal["unique", "reused"] = "unique"
    """`reused` where a name comes again with other rows, as that of a file for each day."""
    idempotent: Flag = False
    """`true` where the provider takes an order once, however often its file comes."""
    withdraw: Flag = False
    """`true` where the provider moves or deletes an order file before it works the order."""
    orders: OrderFile = field(default_factory=OrderFile)
    """What an order looks like as a file."""
    forms: Mapping[str, Form] = field(default_factory=dict)
    """Kinds of files that differ; each has the keys above where it does not say else."""

    @classmethod
    def complete(cls, written: Table, source: Source) -> Table:
        """Tell each kind of file what is so of all."""
        completed = super().complete(written, source)
        common = {key: completed[key] for key in Form.keys().values() & completed.keys()}
        forms = completed.get("forms")
        if not isinstance(forms, dict):
            return completed
        told = {name: common | form if isinstance(form, dict) else form for name, form in forms.items()}
        return completed | {"forms": told}

    @property
    def address(self) -> str:
        return str(self.folder)

    def form_of(self, name: str) -> Form | None:
        """Find how a file is read; None where it is of no kind."""
        return next((form for form in self.forms.values() or (self,) if form.fits(name)), None)
