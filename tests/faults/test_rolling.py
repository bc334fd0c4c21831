"""Several gateways on one Postgres: they come and go, and nothing is refused, lost or doubled."""

import asyncio
from pathlib import Path

import aiohttp
import asyncpg

from gateway.simulator.orders import orders
from tests import processes
from tests.processes import until

from .gated import Gated
from .load import load, placed
from .proof import is_quiet, prove
from .site import Site, site


async def test_gateways_are_exchanged_under_load_without_refusing_a_request(
    tmp_path: Path, database: str, pool: asyncpg.Pool
) -> None:
    async with site(tmp_path, database, begun=processes.gateway) as at:
        first, second = await asyncio.gather(at.start(), at.start())
        async with load(at):
            await placed(at, 25)
            await at.end(first)
            await at.start()
            await placed(at, 25)
            await at.end(second)
            await placed(at, 25)
        await until(lambda: is_quiet(at, pool))

        assert {each["answer"] for each in at.newstore.webhook.attempts} == {200}
        assert {each["answer"] for each in at.warehouses["DC01"].attempts} == {200}
        proof = await prove(at, pool)
        assert proof.faults == []
        assert proof.settled == proof.accepted == len(at.newstore.requests) >= 75


async def test_what_a_killed_gateway_was_doing_is_taken_over_and_done_once(
    tmp_path: Path, database: str, pool: asyncpg.Pool
) -> None:
    async with site(tmp_path, database, apply_after=0.3) as at:
        await asyncio.gather(at.start(), at.start())
        async with load(at):
            await placed(at, 60)
            await at.end(at.gateways[0], kill=True)
            await placed(at, 30)
        await until(lambda: is_quiet(at, pool))

        proof = await prove(at, pool)
        assert proof.faults == []
        assert proof.settled == len(at.newstore.requests) >= 90
        assert await pool.fetchval("SELECT count(DISTINCT owner) FROM processes") == 1


async def test_a_gateway_that_is_told_to_stop_turns_senders_away_and_ends_its_calls_in_peace(
    tmp_path: Path, database: str, pool: asyncpg.Pool
) -> None:
    async with site(tmp_path, database, kind=Gated, call_time=15, begun=processes.gateway) as at:
        warehouse = at.warehouses["DC01"]
        assert isinstance(warehouse, Gated)
        gateway, stream = await at.start(), orders()
        await at.newstore.place(next(stream))
        await warehouse.until(lambda: warehouse.waiting == 1)
        assert (await at.ask("GET", "/readyz"))[0] == 200

        stopping = asyncio.create_task(gateway.stop())
        await until(lambda: is_turning_away(at))
        assert (await at.post(next(stream)))[0] == 200
        await until(lambda: is_closed(gateway.public_url))
        assert (await at.ask("GET", "/readyz"))[0] == 503
        assert not stopping.done()
        warehouse.gate.set()
        assert await stopping < 15

        made = await pool.fetch("SELECT outcome, attempt FROM attempts WHERE operation = 'create'")
        assert [tuple(each) for each in made] == [("done", 1)]
        assert await pool.fetchval("SELECT count(*) FROM deliveries WHERE doubt OR owner IS NOT NULL") == 0
        assert await pool.fetchval("SELECT count(*) FROM requests") == 2
        at.gateways.remove(gateway)


async def is_turning_away(at: Site) -> bool:
    return (await at.ask("GET", "/readyz"))[0] == 503


async def is_closed(url: str) -> bool:
    try:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/livez"):
            return False
    except aiohttp.ClientConnectorError:
        return True


async def test_a_call_that_never_ends_does_not_keep_a_gateway_from_stopping(
    tmp_path: Path, database: str, pool: asyncpg.Pool
) -> None:
    async with site(tmp_path, database, kind=Gated, call_time=3) as at:
        warehouse = at.warehouses["DC01"]
        assert isinstance(warehouse, Gated)
        gateway = await at.start()
        await at.newstore.place(next(orders()))
        await warehouse.until(lambda: warehouse.waiting == 1)
        assert await at.end(gateway) < 8

        assert await pool.fetchval("SELECT outcome FROM attempts WHERE operation = 'create'") == "unknown"
        assert await pool.fetchval("SELECT doubt FROM deliveries WHERE operation = 'create' AND owner IS NULL")
