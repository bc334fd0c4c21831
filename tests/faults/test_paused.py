"""After a restore from backup the ledger knows less than the world: look first, and only when a person says so."""

from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg

from gateway.simulator.orders import orders
from gateway.simulator.warehouse_temperament import Temperament
from tests.processes import until

from .proof import is_quiet
from .servers import Server, back_up, server
from .site import Site, site

SHIP_IS_OWED = "SELECT count(*) FROM deliveries WHERE operation = 'ship'"
HAS_LOOKED_AROUND = "SELECT heartbeat_at > started_at + interval '2 seconds' FROM processes ORDER BY started_at DESC"
IS_OPEN = "SELECT count(*) FROM deliveries WHERE operation = 'create'"
IS_SUBMITTED = "SELECT count(*) = 1 FROM requests WHERE submitted_at IS NOT NULL"
ARE_PROVED = "SELECT count(*) = 2 FROM requests WHERE submitted_at IS NOT NULL AND units LIKE '%sp%'"
OUTCOMES = "SELECT outcome FROM attempts WHERE operation IN ('create', 'ship')"


async def hold(at: Site, scope: str) -> None:
    status, _ = await at.ask("POST", "/v1/holds", json={"scope": scope, "reason": "a test"})
    assert status == 201


async def release_all(at: Site) -> list[str]:
    """Release what is held; returns who placed it."""
    held = (await at.ask("GET", "/v1/holds"))[1]["holds"]
    for each in held:
        assert (await at.ask("POST", f"/v1/holds/{each['id']}/release", json={"reason": "compared"}))[0] == 200
    return [f"{each['scope']} by {each['who']}" for each in held]


async def backed_up_with_open_writes(at: Site, postgres: Server, folder: Path) -> Server:
    """Make a backup that owes a shipment and a create, and then let both be done."""
    stream = orders()
    await at.start()
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=2) as pool:
        await hold(at, "newstore")
        await at.newstore.place(next(stream))
        await until(lambda: pool.fetchval(SHIP_IS_OWED))
        await hold(at, "everything")
        await at.newstore.place(next(stream))
        backup = await back_up(postgres, folder)
        assert await release_all(at) == ["newstore by test", "everything by test"]
        await until(lambda: is_quiet(at, pool))
    await at.end(at.gateways[0], kill=True)
    return backup


async def test_a_paused_start_after_a_restore_sends_nothing_and_then_finds_what_was_done(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at:
        restored = await backed_up_with_open_writes(at, postgres, folder / "b")
        warehouse, stream = at.warehouses["DC01"], orders(seed=1)
        done, calls = Counter(at.newstore.calls), Counter(warehouse.calls)
        shipped = [(len(each.units), 0) for each in at.newstore.requests.values()]
        await restored.start()
        at.dsn = restored.dsn
        async with restored.connected() as connection:
            await at.start("--paused")
            assert (await at.post(next(stream)))[0] == 200
            await until(lambda: connection.fetchval(HAS_LOOKED_AROUND))
            assert (at.newstore.calls, warehouse.calls) == (done, calls)

            assert "everything by serve --paused" in await release_all(at)
            await warehouse.until(lambda: len(warehouse.orders) == 3)
            await until(lambda: is_done(connection, at))
            outcomes = Counter(row["outcome"] for row in await connection.fetch(OUTCOMES))
        await restored.stop()
        assert outcomes["found"] == 1  # the shipment; the order that NewStore shows done is owed no more
        assert {order.times_seen for order in warehouse.orders.values()} == {1}
        results = [each.results["shipment"] for each in at.newstore.requests.values()]
        assert [(len(taken), len(refused)) for taken, refused in results] == shipped


async def is_done(connection: asyncpg.Connection, at: Site) -> bool:
    open_writes = await connection.fetchval(
        "SELECT count(*) FROM deliveries WHERE NOT is_read AND doubt AND request_id = ANY($1)",
        list(at.newstore.requests),
    )
    return not open_writes and not await connection.fetchval(IS_OPEN)


async def test_a_second_paused_start_adds_no_second_hold(tmp_path: Path, database: str, pool: asyncpg.Pool) -> None:
    async with site(tmp_path, database) as at:
        await at.start("--paused")
        await at.start("--paused")

        assert await release_all(at) == ["everything by serve --paused"]


async def test_what_the_lost_part_of_the_log_had_shipped_is_not_shipped_again(folder: Path) -> None:
    """The provider tells it again, of a request in the backup and of one that NewStore had to send again."""
    slow = {"DC01": Temperament(pause=(600, 600))}
    async with server(folder / "a") as postgres, site(folder, postgres.dsn, temperaments=slow) as at:
        await at.start()
        known = await at.newstore.place(two_tees("SO-1"))
        async with postgres.connected() as connection:
            await until(lambda: connection.fetchval(IS_SUBMITTED))
            backup = await back_up(postgres, folder / "b")
            lost = await at.newstore.place(two_tees("SO-2"))
            for request_id in (known, lost):
                assert (await at.call_back(one_shipped(request_id)))[0] == 200
            await until(lambda: connection.fetchval(ARE_PROVED))
        await at.end(at.gateways[0], kill=True)
        calls, taken = at.newstore.calls["shipment"], at.warehouses["DC01"].calls["take"]

        await backup.start()
        at.dsn = backup.dsn
        await at.start("--paused")
        assert await at.newstore.send(lost)
        for request_id in (known, lost):
            assert (await at.call_back(one_shipped(request_id)))[0] == 200
        assert await release_all(at) == ["everything by serve --paused"]
        async with backup.connected() as connection:
            await until(lambda: connection.fetchval(ARE_PROVED))
            failures = await connection.fetchval("SELECT count(failure) FROM requests")
        await backup.stop()

        assert (at.newstore.calls["shipment"], at.warehouses["DC01"].calls["take"], failures) == (calls, taken, 0)
        for request_id in (known, lost):
            assert at.newstore.requests[request_id].counts()["shipped"] == {"TEE": 1}


def two_tees(order_id: str) -> dict[str, Any]:
    return {
        "id": f"r-{order_id}",
        "order_id": order_id,
        "shipping_options": {"carrier": "UPS", "service_level": "GROUND"},
        "items": [{"product_id": "TEE", "extended_attributes": []}] * 2,
    }


def one_shipped(request_id: str) -> dict[str, Any]:
    return {
        "type": "shipped",
        "event_id": f"e-{request_id}",
        "fulfillment_request_id": request_id,
        "items": [{"product_id": "TEE", "quantity": 1}],
        "shipment": {"carrier": "UPS", "tracking_number": "1Z"},
    }
