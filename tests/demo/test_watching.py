import asyncio
import io
import json
import re
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web
from rich.console import Console

from gateway.demo.watching import watched
from tests.grafana.shipped import RULES, groups, needs
from tests.listening import listening
from tests.processes import LONG, of_folder

METRICS = 'failed_shipments{location="DC01",provider="quick",reason="refused"} 2\n'


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gateway-test-") as folder:
        yield Path(folder)


@asynccontextmanager
async def scraped() -> AsyncIterator[str]:
    """Something that looks like a gateway to Prometheus."""

    async def show(_: web.Request) -> web.Response:
        return web.Response(text=METRICS)

    async with listening(web.get("/metrics", show)) as url:
        yield url


async def asked(url: str) -> object:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return (await answer.json())["data"]


@needs("prometheus", "prometheus-alertmanager")
async def test_prometheus_runs_beside_the_demo_with_our_rules_and_says_where(folder: Path) -> None:
    said = io.StringIO()
    async with scraped() as url, watched(folder, url, Console(file=said, width=200)):
        where = re.search(r"Prometheus +(http://\S+)/alerts", said.getvalue())
        assert where
        async with asyncio.timeout(LONG):
            found: object = None
            while not found:
                try:
                    answer = await asked(f"{where[1]}/api/v1/query?query={quote('failed_shipments')}")
                    found = json.dumps(answer).count("DC01")
                except aiohttp.ClientError:
                    found = None
                await asyncio.sleep(0.2)
        flags = await asked(f"{where[1]}/api/v1/status/flags")
        assert isinstance(flags, dict)
        assert flags["enable-feature"] == "exemplar-storage"
        rules = await asked(f"{where[1]}/api/v1/rules")
        assert isinstance(rules, dict)
        assert sorted(each["name"] for each in rules["groups"]) == sorted(each["name"] for each in groups())
        assert len({each["file"] for each in rules["groups"]}) == len(RULES)
    assert of_folder(folder) == set()


async def test_a_demo_without_prometheus_says_so_and_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = io.StringIO()
    monkeypatch.setenv("PATH", "/nowhere")
    async with watched(folder, "http://127.0.0.1:1", Console(file=said, width=200)):
        assert of_folder(folder) == set()
    assert "prometheus, prometheus-alertmanager not found" in said.getvalue()
