import asyncio
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from gateway.demo.process import GatewayEnded, gateway
from gateway.demo.world import simulated
from tests.processes import LONG, all_end, command, of_folder, read_until, watched

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked for in /proc")


@pytest.fixture
def folder() -> Iterator[Path]:
    """Directly under the temporary folder: short enough for a socket, and open to another account."""
    with tempfile.TemporaryDirectory(prefix="gateway-test-") as folder:
        yield Path(folder) / "demo"


async def test_the_gateway_runs_in_a_process_of_its_own_until_the_block_ends(
    folder: Path, database: str, pool: asyncpg.Pool
) -> None:
    async with simulated(folder) as simulators:
        keys = {**simulators.keys, "DATABASE_URL": database}
        async with gateway(simulators.config, keys) as (public_url, internal_url), aiohttp.ClientSession() as session:
            (child,) = of_folder(folder)
            for url in (public_url, internal_url):
                async with session.get(f"{url}/livez") as answer:
                    assert answer.status == 200
        assert child != os.getpid()
        assert of_folder(folder) == set()


async def test_a_gateway_that_does_not_get_ready_says_why(folder: Path) -> None:
    async with simulated(folder) as simulators:
        known: Mapping[str, str] = {name: key for name, key in simulators.keys.items() if name != "NEWSTORE_SECRET"}
        with pytest.raises(GatewayEnded, match=r"(?s)did not get ready; .*gateway.log ends with:.*NEWSTORE_SECRET"):
            async with gateway(simulators.config, known):
                pass


async def test_a_gateway_that_ends_by_itself_ends_the_block(folder: Path, database: str, pool: asyncpg.Pool) -> None:
    async def block() -> None:
        async with gateway(simulators.config, {**simulators.keys, "DATABASE_URL": database}):
            (child,) = of_folder(folder)
            os.kill(child, signal.SIGKILL)
            await asyncio.Event().wait()

    async with simulated(folder) as simulators:
        with pytest.raises(GatewayEnded, match="ended with -9"):
            await block()


async def test_a_block_cancelled_by_somebody_else_is_cancelled(folder: Path, database: str, pool: asyncpg.Pool) -> None:
    async def block() -> None:
        async with gateway(simulators.config, {**simulators.keys, "DATABASE_URL": database}):
            inside.set()
            await asyncio.Event().wait()

    async with simulated(folder) as simulators:
        inside = asyncio.Event()
        task = asyncio.create_task(block())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert of_folder(folder) == set()


@pytest.mark.parametrize(("told", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_demo_that_is_told_to_stop_leaves_no_process(folder: Path, told: signal.Signals, code: int) -> None:
    with command("demo", "--requests", "5", "--folder", str(folder)) as demo:
        read_until(demo, "5 requests sent")
        with watched(of_folder(folder)) as handles:
            assert len(handles) > 2
            os.killpg(demo.pid, told)
            _, errors = demo.communicate(timeout=LONG)
            assert demo.returncode == code
            assert "Traceback" not in errors
            assert of_folder(folder) == set()


def test_a_killed_demo_takes_all_along_and_the_next_begins_anew_and_settles_what_it_sent(folder: Path) -> None:
    with command("demo", "--requests", "5", "--folder", str(folder)) as demo:
        read_until(demo, "5 requests sent")
        with watched(of_folder(folder)) as handles:
            demo.kill()
            assert all_end(handles)
    assert of_folder(folder) == set()
    with command("demo", "--requests", "5", "--until-settled", "--folder", str(folder)) as demo:
        said, errors = demo.communicate(timeout=LONG)
    assert "Nothing lost, doubled or unproved." in said, said + errors
    assert demo.returncode == 0
