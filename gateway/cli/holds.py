"""Keep calls from going out, see what is kept, let it go."""

from typing import Annotated, Any

import typer
from rich.table import Table

from .api import LOCAL, Json, Token, Url, ask, tell
from .terminal import console, print_json, run

commands = typer.Typer()


@commands.command()
def hold(
    scope: Annotated[str, typer.Argument(help="everything, newstore, provider, location, request or rejections.")],
    name: Annotated[str, typer.Argument(help="Of the provider, location or request.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; whoever comes next reads it.")] = "",
    minutes: Annotated[float, typer.Option("--minutes", help="Release by itself after so long; 0: never.")] = 0,
    url: Url = LOCAL,
    token: Token = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Hold calls back; intake goes on."""
    order: dict[str, Any] = {"scope": scope, "name": name, "reason": reason}
    order |= {"minutes": minutes} if minutes else {}
    placed = run(tell(url, token, "/v1/holds", order, (201,)))
    if as_json:
        print_json(placed)
    else:
        console.print(f"hold {placed['id']} lies on {scope} {name}; `gateway release {placed['id']}` ends it")


@commands.command()
def release(
    hold_id: int,
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")] = "",
    url: Url = LOCAL,
    token: Token = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Release a hold by its id; what waited catches up within the budgets."""
    released = run(tell(url, token, f"/v1/holds/{hold_id}/release", {"reason": reason}, (200,)))
    if as_json:
        print_json(released)
    else:
        console.print(f"released: {released['scope']} {released['name']}", markup=False)


@commands.command()
def holds(url: Url = LOCAL, token: Token = "", as_json: Json = False) -> None:
    """List what is held back, by whom and why."""
    found = run(ask(url, token, "/v1/holds", {}))
    if as_json:
        print_json(found)
        return
    table = Table("id", "what", "since", "until", "who", "why")
    for each in found["holds"]:
        until = (each["expires_at"] or "released")[:19]
        what = f"{each['scope']} {each['name']}".strip()
        table.add_row(str(each["id"]), what, each["at"][:19], until, each["who"], each["reason"])
    console.print(table if found["holds"] else "Nothing is held back.")
