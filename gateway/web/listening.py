"""The connections of a listener: bounded in number and in patience, and silent about what runs here."""

import asyncio
from http import HTTPStatus

from aiohttp import web
from aiohttp.http_exceptions import ContentEncodingError

from gateway.settings import Listener
from gateway.telemetry import metrics
from gateway.telemetry.logs import log

from .answers import SERVER, Problem, answer
from .bodies import not_understood

MOST = {"public": 400, "internal": 100}
"""Connections at once, far from the usual limit of 1,024 open files that calls and the database need too."""
_HEAD_SECONDS = 10.0  # for the first request's head to come
_IDLE = 130.0  # seconds between two requests: longer than proxies keep a connection that they may use again
_LINGER = 1  # seconds in which what is left of an answered body is read and dropped


async def listen(
    app: web.Application, name: str, at: Listener, patience: float, *, head_seconds: float = _HEAD_SECONDS
) -> tuple[web.AppRunner, str]:
    """Serve here; gives the runner, whose clean-up waits `patience` for answers under way, and the URL."""
    runner = web.AppRunner(app, handler_cancellation=False, shutdown_timeout=patience)
    await runner.setup()
    try:
        await _Site(runner, name, at, head_seconds).start()
    except OSError:
        await runner.cleanup()
        raise
    host, port = runner.addresses[0][:2]
    return runner, (f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")


class _Site(web.BaseSite):
    """Where one listener takes connections."""

    def __init__(self, runner: web.AppRunner, listener: str, at: Listener, head_seconds: float) -> None:
        super().__init__(runner)
        self.listener, self.at, self.head_seconds = listener, at, head_seconds
        self.open: dict[_Connection, None] = {}  # the oldest first

    @property
    def name(self) -> str:
        return f"http://{self.at.host}:{self.at.port}"

    async def start(self) -> None:
        await super().start()
        server = self._runner.server
        assert server is not None  # noqa: S101 - the runner is set up
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _Connection(self, server), self.at.host, self.at.port, backlog=128
        )

    def admit(self, connection: "_Connection") -> bool:
        """Let one more in; where all places are taken, the oldest that asks for nothing gives up its own."""
        if len(self.open) >= MOST[self.listener]:
            self.dropped("full")
            idle = [each for each in self.open if each.is_idle]
            leaves = next((each for each in idle if each.is_silent), idle[0] if idle else None)
            if leaves is None:
                return False
            del self.open[leaves]
            leaves.force_close()
        self.open[connection] = None
        return True

    def dropped(self, why: str) -> None:
        metrics.of(metrics.CONNECTIONS_DROPPED, self.listener, why).inc()


class _Connection(web.RequestHandler):
    """One connection."""

    def __init__(self, site: _Site, server: web.Server) -> None:
        loop = asyncio.get_running_loop()
        super().__init__(server, loop=loop, access_log=None, lingering_time=_LINGER, keepalive_timeout=_IDLE)  # type: ignore[arg-type]
        self._site = site
        self._late: asyncio.TimerHandle | None = None

    @property
    def is_silent(self) -> bool:
        """Whether no head of a request has come whole."""
        return self._request_count == 0

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for an answer here."""
        return not self._request_in_progress

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not self._site.admit(self):
            transport.close()
            return
        self._late = self._loop.call_later(self._site.head_seconds, self._end_if_silent)
        super().connection_made(transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._site.open.pop(self, None)
        if self._late is not None:
            self._late.cancel()
        super().connection_lost(exc)

    def _end_if_silent(self) -> None:
        if self.is_silent:
            self._site.dropped("silent")
            self.force_close()

    def log_exception(self, *_: object, exc_info: BaseException | None = None, **__: object) -> None:
        """Say what broke, unless it was the body of somebody who is answered already."""
        if not isinstance(exc_info, web.RequestPayloadError):
            log("request.crashed", exc_info)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it repeats what was sent
    ) -> web.StreamResponse:
        """Answer what is not HTTP, or breaks outside of all that answers, without a word of what runs here."""
        if status == HTTPStatus.BAD_REQUEST:
            self._site.dropped("not_http")
            problem = Problem(400, "this can't be read as HTTP/1.1; send such a request", closes=True)
            if isinstance(exc, ContentEncodingError):
                problem = not_understood()
        else:
            log("request.crashed", exc)
            problem = Problem(status, "the gateway has a fault and logged it; send the same again later", closes=True)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        response = answer(problem)
        response.headers["Server"] = SERVER
        return response
