"""What a browser may do with an answer of this server, whichever it is."""

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    # Streamlit's pages hold scripts and styles of their own and draw their charts by code they make; from elsewhere
    # they need nothing.
    "Content-Security-Policy": (
        "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'; base-uri 'self'; form-action 'self'; "
        "frame-ancestors 'none'; object-src 'none'"
    ),
    "Referrer-Policy": "same-origin",  # the address of a page names orders
    "X-Content-Type-Options": "nosniff",
}


class Policy:
    """Writes it onto every answer; of two policies a browser keeps both."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on, with these headers on what comes back."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.append(name, value)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)
