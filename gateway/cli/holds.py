"""Keep calls from going out, see what is kept, let it go."""

from typing import Annotated, Any

import typer

from .api import LOCAL, Json, Token, Url, ask, tell, why
from .terminal import print_json, run, say

commands = typer.Typer()
_SCOPES = "everything, newstore, provider, location, request, rejections or operation."


@commands.command()
def hold(
    scope: Annotated[str, typer.Argument(help=_SCOPES)],
    name: Annotated[str, typer.Argument(help="Of the provider, location, request or operation.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; whoever comes next reads it.")] = "",
    minutes: Annotated[float, typer.Option("--minutes", help="Release by itself after so long; 0: never.")] = 0,
    url: Url = LOCAL,
    token: Token = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Hold calls back; intake goes on."""
    order: dict[str, Any] = {"scope": scope, "name": name, "reason": why(reason)}
    order |= {"minutes": minutes} if minutes else {}
    placed = run(tell(url, token, "/v1/holds", order, (201,)))
    if as_json:
        print_json(placed)
    else:
        what = f"{scope} {name}".strip()
        say(f"hold {placed['id']} lies on {what}: `gateway release {placed['id']} --reason …` ends it")


@commands.command()
def release(
    hold_id: int,
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")] = "",
    url: Url = LOCAL,
    token: Token = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Release a hold by its id; what waited catches up within the budgets."""
    released = run(tell(url, token, f"/v1/holds/{hold_id}/release", {"reason": why(reason)}, (200,)))
    if as_json:
        print_json(released)
    else:
        say(f"released: {released['scope']} {released['name']}".strip())


@commands.command()
def holds(url: Url = LOCAL, token: Token = "", as_json: Json = False) -> None:
    """List what is held back, by whom and why."""
    found = run(ask(url, token, "/v1/holds", {}))
    if as_json:
        print_json(found)
        return
    for each in found["holds"]:
        what, until = f"{each['scope']} {each['name']}".strip(), (each["expires_at"] or "it is released")[:19]
        say(f"{each['id']}  {what}  by {each['who']} since {each['at'][:19]} until {until}")
        say(f"  {each['reason']}")
    if not found["holds"]:
        say("Nothing is held back.")
    if (restored := found["comparison"]) and restored["compared"] < restored["of"]:
        say(f"{restored['compared']} of {restored['of']} requests that a restore left open are compared with NewStore.")
