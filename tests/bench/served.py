"""The processes of a benchmark: each server in one of its own, so that none steals another's time unseen."""

import asyncio
import multiprocessing
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from gateway.app import collect_rarely
from tests import processes

KEYS = {"SECRET": "s" * 24, "KEY": "k" * 24, "API": "a" * 24, "CALLBACK": "c" * 24, "TOKEN": "the-token-of-the-bench"}
CONFIG = """
public_url = "http://127.0.0.1:8080"
public = {{ port = 0 }}
internal = {{ port = 0 }}
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
concurrency = 128
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
async def gateway(path: Path, dsn: str, stub: str, more: str = "") -> AsyncIterator[processes.Gateway]:
    """Run `gateway serve` on a migrated database, with settings that are written to this path."""
    path.write_text(CONFIG.format(stub=stub) + more)  # noqa: ASYNC240 - nothing else runs yet
    async with processes.gateway(path, {**KEYS, "DATABASE_URL": dsn}) as served:
        yield served


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
