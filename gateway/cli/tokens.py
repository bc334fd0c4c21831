"""Make the token of an operator."""

import secrets
from hashlib import sha256
from typing import Annotated

import typer

from gateway.settings.shapes import ROLES

from .terminal import fault, say

commands = typer.Typer(help="Make the token of an operator.", no_args_is_help=True)


@commands.callback()
def _theme() -> None: ...


@commands.command()
def new(
    name: Annotated[str, typer.Argument(help="Of the operator: the who of the audit.")] = "NAME",
    role: Annotated[str, typer.Option("--role", help=f"{', '.join(ROLES[:-1])} or {ROLES[-1]}.")] = ROLES[0],
) -> None:
    """Make a strong token, show it once, and say where it and its digest go."""
    if role not in ROLES:
        raise fault(f"no role {role}; choose one of {', '.join(ROLES)}", 2)
    token = secrets.token_urlsafe(32)
    say(f"{token}\n")
    say("This is shown once and kept nowhere. Whoever it is for sets it, and signs in to the dashboard with it:\n")
    say(f"    export GATEWAY_TOKEN={token}\n")
    say("gateway.toml needs only its digest; then `gateway reload`, or start the gateway anew:\n")
    say(f'    [[operators]]\n    name = "{name}"\n    role = "{role}"\n    token = "sha256:{_digest(token)}"\n')
    say("In the place of an old token: a list of both digests, until nobody uses the old one any more.")


def _digest(token: str) -> str:
    return sha256(token.encode()).hexdigest()
