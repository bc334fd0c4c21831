from pathlib import Path

import pytest

from gateway.providers.files_settings import FilesSettings
from gateway.settings import Settings, SettingsError, change, load

SMALLEST = """
public_url = "https://gateway.example.com"
newstore = { tenant = "acme", client_id = "gateway", client_secret = "env:SECRET" }
"""
COLUMNS = {"reference": "Order No", "product": "SKU", "quantity": "Qty", "tracking_number": "T", "carrier": "C"}
WHOLE = """
adapter = "files"
folder = "shared"
columns = { word = "S", order = "No", product = "SKU", quantity = "Qty", tracking_number = "T", carrier = "C" }
words = { SHP = "shipped", "in  Transit" = "ignored" }
fetched = ["done/today"]
orders = { file = "940_{reference}.txt", columns = { "Order No" = "reference" } }
"""


def read(folder: Path, keys: str) -> Settings:
    (folder / "gateway.toml").write_text(f"{SMALLEST}[providers.acme]\n{keys}")
    return load(folder / "gateway.toml", {"SECRET": "s" * 20}, adapters={"files": FilesSettings})


def files_in(folder: Path, keys: str) -> FilesSettings:
    found = read(folder, keys).providers["acme"]
    assert isinstance(found, FilesSettings)
    return found


def test_a_provider_of_files_is_read(tmp_path: Path) -> None:
    told = files_in(tmp_path, WHOLE)
    assert (told.folder, told.address) == (tmp_path / "shared", str(tmp_path / "shared"))
    assert told.words == {"shp": "shipped", "in transit": "ignored"}
    assert (told.orders.name, told.orders.columns) == ("940_{reference}.txt", {"Order No": "reference"})
    assert (told.outbox, told.inbox, told.fetched, told.marker) == ("out", "in", ("done/today",), "")
    assert (told.encoding, told.delimiter, told.header_row, told.counts) == ("utf-8", "", 1, "increments")


def test_kinds_of_files_take_what_they_do_not_say_from_the_provider(tmp_path: Path) -> None:
    told = files_in(
        tmp_path,
        """
        adapter = "files"
        folder = "shared"
        encoding = "cp1252"
        quantity = 1
        columns = { order = "Auftrag", product = "Artikel" }
        [providers.acme.forms.rejections]
        names = "REJ*"
        word = "rejected"
        reason = "no_inventory"
        [providers.acme.forms.acceptances]
        names = "ACC*"
        word = "accepted"
        encoding = "utf-8"
        """,
    )
    rejections, acceptances = told.forms["rejections"], told.forms["acceptances"]
    assert (rejections.encoding, acceptances.encoding) == ("cp1252", "utf-8")
    assert rejections.columns == acceptances.columns == {"order": "Auftrag", "product": "Artikel"}
    assert told.form_of("rej_1.csv") is rejections
    assert told.form_of("acc_1.csv") is acceptances
    assert told.form_of("stock.csv") is None


def test_a_kind_of_files_that_is_not_whole_is_named_with_its_place(tmp_path: Path) -> None:
    forms = (
        '[providers.acme.forms.rejections]\nword = "rejected"\ncolumns = { order = "Auftrag", product = "Artikel" }\n'
    )
    quantity, reasons = faults(tmp_path, f'adapter = "files"\nfolder = "shared"\n{forms}')
    assert quantity.startswith("providers.acme.forms.rejections.columns.quantity: is missing; add it, or quantity = 1")
    assert reasons.startswith("providers.acme.forms.rejections.reasons: is missing for what is rejected")


def faults(folder: Path, keys: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(folder, keys)
    return list(caught.value.faults)


def columns(**said: str | int | None) -> str:
    told = {name: heading for name, heading in {**COLUMNS, **said}.items() if heading is not None}
    return "columns = { " + ", ".join(f"{name} = {heading!r}" for name, heading in told.items()) + " }\n"


SHIPPED = 'word = "shipped"\n'
FAULTY = [
    (columns(reference=None) + SHIPPED, "columns: names no request; add the heading of one of request, reference"),
    (columns(), "word: is missing; add it, or columns.word and words (and never both)"),
    (columns(word="S") + 'words = { a = "shipped" }\n' + SHIPPED, "word: is missing; add it, or columns.word and"),
    (columns(word="S"), 'words: is missing; add what each word of columns.word means, as { SHP = "shipped" }'),
    (columns(product=None, quantity=None) + SHIPPED, "columns.product: is missing; add it, or whole_orders = true"),
    (columns() + SHIPPED + "whole_orders = true", "columns.product: is missing; add it, or whole_orders = true (and"),
    (columns() + SHIPPED + "quantity = 1", "columns.quantity: is missing; add it, or quantity = 1 where each row"),
    (columns(quantity=None) + SHIPPED, "columns.quantity: is missing; add it, or quantity = 1 where each row is one"),
    (columns(tracking_number=None) + SHIPPED, "columns.tracking_number: is missing; add the heading of what is"),
    (columns(carrier=None) + SHIPPED, "columns.carrier: is missing; add it, or carrier where all parcels go by one"),
    (columns() + 'word = "rejected"', "reasons: is missing for what is rejected; add what each means, or one reason"),
    (columns(product=2) + SHIPPED, "columns: must be headings, or all be numbers beside header_row = 0; write them"),
    (columns() + SHIPPED + "header_row = 0", "columns: must be headings, or all be numbers beside header_row = 0"),
    (columns() + SHIPPED + 'delimiter = ";;"', 'delimiter: must be one character, as ";" or "\\t"; leave it out to'),
    (columns() + SHIPPED + 'encoding = "utf8mb4"', "encoding: is no encoding; write one such as utf-8, latin-1,"),
    (columns() + SHIPPED + 'encoding = "base64"', "encoding: is no encoding; write one such as utf-8, latin-1, cp1252"),
    (columns() + SHIPPED + 'date_format = "%Q"', "date_format: is no format of dates; write it as %d.%m.%Y or"),
    (columns() + SHIPPED + 'time_zone = "Berlin"', "time_zone: is not a time zone; did you mean Europe/Berlin?"),
    (columns(word="S") + 'words = { A = "shipped", "a " = "accepted" }', "words: names 'a ' twice, if blanks and"),
    (columns(word="S") + 'words = { SHP = "sent" }', "words.SHP: is not a word known here; choose one of accepted,"),
    (columns(sku="S") + SHIPPED, "columns.sku: is not a word known here; choose one of request, reference,"),
    (columns() + SHIPPED + "quantity = 2", "quantity: can only be 1: a row is one unit; else name the column"),
    (columns() + SHIPPED + 'inbox = "../in"', "inbox: must be a folder inside of `folder`; write its name, without .."),
    (columns() + SHIPPED + 'outbox = "/out"', "outbox: must be a folder inside of `folder`; write its name, without"),
    (columns() + SHIPPED + 'fetched = ["a/../.."]', "fetched[0]: must be a folder inside of `folder`; write its name"),
    (columns() + SHIPPED + 'marker = "done"', "marker: must be how the name of a second file ends; write it as .done"),
    (columns() + SHIPPED + 'orders.file = "a.csv"', "orders.file: must be a file's name with {reference} in it, as"),
    (columns() + SHIPPED + 'orders.file = "../{reference}"', "orders.file: must be a file's name with {reference} in"),
    (columns() + SHIPPED + 'orders.columns.a = "sku"', "orders.columns.a: is nothing of an order; write text:…,"),
]  # fmt: skip


@pytest.mark.parametrize(("keys", "fault"), FAULTY)
def test_settings_that_can_not_be_used_are_named_with_what_to_do(tmp_path: Path, keys: str, fault: str) -> None:
    told = faults(tmp_path, f'adapter = "files"\nfolder = "shared"\n{keys}\n')
    assert any(each.startswith(f"providers.acme.{fault}") for each in told), told


def test_all_but_where_the_files_lie_changes_while_the_gateway_runs(tmp_path: Path) -> None:
    old = read(tmp_path, WHOLE)
    new = read(tmp_path, WHOLE.replace('"in  Transit"', '"moving"').replace('"shared"', '"other"'))
    _, told = change(old, new)
    assert told.changed == ["providers.acme.words"]
    assert told.needs_restart == ["providers.acme.folder"]


def test_the_settings_on_the_page_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "gateway" / "providers" / "README.md").read_text()
    shown = page.partition("## Files")[2].partition("| folder |")[0]
    toml = "\n".join(line.removeprefix("    ") for line in shown.splitlines() if line.startswith("    "))
    (tmp_path / "gateway.toml").write_text(SMALLEST + toml)
    read = load(tmp_path / "gateway.toml", {"SECRET": "s" * 20}, adapters={"files": FilesSettings})
    told = read.providers["acme-3pl"]
    assert isinstance(told, FilesSettings)
    assert told.words == {"sent": "shipped", "short": "rejected", "awaited": "backordered", "in transit": "ignored"}
