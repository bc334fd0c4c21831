"""Messages that could not be applied, and the audit of what people did."""

from typing import Annotated, Any

import typer

from .api import LOCAL, Json, Token, Url, ask, given, tell, why
from .requests import Unmasked, Why, print_body, print_unmasked
from .terminal import print_json, print_table, run, say

commands = typer.Typer(help="Messages that could not be applied.", no_args_is_help=True)
audited = typer.Typer()

Limit = Annotated[int, typer.Option(help="How many, at most 200.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")]


@commands.command("list")
def list_quarantine(
    url: Url = LOCAL, token: Token = "", limit: Limit = 50,
    after: Annotated[str, typer.Option(help="Where the page before says that more follow.")] = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """List what waits for a decision, oldest first."""
    found = run(ask(url, token, "/v1/quarantine", given(limit=str(limit), after=after)))
    if as_json:
        print_json(found)
        return
    for each in found["quarantine"]:
        about = f"  of request {each['request_id']}" if each["request_id"] else ""
        say(f"{each['id']}  {each['source']}  {each['reason']}  since {each['at'][:19]}{about}")
        say(f"  {each['detail']}")
    if not found["quarantine"]:
        say("Nothing is in quarantine.")
    if found["next_page"]:
        say(f"More follow: --after {found['next_page']}")


@commands.command()
def show(
    quarantine_id: int, unmasked: Unmasked = False, reason: Why = "",
    url: Url = LOCAL, token: Token = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Show one message in our words and its body, personal data masked; or the body as it came."""
    path = f"/v1/quarantine/{quarantine_id}"
    if unmasked:
        print_unmasked(url, token, path, reason, as_json=as_json)
        return
    found = run(ask(url, token, path, {}))
    if as_json:
        print_json(found)
        return
    facts = [(name, _written(value)) for name, value in found.items() if name != "text" and value is not None]
    print_table(("fact", "value"), facts, box=None)
    print_body(found)


@commands.command()
def replay(
    quarantine_id: int, reason: Reason = "", url: Url = LOCAL, token: Token = "", as_json: Json = False
) -> None:  # fmt: skip
    """Read a message again, as the settings and adapters are now, and apply it; fails if that has no effect."""
    _decide("replay", quarantine_id, reason, url, token, as_json=as_json)


@commands.command()
def discard(
    quarantine_id: int, reason: Reason = "", url: Url = LOCAL, token: Token = "", as_json: Json = False
) -> None:  # fmt: skip
    """Take a message off the list without applying it; its bytes are kept."""
    _decide("discard", quarantine_id, reason, url, token, as_json=as_json)


@audited.command()
def audit(
    url: Url = LOCAL, token: Token = "",
    subject: Annotated[str, typer.Option(help="Only what was done to this, such as a request's id.")] = "",
    who: Annotated[str, typer.Option(help="Only what this operator did.")] = "",
    limit: Limit = 50, as_json: Json = False,
) -> None:  # fmt: skip
    """List who did what and why, newest first."""
    found = run(ask(url, token, "/v1/audit", given(subject=subject, who=who, limit=str(limit))))
    if as_json:
        print_json(found)
        return
    for each in found["audit"]:
        say(f"{each['at'][:19]}  {each['who']}  {each['action']}  {each['subject']}")
        say(f"  {each['reason']} → {each['outcome']}")
    if not found["audit"]:
        say("Nobody has done anything like that.")


def _decide(way: str, quarantine_id: int, reason: str, url: str, token: str, *, as_json: bool) -> None:
    told: dict[str, Any] = run(
        tell(url, token, f"/v1/quarantine/{quarantine_id}/{way}", {"reason": why(reason)}, (200,))
    )
    if as_json:
        print_json(told)
    else:
        say(f"{way}: {told['outcome']}")
        if not told["done"]:
            say(f"not applied: {told['why']}")
    if not told["done"]:
        raise typer.Exit(1)


def _written(value: object) -> str:
    """Write a fact: of what somebody said, no more than was said."""
    return (
        ", ".join(f"{name}={each}" for name, each in value.items() if each) if isinstance(value, dict) else f"{value}"
    )
