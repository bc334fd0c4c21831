"""What providers call things: see it, and what waits because nobody has said it; say it, or take it back."""

from shlex import quote
from typing import Annotated

import typer

from .api import LOCAL, Json, Token, Url, ask, tell, why
from .terminal import print_json, print_table, run, say

commands = typer.Typer(
    help="What providers call service levels, products and carriers, and what waits for that.", no_args_is_help=True
)

Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")]


@commands.command("list")
def list_mappings(url: Url = LOCAL, token: Token = "", as_json: Json = False) -> None:
    """List what is mapped, by people and by the file, and what waits."""
    found = run(ask(url, token, "/v1/mappings", {}))
    if as_json:
        print_json(found)
        return
    rows = [
        (str(each["id"] or "file"), each["provider"], each["kind"], each["ours"], each["theirs"], each["who"] or "")
        for each in found["mappings"]
    ]
    if rows:
        print_table(("id", "provider", "kind", "ours", "theirs", "who"), rows)
    for each in found["unmapped"]:
        waits = f"{each['orders']} order(s)" if each["side"] == "ours" else f"{each['messages']} message(s)"
        word = quote(each["unmapped"])
        words = f"{word} THEIRS" if each["side"] == "ours" else f"OURS {word}"
        say(f"{waits} of {each['provider']} wait: gateway mappings add {each['provider']} {each['kind']} {words}")
    if not found["unmapped"]:
        say("Nothing waits for a mapping.")


@commands.command()
def add(
    provider: str,
    kind: Annotated[str, typer.Argument(help="service_level, product or carrier.")],
    ours: Annotated[str, typer.Argument(help="NewStore's word.")],
    theirs: Annotated[str, typer.Argument(help="The provider's word for it.")],
    reason: Reason = "",
    url: Url = LOCAL,
    token: Token = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Say what a provider calls something; what waited for it goes on by itself."""
    order = {"provider": provider, "kind": kind, "ours": ours, "theirs": theirs, "reason": why(reason)}
    added = run(tell(url, token, "/v1/mappings", order, (201,)))
    if as_json:
        print_json(added)
    else:
        say(f"mapping {added['id']}: {provider} calls {kind} {ours} {theirs}")


@commands.command()
def remove(
    mapping_id: int, reason: Reason = "", url: Url = LOCAL, token: Token = "", as_json: Json = False
) -> None:  # fmt: skip
    """Take a mapping back by its id; what the file says counts again."""
    removed = run(tell(url, token, f"/v1/mappings/{mapping_id}/remove", {"reason": why(reason)}, (200,)))
    if as_json:
        print_json(removed)
    else:
        say(f"removed: {removed['provider']} {removed['kind']} {removed['ours']} = {removed['theirs']}")
