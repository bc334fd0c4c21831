"""The door: a form for a person's token, before any page is shown."""

import asyncio
import json
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qs, quote, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dashboard.api import Api, Failed, SignedOut, client
from dashboard.sessions import COOKIE, SECONDS, SESSIONS
from dashboard.settings import settings

_LONGEST = 4096
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Sign in · Fulfillment gateway</title><link rel="icon" href="data:,"><style>
:root {{ color-scheme: light dark }}
body {{ font: 16px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0 }}
form {{ display: grid; gap: .75rem; width: min(24rem, 90vw) }}
h1 {{ font-size: 1.5rem; margin: 0 }} p {{ margin: 0 }}
input, button {{ font: inherit; padding: .6rem .75rem; border-radius: .5rem; border: 1px solid GrayText }}
button {{ cursor: pointer }} [role=alert] {{ border-left: 4px solid; padding-left: .75rem }}
</style></head><body><main><form method="post" action="sign-in">
<h1>Fulfillment gateway</h1>{problem}
<label for="token">Your operator token</label>
<input id="token" name="token" type="password" autocomplete="current-password" required autofocus>
<input type="hidden" name="then" value="{then}">
<button>Sign in</button>
<p><small>Whoever runs the gateway gives it to you: it stands behind your name under [[operators]].</small></p>
</form></main></body></html>"""
_HINT = "<head><script>window.__streamlit = {{BACKEND_BASE_URL: window.location.origin + {base}}}</script>"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'",
    "Cache-Control": "no-store",
}


async def sign_in(request: Request) -> Response:
    """Show the form, or let somebody in."""
    if request.method == "GET":
        return _form(request.query_params.get("then", ""))
    if not _is_ours(request):
        return _form("", "That form was not ours. Try it here.", HTTPStatus.FORBIDDEN)
    body = await _body(request)
    if body is None:
        return _form("", "That is too long for a token. Look what you copied.", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    sent = parse_qs(body.decode(errors="replace"))
    token, then = (sent.get(name, [""])[0] for name in ("token", "then"))
    try:
        await asyncio.to_thread(_check, token.strip())
    except SignedOut:
        await asyncio.sleep(1)
        return _form(then, "Nobody has this token. Look whether you copied all of it.", HTTPStatus.UNAUTHORIZED)
    except Failed:
        problem = "The gateway does not answer now. Try again in a moment."
        return _form(then, problem, HTTPStatus.SERVICE_UNAVAILABLE)
    return _let_in(request, token.strip(), then)


async def sign_out(request: Request) -> Response:
    """End a session."""
    SESSIONS.end(request.cookies.get(COOKIE))
    answer = RedirectResponse("sign-in", HTTPStatus.SEE_OTHER)
    answer.delete_cookie(COOKIE, path=settings().base or "/")
    return answer


class Doorkeeper:
    """Sends whoever opens a page without a session to the form, and from there back to the page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on everything but the opening of a page by a stranger."""
        if scope["type"] != "http" or not _opens_a_page(Request(scope)):
            await self.app(scope, receive, send)
            return
        asked = Request(scope).url
        then = asked.path + (f"?{asked.query}" if asked.query else "")
        answer = RedirectResponse(f"{settings().base}/sign-in?then={quote(then)}", HTTPStatus.SEE_OTHER)
        await answer(scope, receive, send)


def has_session(request: Request) -> bool:
    """Tell whether this browser is signed in."""
    return SESSIONS.token(request.cookies.get(COOKIE)) is not None


def _opens_a_page(request: Request) -> bool:
    return _wants_a_page(request) and not has_session(request)


def _wants_a_page(request: Request) -> bool:
    path = request.url.path
    is_own = path.endswith(("/sign-in", "/sign-out")) or "/_stcore/" in path or "/static/" in path or "/media/" in path
    return request.method == "GET" and not is_own and "text/html" in request.headers.get("accept", "")


async def _body(request: Request) -> bytes | None:
    """Read what came, and of what is too long no more than that."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LONGEST:
            return None
    return body


def _check(token: str) -> None:
    if not token.isascii():
        raise SignedOut
    with client(settings().url) as http:
        Api(http, token).me()


def _let_in(request: Request, token: str, then: str) -> Response:
    answer = RedirectResponse(_local(then), HTTPStatus.SEE_OTHER)
    is_secure = request.headers.get("x-forwarded-proto", request.url.scheme) == "https"
    name = SESSIONS.begin(token)
    path = settings().base or "/"
    answer.set_cookie(COOKIE, name, SECONDS, path=path, httponly=True, samesite="lax", secure=is_secure)
    return answer


def _local(then: str) -> str:
    """Nobody is sent elsewhere from here."""
    is_local = then.startswith("/") and not then.startswith(("//", "/\\")) and not urlsplit(then).netloc
    return then if is_local and then.isprintable() else f"{settings().base}/"


def _is_ours(request: Request) -> bool:
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


def _form(then: str, problem: str = "", status: int = HTTPStatus.OK) -> HTMLResponse:
    told = f'<p role="alert">{escape(problem)}</p>' if problem else ""
    return HTMLResponse(_PAGE.format(problem=told, then=escape(_local(then), quote=True)), status, _HEADERS)


class Base:
    """Tells a page where its server is: left to itself it guesses from its own address, and fails first."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the hint to a page; everything else passes as it is."""
        if scope["type"] != "http" or not _wants_a_page(Request(scope)):
            await self.app(scope, receive, send)
            return
        parts: list[Message] = []

        async def keep(message: Message) -> None:
            parts.append(message)

        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        await self.app({**scope, "headers": plain}, receive, keep)
        start, body = parts[0], b"".join(part.get("body", b"") for part in parts[1:])
        hint = _HINT.format(base=json.dumps(settings().base).replace("<", r"\u003c"))
        hinted = body.replace(b"<head>", hint.encode(), 1)
        headers = [
            (name, value) for name, value in start["headers"] if name.lower() not in {b"content-length", b"etag"}
        ]
        length = (b"content-length", str(len(hinted)).encode())
        await send({**start, "headers": [*headers, length]})
        await send({"type": "http.response.body", "body": hinted})
