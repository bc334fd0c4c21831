"""Prometheus and Alertmanager beside the demo, where both are installed and our rules lie in a checkout."""

import asyncio
import json
import shutil
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web
from rich.console import Console

from gateway.children import dies_with_us

_GRAFANA = Path(__file__).parents[2] / "grafana"
_SHIPPED_WEBHOOK = "http://127.0.0.1:9095"
_STOPPED_WITHIN = 10.0
_PROGRAMS = ("prometheus", "prometheus-alertmanager")


@asynccontextmanager
async def watched(folder: Path, internal_url: str, console: Console) -> AsyncIterator[None]:
    """Scrape the gateway with our rules and print the alerts; do nothing where the programs are not installed."""
    missing = [name for name in _PROGRAMS if shutil.which(name) is None]
    if missing or not _GRAFANA.is_dir():
        console.print(f"Prometheus          not beside it: {', '.join(missing) or 'no grafana folder'} not found")
        yield
        return
    async with AsyncExitStack() as stack:
        webhook = await stack.enter_async_context(_webhook(console))
        alertmanager, prometheus = _free_address(), _free_address()
        _write(folder, internal_url, alertmanager, webhook)
        routing = ("--config.file=alertmanager.yml", "--storage.path=alerts", "--cluster.listen-address=")
        await stack.enter_async_context(_child(folder, _PROGRAMS[1], alertmanager, *routing))
        scraping = (
            "--config.file=prometheus.yml", "--storage.tsdb.path=metrics", "--storage.tsdb.retention.time=1d",
            "--enable-feature=exemplar-storage",
        )  # fmt: skip
        await stack.enter_async_context(_child(folder, _PROGRAMS[0], prometheus, *scraping))
        console.print(f"Prometheus          http://{prometheus}/alerts")
        console.print(f"Alertmanager        http://{alertmanager}")
        yield


def _write(folder: Path, internal_url: str, alertmanager: str, webhook: str) -> None:
    """Settings for both: our rules, routes and inhibitions, at the demo's addresses."""
    routes = (_GRAFANA / "alertmanager" / "alertmanager.yml").read_text(encoding="utf-8")
    (folder / "alertmanager.yml").write_text(routes.replace(_SHIPPED_WEBHOOK, webhook), encoding="utf-8")
    settings: Mapping[str, Any] = {
        "global": {
            "scrape_interval": "5s",
            "evaluation_interval": "5s",
            "external_labels": {"grafana": "http://localhost:3000"},
        },
        "rule_files": [str(_GRAFANA / "prometheus" / "rules" / "*.yml")],
        "alerting": {
            "alert_relabel_configs": [{"action": "labeldrop", "regex": "grafana"}],
            "alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}],
        },
        "scrape_configs": [
            {"job_name": "gateway", "static_configs": [{"targets": [internal_url.removeprefix("http://")]}]}
        ],
    }
    (folder / "prometheus.yml").write_text(json.dumps(settings), encoding="utf-8")  # JSON is YAML too


@asynccontextmanager
async def _webhook(console: Console) -> AsyncIterator[str]:
    async def take(request: web.Request) -> web.Response:
        for alert in (await request.json())["alerts"]:
            if request.match_info["receiver"] != "watchdog":
                said = f"Alert {alert['status']}: {alert['labels']['alertname']}: {alert['annotations']['summary']}"
                console.print(said, markup=False)
        return web.Response()

    app = web.Application()
    app.add_routes([web.post("/{receiver}", take)])
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@asynccontextmanager
async def _child(folder: Path, name: str, address: str, *words: str) -> AsyncIterator[None]:
    """Run a program in the folder until the block ends; its words go to a log there."""
    with (folder / f"{name}.log").open("wb") as log:
        child = await asyncio.create_subprocess_exec(
            *dies_with_us("TERM"), name, *words, f"--web.listen-address={address}",
            stdin=DEVNULL, stdout=log, stderr=log, cwd=folder, start_new_session=True,
        )  # fmt: skip
    try:
        yield
    finally:
        await _stopped(child)


async def _stopped(child: Process) -> None:
    if child.returncode is None:
        child.terminate()
        try:
            async with asyncio.timeout(_STOPPED_WITHIN):
                await child.wait()
        except TimeoutError:
            child.kill()


def _free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
