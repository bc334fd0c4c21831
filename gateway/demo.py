"""The whole road on one machine: a gateway, a simulated NewStore and three simulated warehouses, over real HTTP."""

import asyncio
import itertools
import secrets
import statistics
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from gateway import app, settings
from gateway.simulator.newstore import NewStore
from gateway.simulator.newstore_faults import Faults
from gateway.simulator.orders import orders
from gateway.simulator.warehouse import Warehouse

_DCS = {"DC01": "quick", "DC02": "slow_and_partial", "DC03": "flaky"}
_FAULTS = Faults(error_before=0.01, error_after=0.01, break_after=0.01, too_many_requests=0.01, bad_gateway=0.01)
_GATEWAY_TOML = """
public_url = "http://127.0.0.1:8080"
public = {{ port = {public_port} }}
internal = {{ port = {internal_port} }}

[newstore]
url = "{newstore}"
token_url = "{newstore}/auth/realms/acme/protocol/openid-connect/token"
client_id = "gateway"
client_secret = "env:NEWSTORE_SECRET"
calls_per_second = 1_000_000
calls_per_five_minutes = 1_000_000
verify_within = 120
unknown_grace = 2

[[operators]]
name = "demo"
role = "admin"
token = "env:DEMO_TOKEN"
"""
_PROVIDER_TOML = """
[providers.{name}]
adapter = "http"
url = "{url}/orders"
api_key = "env:{name}_API_KEY"
callback_key = "env:{name}_CALLBACK_KEY"
timeout = 2
calls_per_second = 1_000_000
withdraw = true

[locations.{location}]
provider = "{name}"
api_keys = ["env:{location}_API_KEY"]
"""


@dataclass(slots=True)
class World:
    """Everything that runs in a demo."""

    gateway: app.Gateway
    newstore: NewStore
    warehouses: dict[str, Warehouse]
    token: str
    settings: settings.Settings
    placed: int = 0

    async def summary(self) -> dict[str, Any]:
        """Ask the gateway what is open, as the dashboard does."""
        return await self._ask("/v1/summary", {})

    async def requests(self) -> list[dict[str, Any]]:
        """Ask the gateway for all its requests, page by page."""
        found: list[dict[str, Any]] = []
        query = {"limit": "200"}
        while True:
            page = await self._ask("/v1/requests", query)
            found += page["requests"]
            if page["next_page"] is None:
                return found
            query["after"] = page["next_page"]

    async def _ask(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{self.gateway.internal_url}{path}", params=query) as answer,
        ):
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def world(
    folder: Path, dsn: str | None = None, *, faults: Faults = _FAULTS, ports: tuple[int, int] = (0, 0), seed: int = 0
) -> AsyncIterator[World]:
    """Start all parts and connect them; `dsn` names a migrated database, else one of our own is started."""
    keys = {name: secrets.token_urlsafe(24) for name in ("NEWSTORE_SECRET", "DEMO_TOKEN")}
    async with AsyncExitStack() as stack:
        newstore = NewStore(client_secret=keys["NEWSTORE_SECRET"], faults=faults, seed=seed)
        await stack.enter_async_context(newstore.running())
        text = _GATEWAY_TOML.format(newstore=newstore.url, public_port=ports[0], internal_port=ports[1])
        warehouses: dict[str, Warehouse] = {}
        for location, temperament in _DCS.items():
            name = temperament.replace("_and_", "_")
            for key in (f"{name}_API_KEY", f"{name}_CALLBACK_KEY", f"{location}_API_KEY"):
                keys[key] = secrets.token_urlsafe(24)
            warehouse = Warehouse(
                name,
                temperament,
                api_key=keys[f"{name}_API_KEY"],
                callback_key=keys[f"{name}_CALLBACK_KEY"],
                seed=seed,
            )
            await stack.enter_async_context(warehouse.running())
            warehouses[location] = warehouse
            text += _PROVIDER_TOML.format(name=name, location=location, url=warehouse.url)
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - see below
        path = folder / "gateway.toml"
        path.write_text(text)
        config = settings.load(path, keys if dsn is None else {**keys, "DATABASE_URL": dsn})
        database = await stack.enter_async_context(app.database(config))
        gateway = await stack.enter_async_context(app.running(config, database))
        for location, warehouse in warehouses.items():
            warehouse.callback.url = f"{gateway.public_url}/providers/{warehouse.name}/callbacks"
            url = f"{gateway.public_url}/newstore/{location}/fulfillment_requests"
            newstore.configure(location, url, keys[f"{location}_API_KEY"])
        yield World(gateway, newstore, warehouses, keys["DEMO_TOKEN"], config)


async def send(world: World, count: int, *, at_once: int = 16, seed: int = 0) -> None:
    """Place `count` orders at NewStore, one DC after the other."""
    stream = zip(itertools.cycle(world.newstore.webhook.configured), orders(seed), range(count), strict=False)

    async def work() -> None:
        for location, order, _ in stream:
            await world.newstore.place(order, location)
            world.placed += 1

    await asyncio.gather(*(work() for _ in range(at_once)))


async def is_settled(world: World) -> bool:
    """Tell whether every request is final at NewStore and nothing is open at the gateway."""
    if not all(request.status == "completed" for request in world.newstore.requests.values()):
        return False
    return not any(row["pending"] for row in (await world.summary())["locations"])


async def faults_found(world: World) -> list[str]:
    """Compare the simulators' own records: what is lost, doubled or unproved, in words."""
    found: list[str] = []
    for request in world.newstore.requests.values():
        order = world.warehouses[request.location].orders.get(request.id)
        if order is None:
            found.append(f"lost: {request.id} never reached the warehouse of {request.location}")
            continue
        worked = order.record()["counts"]
        shown = {said: products for said, products in request.counts().items() if said != "dispatched"}
        if worked != shown:
            found.append(f"differs: {request.id}: the warehouse did {worked}, NewStore shows {shown}")
        if order.doubled:
            found.append(f"doubled: {request.id} was worked twice")
    summary = await world.summary()
    found += [
        f"unproved: {row['pending']} pending and {row['failed']} failed at {row['location']}"
        for row in summary["locations"]
        if row["pending"] or row["failed"]
    ]
    return found


async def result(world: World) -> dict[str, Any]:
    """Count per DC what NewStore's record shows, and time the road."""
    kept = [each for each in await world.requests() if each["id"] in world.newstore.requests]
    settling = sorted(_seconds(each) for each in kept if each["settled_at"])
    rows: dict[str, Counter[str]] = {location: Counter() for location in world.warehouses}
    for request in world.newstore.requests.values():
        row = rows[request.location]
        row["received"] += request.delivered
        row["rerouted"] += request.rerouted_to is not None
        for said, products in request.counts().items():
            row[f"units_{said}"] += sum(products.values())
    for each in kept:
        rows[each["location"]]["failed"] += each["failure"] is not None
    calls = sum(count for name, count in world.newstore.calls.items())
    acks = sorted(world.newstore.webhook.ack_ms)
    return {
        "per_dc": {location: dict(row) for location, row in rows.items()},
        "requests": len(world.newstore.requests),
        "settle_seconds": {"p50": percentile(settling, 50), "p99": percentile(settling, 99)},
        "ack_ms": {"p50": percentile(acks, 50), "p99": percentile(acks, 99)},
        "newstore_calls_per_request": round(calls / max(1, len(world.newstore.requests)), 2),
    }


def _seconds(request: dict[str, Any]) -> float:
    settled, received = (datetime.fromisoformat(request[name]) for name in ("settled_at", "received_at"))
    return (settled - received).total_seconds()


def percentile(values: list[float], percent: int) -> float:
    """Give a percentile of sorted values, 0 for none."""
    if len(values) < 2:
        return values[0] if values else 0.0
    return round(statistics.quantiles(values, n=100, method="inclusive")[percent - 1], 1)


async def show(console: Console, world: World) -> None:
    """Print what happened as a table."""
    told = await result(world)
    table = Table(title=f"{told['requests']} fulfillment requests")
    columns = ("received", "units_shipped", "units_rejected", "units_cancelled", "failed", "rerouted")
    table.add_column("DC")
    for column in columns:
        table.add_column(column.replace("_", " "), justify="right")
    for location, row in told["per_dc"].items():
        table.add_row(location, *(str(row.get(column, 0)) for column in columns))
    console.print(table)
    console.print(
        f"settled p50 {told['settle_seconds']['p50']} s, p99 {told['settle_seconds']['p99']} s; "
        f"ack p50 {told['ack_ms']['p50']} ms, p99 {told['ack_ms']['p99']} ms; "
        f"{told['newstore_calls_per_request']} NewStore calls per settled request"
    )


async def run(
    folder: Path, requests: int, *, until_settled: bool, seconds: float, console: Console, rate: float = 2.0
) -> int:
    """Run the demo; returns the exit code: 0 only if nothing is lost, doubled or unproved."""
    console.print("Starting Postgres, the gateway, NewStore and three warehouses …")
    seed = secrets.randbelow(2**32)  # another run on the same database sends other requests
    async with world(folder, seed=seed) as running:
        console.print(f"NewStore posts to   {running.gateway.public_url}/newstore/DC01/fulfillment_requests")
        console.print(f"Operations API      {running.gateway.internal_url}/v1/summary")
        console.print(f"  Bearer token      {running.token}")
        console.print(f"Settings            {folder / 'gateway.toml'}")
        if not until_settled:
            await send(running, requests, seed=seed)
            console.print(
                f"{requests} requests sent; {rate:g} more each second. Ctrl-C ends it and leaves nothing behind."
            )
            for order in orders(seed=seed + 1):
                location = secrets.choice(list(running.warehouses))
                await running.newstore.place(order, location)
                await asyncio.sleep(1 / rate)
            return 0
        with Progress(console=console) as progress:
            sent = progress.add_task("sent", total=requests)
            settled = progress.add_task("settled", total=requests)
            sending = asyncio.create_task(send(running, requests, seed=seed))
            async with asyncio.timeout(seconds):
                while not (sending.done() and await is_settled(running)):
                    done = sum(request.status == "completed" for request in running.newstore.requests.values())
                    progress.update(sent, completed=running.placed)
                    progress.update(settled, completed=done, total=max(requests, len(running.newstore.requests)))
                    await asyncio.sleep(0.2)
            await sending
            progress.update(sent, completed=running.placed)
            progress.update(settled, completed=len(running.newstore.requests), total=len(running.newstore.requests))
        await show(console, running)
        faults = await faults_found(running)
        for fault in faults:
            console.print(f"[red]{fault}[/red]")
        console.print("Nothing lost, doubled or unproved." if not faults else f"{len(faults)} faults.")
        return 1 if faults else 0
