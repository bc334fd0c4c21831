"""The page that was asked for, kept while somebody signs in elsewhere: Streamlit would lead them to the first one."""

from urllib.parse import quote, unquote

from starlette.middleware.base import RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import Response

from dashboard.settings import settings

_COOKIE = "gateway_dashboard_asked"
_KEPT = ":/%?=@[]!$&'()*+,"


async def come_back(request: Request, answer_to: RequestResponseEndpoint) -> Response:
    """Remember each page that is opened, and lead whoever has signed in to the last one."""
    answer = await answer_to(request)
    if request.url.path.endswith("/oauth2callback") and _COOKIE in request.cookies:
        answer.headers["location"] = _local(unquote(request.cookies[_COOKIE]))
    elif answer.headers.get("content-type", "").startswith("text/html"):
        asked = quote(f"{request.url.path}?{request.url.query}")
        answer.set_cookie(_COOKIE, asked, path=settings().base or "/", httponly=True, samesite="lax")
    return answer


def _local(asked: str) -> str:
    """Nobody is sent elsewhere from here."""
    return "/" + quote(asked.lstrip("/\\"), safe=_KEPT).removesuffix("?")
