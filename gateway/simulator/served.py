"""What both simulators are: an HTTP server with tasks of its own and a state that can be waited for."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, Self

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Middleware

JSON = dict[str, Any]
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # listened on, and called by another name


def now() -> str:
    """The time as NewStore writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Served:
    """A server that may be stopped and started again: its state outlives its socket."""

    def __init__(self, routes: Iterable[web.RouteDef], middlewares: Iterable[Middleware] = ()) -> None:
        self.url = ""
        self.calls: Counter[str] = Counter()
        self._routes = (*routes, web.get("/simulator/record", self._read_record))
        self._middlewares = tuple(middlewares)
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[object]] = set()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Listen, and take up what the last stop left undone."""
        self._stopping.clear()
        app = web.Application(middlewares=self._middlewares)
        app.add_routes(self._routes)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        await web.TCPSite(self._runner, host, port).start()
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        reached = _EVERYWHERE.get(host, host)
        self.url = f"http://{f'[{reached}]' if ':' in reached else reached}:{self._runner.addresses[0][1]}"
        self._resume()

    async def stop(self) -> None:
        """Close the socket and end every task."""
        self._stopping.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        await self._runner.cleanup()

    @asynccontextmanager
    async def running(self, host: str = "127.0.0.1", port: int = 0) -> AsyncIterator[Self]:
        """Started inside the block, stopped after it."""
        await self.start(host, port)
        try:
            yield self
        finally:
            await self.stop()

    async def until(self, predicate: Callable[[], object], seconds: float = 10) -> None:
        """Return when the predicate holds; it is asked again after every change. TimeoutError after so many seconds."""
        async with asyncio.timeout(seconds):
            while not predicate():
                await self._changed.wait()

    def record(self) -> JSON:
        """Everything this server saw and did."""
        raise NotImplementedError

    def _resume(self) -> None:
        raise NotImplementedError

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _spawn(self, work: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _read_record(self, _: web.Request) -> web.Response:
        return web.json_response(self.record())
