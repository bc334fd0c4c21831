"""How a command asks a running gateway."""

from typing import Annotated, Any

import aiohttp
import typer

from .terminal import fault

Url = Annotated[str, typer.Option("--url", help="The internal listener of a gateway.", envvar="GATEWAY_URL")]
Token = Annotated[str, typer.Option("--token", help="An operator's token.", envvar="GATEWAY_TOKEN")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
LOCAL = "http://127.0.0.1:8081"


async def ask(url: str, token: str, path: str, query: dict[str, str]) -> Any:
    """Read from the operations API; what it refuses is printed and ends the command."""
    async with _session(token) as session, session.get(f"{url}{path}", params=query) as answer:
        return await _body(answer, (200,))


async def tell(url: str, token: str, path: str, body: dict[str, Any], good: tuple[int, ...] = (200,)) -> Any:
    """Have something done by the operations API; what it refuses is printed and ends the command."""
    async with _session(token) as session, session.post(f"{url}{path}", json=body) as answer:
        return await _body(answer, good)


def _session(token: str) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"})


async def _body(answer: aiohttp.ClientResponse, good: tuple[int, ...]) -> Any:
    body = await answer.json(content_type=None)
    if answer.status not in good or "title" in body:
        raise fault(f"{answer.status} {body.get('title')}: {body.get('detail')}", 1)
    return body
