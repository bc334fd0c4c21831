"""Speak HTTP: what aiohttp answers by itself is a problem too, and nobody is told which versions run."""

from aiohttp import web

from .problems import SERVER, Problem, answer, of_aiohttp


class Runner(web.AppRunner):
    """Runs one listener."""

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,  # noqa: SLF001 - aiohttp has no other way to choose what speaks
        )


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Speaker(self, loop=self._loop, **self._kwargs)


class _Speaker(web.RequestHandler):
    """Answers also what never comes to the application: no HTTP, or an `Expect` that nobody knows."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        super().handle_error(request, status, exc, message)  # logs it
        return answer(Problem(status, "this can't be read as HTTP; correct what sends it", closes=True))

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException):
            resp = answer(of_aiohttp(request, resp))
        resp.headers.setdefault("Server", SERVER)
        return await super().finish_response(request, resp, start_time)
