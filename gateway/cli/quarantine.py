"""Messages that could not be applied, and the audit of what people did."""

from typing import Annotated, Any

import typer
from rich.table import Table

from .api import LOCAL, Json, Token, Url, ask, tell
from .terminal import console, print_json, run

commands = typer.Typer(help="Messages that could not be applied.", no_args_is_help=True)
audited = typer.Typer()

Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")]


@commands.command("list")
def list_quarantine(
    url: Url = LOCAL, token: Token = "", limit: int = 50, after: str = "", as_json: Json = False
) -> None:  # fmt: skip
    """List what waits for a decision, oldest first."""
    found = run(ask(url, token, "/v1/quarantine", _given(limit=str(limit), after=after)))
    if as_json:
        print_json(found)
        return
    table = Table("id", "since", "from", "request", "reason", "detail")
    for each in found["quarantine"]:
        table.add_row(
            str(each["id"]), each["at"][:19], each["source"], each["request_id"] or "—", each["reason"], each["detail"]
        )  # fmt: skip
    console.print(table if found["quarantine"] else "Nothing is in quarantine.")


@commands.command()
def show(quarantine_id: int, url: Url = LOCAL, token: Token = "") -> None:
    """Show one message in our words, without its bytes."""
    print_json(run(ask(url, token, f"/v1/quarantine/{quarantine_id}", {})))


@commands.command()
def replay(
    quarantine_id: int, reason: Reason = "", url: Url = LOCAL, token: Token = "", as_json: Json = False
) -> None:  # fmt: skip
    """Read a message again, as the settings and adapters are now, and apply it."""
    _decide("replay", quarantine_id, reason, url, token, as_json=as_json)


@commands.command()
def discard(
    quarantine_id: int, reason: Reason = "", url: Url = LOCAL, token: Token = "", as_json: Json = False
) -> None:  # fmt: skip
    """Take a message off the list without applying it; its bytes are kept."""
    _decide("discard", quarantine_id, reason, url, token, as_json=as_json)


@audited.command()
def audit(
    url: Url = LOCAL, token: Token = "", subject: str = "", who: str = "", limit: int = 50, as_json: Json = False
) -> None:  # fmt: skip
    """List who did what and why, newest first."""
    found = run(ask(url, token, "/v1/audit", _given(subject=subject, who=who, limit=str(limit))))
    if as_json:
        print_json(found)
        return
    table = Table("when", "who", "what", "on", "why", "outcome")
    for each in found["audit"]:
        table.add_row(
            each["at"][:19], each["who"], each["action"], each["subject"], each["reason"], each["outcome"]
        )  # fmt: skip
    console.print(table)


def _decide(way: str, quarantine_id: int, reason: str, url: str, token: str, *, as_json: bool) -> None:
    told: dict[str, Any] = run(tell(url, token, f"/v1/quarantine/{quarantine_id}/{way}", {"reason": reason}, (200,)))
    if as_json:
        print_json(told)
    else:
        console.print(f"{way}: {told['outcome']}", markup=False)


def _given(**values: str) -> dict[str, str]:
    return {name: value for name, value in values.items() if value}
