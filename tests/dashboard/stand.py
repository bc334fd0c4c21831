"""Everything that a viewer meets: simulators here, the gateway and the dashboard in processes of their own."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from gateway.cli.dashboard import command, environ
from gateway.demo.process import gateway
from gateway.demo.world import World, simulated
from gateway.simulator.newstore_faults import NO_FAULTS
from tests import processes
from tests.processes import free_port, running

TOKENS = {name: f"the-token-of-{name}" for name in ("vera", "otto", "ada")}
SILENT = "r-silent"
"""Requests whose id begins so are never answered by their warehouse."""
_MORE = """
[[operators]]
name = "vera"
role = "viewer"
token = "env:TOKEN_VERA"

[[operators]]
name = "otto"
role = "operator"
token = "env:TOKEN_OTTO"

[[operators]]
name = "ada"
role = "admin"
token = "env:TOKEN_ADA"

[telemetry]
otlp_endpoint = "http://127.0.0.1:9"
sample_ratio = 1.0
"""

_CARRIERS = 'carriers = { UPS = "UPS" }\nmust_map = ["carrier"]\n'


@asynccontextmanager
async def world(folder: Path, dsn: str, admin: str = "ada", *, carriers: str = _CARRIERS) -> AsyncIterator[World]:
    """Run a gateway between the simulators; with a viewer, an operator, an admin, and traces to nowhere."""
    more = _MORE.replace('"ada"', json.dumps(admin))
    async with simulated(folder, faults=NO_FAULTS) as simulators:
        settings = simulators.config.read_text().replace("[providers.", f"{more}\n[providers.", 1)
        settings = settings.replace("[providers.quick]\n", f"[providers.quick]\n{carriers}")
        simulators.config.write_text(settings)
        keys = {f"TOKEN_{name.upper()}": token for name, token in TOKENS.items()}
        async with gateway(simulators.config, {**simulators.keys, **keys, "DATABASE_URL": dsn}) as urls:
            yield World(simulators, *urls)


@asynccontextmanager
async def dashboard(
    url: str, log: Path, secrets: str = "", base_path: str = "", seen_at: str = "", **more: str
) -> AsyncIterator[str]:
    """Serve the dashboard, and give its address; `SITE` in the secrets stands for it, or for where browsers see it."""
    port = free_port()
    site = f"http://127.0.0.1:{port}{base_path}"
    if secrets:
        kept = log.parent / ".streamlit" / "secrets.toml"
        kept.parent.mkdir()
        kept.write_text(secrets.replace("SITE", seen_at or site))
    words, told = command("127.0.0.1", port, base_path), environ(url, **more)
    async with running(*words, log=log, environ=told, answers_at=f"{site}/_stcore/health"):
        yield site


def order(request_id: str, *products: str, order_id: str = "SO-1", service_level: str = "GROUND") -> dict[str, Any]:
    return {
        "id": request_id,
        "order_id": order_id,
        "shipping_options": {"carrier": "UPS", "service_level": service_level},
        "items": [{"product_id": product, "extended_attributes": []} for product in products],
    }


async def say(world: World, **event: Any) -> int:
    """Speak as the warehouse of DC01."""
    key = world.simulators.keys["quick_CALLBACK_KEY"]
    url, headers = f"{world.public_url}/providers/quick/callbacks", {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=event) as answer:
        return answer.status


async def until(world: World, reached: Callable[[list[dict[str, Any]]], bool]) -> None:
    """Wait until the gateway's list of requests looks so."""

    async def is_so() -> bool:
        return reached(await world.requests())

    await processes.until(is_so)


async def refused(world: World, request_id: str) -> None:
    """Let a shipment fail: NewStore takes the report and then shows it as refused."""
    await until(world, lambda rows: not any(_moves(row) for row in rows))  # the next shipment is to be ours
    world.newstore.fail_next("shipment", "refuse")
    await world.newstore.place(order(request_id, "TEE"), "DC01")
    await until(world, lambda rows: any(row["id"] == request_id and row["failure"] for row in rows))


def _moves(row: dict[str, Any]) -> bool:
    return row["pending"] and row["failure"] is None and not row["id"].startswith(SILENT)
