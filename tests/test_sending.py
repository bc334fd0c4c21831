"""What a process may not send any more does not leave it, however late that turns out."""

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.sending import Checked, NotLeft, may_leave


async def test_the_last_look_comes_after_the_connection_stands() -> None:
    seen: list[str] = []
    answers = {"is_ours": True}

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.text())
        return web.Response()

    async def connected(*_: object) -> None:
        answers["is_ours"] = len(seen) == 0

    app = web.Application()
    app.router.add_post("/", answer)
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    ours = may_leave.set(lambda: answers["is_ours"])
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession(request_class=Checked, trace_configs=[tracing]) as session,
    ):
        async with session.post(server.make_url("/"), data=b"one"):
            pass
        with pytest.raises(NotLeft):
            await session.post(server.make_url("/"), data=b"two")
    may_leave.reset(ours)
    assert seen == ["one"]
