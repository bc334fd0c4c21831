"""The road of a DC whose provider shares a folder: nothing is lost or doubled, whatever its files are like."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncpg
import pytest

from gateway.demo.proof import faults_found
from gateway.domain.acts.leaving import Reroute
from gateway.providers.files import Files
from gateway.simulator.file_warehouse import SOME_FILE_FAULTS, FileWarehouse
from gateway.simulator.orders import orders
from gateway.simulator.warehouse_temperament import TEMPERAMENTS, Temperament
from tests.test_road import by_ada, order, settled, until
from tests.world import Road, running

HERE = "DC04"


@pytest.fixture
async def road(tmp_path: Path, database: str, pool: asyncpg.Pool) -> AsyncIterator[Road]:
    async with running(tmp_path, database) as road:
        yield road


def shared(road: Road) -> FileWarehouse:
    warehouse = road.everybody[HERE]
    assert isinstance(warehouse, FileWarehouse)
    return warehouse


async def test_requests_are_settled_whatever_the_files_are_like(road: Road, pool: asyncpg.Pool) -> None:
    warehouse = shared(road)
    warehouse.file_faults = replace(SOME_FILE_FAULTS, bad_row=0.5)
    stream = orders(seed=7)
    for _ in range(12):
        await road.newstore.place(next(stream), HERE)
    await settled(road)

    assert await faults_found(road) == []
    assert {each.times_seen for each in warehouse.orders.values()} == {1}
    kept = await pool.fetch("SELECT body FROM quarantine")
    assert kept
    assert all(b"TOTAL;;" in row["body"] for row in kept)


async def test_a_bad_row_and_a_file_with_another_header_wait_for_a_person_and_all_else_is_applied(
    road: Road, pool: asyncpg.Pool
) -> None:
    warehouse = shared(road)
    warehouse.temperament = Temperament()
    inbox = warehouse.folder / "in"
    (inbox / "stock.csv").write_text("SKU;On hand\nA;7\n")
    (inbox / "short.csv").write_text(
        "Order No;SKU;Qty;Status;Reason;Tracking No;Carrier;Time\nNS0000000000000X;A;some;SENT;;1Z1;UPS;\n"
    )
    await road.newstore.place(order("r-1", "A", "A", "B"), HERE)
    await settled(road)
    await until(road, lambda: _is_there(warehouse.folder / "unreadable" / "stock.csv.why"))

    assert await faults_found(road) == []
    kept = await pool.fetch("SELECT event_id, reason, detail FROM quarantine ORDER BY event_id")
    assert [(row["event_id"], row["reason"]) for row in kept] == [
        ("short.csv#2", "malformed"),
        ("stock.csv", "malformed"),
    ]
    assert kept[0]["detail"].startswith("row 2: Qty 'some' is no whole number")
    assert kept[1]["detail"].startswith("header: 'Order No', 'Qty', 'Status'")
    assert (warehouse.folder / "archive" / "short.csv").exists()


async def _is_there(path: Path) -> bool:
    return path.exists()  # noqa: ASYNC240 - a look


async def test_an_order_that_was_not_fetched_is_taken_back_and_shipped_by_another(
    road: Road, pool: asyncpg.Pool
) -> None:
    warehouse, other = shared(road), road.warehouses["DC01"]
    await warehouse.stop()
    await road.newstore.place(order("r-1", "A"), HERE)
    await until(road, lambda: pool.fetchval("SELECT submitted_at FROM requests"))
    [there] = (warehouse.folder / "out").glob("*.csv")

    await road.gateway.writer.apply(Reroute(**by_ada("away"), to=other.name, can_withdraw=True))
    await settled(road)
    await warehouse.start()

    assert other.record()["orders"]["r-1"]["counts"] == {"shipped": {"A": 1}}
    assert [each.name for each in (warehouse.folder / "withdrawn").iterdir()] == [there.name]
    assert warehouse.orders == {}
    assert await pool.fetchval("SELECT fact->>'proof' FROM events WHERE kind = 'order_withdrawn'") == (
        f"files: out/{there.name} was taken away before it was fetched"
    )


async def test_a_file_that_is_kept_and_not_yet_put_aside_is_heard_again_without_effect(
    road: Road, pool: asyncpg.Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    acknowledge = Files.acknowledge

    async def die_first(files: Files, page: object) -> None:
        heard.extend(each.name for each in page.messages)  # type: ignore[attr-defined]
        if len(heard) == len(set(heard)):
            raise ConnectionError("this process is gone")
        await acknowledge(files, page)  # type: ignore[arg-type]

    monkeypatch.setattr(Files, "acknowledge", die_first)
    shared(road).temperament = TEMPERAMENTS["quick"]
    shared(road).again = 0.0
    await road.newstore.place(order("r-1", "A", "A"), HERE)
    await settled(road)

    assert await faults_found(road) == []
    assert road.newstore.calls["shipment"] == 1
    assert await pool.fetchval("SELECT count(*) FROM quarantine") == 0
