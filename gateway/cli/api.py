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
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.get(f"{url}{path}", params=query) as answer,
    ):
        body = await answer.json(content_type=None)
        if answer.status != 200:
            raise fault(f"{answer.status} {body.get('title')}: {body.get('detail')}", 1)
        return body
