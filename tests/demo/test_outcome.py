"""What the demo says at its end, of a world whose gateway runs in this process."""

import io
import re
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
from rich.console import Console

from gateway.demo.outcome import show
from gateway.demo.run import as_typed, place
from gateway.simulator.warehouse_temperament import Temperament
from tests.test_road import settled
from tests.world import Road, running


@pytest.fixture
async def road(tmp_path: Path, database: str, pool: asyncpg.Pool) -> AsyncIterator[Road]:
    async with running(tmp_path, database) as road:
        for warehouse in road.warehouses.values():
            warehouse.temperament = Temperament()
        yield road


async def shown(road: Road) -> str:
    said = io.StringIO()
    await show(Console(file=said, width=200), road)
    return said.getvalue()


async def test_the_times_of_a_single_request_are_rounded_as_those_of_many(road: Road) -> None:
    await place(road, 1)
    await settled(road)
    said = await shown(road)
    times = re.findall(r"p\d\d (\S+) m?s", said)
    assert len(times) == 4, said
    assert [time for time in times if not re.fullmatch(r"\d+\.\d", time)] == []


async def test_a_newcomer_is_told_which_requests_newstore_sent_anew(road: Road) -> None:
    await place(road, 1)
    await settled(road)
    assert re.search(r"^ *1 fulfillment request *$", await shown(road), re.MULTILINE)

    road.warehouses["DC01"].temperament = Temperament(rejects=1.0)
    await place(road, 1, seed=1)
    await settled(road)
    assert "3 fulfillment requests: 2 sent, and 1 by which NewStore rerouted rejected units" in await shown(road)


@pytest.mark.parametrize(
    ("program", "typed"), [(".venv/bin/gateway", ".venv/bin/gateway"), ("/a/gateway/__main__.py", "gateway")]
)
def test_the_command_to_type_is_named_as_the_demo_itself_was_typed(program: str, typed: str) -> None:
    assert as_typed(program) == typed
