"""A real Prometheus with our settings and rules, in a hurry."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from time import time
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import yaml

from tests.grafana.shipped import GRAFANA, RULES
from tests.processes import free_port, running

SHIPPED = GRAFANA / "prometheus" / "prometheus.yml"


@dataclass(frozen=True, slots=True)
class Prometheus:
    url: str
    session: aiohttp.ClientSession

    async def rows(self, expr: str) -> list[dict[str, Any]]:
        """The series that an expression had within the last ten minutes; raises with Prometheus' own words."""
        now = time()
        asked = {"query": expr, "start": str(now - 600), "end": str(now), "step": "1"}
        found: list[dict[str, Any]] = (await self._ask("/api/v1/query_range", asked))["result"]
        return found

    async def rules(self) -> list[dict[str, Any]]:
        return [rule for group in (await self._ask("/api/v1/rules", {}))["groups"] for rule in group["rules"]]

    async def exemplars(self, expr: str) -> list[dict[str, str]]:
        """The labels of the exemplars of the last ten minutes."""
        now = time()
        asked = {"query": expr, "start": str(now - 600), "end": str(now)}
        series: Any = await self._ask("/api/v1/query_exemplars", asked)
        return [exemplar["labels"] for each in series for exemplar in each["exemplars"]]

    async def _ask(self, path: str, asked: dict[str, str]) -> dict[str, Any]:
        async with self.session.get(f"{self.url}{path}", params=asked) as answer:
            body: dict[str, Any] = await answer.json()
            assert body["status"] == "success", (asked, body)
            data: dict[str, Any] = body["data"]
            return data


def hurried(rules: str) -> str:
    """Alerts fire after two seconds, and what came a moment ago is new."""
    return re.sub(r"\bfor: \w+", "for: 2s", rules).replace("offset 10m", "offset 3s")


@asynccontextmanager
async def prometheus(folder: Path, gateway: str, alertmanager: str) -> AsyncIterator[Prometheus]:
    """Scrape one gateway each second and tell one Alertmanager."""
    settings = yaml.safe_load(SHIPPED.read_text())
    settings["global"] |= {"scrape_interval": "1s", "evaluation_interval": "1s"}
    settings["alerting"]["alertmanagers"] = [_at(alertmanager)]
    (scrape,) = settings["scrape_configs"]
    del scrape["dns_sd_configs"]
    scrape |= _at(gateway)
    (folder / "rules").mkdir()
    for file in RULES:
        (folder / "rules" / file.name).write_text(hurried(file.read_text()))
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(settings))
    url = f"http://127.0.0.1:{free_port()}"
    words = (
        f"--config.file={file}", f"--storage.tsdb.path={folder / 'prometheus'}",
        f"--web.listen-address={urlsplit(url).netloc}", "--rules.alert.resend-delay=1s",
        "--enable-feature=exemplar-storage",
    )  # fmt: skip
    command, log = ("prometheus", *words), folder / "prometheus.log"
    async with running(*command, log=log, answers_at=f"{url}/-/ready"), aiohttp.ClientSession() as session:
        yield Prometheus(url, session)


def _at(url: str) -> dict[str, Any]:
    return {"static_configs": [{"targets": [urlsplit(url).netloc]}]}
