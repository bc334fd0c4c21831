"""The processes of a benchmark: each server in one of its own, so that none steals another's time unseen."""

import asyncio
import contextlib
import multiprocessing
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import uvloop
from aiohttp import web

from gateway.app import collect_rarely

KEYS = {"SECRET": "s" * 24, "KEY": "k" * 24, "API": "a" * 24, "CALLBACK": "c" * 24, "TOKEN": "t" * 24}
CONFIG = """
public_url = "http://127.0.0.1:8080"
public = {{ port = {public} }}
internal = {{ port = {internal} }}
[newstore]
url = "{stub}"
token_url = "{stub}/token"
client_id = "bench"
client_secret = "env:SECRET"
concurrency = 64
calls_per_second = 1_000_000
calls_per_five_minutes = 100_000_000
[[operators]]
name = "bench"
role = "admin"
token = "env:TOKEN"
[providers.wms]
adapter = "http"
url = "{stub}/orders"
api_key = "env:API"
callback_key = "env:CALLBACK"
concurrency = 64
calls_per_second = 1_000_000
[locations.DC01]
provider = "wms"
api_keys = ["env:KEY"]
"""
TRACED = """
[telemetry]
otlp_endpoint = "{sink}"
sample_ratio = 0.01
"""


@asynccontextmanager
async def gateway(
    folder: Path, dsn: str, stub: str, ports: tuple[int, int], more: str = ""
) -> AsyncIterator[tuple[str, str]]:
    """Run `gateway serve` on a migrated database; gives the URLs of its two listeners."""
    path = folder / f"gateway-{ports[0]}.toml"
    path.write_text(CONFIG.format(stub=stub, public=ports[0], internal=ports[1]) + more)
    environment = {**os.environ, **KEYS, "DATABASE_URL": dsn}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", "serve", "--config", str(path), env=environment,
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        public, internal = (f"http://127.0.0.1:{port}" for port in ports)
        await ready(f"{internal}/readyz")
        yield public, internal
    finally:
        process.terminate()
        await process.wait()


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [each.getsockname()[1] for each in sockets]


async def ready(url: str) -> None:
    """Wait until a server answers."""
    async with asyncio.timeout(20), aiohttp.ClientSession() as session:
        while True:
            try:
                async with session.get(url) as answer:
                    if answer.status < 500:
                        return
            except aiohttp.ClientError:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def served(make: Callable[..., Coroutine[Any, Any, web.Application]], *given: Any) -> AsyncIterator[str]:
    """Serve an application in a process of its own; gives its URL."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    process = spawn.Process(target=_serve, args=(theirs, make, given), daemon=True)
    process.start()
    theirs.close()  # or a child that dies at its start would never be missed
    try:
        yield await asyncio.to_thread(ours.recv)
    finally:
        process.terminate()
        await asyncio.to_thread(process.join)


def _serve(pipe: Any, make: Callable[..., Coroutine[Any, Any, web.Application]], given: tuple[Any, ...]) -> None:
    async def main() -> None:
        runner = web.AppRunner(await make(*given), access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        collect_rarely()  # as the gateway does
        pipe.send(f"http://127.0.0.1:{runner.addresses[0][1]}")
        await asyncio.Event().wait()

    uvloop.run(main())
