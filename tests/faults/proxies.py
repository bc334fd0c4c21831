"""What stands between two parties on a network: a proxy that can go silent, and a balancer before several gateways."""

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Dial = Callable[[], Awaitable[Streams]]


class Proxy:
    """Forwards connections; while it is cut it takes them and bytes, and answers nothing."""

    def __init__(self, dial: Dial) -> None:
        self.port = 0
        self._dial = dial
        self._whole = asyncio.Event()
        self._whole.set()

    def cut(self) -> None:
        self._whole.clear()

    def mend(self) -> None:
        self._whole.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Proxy"]:
        async with listening(self._serve) as self.port:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._whole.wait()
        far_reader, far_writer = await self._dial()
        await joined((reader, far_writer), (far_reader, writer), self._whole)


@dataclass(eq=False)
class Backend:
    """A gateway behind the balancer, and whether it says that it is ready."""

    port: int
    readyz: str
    is_ready: bool = False


@dataclass
class Balancer:
    """Deals connections round robin to what is ready, and to the next one where a connection is refused."""

    port: int = 0
    refused: int = 0
    backends: list[Backend] = field(default_factory=list)
    _turn: "itertools.count[int]" = field(default_factory=itertools.count)

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Balancer"]:
        async with listening(self._serve) as self.port, aiohttp.ClientSession() as session:
            asking = asyncio.create_task(self._ask(session))
            try:
                yield self
            finally:
                await ended(asking)

    def remove(self, port: int) -> None:
        self.backends = [each for each in self.backends if each.port != port]

    async def _ask(self, session: aiohttp.ClientSession) -> None:
        while True:
            await asyncio.gather(*(self._look(session, each) for each in self.backends))
            await asyncio.sleep(0.1)

    @staticmethod
    async def _look(session: aiohttp.ClientSession, backend: Backend) -> None:
        try:
            async with session.get(backend.readyz, timeout=aiohttp.ClientTimeout(total=3)) as answer:
                backend.is_ready = answer.status == 200
        except (aiohttp.ClientError, TimeoutError):
            backend.is_ready = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for backend in self._dealt():
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection("127.0.0.1", backend.port)
                await joined((reader, far_writer), (far_reader, writer))
                return
        self.refused += 1

    def _dealt(self) -> list[Backend]:
        turn = next(self._turn) % max(1, len(self.backends))
        dealt = self.backends[turn:] + self.backends[:turn]
        return sorted(dealt, key=lambda each: not each.is_ready)


@asynccontextmanager
async def listening(
    serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """Serve each connection in a task of its own on a free port; the end hangs up on all of them."""
    tasks: set[asyncio.Task[None]] = set()

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(OSError):
                await serve(reader, writer)
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(one(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(tasks):
            await ended(task)
        await asyncio.sleep(0)  # the sockets close at the loop's next turn


async def ended(task: "asyncio.Task[None]") -> None:
    """Stop a task; what it died of earlier is not hidden."""
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def joined(there: Streams, back: Streams, whole: asyncio.Event | None = None) -> None:
    """Forward both ways until one side hangs up, then hang up on the other."""
    pumps = [asyncio.create_task(_pump(*way, whole)) for way in (there, back)]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        for _, writer in (there, back):
            writer.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, whole: asyncio.Event | None) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65_536):
            if whole is not None:
                await whole.wait()
            writer.write(data)
            await writer.drain()
