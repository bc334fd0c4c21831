"""How both listeners answer: JSON, and of errors `application/problem+json` whose detail says what to do."""

from collections.abc import Callable
from http import HTTPStatus
from random import randint

import asyncpg
import msgspec
import orjson
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.ledger.database.connections import DATABASE_AWAY
from gateway.ledger.write.queued import LedgerUnavailable
from gateway.telemetry.logs import log

ECHO = 200
"""Characters at most of what a sender sent that an error repeats."""


SERVER = "gateway"
"""All that is said of what runs here."""


class Problem(Exception):
    """Answer with this error; `closes` also ends the connection."""

    def __init__(self, status: int, detail: str, *, closes: bool = False, **headers: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.closes = closes
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


Wording = Callable[[Problem], web.Response]
WORDING: web.RequestKey[Wording] = web.RequestKey("wording")
"""How a problem is told to whoever sent this request, where that is not as to all."""


def json_answer(document: object, status: int = 200) -> web.Response:
    """Write an answer as JSON."""
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")


async def livez(_: web.Request) -> web.Response:
    """Say that the process is alive."""
    return web.Response(text="alive\n")


def unavailable() -> Problem:
    """Say that nothing was stored; senders come back spread over some seconds."""
    detail = "the database can't store anything now; send the same again after Retry-After seconds"
    return Problem(503, detail, Retry_After=str(randint(1, 5)))  # noqa: S311 - jitter


def not_ready(reason: str) -> Problem:
    """Say why this process can't store anything, to whoever chooses where to send."""
    return Problem(503, reason, Retry_After="1")


def answer(problem: Problem, **more: str) -> web.Response:
    """Write a problem as a response."""
    title = HTTPStatus(problem.status).phrase
    document = {"type": "about:blank", "title": title, "status": problem.status, "detail": problem.detail, **more}
    response = web.Response(
        body=orjson.dumps(document),
        status=problem.status,
        headers=problem.headers,
        content_type="application/problem+json",
    )
    if problem.closes:
        response.force_close()
    return response


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn whatever goes wrong into a problem."""
    try:
        return await handler(request)
    except Exception as error:  # noqa: BLE001 - the one broad except of this listener
        word: Wording = request.get(WORDING, answer)
        return word(_problem(request, error))  # held by no name: its frames hold bodies


def _problem(request: web.Request, error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, web.HTTPException):
        return _of_aiohttp(request, error)
    if isinstance(error, asyncpg.QueryCanceledError):
        return Problem(503, "that took too long; narrow it, by a DC, a status, or a time window")
    if isinstance(error, (LedgerUnavailable, *DATABASE_AWAY)):
        return unavailable()
    log("request.crashed", error)
    return Problem(500, "the gateway has a fault and logged it; send the same again later")


async def name_no_version(_: web.Request, response: web.StreamResponse) -> None:
    """Tell nobody which versions run."""
    response.headers["Server"] = SERVER


def _of_aiohttp(request: web.Request, error: web.HTTPException) -> Problem:
    """Say what aiohttp found wrong with a request in words that help."""
    path = request.path[:ECHO]
    if error.status == HTTPStatus.NOT_FOUND:
        return Problem(404, f"nothing is served at {path}; compare the URL with /openapi.json of the internal listener")
    if isinstance(error, web.HTTPMethodNotAllowed):
        allowed = ", ".join(sorted(error.allowed_methods))
        return Problem(405, f"{request.method[:ECHO]} is not for {path}; use {allowed}", Allow=allowed)
    return Problem(error.status, f"{error.reason}; correct the request")
