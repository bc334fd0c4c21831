"""Propose how the files of a provider are read, from one of them: a person checks it, and says what the words mean.

A column is known by its heading, in some languages, or else by what stands in it.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path, PurePath
from typing import Final

from gateway.settings.kinds import Source
from gateway.settings.tables import HEADING, read

from . import files_reading, rows
from .files_settings import FilesSettings
from .port import Malformed, Unreadable

MAP_ME: Final = "map me"
"""What stands where only a person can say what a word means; it is no setting, so nobody forgets it."""

_HEADINGS: Final[Mapping[str, str]] = {
    "request": "fulfillmentrequestid fulfillmentrequest newstoreid newstorerequest requestid",
    "reference": (
        "reference ref ourreference customerreference clientreference customerref clientref externalid "
        "externalreference externalorderid referenz kundenreferenz referencia référence référenceclient "
        "riferimento purchaseorder po ponumber pono"
    ),
    "order": (
        "order orderid orderno ordernumber ordernr orderref salesorder salesorderno salesordernumber so "
        "auftrag auftragsnummer auftragsnr bestellung bestellnummer bestellnr commande numérocommande "
        "numérodecommande nocommande pedido númeropedido númerodepedido ordine numeroordine ordernummer 注文番号 "
        "受注番号"
    ),
    "product": (
        "product productid productcode productno sku sellersku item itemid itemno itemnumber itemcode article "
        "articleno artikel artikelnummer artikelnr article codearticle référencearticle artículo articulo "
        "código articolo codicearticolo material ean gtin upc style 商品コード 商品番号"
    ),
    "quantity": (
        "quantity qty quantityshipped qtyshipped shippedqty shippedquantity units pieces pcs menge anzahl "
        "stück stückzahl quantité qté cantidad quantità quantita aantal 数量 出荷数 出荷数量"
    ),
    "word": (
        "status state orderstatus linestatus itemstatus shipmentstatus statuscode event eventtype zustand "
        "statut estado stato ステータス 状態"
    ),
    "reason": (
        "reason reasoncode rejectionreason rejectreason cancelreason cancellationreason grund ablehnungsgrund "
        "motif raison motivo reden 理由"
    ),
    "carrier": (
        "carrier carriername carriercode shippingcarrier courier shipper spediteur frachtführer "
        "versanddienstleister paketdienst transporteur transportista corriere vervoerder 運送会社 配送業者 配送業者名"
    ),
    "tracking_number": (
        "tracking trackingnumber trackingno trackingnr trackingid trackingcode trackingref awb waybill "
        "sendungsnummer sendungsnr trackingnummer numérodesuivi nosuivi suivi númerodeseguimiento seguimiento "
        "codicetracking お問い合わせ伝票番号 伝票番号 追跡番号"
    ),
    "tracking_url": "trackingurl trackinglink trackinguri suiviurl",
    "date": (
        "date shipdate shippeddate shippingdate dispatchdate fulfillmentdate occurredat shippedat datum "
        "versanddatum fecha fechaenvío dateexpédition dateenvoi data dataspedizione verzenddatum 出荷日 発送日"
    ),
}
_LINE: Final = re.compile("(order)?(item|line)(seq)?(id|no|nr|number)?|position|pos|注文商品番号")
"""How a heading looks of what counts the lines of an order, and is no product."""
_OF_AN_ADDRESS: Final = re.compile("city|zip|zipcode|postcode|postalcode|plz|ort|ville|ciudad|città")
_KNOWN: Final = {word: ours for ours, words in _HEADINGS.items() for word in words.split()}
_LOOKS: Final = {
    "request": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE),
    "reference": re.compile(r"NS[0-9A-Z]{14}(-\d+)?", re.IGNORECASE),
    "tracking_number": re.compile(r"1Z[0-9A-Z]{16}|[A-Z]{2}\d{9}[A-Z]{2}|JJ?D\d{16,18}|\d{12,22}", re.IGNORECASE),
    "tracking_url": re.compile(r"https?://\S+"),
    "quantity": re.compile(r"\d{1,3}([.,]0+)?"),
}
"""How what stands in a column looks, where its heading says nothing."""
_DATES: Final = (
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%Y%m%d",
)
_TIMES: Final = ("", " %H:%M", " %H:%M:%S", " %I:%M %p")
_HEADER_ROWS: Final = 10
_MOST_WORDS: Final = 50
_JAPANESE: Final = re.compile("[\u3040-\u30ff\u4e00-\u9fff]")


@dataclass(slots=True)
class Proposal:
    """What was found, what only a person can say, and what the provider should be asked."""

    format: str = "csv"
    encoding: str = "utf-8"
    delimiter: str = ""
    header_row: int = 1
    columns: dict[str, str] = field(default_factory=dict)
    guessed: list[str] = field(default_factory=list)
    """Which of the columns were known by what stands in them alone."""
    others: list[str] = field(default_factory=list)
    words: dict[str, int] = field(default_factory=dict)
    """What stands in the column `word`, and in how many rows."""
    reasons: dict[str, int] = field(default_factory=dict)
    word: str = ""
    of_lines: bool = False
    """Rows are lines of an order, and none of them names a product."""
    decimal: str = "."
    date_format: str = ""
    notes: list[str] = field(default_factory=list)

    @property
    def toml(self) -> str:
        return _toml(self)

    @property
    def told(self) -> dict[str, object]:
        """Give all of it for programs."""
        return {**asdict(self), "toml": self.toml}


def propose(body: bytes, name: str = "") -> Proposal:
    """Look at a file. Raises `Malformed` where there is nothing to see."""
    found = Proposal(encoding=_encoding(body))
    text = rows.text_of(body, found.encoding)
    if not text.strip():
        raise Malformed("file", "is empty: take one with some rows")
    if text.lstrip().startswith("{") and PurePath(name).suffix != ".csv":
        found.format = "ndjson"
        header, table = _objects(text)
    else:
        text = _with_lines(text, found)
        header, table = _cells(text, found)
    _find_columns(found, header, table)
    _look_at_values(found, dict(zip(header, _transposed(table, len(header)), strict=False)))
    _try(found, text)
    return found


def _encoding(body: bytes) -> str:
    """Find how characters are written: as Unicode where they can be, else as in Japan, or in the west."""
    for mark, name in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if body.startswith(mark):
            return name
    tried = {}
    for name in ("utf-8", "cp932", "cp1252"):
        try:
            tried[name] = body.decode(name)
        except UnicodeDecodeError:
            continue
    if "utf-8" in tried:
        return "utf-8"
    if "cp932" in tried and ("cp1252" not in tried or _JAPANESE.search(tried["cp932"])):
        return "cp932"
    return "cp1252" if "cp1252" in tried else "latin-1"


def _with_lines(text: str, found: Proposal) -> str:
    """Break one long line where its rows end with something else, so that the columns can be seen."""
    lines = text.strip().splitlines()
    parts = [part for part in lines[0].split(";") if part]
    if len(lines) == 1 and len(parts) > 1 and len({part.count(",") for part in parts}) == 1 and "," in lines[0]:
        found.notes.append(
            "its rows end with ; and not with the line. That can't be read: have it sent with each row on a line"
        )
        return "\n".join(parts)
    return text


def _cells(text: str, found: Proposal) -> tuple[list[str], list[list[str]]]:
    """Find the delimiter and the header: where most headings are known, or else where most columns are."""

    def rank(tried: tuple[str, int, list[str]]) -> tuple[int, int, int]:
        _, at, cells = tried
        return len({ours_of(cell) for cell in cells} - {""}), len(cells), at if at and any(map(ours_of, cells)) else -at

    tried = []
    for delimiter in rows.DELIMITERS:
        for at, (_, cells, _) in enumerate(rows.csv_rows(text, delimiter)):
            if at == _HEADER_ROWS:
                break
            tried.append((delimiter, at, cells or []))
    found.delimiter, at, header = max(tried, key=rank)
    found.header_row = at + 1
    if at:
        found.notes.append(f"its header is row {at + 1}; what stands above it is kept with each row, and not read")
    table = [
        cells for _, cells, _ in rows.csv_rows(text, found.delimiter) if cells is None or any(map(str.strip, cells))
    ]
    return [cell.strip() for cell in header], [cells or [] for cells in table[at + 1 :]]


def _objects(text: str) -> tuple[list[str], list[list[str]]]:
    """Take the names in objects for headings."""
    flat = []
    for line in filter(str.strip, text.splitlines()):
        try:
            document = json.loads(line)
        except ValueError:
            continue
        if isinstance(document, dict):
            flat.append(dict(_leaves(document, "")))
    header = list(dict.fromkeys(name for each in flat for name in each))
    return header, [[each.get(name, "") for name in header] for each in flat]


def _leaves(document: Mapping[str, object], path: str) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", "" if value is None else str(value)


def _transposed(table: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    return [[row[at].strip() for row in table if len(row) > at and row[at].strip()] for at in range(width)]


def ours_of(heading: str) -> str:
    """Tell what a heading says; empty where it is none that is known."""
    return _KNOWN.get(_bare(heading)) or _KNOWN.get(_bare(heading.rpartition(".")[2]), "")


def _bare(heading: str) -> str:
    return re.sub(r"[\W_]", "", heading).casefold()


def _find_columns(found: Proposal, header: Sequence[str], table: Sequence[Sequence[str]]) -> None:
    """Take of several headings that say the same the one of which most is filled, and tell the others."""
    values = dict(zip(header, _transposed(table, len(header)), strict=False))
    has_address = any(_OF_AN_ADDRESS.fullmatch(_bare(heading)) for heading in header)
    for heading in sorted(filter(None, header), key=lambda each: -len(values[each])):
        ours = _named_by_values(values[heading]) or ours_of(heading)
        if ours == "word" and has_address and _bare(heading) in {"state", "estado", "stato"}:
            continue
        if ours and ours not in found.columns:
            found.columns[ours] = heading
        elif ours:
            found.notes.append(f"{heading!r} may say {ours}, too: it is taken from {found.columns[ours]!r}")
    for heading in filter(None, header):
        ours = "" if heading in found.columns.values() else _look(values[heading], found.columns)
        if ours:
            found.columns[ours] = heading
            found.guessed.append(ours)
    found.columns = {ours: found.columns[ours] for ours in _HEADINGS if ours in found.columns}
    named = [values[found.columns[ours]] for ours in ("request", "reference", "order") if ours in found.columns]
    lines = [heading for heading in header if _LINE.fullmatch(_bare(heading))]
    if "product" not in found.columns:
        found.of_lines = bool(lines) or "quantity" in found.columns or any(len(set(each)) < len(each) for each in named)
    if lines and "product" not in found.columns:
        found.notes.append(
            f"{lines[0]!r} seems to count the lines of an order: have the product's id sent, as NewStore has it"
        )
    found.others = [heading for heading in header if heading and heading not in found.columns.values()]


def _named_by_values(values: Sequence[str]) -> str:
    """Tell a column with ids of NewStore's or ours, whatever it is called."""
    for ours in ("reference", "request"):
        if values and all(_LOOKS[ours].fullmatch(value) for value in values):
            return ours
    return ""


def _look(values: Sequence[str], known: Mapping[str, str]) -> str:
    for ours in ("tracking_number", "tracking_url", "quantity"):
        if ours not in known and values and all(_LOOKS[ours].fullmatch(value) for value in values):
            return ours
    return "date" if "date" not in known and list(_forms_of(values)) else ""


def _look_at_values(found: Proposal, values: Mapping[str, Sequence[str]]) -> None:
    def of(ours: str) -> Sequence[str]:
        return values.get(found.columns.get(ours, ""), ())

    found.words = dict(Counter(of("word")).most_common(_MOST_WORDS))
    found.reasons = dict(Counter(of("reason")).most_common(_MOST_WORDS))
    if "word" not in found.columns:
        found.word = "shipped" if "tracking_number" in found.columns else "rejected" if found.reasons else MAP_ME
    if any("," in value for value in of("quantity")):
        found.decimal = ","
    forms = list(_forms_of(of("date")))
    found.date_format = forms[0] if forms else ""
    if len(forms) > 1:
        found.notes.append(f"its dates may be written as {' or as '.join(forms)}: ask which")
    if any(re.search(r"[|;,]", value) for value in of("tracking_number")):
        found.notes.append(
            "some cells name several tracking numbers. Nobody can tell which unit is in which parcel: "
            "have a row sent for what is in each"
        )
    if any(" | " in value for value in of("product")):
        found.notes.append(
            f"cells of {found.columns['product']!r} hold more than an id, as 'SKU | name': "
            "have the id sent in a column of its own, or no product will be found"
        )


def _forms_of(values: Sequence[str]) -> Iterator[str]:
    """Give the formats in which all of these are dates; none where they are as ISO 8601 has them, and that is all."""
    if not values:
        return
    if all(_is_date(value, "") for value in values):
        yield ""
        return
    for form in (f"{date}{time}" for date in _DATES for time in _TIMES):
        if all(_is_date(value, form) for value in values):
            yield form


def _is_date(value: str, form: str) -> bool:
    try:
        moment = datetime.strptime(value, form) if form else datetime.fromisoformat(value)  # noqa: DTZ007 - no time is told
    except ValueError:
        return False
    return 2000 <= moment.year < 2100


def _try(found: Proposal, text: str) -> None:
    """Read the file by what was found, as if its words meant something, and tell what can't be read."""
    told, has = _missing(found), found.columns.keys()
    found.notes += told.values()
    if "request" in told:
        return
    word = "shipped" if {"tracking_number"} <= has else "accepted"
    written: dict[str, object] = {
        HEADING: "sample", "adapter": "files", "folder": "sample",
        "format": found.format, "header_row": found.header_row,
        "columns": dict(found.columns), "decimal": found.decimal,
        **({"delimiter": found.delimiter} if found.delimiter else {}),
        **({"date_format": found.date_format} if found.date_format else {}),
        **({} if "carrier" in has else {"carrier": "any"}),
        **({} if "product" in has else {"whole_orders": True}),
        **({"quantity": 1} if "product" in has and "quantity" not in has else {}),
        **({"words": dict.fromkeys(found.words or [MAP_ME], word)} if "word" in has else {"word": word}),
    }  # fmt: skip
    settings = read(FilesSettings, written, Source(Path(), {}, adapters={"files": FilesSettings}))
    readings = files_reading.read(settings, "sample", text.encode())
    bad = [each for each in readings if isinstance(each, Unreadable)]
    found.notes += [f"{each.place} would be put aside: {each.what}" for each in bad[:5]]
    if len(bad) > 5:
        found.notes.append(f"so would {len(bad) - 5} more rows")


def _missing(found: Proposal) -> dict[str, str]:
    """Say what the provider should be asked for."""
    has, told = found.columns.keys(), dict[str, str]()
    if not has & {"request", "reference", "order", "provider_order"}:
        told["request"] = "no column names the request: ask for our reference (NS…) in each row"
    if "product" not in has:
        told["product"] = "no column names the product: a row can only mean all that is open of a request"
        if found.of_lines:
            told["product"] += ", and these seem to be about less: ask for the product"
    elif "quantity" not in has:
        told["quantity"] = "no column counts the units: ask whether each row is one"
    if "tracking_number" in has and "carrier" not in has:
        told["carrier"] = "no column names the carrier: ask for it, or write the one that there is"
    return told


def _toml(found: Proposal) -> str:
    """Write the tables to paste, with what to check beside each line."""
    lines = ["[providers.NAME]", 'adapter = "files"', 'folder = "/srv/NAME"  # its in/ and out/ must be there']
    lines += [f'format = "{found.format}"'] if found.format != "csv" else []
    lines += [f"encoding = {json.dumps(found.encoding)}"] if found.encoding != "utf-8" else []
    lines += [f"delimiter = {json.dumps(found.delimiter)}"] if found.delimiter else []
    lines += [f"header_row = {found.header_row}"] if found.header_row != 1 else []
    has = found.columns.keys()
    if "word" not in has:
        lines.append(f"word = {json.dumps(found.word)}  # CHECK: is this what every row says?")
    if found.word == "rejected" and not found.reasons:
        lines.append(f"reason = {json.dumps(MAP_ME)}  # no_inventory (empties the DC's stock) or cannot_fulfill")
    if "tracking_number" in has and "carrier" not in has:
        lines.append(f"carrier = {json.dumps(MAP_ME)}  # who carries every parcel")
    if "product" not in has:
        comment = "# " if found.of_lines else ""
        lines.append(f"{comment}whole_orders = true  # CHECK: a row means all units of the request that are open")
    elif "quantity" not in has:
        lines.append("quantity = 1  # CHECK: is each row one unit?")
    lines += [f"decimal = {json.dumps(found.decimal)}"] if found.decimal != "." else []
    lines += [f"date_format = {json.dumps(found.date_format)}  # CHECK"] if found.date_format else []
    if "date" in has:
        lines.append('# time_zone = "Europe/Berlin"  # of its dates, where that is not UTC')
    lines += [
        "# final_rejections = true  # only if it never ships what it has rejected",
        "",
        "[providers.NAME.columns]",
    ]
    lines += [
        f"{ours} = {json.dumps(name, ensure_ascii=False)}{_check(found, ours)}" for ours, name in found.columns.items()
    ]
    if found.others:
        lines.append(f"# read over: {', '.join(json.dumps(each, ensure_ascii=False) for each in found.others)}")
    if found.words or "word" in has:
        lines += ["", "[providers.NAME.words]  # accepted, rejected, cancelled, shipped, backordered, or ignored"]
        lines += _counted(found.words)
    if found.reasons:
        lines += ["", "[providers.NAME.reasons]  # no_inventory (empties the DC's stock) or cannot_fulfill"]
        lines += _counted(found.reasons)
    return "\n".join(lines) + "\n"


def _counted(words: Mapping[str, int]) -> list[str]:
    return [
        f"{json.dumps(word, ensure_ascii=False)} = {json.dumps(MAP_ME)}  # in {count} row{'s' if count > 1 else ''}"
        for word, count in words.items()
    ]


def _check(found: Proposal, ours: str) -> str:
    if ours in found.guessed:
        return "  # CHECK: guessed by what stands in it"
    if ours == "order":
        return "  # CHECK: NewStore's number of the order? If it is ours write reference, if its own provider_order"
    return ""
