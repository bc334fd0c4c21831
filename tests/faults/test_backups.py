"""Each command of the guide to backups is run as it stands there."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.postgres import find_binaries
from gateway.simulator.orders import orders
from tests.processes import until

from .servers import IS_SYSTEM, SQL, Server, server
from .site import Site, site
from .test_paused import is_done
from .test_restores import paused_for, serve, settled_one

_LINE = re.compile(r"^ {4,}\S.*(?:\n(?: {4,}\S.*))*", re.MULTILINE)
DUMP, ARCHIVE, BASE, FROM_DUMP, TO_A_MOMENT, LOOK, RELEASE, INCARNATIONS = _LINE.findall(
    (SQL / "README.md").read_text()
)


async def run(commands: str, folder: Path, **environ: str) -> str:
    """Run what the guide says in a folder; gives what was printed."""
    folders = f"{find_binaries(prefer_system=IS_SYSTEM)}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    process = await asyncio.create_subprocess_shell(
        f"set -e\n{commands}", cwd=folder, env={**os.environ, "PATH": folders, **environ},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


@asynccontextmanager
async def with_one_settled(folder: Path, postgres: Server) -> AsyncIterator[Site]:
    """A site that has settled a request, and runs on."""
    async with site(folder, postgres.dsn) as at:
        await at.start()
        await settled_one(at, postgres.dsn)
        yield at


async def released(at: Site, restored: Server) -> None:
    """Look and release as the guide says, and see that everything then comes to its end."""
    keys = {**at.keys, "GATEWAY_URL": at.gateways[0].internal_url, "GATEWAY_TOKEN": at.keys["OPERATOR"]}
    assert "serve --paused" in await run(LOOK, at.folder, **keys)
    held = (await at.ask("GET", "/v1/holds"))[1]["holds"]
    assert "released" in await run(RELEASE, at.folder, HOLD=str(held[0]["id"]), **keys)
    async with restored.connected() as connection:
        await until(lambda: is_done(connection, at))
    told = await run(INCARNATIONS, at.folder, DATABASE_URL=restored.dsn)
    assert re.search(r"^ +2 \| .* \| \S+", told, re.MULTILINE)


async def test_a_dump_is_made_and_restored_as_the_guide_says(folder: Path) -> None:
    async with server(folder / "a") as postgres, with_one_settled(folder, postgres) as at:
        await run(DUMP, folder, DATABASE_URL=postgres.dsn)
        await at.newstore.place(next(orders(seed=4)))
        await at.end(at.gateways[0], kill=True)
        fresh = Server(folder / "b")
        await fresh.start()
        keys = {**at.keys, "GATEWAY_CONFIG": str(at.config)}

        assert "gateway_serve may serve" in await run(FROM_DUMP, folder, RESTORED_URL=fresh.dsn, **keys)

        await serve(at, fresh)
        assert "lies in" in await paused_for(at)
        await released(at, fresh)
        await at.end(at.gateways[0])
        await fresh.stop()


async def test_a_base_backup_is_made_and_restored_to_a_moment_as_the_guide_says(folder: Path) -> None:
    (folder / "archive").mkdir(mode=0o777)
    (folder / "archive").chmod(0o777)
    places = {"ARCHIVE": str(folder / "archive"), "BACKUP": str(folder / "backup")}
    async with server(folder / "a") as postgres:
        await run(ARCHIVE, folder, DATABASE_URL=postgres.dsn, **places)
        await postgres.stop()
        await postgres.start()
        async with with_one_settled(folder, postgres) as at:
            at.config.write_text(f'state_dir = "state"\n{at.config.read_text()}')
            await at.end(at.gateways[0])
            await at.start()
            await run(BASE, folder, DATABASE_URL=postgres.dsn, **places)
            async with postgres.connected() as connection:
                moment = await connection.fetchval("SELECT clock_timestamp()::text")
            await settled_one(at, postgres.dsn)
            await at.end(at.gateways[0], kill=True)
            async with postgres.connected() as connection:
                await connection.execute("SELECT pg_switch_wal()")
            (folder / "b").mkdir()
            (folder / "b" / "password").write_text((folder / "a" / "password").read_text())
            await postgres.stop()

            await run(TO_A_MOMENT, folder, RESTORED=str(folder / "b" / "cluster"), MOMENT=moment, **places)

            restored = Server(folder / "b")
            await restored.start()
            async with restored.connected() as connection:
                await until(lambda: connection.fetchval("SELECT NOT pg_is_in_recovery()"))
            await serve(at, restored)
            assert "were seen and the database has" in await paused_for(at)
            await released(at, restored)
            await at.end(at.gateways[0])
            await restored.stop()
