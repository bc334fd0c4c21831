"""Measure the gateway against its own limit, in one run: medians of interleaved rounds, as ratios.

The limit is the same aiohttp handler shape without a database: it reads the body, parses it, and answers. Load comes
from a second process, so that the gateway has a core of its own as far as the machine allows.
"""

import asyncio
import json
import multiprocessing
import statistics
import tempfile
import time
import uuid
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import orjson
import typer
import uvloop
from aiohttp import web
from rich.console import Console
from rich.table import Table

from gateway import app, settings

CONNECTIONS = 64
KEY = "k" * 24
CONFIG = """
public_url = "http://127.0.0.1:8080"
public = { port = 0 }
internal = { port = 0 }
[newstore]
url = "http://127.0.0.1:9"
token_url = "http://127.0.0.1:9/token"
client_id = "bench"
client_secret = "env:SECRET"
[locations.DC01]
api_keys = ["env:KEY"]
"""


@dataclass(frozen=True)
class Round:
    """What one round of load saw."""

    per_second: float
    p50_ms: float
    p99_ms: float


def body(request_id: str) -> bytes:
    """Make a request of about 1 KB with three units."""
    address = {"first_name": "Ana", "last_name": "Ruiz", "address_line_1": "12 Elm St", "zip_code": "78701"}
    return orjson.dumps(
        {
            "id": request_id,
            "order_id": "SO-100482",
            "billing_address": address,
            "shipping_address": address,
            "shipping_options": {"carrier": "UPS", "service_level": "GROUND"},
            "created_at": "2026-03-05T09:14:22Z",
            "items": [{"product_id": f"SKU-{n}", "extended_attributes": []} for n in range(3)],
            "extended_attributes": [{"name": "note", "value": "x" * 400}],
        }
    )


async def load(url: str, seconds: float, pause: float) -> Round:
    """Post unique requests from 64 connections; with a `pause`, each waits that long between two."""
    times: list[float] = []
    ends = time.perf_counter() + seconds

    async def one(session: aiohttp.ClientSession) -> None:
        while (started := time.perf_counter()) < ends:
            async with session.post(url, data=body(str(uuid.uuid4()))) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()
            times.append(time.perf_counter() - started)
            if pause:
                await asyncio.sleep(pause)

    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(one(session) for _ in range(CONNECTIONS)))
    cuts = statistics.quantiles(times, n=100)
    return Round(len(times) / seconds, cuts[49] * 1000, cuts[98] * 1000)


def driver(pipe: Connection) -> None:
    """Drive load from a process of its own, one round for each line of the pipe."""
    while (work := pipe.recv()) is not None:
        pipe.send(uvloop.run(load(*work)))


async def limit(request: web.Request) -> web.Response:
    """The same work without a database: read, parse, answer."""
    read = orjson.loads(await request.read())
    return web.json_response({"result": "received", "id": read["id"], "reference": ""})


async def measure(rounds: int, seconds: float) -> dict[str, Any]:
    """Run interleaved rounds and give medians and the ratio."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=driver, args=(theirs,), daemon=True)
    process.start()

    async def one(url: str, pause: float = 0.0) -> Round:
        ours.send((url, seconds, pause))
        found: Round = await asyncio.to_thread(ours.recv)
        return found

    bare = web.Application()
    bare.router.add_post("/bare", limit)
    runner = web.AppRunner(bare, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "gateway.toml")
        path.write_text(CONFIG)  # noqa: ASYNC240 - before anything is measured
        loaded = settings.load(path, {"SECRET": "s" * 24, "KEY": KEY})
        async with app.database(loaded) as dsn, app.running(loaded, dsn) as gateway:
            url = f"{gateway.public_url}/newstore/DC01/fulfillment_requests"
            bare_url = f"http://127.0.0.1:{runner.addresses[0][1]}/bare"
            await one(url)
            found = [(await one(bare_url), await one(url)) for _ in range(rounds)]
            half = statistics.median(ours.per_second for _, ours in found) / 2
            calm = await one(url, max(0.0, CONNECTIONS / half - 0.001))
    await runner.cleanup()
    ours.send(None)
    process.join()
    return {
        "rounds": rounds,
        "accept_ratio": round(statistics.median(ours.per_second / bare.per_second for bare, ours in found), 3),
        "accepts_per_second": round(statistics.median(ours.per_second for _, ours in found)),
        "limit_per_second": round(statistics.median(bare.per_second for bare, _ in found)),
        "saturated_ms": {
            "p50": round(statistics.median(ours.p50_ms for _, ours in found), 2),
            "p99": round(statistics.median(ours.p99_ms for _, ours in found), 2),
        },
        "half_load_ms": {"p50": round(calm.p50_ms, 2), "p99": round(calm.p99_ms, 2)},
    }


def main(
    rounds: int = 3,
    seconds: float = 4.0,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    found = uvloop.run(measure(rounds, seconds))
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("measured", "median", title="One machine, one run: read the ratio")
    for name, value in found.items():
        table.add_row(name.replace("_", " "), str(value))
    Console().print(table)


if __name__ == "__main__":
    typer.run(main)
