"""What `[providers.NAME]` says of a provider whose adapter is `files`."""

import codecs
import zoneinfo
from collections.abc import Iterator, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gateway.domain.commands import RejectionReason, SameParcel, Word

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
    "reference": "reference", "order": "order", "service_level": "service_level", "carrier": "carrier",
    "line": "line", "product": "product", "quantity": "quantity", "attributes": "attributes",
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


def _words(value: object) -> object:
    if not isinstance(value, dict):
        return value
    found: dict[str, object] = {}
    for said, ours in value.items():
        if found.setdefault(plain(str(said)), ours) != ours:
            raise ValueError(f"names {said!r} twice, if blanks and capitals are left out; keep one of the two")
    return found


def _encoding(value: str) -> str:
    try:
        is_text = codecs.lookup(value)._is_text_encoding  # noqa: SLF001 - as bytes.decode asks
    except LookupError:
        is_text = False
    if not is_text:
        raise ValueError("is no encoding; write one such as utf-8, latin-1, cp1252 or shift_jis")
    return value


def _delimiter(value: str) -> str:
    if value and (len(value) != 1 or value in '"\r\n '):
        raise ValueError('must be one character, as ";" or "\\t"; leave it out to have it found in each file')
    return value


def _place(value: str) -> str:
    if (
        not value
        or value.startswith((".", "/"))
        or "\\" in value
        or ".." in value.split("/")
        or not value.isprintable()
    ):
        raise ValueError("must be a folder inside of `folder`; write its name, without .. and without / before it")
    return value


def _time_zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is not a time zone; use an IANA name such as Europe/Berlin") from None
    return value


def _date_format(value: str) -> str:
    try:
        datetime.strptime(datetime(2026, 11, 28, 13, 5).strftime(value), value)  # noqa: DTZ001, DTZ007 - the form alone
    except ValueError:
        raise ValueError("is no format of dates; write it as %d.%m.%Y or %m/%d/%Y %H:%M") from None
    return value


def _order_file(value: str) -> str:
    rest = value.replace("{reference}", "").replace("{location}", "")
    if "{reference}" not in value or set(rest) & set("{}/\\") or value.startswith(".") or not value.isprintable():
        raise ValueError(
            "must be a file name with {reference} in it, as 940_{reference}.csv; it may have {location}, too"
        )
    return value


def _order_column(value: str) -> str:
    if value not in ORDER_FIELDS and not value.startswith((TEXT, ATTRIBUTE)):
        raise ValueError(
            f"is nothing of an order; write {TEXT}… , {ATTRIBUTE}NAME, or one of {', '.join(ORDER_FIELDS)}"
        )
    return value


Encoding = Annotated[str, AfterValidator(_encoding)]
Delimiter = Annotated[str, AfterValidator(_delimiter)]
Place = Annotated[str, AfterValidator(_place)]
OrderColumn = Annotated[str, AfterValidator(_order_column)]
_FROZEN: Final = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class OrderFile(BaseModel):
    """What an order looks like as a file: a row for each product."""

    model_config = _FROZEN

    format: Format = "csv"
    """`csv`, or `ndjson`: a JSON object on each line."""
    file: Annotated[str, AfterValidator(_order_file)] = ""
    """Its name, with `{reference}` in it. Without one it is `{reference}.csv`, or `.ndjson`."""
    delimiter: Delimiter = ","
    """What stands between two cells of a CSV."""
    encoding: Encoding = "utf-8"
    """How its characters are written."""
    columns: Mapping[str, OrderColumn] = Field(default_factory=ORDER_COLUMNS.copy)
    """The provider's headings, each with what of the order stands below it."""

    @property
    def name(self) -> str:
        return self.file or f"{{reference}}.{self.format}"


class Form(BaseModel):
    """How files of one kind are read: what their columns and words mean."""

    model_config = _FROZEN

    names: str = "*"
    """Which files are of this kind, as "SHIP_*.csv"."""
    format: Format = "csv"
    """`csv`, or `ndjson`: a JSON object on each line."""
    delimiter: Delimiter = ""
    """Of a CSV. Without one it is found among , ; tab and | in each file."""
    encoding: Encoding = "utf-8"
    """How its characters are written. A file with a byte that this encoding has not is put aside."""
    header_row: Annotated[int, Field(ge=0, le=100)] = 1
    """The row with the headings; 0 where there is none, and columns are counted from 1."""
    columns: Mapping[Column, str | int] = Field(default_factory=dict)
    """What we need to know, each with the heading (or number) of its column. In NDJSON `a.b` is `b` inside of `a`."""
    other_columns: tuple[str, ...] | None = None
    """Which headings may stand beside those. Without it any may: new ones are read over."""
    words: Annotated[Mapping[str, Word | Literal["ignored"]], BeforeValidator(_words)] = Field(default_factory=dict)
    """The provider's words in column `word`: accepted, rejected, cancelled, shipped, or ignored."""
    word: Word | None = None
    """What every row says, where there is no column `word`."""
    reasons: Annotated[Mapping[str, RejectionReason], BeforeValidator(_words)] = Field(default_factory=dict)
    """Its words in column `reason` (or `word`): no_inventory, which empties the DC's stock, or cannot_fulfill."""
    reason: RejectionReason | None = None
    """The reason of every rejection, where no row tells it."""
    carrier: str = ""
    """Who carries every parcel, where there is no column `carrier`."""
    quantity: Literal[1] | None = None
    """1 where each row is one unit, and no column counts them."""
    counts: Literal["increments", "totals"] = "increments"
    """Whether a row tells what is new, or how many there are by now."""
    whole_orders: bool = False
    """`true` where rows name no product, and mean all units of the request that are open."""
    decimal: Literal[".", ","] = "."
    """What stands before a fraction: 2.0 or 2,0."""
    thousands: Literal["", ".", ",", " ", "'"] = ""
    """What stands between thousands: 1.000 or 1,000."""
    date_format: Annotated[str, AfterValidator(_date_format)] = ""
    """As %d.%m.%Y. Without one dates are as ISO 8601 has them."""
    time_zone: Annotated[str, AfterValidator(_time_zone)] = "UTC"
    """Of dates that name none."""
    final_rejections: bool = False
    """`true` where the provider never ships what it has rejected or cancelled. Else it is stopped first."""

    @model_validator(mode="after")
    def _is_whole(self) -> "Form":
        if wrong := list(self.gaps()):
            raise ValueError("; ".join(wrong))
        return self

    def gaps(self) -> Iterator[str]:
        """Say what is missing to read a file of this kind, or stands beside what says otherwise."""
        has = self.columns.keys()
        if not has & set(NAMES):
            yield f"columns names no request; add the heading of one of {', '.join(NAMES)}"
        if ("word" in has) is (self.word is not None):
            yield "word is missing; add it, or columns.word and words (and never both)"
        if "word" in has and not self.words:
            yield 'words is missing; add what each word of columns.word means, as { SHP = "shipped" }'
        if ("product" in has) is self.whole_orders:
            yield "columns.product is missing; add it, or whole_orders = true (and never both)"
        if "product" in has and ("quantity" in has) is (self.quantity is not None):
            yield "columns.quantity is missing; add it, or quantity = 1 where each row is one unit (and never both)"
        if self.whole_orders and self.counts == "totals":
            yield 'counts = "totals" needs products to count; remove it, or whole_orders'
        yield from self._gaps_of_words()
        yield from self._gaps_of_numbers()

    def _gaps_of_words(self) -> Iterator[str]:
        said, has = {self.word, *self.words.values()}, self.columns.keys()
        if Word.SHIPPED in said and "tracking_number" not in has:
            yield "columns.tracking_number is missing; add the heading of what is shipped"
        if Word.SHIPPED in said and not self.carrier and "carrier" not in has:
            yield "columns.carrier is missing; add it, or carrier where all parcels go by one"
        if Word.REJECTED in said and not (self.reasons or self.reason):
            yield "reasons is missing for what is rejected; add what each means, or one reason for all"

    def _gaps_of_numbers(self) -> Iterator[str]:
        numbers = [each for each in self.columns.values() if isinstance(each, int)]
        if len(numbers) not in {0, len(self.columns)} or bool(numbers) is not (self.header_row == 0):
            yield "columns must be headings, or all be numbers beside header_row = 0; write them alike"
        if numbers and (min(numbers) < 1 or self.format == "ndjson"):
            yield "columns can't have these numbers; count the columns of a CSV from 1"

    def fits(self, name: str) -> bool:
        return fnmatchcase(name.casefold(), self.names.casefold())


class FilesSettings(Form):
    """A provider to which orders go as files, and which tells as files what became of them."""

    name: str
    adapter: str = "files"
    timeout: Annotated[float, Field(gt=0, le=20)] = 15.0
    concurrency: Annotated[int, Field(ge=1)] = 16
    calls_per_second: Annotated[float, Field(gt=0)] = 50.0
    same_parcel: SameParcel = SameParcel.ANOTHER_PIECE
    carriers: Mapping[str, str] = Field(default_factory=dict)

    folder: Path
    """The folder that is shared with the provider. All others lie in it."""
    outbox: Place = "out"
    """Where orders are put for the provider."""
    inbox: Place = "in"
    """Where the provider puts its files."""
    fetched: tuple[Place, ...] = ()
    """Where the provider moves orders that it has fetched. Without it a look-up finds only the others."""
    marker: Annotated[str, Field(pattern=r"^(\.[A-Za-z0-9_-]+)?$")] = ""
    """How the name of the empty file ends that follows a whole one, as `.done`. Without it files must stand still."""
    still_for: Annotated[float, Field(gt=0, le=3600)] = 2.0
    """How many seconds a file must stand still."""
    file_names: Literal["unique", "reused"] = "unique"
    """`reused` where a name comes again with other rows, as that of a file for each day."""
    idempotent: bool = False
    """`true` where the provider takes an order once, however often its file comes."""
    withdraw: bool = False
    """`true` where the provider moves or deletes an order file before it works the order."""
    orders: OrderFile = Field(default_factory=OrderFile)
    """What an order looks like as a file."""
    forms: Mapping[str, Form] = Field(default_factory=dict)
    """Kinds of files that differ; each has the keys above where it does not say else."""

    @model_validator(mode="before")
    @classmethod
    def _with_common_keys(cls, written: Any) -> Any:
        forms = written.get("forms") if isinstance(written, dict) else None
        if not isinstance(forms, dict):
            return written
        common = {key: written[key] for key in Form.model_fields.keys() & written.keys()}
        return written | {"forms": {name: common | form for name, form in forms.items() if isinstance(form, dict)}}

    def gaps(self) -> Iterator[str]:
        if not self.forms:
            yield from super().gaps()

    def form_of(self, name: str) -> Form | None:
        """Find how a file is read; None where it is of no kind."""
        return next((form for form in self.forms.values() or (self,) if form.fits(name)), None)
