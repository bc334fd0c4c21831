"""The road of a provider that thinks it calls NewStore: one that has moved, and another gateway with its own client."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from gateway import app
from gateway.ledger.database.migrations import migrate
from gateway.settings import Settings
from gateway.simulator.newstore import TOKEN_PATH, NewStore
from gateway.simulator.newstore_callback import NewStoreCallback
from gateway.simulator.orders import orders
from gateway.simulator.warehouse import Warehouse
from gateway.simulator.warehouse_temperament import Temperament
from tests.conftest import EMPTY_TABLES, SQL
from tests.loading import settings_in
from tests.test_road import order

KEYS = {
    "NEWSTORE_SECRET": "the-secret-of-the-first-client",
    "DC01_KEY": "the-key-of-newstore-at-dc01",
    "DOWNSTREAM_KEY": "the-key-of-the-first-at-the-second",
    "DOWNSTREAM_SECRET": "the-secret-of-the-second-client",
    "WMS_KEY": "the-key-of-the-second-at-the-wms",
    "WMS_CALLBACK_KEY": "the-key-of-the-wms-at-the-second",
}
FIRST = """
public_url = "http://127.0.0.1:8080"
public = {{ port = 0 }}
internal = {{ port = 0 }}
brake = {{ share = 0.99 }}

[newstore]
url = "{newstore}"
token_url = "{newstore}{token}"
client_id = "gateway"
client_secret = "env:NEWSTORE_SECRET"

[providers.downstream]
adapter = "newstore"
url = "{provider}"
api_key = "env:DOWNSTREAM_KEY"
client_id = "downstream"
client_secret = "env:DOWNSTREAM_SECRET"

[locations.DC01]
provider = "downstream"
api_keys = ["env:DC01_KEY"]
on_provider_cancel = "cancel"
"""
SECOND = """
public_url = "http://127.0.0.1:8080"
public = {{ port = {port} }}
internal = {{ port = 0 }}
brake = {{ share = 0.99 }}

[newstore]
url = "{first}/providers/downstream"
token_url = "{first}/providers/downstream{token}"
client_id = "downstream"
client_secret = "env:DOWNSTREAM_SECRET"
unknown_grace = 1

[providers.wms]
adapter = "http"
url = "{wms}/orders"
api_key = "env:WMS_KEY"
callback_key = "env:WMS_CALLBACK_KEY"

[locations.DC01]
provider = "wms"
api_keys = ["env:DOWNSTREAM_KEY"]
on_provider_cancel = "cancel"
"""
SETTLED = "SELECT count(*) > 0 AND bool_and(settled_at IS NOT NULL) FROM requests"


@dataclass(slots=True)
class Road:
    newstore: NewStore
    warehouse: Warehouse
    gateways: Sequence[app.Gateway]
    pools: Sequence[asyncpg.Pool]

    async def until(self, reached: Callable[[], Awaitable[object]]) -> None:
        """Look again after each commit of either gateway."""
        committed = asyncio.Event()
        for each in self.gateways:
            each.writer.on_batch = lambda _size, _seconds: committed.set()
        async with asyncio.timeout(40):
            while not await reached():
                await committed.wait()
                committed.clear()

    async def settled(self) -> None:
        """Wait until all that was placed is proved at each gateway."""

        async def are_settled() -> bool:
            return all([await pool.fetchval(SETTLED) for pool in self.pools])

        await self.until(are_settled)


@pytest.fixture(scope="module")
async def second_database(new_database: Callable[[str], Awaitable[str]]) -> str:
    dsn = await new_database("gateway_second")
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection, SQL)
    finally:
        await connection.close()
    return dsn


@pytest.fixture
async def both(tmp_path: Path, database: str, pool: asyncpg.Pool, second_database: str) -> AsyncIterator[Road]:
    async with asyncpg.create_pool(second_database, min_size=1, max_size=2) as second_pool, AsyncExitStack() as stack:
        await second_pool.execute(EMPTY_TABLES)
        newstore = NewStore(client_secret=KEYS["NEWSTORE_SECRET"])
        warehouse = Warehouse("wms", api_key=KEYS["WMS_KEY"], callback_key=KEYS["WMS_CALLBACK_KEY"])
        for each in (newstore, warehouse):
            await stack.enter_async_context(each.running())
        at = {"newstore": newstore.url, "wms": warehouse.url, "port": free_port()}
        token = TOKEN_PATH.format(tenant="acme")
        hook = f"http://127.0.0.1:{at['port']}/newstore/DC01/fulfillment_requests"
        settings = read(tmp_path / "first.toml", FIRST, token=token, provider=hook, **at)
        first = await stack.enter_async_context(app.running(settings, database))
        url = first.public_url
        settings = read(tmp_path / "second.toml", SECOND, token=token, first=url, **at)
        second = await stack.enter_async_context(app.running(settings, second_database))
        warehouse.callback.url = f"{second.public_url}/providers/wms/callbacks"
        newstore.configure("DC01", f"{url}/newstore/DC01/fulfillment_requests", KEYS["DC01_KEY"])
        yield Road(newstore, warehouse, (first, second), (pool, second_pool))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
        return port


def read(path: Path, written: str, **at: object) -> Settings:
    path.write_text(written.format(**at))
    return settings_in(path, {**KEYS, "DATABASE_URL": "postgresql://nobody@127.0.0.1/nothing"})


async def test_what_a_warehouse_does_behind_two_gateways_is_proved_at_both_and_is_so_at_newstore(both: Road) -> None:
    both.warehouse.temperament = Temperament(parcels=2, rejects=0.25, cancels=0.25)
    for number in range(5):
        await both.newstore.place(order(f"r/{number}", "A", "A", "A", "B"))
    await both.settled()

    counts = {each: request.counts() for each, request in both.newstore.requests.items()}
    assert counts == {each: request["counts"] for each, request in both.warehouse.record()["orders"].items()}
    assert {status for each in counts.values() for status in each} == {"shipped", "rejected", "cancelled"}
    for pool in both.pools:
        assert await pool.fetchval("SELECT count(*) FROM requests WHERE units ~ '[orsc][^p]'") == 0
        assert await pool.fetchval("SELECT count(*) FROM requests WHERE failure IS NOT NULL") == 0
        assert await pool.fetchval("SELECT count(*) FROM quarantine") == 0


async def test_a_provider_of_newstores_moves_behind_the_gateway_by_its_urls_alone(
    tmp_path: Path, database: str, pool: asyncpg.Pool
) -> None:
    secret, token = KEYS["DOWNSTREAM_SECRET"], TOKEN_PATH.format(tenant="acme")
    temperament = Temperament(parcels=2, rejects=0.2, cancels=0.1, says_twice=0.3, error_after=0.2, faults_in_a_row=1)
    newstore = NewStore(client_secret=KEYS["NEWSTORE_SECRET"])
    warehouse = Warehouse("downstream", temperament, api_key=KEYS["DOWNSTREAM_KEY"])
    async with newstore.running(), warehouse.running():
        at = {"newstore": newstore.url, "token": token, "provider": f"{warehouse.url}/orders"}
        async with app.running(read(tmp_path / "gateway.toml", FIRST, **at), database) as gateway:
            place = f"{gateway.public_url}/providers/downstream"
            warehouse.callback = NewStoreCallback(place, place + token, "downstream", secret)
            newstore.configure("DC01", f"{gateway.public_url}/newstore/DC01/fulfillment_requests", KEYS["DC01_KEY"])
            road = Road(newstore, warehouse, (gateway,), (pool,))
            for asked, _ in zip(orders(7), range(10), strict=False):
                await newstore.place(asked)
            await road.settled()

    counts = {each: request.counts() for each, request in newstore.requests.items()}
    assert counts == {each: request["counts"] for each, request in warehouse.record()["orders"].items()}
    assert {status for each in counts.values() for status in each} == {"shipped", "rejected", "cancelled"}
    assert warehouse.record()["doubled"] == []
    assert await pool.fetchval("SELECT count(*) FROM requests WHERE failure IS NOT NULL") == 0
    assert await pool.fetchval("SELECT count(*) FROM quarantine") == 0
