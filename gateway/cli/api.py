"""How a command asks a running gateway."""

from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import aiohttp
import typer
from yarl import URL

from .terminal import fault

Url = Annotated[str, typer.Option("--url", help="The internal listener of a gateway.", envvar="GATEWAY_URL")]
Token = Annotated[str, typer.Option("--token", help="An operator's token.", envvar="GATEWAY_TOKEN")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
LOCAL = "http://127.0.0.1:8081"


async def ask(url: str, token: str, path: str, query: dict[str, str]) -> Any:
    """Read from the operations API; what it refuses is printed and ends the command."""
    return await _call(url, token, "GET", path, (200,), params=query)


async def tell(url: str, token: str, path: str, body: dict[str, Any], good: tuple[int, ...] = (200,)) -> Any:
    """Have something done by the operations API; what it refuses is printed and ends the command."""
    return await _call(url, token, "POST", path, good, json=body)


def given(**options: str) -> dict[str, str]:
    """Give the options that a person has written."""
    return {name: value for name, value in options.items() if value}


def part(request_id: str) -> str:
    """Write an id, which may hold anything, as a part of a path."""
    return quote(request_id, safe="")


def why(reason: str) -> str:
    """Insist on a reason."""
    if not reason:
        raise fault("say why with --reason; it goes into the audit", 2)
    return reason


async def _call(url: str, token: str, method: str, path: str, good: tuple[int, ...], **content: Any) -> Any:
    try:
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
            session.request(
                method, URL(f"{url.rstrip('/')}{path}", encoded=True), allow_redirects=False, **content
            ) as answer,
        ):
            body: dict[str, Any] = dict(await answer.json(content_type=None))
    except (aiohttp.ClientError, TimeoutError, TypeError, ValueError) as error:
        what = f"{url} does not answer as a gateway does ({type(error).__name__})"
        where = f"Give its internal listener as --url or GATEWAY_URL, such as {LOCAL}"
        raise fault(f"{what}; is it running? {where}", 1) from error
    if answer.status == HTTPStatus.UNAUTHORIZED:
        raise fault("no operator of this gateway has this token; give yours as --token or GATEWAY_TOKEN", 1)
    if answer.status not in good or "title" in body:
        raise fault(f"{answer.status} {body.get('title')}: {body.get('detail')}", 1)
    return body
