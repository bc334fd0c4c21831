"""A gateway in a process of its own, that ends with the block, and with us."""

import asyncio
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from gateway.children import dies_with_us

_READY_WITHIN = 120.0  # a first start makes a database, and the machine may be busy
_STOPPED_WITHIN = 45.0  # it lets its calls end, then its Postgres
_LAST_LINES = 15


class GatewayEnded(Exception):  # said of the world, not of the code
    """The gateway did not get ready, or ended by itself; the text has its last words."""


@asynccontextmanager
async def gateway(config: Path, keys: Mapping[str, str]) -> AsyncIterator[tuple[str, str]]:
    """Run `gateway serve` on these settings; gives the URLs of its public and its internal listener.

    Raises `GatewayEnded`, in the middle of the block too. Call it from the main thread: Linux ends the gateway with
    the thread that started it.
    """
    log = config.with_name("gateway.log")
    child = await _started(config, keys, log)
    try:
        urls = await _ready(child, log)
        async with _watched(child, log):
            yield urls
    finally:
        await _stopped(child)


async def _started(config: Path, keys: Mapping[str, str], log: Path) -> Process:
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    path = os.pathsep.join(filter(None, sys.path))  # the code that runs here, not what another folder calls gateway
    command = (sys.executable, "-P", "-m", "gateway", "serve", "--config", str(config))
    with log.open("wb") as errors:
        return await asyncio.create_subprocess_exec(
            *dies_with_us("TERM"),
            *command,
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=errors,
            env={**environ, **keys, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is ours to handle: both ends outlive the gateway
        )


async def _ready(child: Process, log: Path) -> tuple[str, str]:
    assert child.stdout is not None  # noqa: S101 - it is a pipe
    try:
        async with asyncio.timeout(_READY_WITHIN):
            said = (await child.stdout.readline()).decode()
    except TimeoutError:
        raise _ended(f"did not get ready within {_READY_WITHIN:g} s", log) from None
    listening = re.fullmatch(r"public (\S+)  internal (\S+)\n", said)
    if listening is None:
        raise _ended("did not get ready", log)
    return listening[1], listening[2]


@asynccontextmanager
async def _watched(child: Process, log: Path) -> AsyncIterator[None]:
    """Cancel the block when the child ends."""
    block = asyncio.current_task()
    assert block is not None  # noqa: S101 - a coroutine runs in one
    watching = asyncio.create_task(child.wait())
    watching.add_done_callback(lambda task: task.cancelled() or block.cancel())
    try:
        yield
    except asyncio.CancelledError:
        if not watching.done() or block.uncancel():
            raise
        raise _ended(f"ended with {watching.result()}", log) from None
    finally:
        watching.cancel()


async def _stopped(child: Process) -> None:
    if child.returncode is None:
        child.terminate()
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOPPED_WITHIN):
                await child.wait()
    finally:
        if child.returncode is None:
            child.kill()  # its Postgres ends with it


def _ended(what: str, log: Path) -> GatewayEnded:
    lines = log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
    return GatewayEnded("\n  ".join([f"The gateway {what}; {log} ends with:", *lines]))
