"""Processes: they run until a block ends, and are seen from outside."""

import asyncio
import os
import re
import select
import signal
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import aiohttp

from gateway.children import dies_with_us

GATEWAY = (sys.executable, "-m", "gateway")
LONG = 90.0
"""Seconds after which what a test waits for comes no more, on a slow machine that is busy with others."""


@asynccontextmanager
async def running(
    *command: str,
    log: Path,
    environ: Mapping[str, str] | None = None,
    answers_at: str = "",
    stdout: int = 0,
    stderr: int = 0,
) -> AsyncIterator[Process]:
    """Run a command in the folder of its log; it is killed when the block ends, unless it has ended before."""
    with log.open("ab") as out:
        process = await asyncio.create_subprocess_exec(
            *dies_with_us("KILL"), *command, env=environ, cwd=log.parent, stdout=stdout or out, stderr=stderr or out
        )
    try:
        if answers_at:
            await _answers(answers_at, log)
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _answers(url: str, log: Path) -> None:
    async def is_there() -> bool:
        with suppress(aiohttp.ClientError):
            async with session.get(url) as answer:
                return answer.status == 200
        return False

    try:
        async with aiohttp.ClientSession() as session:
            await until(is_there)
    except TimeoutError:
        raise _last_words(log) from None


def _last_words(log: Path) -> AssertionError:
    return AssertionError(log.read_text()[-3000:])


class Child(Protocol):
    """A process that a test has started, however it did."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, number: int, /) -> None: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...
    async def wait(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Gateway:
    """One `gateway serve`."""

    process: Child
    public_url: str
    internal_url: str

    async def stop(self) -> float:
        """SIGTERM; returns the seconds it took to end in peace."""
        loop = asyncio.get_running_loop()
        started = loop.time()
        self.process.terminate()
        assert await self.process.wait() == 0
        return loop.time() - started

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()


@asynccontextmanager
async def gateway(
    config: Path, keys: Mapping[str, str], *options: str, stderr: int = 0, program: tuple[str, ...] = GATEWAY
) -> AsyncIterator[Gateway]:
    """Run `gateway serve` in a process of its own, whose log lies beside its settings, and wait until it listens."""
    log = config.with_suffix(".log")
    words = (*program, "serve", "--config", str(config), *options)
    async with running(*words, log=log, environ={**without_database(), **keys}, stdout=PIPE, stderr=stderr) as process:
        assert process.stdout
        yield Gateway(process, *await listens(process.stdout, log))


async def listens(stdout: asyncio.StreamReader, log: Path) -> tuple[str, str]:
    """Wait until a gateway prints where it listens."""
    async with asyncio.timeout(LONG):
        while line := (await stdout.readline()).decode():
            if found := re.search(r"public (\S+)\s+internal (\S+)", line):
                return found[1], found[2]
    raise _last_words(log)


def without_database() -> dict[str, str]:
    """Give the environment without what names a database."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PG", "DATABASE_URL"))}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def until(reached: Callable[[], Awaitable[object]], seconds: float = LONG) -> float:
    """Ask again and again, as another process tells nobody what happens in it; returns the seconds that it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with asyncio.timeout(seconds):
        while not await reached():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.02)
    return loop.time() - began


def of_folder(folder: Path) -> set[int]:
    """Every process whose command names the folder or that works in it, except ourselves."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if os.fsencode(folder) in command or (process / "cwd").readlink().is_relative_to(folder):
                found.add(int(process.name))
    return found - {os.getpid()}


@contextmanager
def command(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `gateway` with these words, as a shell's foreground job would be."""

    def hear_ctrl_c() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        [*GATEWAY, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - a runner in the background passes on that it ignores it
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    """Everything printed up to the line that begins with these words."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        if line.startswith(words):
            return "".join(said)
    raise AssertionError("".join([*said, process.stderr.read() if process.stderr else ""]))


@contextmanager
def watched(pids: set[int]) -> Iterator[list[int]]:
    """Handles that stay with these processes, whoever gets their numbers later; what is left is killed at the end."""
    handles = [os.pidfd_open(pid) for pid in pids]
    try:
        yield handles
    finally:
        for handle in handles:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)


def all_end(handles: list[int], seconds: float = LONG) -> bool:
    return all(select.select([handle], [], [], seconds)[0] for handle in handles)
