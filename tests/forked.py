"""`gateway`, forked from a process that has read its imports: a start of Python takes longer than most tests do."""

import asyncio
import multiprocessing
import os
import signal
import sys
from asyncio import StreamReader, StreamReaderProtocol
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection, wait
from pathlib import Path
from threading import Thread

from tests.processes import Gateway, listens, without_database

WARM = multiprocessing.get_context("forkserver")
# Not the commands: they look at their environment as they are imported. With its adapters, typer reads all of pydantic.
_READ = ("gateway.app", "gateway.demo.run", "pytest", "rich.markdown", "rich.progress", "typer._adapters", "uvloop")
WARM.set_forkserver_preload([*_READ, "tests.forked"])


class Forked:
    """A process that is told and waited for as those of asyncio are."""

    def __init__(self, work: Callable[..., None], *arguments: object) -> None:
        self._process = WARM.Process(target=_begin, args=(work, *arguments))
        self._process.start()
        self._ended = asyncio.Event()
        asyncio.get_running_loop().add_reader(self._process.sentinel, self._end)

    def _end(self) -> None:
        asyncio.get_running_loop().remove_reader(self._process.sentinel)
        self._process.join()
        self._ended.set()

    @property
    def pid(self) -> int:
        assert self._process.pid
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode if self._ended.is_set() else None

    def send_signal(self, number: int, /) -> None:
        if not self._ended.is_set():
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        await self._ended.wait()
        assert self._process.exitcode is not None
        return self._process.exitcode


@asynccontextmanager
async def gateway(config: Path, keys: Mapping[str, str], *options: str) -> AsyncIterator[Gateway]:
    """Run `gateway serve` as `processes.gateway` does; but told to stop, it gives no balancer time to see that."""
    log = config.with_suffix(".log")
    reading, writing = WARM.Pipe(duplex=False)
    words = ("serve", "--config", str(config), *options)
    process = Forked(_serve, words, {**without_database(), **keys}, log, writing)
    writing.close()
    stdout = StreamReader()
    with os.fdopen(os.dup(reading.fileno()), "rb") as pipe:
        reading.close()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: StreamReaderProtocol(stdout), pipe)
        try:
            yield Gateway(process, *await listens(stdout, log))
        finally:
            process.kill()
            await process.wait()
            transport.close()


def _begin(work: Callable[..., None], *arguments: object) -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    work(*arguments)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent
    wait([parent.sentinel])
    os.kill(os.getpid(), signal.SIGKILL)


def _serve(words: tuple[str, ...], environ: Mapping[str, str], log: Path, stdout: Connection) -> None:
    from gateway import app  # noqa: PLC0415 - who forks it has read it

    app.GRACE = 0.0
    os.chdir(log.parent)
    os.dup2(stdout.fileno(), 1)
    os.dup2(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644), 2)
    run(words, environ)


def run(words: tuple[str, ...], environ: Mapping[str, str]) -> None:
    """Be `gateway` with these words, and nothing else in the environment."""
    os.environ.clear()
    os.environ.update(environ)
    sys.argv = ["gateway", *words]
    from gateway.__main__ import main  # noqa: PLC0415 - see above

    main()
