"""A real Alertmanager with our settings, in a hurry, and a webhook that keeps what arrives."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import aiohttp
import yaml
from aiohttp import web

from tests.grafana.shipped import GRAFANA
from tests.listening import listening
from tests.processes import free_port, running

SHIPPED = GRAFANA / "alertmanager" / "alertmanager.yml"
_HURRY = {"group_wait": "500ms", "group_interval": "500ms"}


@dataclass(slots=True)
class Alerting:
    """Where it listens, what it posted (receiver, message, when), and a mark that something came."""

    url: str
    port: int
    came: list[tuple[str, dict[str, Any], float]] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    active: list[dict[str, str]] = field(default_factory=list)

    async def post(self, alerts: Sequence[dict[str, str]]) -> None:
        """Say what fires now; what fired before and is not among them is resolved."""
        now = datetime.now(UTC)
        gone = [each for each in self.active if each not in alerts]
        self.active = [dict(each) for each in alerts]
        body = [{"labels": _sent(each), "endsAt": (now + timedelta(minutes=5)).isoformat()} for each in alerts]
        body += [{"labels": _sent(each), "endsAt": now.isoformat()} for each in gone]
        async with aiohttp.ClientSession() as session, session.post(f"{self.url}/api/v2/alerts", json=body) as answer:
            assert answer.status == 200, await answer.text()

    async def settled(self, seconds: float = 1.5) -> None:
        """Wait until nothing has come for a few of its intervals."""
        while True:
            self.news.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self.news.wait()
            except TimeoutError:
                return

    async def until(self, receiver: str, alert: str, status: str, seconds: float) -> tuple[dict[str, Any], float]:
        """Wait for a message that says this of an alert; gives the alert, and when it came."""
        async with asyncio.timeout(seconds):
            while True:
                for name, message, at in self.came:
                    for each in message["alerts"]:
                        if (name, each["labels"]["alertname"], each["status"]) == (receiver, alert, status):
                            return each, at
                self.news.clear()
                await self.news.wait()


def heard(alerting: Alerting, receiver: str, status: str) -> list[set[str]]:
    """The alerts in each message of a receiver."""
    told = [message for name, message, _ in alerting.came if name == receiver and message["status"] == status]
    return [{each["labels"]["alertname"] for each in message["alerts"] if each["status"] == status} for message in told]


def _sent(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if name != "alertstate"}


def hurried(settings: dict[str, Any], webhook: str) -> dict[str, Any]:
    """The same routes and inhibitions with short intervals and our webhook."""
    settings["route"] |= _HURRY
    for route in settings["route"]["routes"]:
        route.update({key: value for key, value in _HURRY.items() if key in route})
    for receiver in settings["receivers"]:
        for hook in receiver.get("webhook_configs", ()):
            hook["url"] = f"{webhook}/{receiver['name']}"
    return settings


@asynccontextmanager
async def alertmanager(folder: Path) -> AsyncIterator[Alerting]:
    """Run it beside a webhook."""
    alerting = Alerting("", 0)

    async def take(request: web.Request) -> web.Response:
        alerting.came.append((request.match_info["receiver"], await request.json(), monotonic()))
        alerting.news.set()
        return web.Response()

    async with listening(web.post("/{receiver}", take)) as webhook:
        file = folder / "alertmanager.yml"
        file.write_text(yaml.safe_dump(hurried(yaml.safe_load(SHIPPED.read_text()), webhook)))
        port = free_port()
        words = (
            f"--config.file={file}", f"--storage.path={folder / 'alertmanager'}", "--cluster.listen-address=",
            f"--web.listen-address=127.0.0.1:{port}",
        )  # fmt: skip
        alerting.url, alerting.port = f"http://127.0.0.1:{port}", port
        command, log = ("prometheus-alertmanager", *words), folder / "alertmanager.log"
        async with running(*command, log=log, answers_at=f"{alerting.url}/-/ready"):
            yield alerting
