import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from gateway.providers.files_mapping import MAP_ME, propose
from gateway.providers.port import Malformed
from tests.providers.files import read

SAMPLES = os.environ.get("CSV_SAMPLES", "")
GERMAN = (
    "Auftragsnummer;Artikelnummer;Menge;Status;Grund;Sendungsnummer;Paketdienst;Versanddatum;Größe\n"
    "NS0123456789ABCD;A-1;2,0;VERSANDT;;1Z999AA10123456784;DHL;28.11.2026;groß\n"
    "NS0123456789ABCE;A-2;1,0;FEHLT;Fehlbestand;;;28.11.2026;klein\n"
    "NS0123456789ABCF;A-3;1,0;VERSANDT;;1Z999AA10123456785;DHL;28.11.2026;\n"
)


def keys_of(toml: str) -> dict[str, Any]:
    found: dict[str, Any] = tomllib.loads(toml)["providers"]["NAME"]
    return found


def test_a_file_in_german_is_known_by_its_headings_and_values() -> None:
    found = propose(GERMAN.encode("cp1252"))
    assert (found.encoding, found.delimiter, found.header_row, found.decimal) == ("cp1252", ";", 1, ",")
    assert found.columns == {
        "reference": "Auftragsnummer", "product": "Artikelnummer", "quantity": "Menge", "word": "Status",
        "reason": "Grund", "carrier": "Paketdienst", "tracking_number": "Sendungsnummer", "date": "Versanddatum",
    }  # fmt: skip
    assert (found.date_format, found.others) == ("%d.%m.%Y", ["Größe"])
    assert found.words == {"VERSANDT": 2, "FEHLT": 1}
    assert found.reasons == {"Fehlbestand": 1}


def test_what_is_proposed_reads_the_file_once_the_words_are_mapped() -> None:
    keys = keys_of(propose(GERMAN.encode("cp1252")).toml)
    assert keys["words"] == {"VERSANDT": MAP_ME, "FEHLT": MAP_ME}
    mapped = {"words": {"VERSANDT": "shipped", "FEHLT": "rejected"}, "reasons": {"Fehlbestand": "no_inventory"}}
    said = {key: each for key, each in (keys | mapped).items() if key not in {"adapter", "folder"}}
    shipped, rejected, _ = read(GERMAN.encode("cp1252"), **said)
    assert (shipped.event_id, rejected.event_id) == ("F.csv#2", "F.csv#3")


def test_a_word_that_nobody_has_mapped_is_no_setting() -> None:
    keys = {
        key: each for key, each in keys_of(propose(GERMAN.encode()).toml).items() if key not in {"adapter", "folder"}
    }
    with pytest.raises(ValueError, match="is not a word known here; choose one of accepted"):
        read(GERMAN, **keys)


def test_columns_are_known_by_what_stands_in_them_where_their_headings_say_nothing() -> None:
    body = "a,b,c,d,e\nb7a0c1de-52f4-4d0e-9a51-000000000001,TEE,2,1Z999AA10123456784,2026-11-28\n"
    found = propose(body.encode())
    assert found.columns == {"request": "a", "quantity": "c", "tracking_number": "d", "date": "e"}
    assert found.guessed == ["quantity", "tracking_number", "date"]
    assert "CHECK: guessed by what stands in it" in found.toml


def test_objects_on_lines_are_known_by_their_names() -> None:
    found = propose(
        b'{"ref": "NS0123456789ABCD", "sku": "A", "qty": 1, "parcel": {"trackingNumber": "1Z1", "carrier": "UPS"}}\n'
    )
    assert found.format == "ndjson"
    assert found.columns == {
        "reference": "ref", "product": "sku", "quantity": "qty", "carrier": "parcel.carrier",
        "tracking_number": "parcel.trackingNumber",
    }  # fmt: skip


def test_dates_that_may_be_written_in_two_ways_are_to_be_asked_for() -> None:
    assert propose(b"Order,SKU,Date\n1,A,03/04/2026\n").notes[0] == (
        "its dates may be written as %d/%m/%Y or as %m/%d/%Y: ask which"
    )


def test_the_state_of_an_address_is_no_word() -> None:
    assert "word" not in propose(b"Order,SKU,City,State\n1,A,Austin,TX\n").columns
    assert "word" in propose(b"Order,SKU,State\n1,A,SHIPPED\n").columns


def test_lines_of_an_order_without_a_product_are_no_whole_orders() -> None:
    found = propose(b"orderId,orderItemSeqId,trackingNumber,carrier\n1,001,1Z1,UPS\n")
    assert "\n# whole_orders = true" in found.toml
    assert (
        "'orderItemSeqId' seems to count the lines of an order: have the product's id sent, as NewStore has it"
        in found.notes
    )
    assert "\nwhole_orders = true" in propose(b"orderId,trackingNumber,carrier\n1,1Z1,UPS\n2,1Z2,UPS\n").toml


def test_an_empty_file_has_nothing_to_see() -> None:
    with pytest.raises(Malformed, match="is empty: take one with some rows"):
        propose(b"\n")


MORE_THAN_AN_ID = (
    "cells of 'Item' hold more than an id, as 'SKU | name': "
    "have the id sent in a column of its own, or no product will be found"
)
WANTED = {
    "amazon-jp-shipment-confirmation-three-headers-sjis.txt": (
        "cp932", "\t", 3, {"order": "order-id", "quantity": "quantity", "carrier": "carrier-code",
                           "tracking_number": "tracking-number", "date": "ship-date"},
        "its header is row 3; what stands above it is kept with each row, and not read",
    ),
    "hotwax-brokered-order-items.csv": (
        "utf-8", ",", 1, {"reference": "External id", "product": "Item", "quantity": "Quantity"},
        MORE_THAN_AN_ID,
    ),
    "hotwax-created-order-items.csv": (
        "utf-8", ",", 1, {"reference": "External Id", "order": "Order Id", "product": "Item", "quantity": "Quantity",
                          "date": "Date"},
        MORE_THAN_AN_ID,
    ),
    "hotwax-fulfillment.csv": (
        "utf-8", ",", 1, {"order": "orderId", "quantity": "quantity", "carrier": "carrier",
                          "tracking_number": "trackingNumber", "date": "shippedDate"},
        "row 4 would be put aside: has 10 cells, and needs 9",
    ),
    "hotwax-rejected-items.csv": (
        "utf-8", ",", 1, {"order": "orderId", "reason": "rejectionReason"},
        "'orderItemSeqId' seems to count the lines of an order: have the product's id sent, as NewStore has it",
    ),
    "pirateship-export.csv": (
        "utf-8", ",", 1, {"order": "Order ID", "carrier": "Carrier", "tracking_number": "Tracking Number",
                          "date": "Ship Date"},
        "no column names the product: a row can only mean all that is open of a request",
    ),
    "trackr-import-sample.csv": (
        "utf-8", ",", 1, {"order": "Order Number", "word": "Status", "carrier": "Carrier",
                          "tracking_number": "Tracking Number", "date": "Ship Date"},
        "no column names the product: a row can only mean all that is open of a request",
    ),
    "uk-house-order-import-semicolon-rows.csv": (
        "utf-8", ",", 1, {"order": "Order ID", "product": "SKU", "quantity": "Quantity"},
        "its rows end with ; and not with the line. That can't be read: have it sent with each row on a line",
    ),
}  # fmt: skip


@pytest.mark.skipif(not SAMPLES, reason="CSV_SAMPLES names no folder with samples of providers")
@pytest.mark.parametrize("name", WANTED)
def test_samples_of_providers_are_known(name: str) -> None:
    found = propose((Path(SAMPLES) / name).read_bytes(), name)
    encoding, delimiter, header_row, columns, note = WANTED[name]
    assert (found.encoding, found.delimiter, found.header_row, found.columns) == (
        encoding,
        delimiter,
        header_row,
        columns,
    )
    assert note in found.notes
    assert keys_of(found.toml)["columns"] == columns
