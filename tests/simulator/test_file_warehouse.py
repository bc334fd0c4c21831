import csv
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from gateway.simulator.file_warehouse import FileFaults, FileWarehouse
from gateway.simulator.warehouse_temperament import Temperament

ORDER = "reference,request,order,carrier,product,quantity\r\nNS1,r-1,SO-1,UPS,A,2\r\nNS1,r-1,SO-1,UPS,B,1\r\n"
Open = Callable[..., Any]


@pytest.fixture
async def share(tmp_path: Path) -> AsyncIterator[Open]:
    async with AsyncExitStack() as stack:

        async def make(
            temperament: Temperament | str = "quick",
            faults: FileFaults = FileFaults(),  # noqa: B008 - frozen
        ) -> FileWarehouse:
            warehouse = FileWarehouse("acme", tmp_path, temperament, faults, every=0.001)
            return await stack.enter_async_context(warehouse.running())

        yield make


def put(warehouse: FileWarehouse, body: str = ORDER, name: str = "NS1.csv") -> None:
    unfinished = warehouse.folder / f".{name}.tmp"
    unfinished.write_text(body, newline="")
    unfinished.rename(warehouse.folder / "out" / name)


def said(warehouse: FileWarehouse) -> list[dict[str, str]]:
    """Everything that lies in `in`, row by row."""
    rows: list[dict[str, str]] = []
    for path in sorted((warehouse.folder / "in").glob("acme_*.csv")):
        with path.open(newline="") as file:
            rows += csv.DictReader(file, delimiter=";")
    return rows


async def test_an_order_is_fetched_by_moving_it_and_worked_once(share: Open) -> None:
    warehouse = await share()
    put(warehouse)
    await warehouse.until(lambda: len(said(warehouse)) == 4)

    assert [path.name for path in (warehouse.folder / "fetched").iterdir()] == ["NS1.csv"]
    assert {(row["Order No"], row["SKU"], row["Qty"], row["Status"]) for row in said(warehouse)} == {
        ("NS1", "A", "2", "TAKEN"), ("NS1", "B", "1", "TAKEN"), ("NS1", "A", "2", "SENT"), ("NS1", "B", "1", "SENT"),
    }  # fmt: skip
    assert warehouse.record()["orders"]["r-1"]["counts"] == {"shipped": {"A": 2, "B": 1}}
    assert not warehouse.finished
    for path in (warehouse.folder / "in").iterdir():
        path.rename(warehouse.folder / path.name)
    await warehouse.until(lambda: warehouse.finished)


async def test_an_order_that_comes_twice_is_seen_twice_and_worked_once(share: Open) -> None:
    warehouse = await share()
    put(warehouse)
    await warehouse.until(lambda: len(said(warehouse)) == 4)
    put(warehouse)
    await warehouse.until(lambda: warehouse.orders["r-1"].times_seen == 2)
    assert not warehouse.orders["r-1"].doubled
    assert len(said(warehouse)) == 4


async def test_what_was_not_said_before_a_stop_is_said_after_the_next_start(share: Open, tmp_path: Path) -> None:
    warehouse = FileWarehouse("acme", tmp_path, Temperament(pause=(30, 30)), every=0.001)
    async with warehouse.running():
        put(warehouse)
        await warehouse.until(lambda: warehouse.orders)
    warehouse.temperament = Temperament()
    async with warehouse.running():
        await warehouse.until(lambda: len(said(warehouse)) == 4)


async def test_a_file_comes_once_more_when_it_was_taken_and_is_the_same(share: Open) -> None:
    warehouse = await share(faults=FileFaults(again=1.0))
    put(warehouse)
    await warehouse.until(lambda: len(said(warehouse)) == 4)
    first = {path.name: path.read_bytes() for path in (warehouse.folder / "in").glob("*.csv")}
    for name in first:
        (warehouse.folder / "in" / name).unlink()
    await warehouse.until(lambda: len(said(warehouse)) == 4)
    assert {path.name: path.read_bytes() for path in (warehouse.folder / "in").glob("*.csv")} == first


async def test_a_file_that_comes_in_halves_ends_whole(share: Open) -> None:
    warehouse = await share(faults=FileFaults(half_written=1.0))
    put(warehouse)
    await warehouse.until(lambda: len(said(warehouse)) == 4)
    assert warehouse.faults["half_written"] == len(warehouse.files)


async def test_a_bad_row_stands_beside_the_others(share: Open) -> None:
    warehouse = await share(faults=FileFaults(bad_row=1.0))
    put(warehouse)
    await warehouse.until(lambda: len([row for row in said(warehouse) if row["Order No"] == "NS1"]) == 4)
    assert {row["Qty"] for row in said(warehouse) if row["Order No"] == "TOTAL"} <= {
        "1 rows",
        "2 rows",
        "3 rows",
        "4 rows",
    }
    assert warehouse.faults["bad_row"] == len(warehouse.files)


async def test_its_temperament_decides_what_it_makes_of_an_order(share: Open) -> None:
    warehouse = await share(Temperament(rejects=1.0))
    put(warehouse)
    await warehouse.until(lambda: warehouse.orders and warehouse.record()["orders"]["r-1"]["status"] == "completed")
    assert "shipped" not in warehouse.record()["orders"]["r-1"]["counts"]
    await warehouse.until(lambda: {row["Status"] for row in said(warehouse)} == {"SHORT"})


async def test_a_marker_follows_each_whole_file(tmp_path: Path) -> None:
    warehouse = FileWarehouse("acme", tmp_path, "quick", FileFaults(half_written=1.0), every=0.001, marker=".done")
    async with warehouse.running():
        put(warehouse)
        await warehouse.until(lambda: len(list((tmp_path / "in").glob("*.done"))) == len(warehouse.files) > 0)
        assert {path.name for path in (tmp_path / "in").glob("*.done")} == {f"{name}.done" for name in warehouse.files}
