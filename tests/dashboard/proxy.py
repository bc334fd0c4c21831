"""A proxy as it stands before a dashboard: it passes on one path, what lies under it, and its own name."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from tests.listening import listening

_OF_ONE_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "content-length"}


@dataclass
class Proxy:
    """Passes on to `origin`, and keeps what it was asked for that lies elsewhere."""

    path: str
    url: str = ""
    origin: str = ""
    elsewhere: list[str] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path != self.path and not request.path.startswith(f"{self.path}/"):
            self.elsewhere.append(request.path)
            raise web.HTTPNotFound
        async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as session:
            if "upgrade" in request.headers.get("Connection", "").lower():
                return await self._talk(request, session)
            return await self._pass_on(request, session)

    async def _pass_on(self, request: web.Request, session: aiohttp.ClientSession) -> web.Response:
        async with session.request(
            request.method,
            f"{self.origin}{request.raw_path}",
            headers=without(request.headers.items()),
            data=await request.read(),
            allow_redirects=False,
        ) as answer:
            kept = CIMultiDict(without(answer.headers.items()))
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _talk(self, request: web.Request, session: aiohttp.ClientSession) -> web.WebSocketResponse:
        spoken = [each.strip() for each in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
        told = [(name, value) for name, value in request.headers.items() if name in {"Host", "Origin", "Cookie"}]
        async with session.ws_connect(
            f"{self.origin}{request.raw_path}", protocols=spoken, headers=told, max_msg_size=0
        ) as theirs:
            ours = web.WebSocketResponse(protocols=[theirs.protocol or ""], max_msg_size=0)
            await ours.prepare(request)
            done, rest = await asyncio.wait(
                [asyncio.create_task(copy(ours, theirs)), asyncio.create_task(copy(theirs, ours))],
                return_when=asyncio.FIRST_COMPLETED,
            )
            for each in rest:
                each.cancel()
            await asyncio.gather(*done, *rest, return_exceptions=True)
        return ours


Side = web.WebSocketResponse | aiohttp.ClientWebSocketResponse


async def copy(one: Side, other: Side) -> None:
    async for message in one:
        if message.type is aiohttp.WSMsgType.BINARY:
            await other.send_bytes(message.data)
        elif message.type is aiohttp.WSMsgType.TEXT:
            await other.send_str(message.data)
    await other.close()


def without(headers: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(name, value) for name, value in headers if name.lower() not in _OF_ONE_HOP]


@asynccontextmanager
async def proxying(path: str) -> AsyncIterator[Proxy]:
    """Stand before this path until the block ends; say later what is behind."""
    proxy = Proxy(path)
    async with listening(web.route("*", "/{all:.*}", proxy.answer)) as proxy.url:
        yield proxy
