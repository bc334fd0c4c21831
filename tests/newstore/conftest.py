from collections.abc import AsyncIterator
from secrets import token_hex

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.newstore.client import Client

from .answers import TOKEN, Answer, Answering, settings


@pytest.fixture
async def answering() -> AsyncIterator[Answering]:
    """A client of a server that gives tokens, and this answer to everything else."""
    servers: list[TestServer] = []
    async with aiohttp.ClientSession() as session:

        async def make(answer: Answer) -> Client:
            async def token(_: web.Request) -> web.Response:
                return web.json_response({"access_token": token_hex(4), "expires_in": 300})

            app = web.Application()
            app.router.add_post(TOKEN, token)
            app.router.add_route("*", "/v0/{rest:.*}", answer)
            server = TestServer(app)
            await server.start_server()
            servers.append(server)
            url = f"http://127.0.0.1:{server.port}"
            return Client(session, settings(url, url + TOKEN))

        yield make
    for server in servers:
        await server.close()
