"""A simulated provider with an HTTP API: what goes wrong is done here, its author writes the routes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import ClassVar

from aiohttp import web

from .target import Switch, Target

PAUSE = timedelta(seconds=90)
"""For how long a provider that is called too often wants to be left alone."""
MOST_SENT = 24 * 1_048_576
"""Bytes of an answer that does not end; whoever reads them all has no limit."""
_PAGE = "<!doctype html><title>Down for maintenance</title>"


def _throttled() -> web.Response:
    return web.Response(status=429, headers={"Retry-After": format_datetime(datetime.now(UTC) + PAUSE, usegmt=True)})


_BEFORE: dict[Switch, Callable[[], web.Response]] = {
    Switch.LOSE_BEFORE: web.Response,
    Switch.THROTTLE: _throttled,
    Switch.WEB_PAGE: lambda: web.Response(text=_PAGE, content_type="text/html"),
}
"""What the provider never hears of."""
_BODIES = {
    Switch.EMPTY: b"",
    Switch.MALFORMED: b'{"orders": [{"',
    Switch.OTHER_SHAPE: b'{"result": "ok", "orders": null, "items": [null]}',
}
_AFTER = (Switch.LOSE_AFTER, Switch.OVERSIZED, *_BODIES)
"""What goes wrong once the provider has done what it was asked."""
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(eq=False)
class HttpTarget(Target):
    """Its author writes `routes`, says in them `self.takes(Switch.REFUSE)` and the like, and adds those to `switches`.

    All else of `switches` is done to each route that is not among `untouched`.
    """

    switches: ClassVar[frozenset[Switch]] = frozenset({*_BEFORE, *_AFTER})
    untouched: ClassVar[frozenset[str]] = frozenset()
    """What no switch is meant for: `/token`, or `GET /orders` where that is polled at any time."""

    sent: int = 0
    """The most bytes of one answer that does not end."""
    _next: Switch | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None

    def routes(self) -> Sequence[web.RouteDef]:
        """Give the provider's API."""
        raise NotImplementedError

    async def start(self) -> None:
        @web.middleware
        async def switched(request: web.Request, handler: _Handler) -> web.StreamResponse:
            return await self._switched(request, handler)

        app = web.Application(middlewares=[switched])
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, shutdown_timeout=1.0, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        self._ended.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def switch(self, what: Switch) -> None:
        self._next = what

    def takes(self, what: Switch) -> bool:
        """Tell whether this is to go wrong now, and let the next call be as always."""
        if self._next is not what:
            return False
        self._next = None
        return True

    async def _switched(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        await request.read()
        if {request.path, f"{request.method} {request.path}"} & self.untouched:
            return await handler(request)
        before = next((each for each in _BEFORE if self.takes(each)), None)
        after = next((each for each in _AFTER if self.takes(each)), None)
        answer = _BEFORE[before]() if before else await handler(request)
        if Switch.LOSE_BEFORE is before or after is Switch.LOSE_AFTER:
            await self._ended.wait()
        if after is Switch.OVERSIZED:
            return await self._endless(request)
        return web.Response(body=_BODIES[after], content_type="application/json") if after in _BODIES else answer

    async def _endless(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        await answer.prepare(request)
        await answer.write(b'{"filler": "')
        sent, chunk = 0, b"x" * 262_144
        while sent < MOST_SENT:
            try:
                await answer.write(chunk)
            except ConnectionError:
                break
            sent += len(chunk)
            self.sent = max(self.sent, sent)
        return answer
