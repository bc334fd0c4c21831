"""Answers of a NewStore that a test lays out, and who asks for them."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from gateway.newstore.client import Client
from gateway.settings import NewStore as Settings
from gateway.settings import Secret

TOKEN = "/token"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
Answering = Callable[[Answer], Awaitable[Client]]


def settings(url: str, token_url: str, secret: str = "made-up-secret") -> Settings:
    return Settings(url, token_url, "gateway", Secret(secret), timeout=1.0)


def always(status: int, body: str = "", **headers: str) -> Answer:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, text=body, headers={k.replace("_", "-"): v for k, v in headers.items()})

    return answer


def by_path(answers: dict[str, Answer], seen: list[str] | None = None) -> Answer:
    """Answer by method and the last part of the path, as "GET shipment"; 404 elsewhere."""

    async def answer(request: web.Request) -> web.StreamResponse:
        what = f"{request.method} {request.path.rpartition('/')[2]}"
        if seen is not None:
            seen.append(what)
        return await answers.get(what, always(404))(request)

    return answer
