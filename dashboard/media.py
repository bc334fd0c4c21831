"""The files that pages offer: given to nobody who has not signed in."""

from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from dashboard.settings import settings


class Kept:
    """Passes on everything but what a stranger asks of these files."""

    def __init__(self, app: ASGIApp, is_known: Callable[[Request], bool]) -> None:
        self.app = app
        self.is_known = is_known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Ask who it is, where a file is asked for."""
        is_file = scope["type"] == "http" and scope["path"].startswith(f"{settings().base}/media/")
        if is_file and not self.is_known(Request(scope)):
            await PlainTextResponse("Sign in first.", HTTPStatus.FORBIDDEN)(scope, receive, send)
        else:
            await self.app(scope, receive, send)
