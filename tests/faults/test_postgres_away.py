"""Postgres comes and goes under load: senders are told to come again, and nothing that was accepted is lost."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import asyncpg

from gateway.simulator.orders import orders
from tests.processes import until

from .gated import Gated
from .load import load, placed
from .proof import is_quiet, prove
from .proxies import Proxy
from .servers import Server, dsn_of, server, standby
from .site import Site, site

AT_ONCE = 20
STREAM = orders(seed=7)


async def settled(at: Site, dsn: str) -> None:
    """Wait until everything is settled, then let the simulators' records speak."""
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        await until(lambda: is_quiet(at, pool))
        proof = await prove(at, pool)
    assert proof.faults == []
    assert proof.settled == proof.accepted == len(at.newstore.requests)


async def is_turned_away(at: Site) -> bool:
    """Send a request and a callback: each is stored, or refused with a time to come again, and soon."""
    stranger = {"event_id": "e-1", "type": "accepted", "fulfillment_request_id": "nobody-has-this"}
    ready, *sent = await asyncio.gather(
        at.ask("GET", "/readyz"), at.post(next(STREAM)), at.call_back(stranger)
    )  # fmt: skip
    for status, headers, seconds in sent:
        assert seconds < 5
        assert status in {200, 202, 503}
        if status == 503:
            assert 1 <= int(headers["Retry-After"]) <= 5
    return {ready[0], *(status for status, _, _ in sent)} == {503}


async def works(at: Site) -> bool:
    """Send a request, and more callbacks at once than the pool has connections."""
    strangers = [
        {"event_id": f"e-{n}", "type": "accepted", "fulfillment_request_id": "nobody-has-this"} for n in range(AT_ONCE)
    ]
    sent = await asyncio.gather(at.post(next(STREAM)), *(at.call_back(each) for each in strangers))
    return {status for status, _, _ in sent} <= {200, 202} and (await at.ask("GET", "/readyz"))[0] == 200


async def test_a_restart_of_postgres_under_load_loses_nothing(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at:
        await at.start()
        async with load(at):
            await placed(at, 20)
            await postgres.stop()
            await until(lambda: is_turned_away(at))
            await postgres.start()
            await until(lambda: works(at))
            await placed(at, 20)
        await settled(at, postgres.dsn)


async def test_what_came_of_a_call_while_postgres_was_away_is_kept_until_it_is_back(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn, kind=Gated) as at:
        warehouse = at.warehouses["DC01"]
        assert isinstance(warehouse, Gated)
        for _ in range(2):  # the other one must not take over what it only lost sight of
            await at.start()
        await at.newstore.place(next(orders()))
        await warehouse.until(lambda: warehouse.waiting == 1)
        await postgres.stop()
        warehouse.gate.set()
        await warehouse.until(lambda: warehouse.orders)
        await until(lambda: is_turned_away(at))
        await postgres.start()
        await settled(at, postgres.dsn)

        async with postgres.connected() as connection:
            kept = await connection.fetchval("SELECT outcome FROM attempts WHERE operation = 'create' AND attempt = 1")
        assert kept == "done"


async def test_a_failover_to_the_standby_goes_on_without_a_restart(folder: Path) -> None:
    safe = {"synchronous_commit": "on"}
    async with (
        server(folder / "a", safe) as first,
        standby(first, folder / "b") as second,
        site(folder, dsn_of(first, second)) as at,
    ):
        await at.start()
        async with load(at):
            await placed(at, 20)
            await first.kill()
            async with second.connected() as connection:
                await connection.execute("SELECT pg_promote()")
            await until(lambda: works(at))
            await placed(at, 20)
        await settled(at, second.dsn)


async def test_connections_to_a_server_that_only_reads_are_thrown_away(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at, postgres.connected() as connection:
        await at.start()
        assert await works(at)
        await connection.execute("SET default_transaction_read_only = off")
        await connection.execute("ALTER SYSTEM SET default_transaction_read_only = on")
        await connection.execute("SELECT pg_reload_conf()")
        await until(lambda: is_turned_away(at))
        await connection.execute("ALTER SYSTEM RESET default_transaction_read_only")
        await connection.execute("SELECT pg_reload_conf()")
        await until(lambda: works(at))
        await at.newstore.place(next(STREAM))
        await settled(at, postgres.dsn)


async def test_a_gateway_that_gets_no_connection_says_so_and_recovers(folder: Path) -> None:
    few = {"max_connections": "30", "superuser_reserved_connections": "0"}
    async with server(folder / "a", few) as postgres, site(folder, postgres.dsn) as at:
        await at.start()
        assert await works(at)
        async with all_connections(postgres):
            await until(lambda: is_turned_away(at))
        await until(lambda: works(at))
        await at.newstore.place(next(STREAM))
        await settled(at, postgres.dsn)


@asynccontextmanager
async def all_connections(postgres: Server) -> AsyncIterator[None]:
    """Take every connection that the server has, also those of others."""
    others = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND application_name <> 'hog'"
    async with AsyncExitStack() as stack:

        async def one_more() -> bool:
            try:
                hog = await asyncpg.connect(postgres.dsn, server_settings={"application_name": "hog"})
            except asyncpg.TooManyConnectionsError:
                return False
            stack.push_async_callback(hog.close)
            return True

        first = await asyncpg.connect(postgres.dsn, server_settings={"application_name": "hog"})
        stack.push_async_callback(first.close)

        async def is_full() -> bool:
            while await one_more():
                pass
            return not await first.fetch(f"SELECT pg_terminate_backend(pid) FROM ({others}) AS other")

        await until(is_full)
        yield


@asynccontextmanager
async def proxies(postgres: Server, count: int) -> AsyncIterator[list[Proxy]]:
    async with AsyncExitStack() as stack:
        dial = partial(asyncio.open_unix_connection, postgres.socket)
        yield [await stack.enter_async_context(Proxy(dial).running()) for _ in range(count)]


async def test_a_server_that_goes_silent_is_not_waited_for(folder: Path) -> None:
    async with (
        server(folder / "a") as postgres,
        proxies(postgres, 1) as (proxy,),
        site(folder, postgres.dsn_by(proxy.port)) as at,
    ):
        await at.start()
        await at.newstore.place(next(STREAM))
        proxy.cut()
        await until(lambda: is_turned_away(at))
        proxy.mend()
        await until(lambda: works(at))
        await settled(at, postgres.dsn)


async def test_another_host_takes_over_from_one_that_goes_silent(folder: Path) -> None:
    async with (
        server(folder / "a") as postgres,
        proxies(postgres, 2) as (first, second),
        site(folder, postgres.dsn_by(first.port, second.port)) as at,
    ):
        await at.start()
        await at.newstore.place(next(STREAM))
        first.cut()
        await until(lambda: works(at))
        await settled(at, postgres.dsn)
