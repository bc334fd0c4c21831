"""A gateway notices by itself that its database comes from a backup; what only moved, or failed over, it serves on."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from gateway.postgres import find_binaries
from gateway.simulator.orders import orders
from tests.processes import until

from .proof import is_quiet
from .servers import IS_SYSTEM, Server, back_up, dsn_of, server, standby
from .site import Site, site
from .test_paused import backed_up_with_open_writes, is_done, release_all

STREAM = orders(seed=13)
STATE_DIR = 'state_dir = "state"\n'
NEWEST = "SELECT max(number) FROM incarnations"
OF_EVENTS = "SELECT DISTINCT incarnation FROM events ORDER BY incarnation"


def run(program: str, *words: object) -> None:
    """Run a program of Postgres to its end."""
    subprocess.check_call([find_binaries(prefer_system=IS_SYSTEM) / program, *map(str, words)])


async def dumped(of: Server, into: str, folder: Path) -> None:
    """Dump a server and restore the dump in an empty database."""
    await asyncio.to_thread(run, "pg_dump", "-d", of.dsn, "-Fc", "-f", folder / "dump")
    await asyncio.to_thread(run, "pg_restore", "-d", into, folder / "dump")


def end_of_recovery(copy: Server) -> None:
    """Let a backup end its recovery on a timeline of its own, as a restore to a point in time does."""
    (copy.folder / "cluster" / "recovery.signal").touch()
    with (copy.folder / "cluster" / "postgresql.auto.conf").open("a") as settings:
        settings.write("restore_command = 'false'\n")


async def paused_for(at: Site) -> str:
    """Why everything is held back, if it is."""
    held = (await at.ask("GET", "/v1/holds"))[1].get("holds", [])
    return next((str(each["reason"]) for each in held if each["who"] == "serve --paused"), "")


async def settled_one(at: Site, dsn: str) -> None:
    await at.newstore.place(next(STREAM))
    async with asyncpg.create_pool(dsn, min_size=1, max_size=2) as pool:
        await until(lambda: is_quiet(at, pool))


@asynccontextmanager
async def at_a_backup(folder: Path, text: str = "") -> AsyncIterator[tuple[Site, Server]]:
    """A site whose gateway is gone, and a backup from before its last two calls."""
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at:
        at.config.write_text(f"{text}{at.config.read_text()}")
        backup = await backed_up_with_open_writes(at, postgres, folder / "b")
        yield at, backup
        await backup.stop()


@asynccontextmanager
async def failing_over(folder: Path, text: str) -> AsyncIterator[tuple[Site, Server, Server]]:
    """A site, its server, and a standby that has whatever was committed."""
    async with (
        server(folder / "a", {"synchronous_commit": "on"}) as first,
        standby(first, folder / "b") as second,
        site(folder, dsn_of(first, second)) as at,
    ):
        at.config.write_text(f"{text}{at.config.read_text()}")
        yield at, first, second


async def an_hour_later(at: Server) -> None:
    """As if a restore had taken as long as real ones do."""
    async with at.connected() as connection:
        await until(lambda: connection.fetchval("SELECT NOT pg_is_in_recovery()"))
        await connection.execute("UPDATE processes SET heartbeat_at = heartbeat_at - interval '1 hour'")
        await connection.execute("UPDATE incarnations SET alive_at = alive_at - interval '1 hour'")


async def serve(at: Site, by: Server) -> None:
    at.dsn = by.dsn
    await at.start()


async def test_after_a_dump_was_restored_elsewhere_nothing_goes_out_twice(folder: Path) -> None:
    async with at_a_backup(folder) as (at, backup):
        fresh = Server(folder / "c")
        await backup.start()
        await fresh.start()
        await dumped(backup, fresh.dsn, folder)
        calls = at.newstore.calls["shipment"], at.warehouses["DC01"].calls["take"]

        await serve(at, fresh)

        assert (await paused_for(at)).startswith("the database was written in cluster ")
        async with fresh.connected() as connection:
            assert await connection.fetchval(NEWEST) == 2
            assert "everything by serve --paused" in await release_all(at)
            await until(lambda: is_done(connection, at))
            incarnations = [row["incarnation"] for row in await connection.fetch(OF_EVENTS)]
        assert (at.newstore.calls["shipment"], at.warehouses["DC01"].calls["take"]) == calls
        assert incarnations == [1, 2]
        await at.end(at.gateways[0])
        await fresh.stop()


async def test_a_dump_that_was_restored_beside_its_own_database_is_noticed(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at:
        await at.start()
        await at.end(at.gateways[0])
        async with postgres.connected() as connection:
            await connection.execute("CREATE DATABASE again")
        at.dsn = postgres.dsn.replace("/postgres?", "/again?")
        await dumped(postgres, at.dsn, folder)

        await at.start()

        assert (await paused_for(at)).startswith("the tables were made anew, as a dump is restored: compare ")


async def test_a_restore_to_a_point_in_time_is_noticed_by_the_silence_before_it(folder: Path) -> None:
    async with at_a_backup(folder) as (at, backup):
        end_of_recovery(backup)
        await backup.start()
        await an_hour_later(backup)

        await serve(at, backup)

        assert (await paused_for(at)).startswith(
            "the timeline rose from 1 to 2, and no gateway was there in the 60 min"
        )


async def test_a_restore_to_a_minute_ago_is_noticed_by_what_lies_in_state_dir(folder: Path) -> None:
    async with at_a_backup(folder, STATE_DIR) as (at, backup):
        (kept,) = (folder / "state").glob("*.json")
        end_of_recovery(backup)
        await backup.start()

        await serve(at, backup)

        assert (await paused_for(at)).startswith(f"of process {kept.stem} ")
        (kept,) = (folder / "state").glob("*.json")
        assert json.loads(kept.read_text())["incarnation"] == 2
        await at.end(at.gateways[0])
        await at.start()
        async with backup.connected() as connection:
            assert await connection.fetchval(NEWEST) == 2


async def test_an_older_copy_of_the_data_folder_is_noticed_by_what_lies_in_state_dir(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at:
        at.config.write_text(f"{STATE_DIR}{at.config.read_text()}")
        await at.start()
        await at.end(at.gateways[0])
        await postgres.stop()
        shutil.copytree(folder / "a", folder / "b")
        await postgres.start()
        await at.start()
        await settled_one(at, postgres.dsn)
        await at.end(at.gateways[0], kill=True)
        copy = Server(folder / "b")
        await copy.start()

        await serve(at, copy)

        assert "were seen and the database has" in await paused_for(at)
        await at.end(at.gateways[0])
        await copy.stop()


async def test_what_a_failover_lost_is_noticed_by_a_gateway_that_runs(folder: Path) -> None:
    async with server(folder / "a") as first:
        second = await back_up(first, folder / "b", "-R")
        await second.start()
        await second.stop()
        async with site(folder, dsn_of(first, second)) as at:
            running = await at.start()
            await settled_one(at, first.dsn)
            await first.kill()
            await second.start()
            second.promote()

            await until(lambda: paused_for(at))

            assert running.process.returncode is None
            async with second.connected() as connection:
                assert await connection.fetchval(NEWEST) == 2
            assert "were seen and the database has" in await paused_for(at)
        await second.stop()


@pytest.mark.parametrize("text", ["", STATE_DIR], ids=["remembered", "and kept"])
async def test_a_failover_that_lost_nothing_pauses_neither_who_runs_nor_who_comes_new(folder: Path, text: str) -> None:
    async with failing_over(folder, text) as (at, first, second):
        await at.start()
        await settled_one(at, first.dsn)
        await first.kill()
        second.promote()

        await settled_one(at, second.dsn)
        await at.start()

        assert await paused_for(at) == ""
        async with second.connected() as connection:
            assert await connection.fetchval(NEWEST) == 1
            assert await connection.fetchval("SELECT max(timeline) FROM incarnations") == 2


@pytest.mark.parametrize("text", ["", STATE_DIR], ids=["seconds ago", "an hour ago, by state_dir"])
async def test_a_failover_while_no_gateway_ran_is_known_to_have_lost_nothing(folder: Path, text: str) -> None:
    async with failing_over(folder, text) as (at, first, second):
        await at.start()
        await settled_one(at, first.dsn)
        await at.end(at.gateways[0])
        await first.kill()
        second.promote()
        if text:
            await an_hour_later(second)

        await at.start()

        assert await paused_for(at) == ""


async def test_a_data_folder_that_moved_and_a_gateway_without_its_state_are_served_on(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at:
        at.config.write_text(f"{STATE_DIR}{at.config.read_text()}")
        await at.start()
        await settled_one(at, postgres.dsn)
        await at.end(at.gateways[0])
        await postgres.stop()
        (folder / "a").rename(folder / "moved")
        moved = Server(folder / "moved")
        await moved.start()
        await serve(at, moved)
        assert await paused_for(at) == ""
        await at.end(at.gateways[0])
        shutil.rmtree(folder / "state")

        await at.start()

        assert await paused_for(at) == ""
        await at.end(at.gateways[0])
        await moved.stop()


async def test_a_state_dir_that_can_not_be_used_is_a_fault_of_the_settings(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, postgres.dsn) as at:
        (folder / "state").mkdir()
        (folder / "state" / "x.json").write_text("half a fi")
        at.config.write_text(f"{STATE_DIR}{at.config.read_text()}")

        code, told = await at.said("serve", dsn=postgres.dsn)

        told = " ".join(told.split())
        assert code == 2
        assert (
            "state/x.json is not what a gateway wrote; remove it, and start once with `gateway serve --paused`" in told
        )
