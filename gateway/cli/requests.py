"""`list` and `show`: what became of requests."""

from typing import Annotated, Any

import typer
from rich.table import Table

from .api import LOCAL, Json, Token, Url, ask, tell
from .terminal import console, fault, print_json, run

commands = typer.Typer()


@commands.command("list")
def list_requests(
    url: Url = LOCAL,
    token: Token = "",
    status: Annotated[str, typer.Option(help="pending, failed, rejected, shipped or cancelled.")] = "",
    location: str = "",
    order: str = "",
    tracking_code: str = "",
    limit: int = 50,
    as_json: Json = False,
) -> None:
    """List requests, newest first, and what each waits for."""
    asked = {
        "status": status, "location": location, "order": order, "tracking_code": tracking_code, "limit": str(limit),
    }  # fmt: skip
    found = run(ask(url, token, "/v1/requests", {name: value for name, value in asked.items() if value}))
    if as_json:
        print_json(found)
        return
    table = Table("id", "location", "provider", "status", "received", "waiting for")
    for row in found["requests"]:
        waiting = row["waiting_for"]
        table.add_row(
            row["id"],
            row["location"],
            row["provider"] or "—",
            row["failure"] or row["status"],
            row["received_at"][:19],
            f"{waiting['who']}: {waiting['next']}" if waiting else "",
        )
    console.print(table)


@commands.command()
def show(
    request_id: str,
    body: Annotated[bool, typer.Option("--body", help="Print the bodies instead, personal data masked.")] = False,
    unmasked: Annotated[
        bool, typer.Option("--unmasked", help="Print the bodies as they came; needs --reason.")
    ] = False,
    reason: Annotated[str, typer.Option(help="Why you must see personal data; it goes into the audit.")] = "",
    url: Url = LOCAL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Print one request's whole story as a timeline, or the bodies that were sent and answered."""
    path = f"/v1/requests/{request_id}"
    if unmasked:
        if not reason:
            raise fault("say why with --reason; it goes into the audit", 2)
        _print_bodies(run(tell(url, token, f"{path}/reveal", {"reason": reason})), as_json=as_json)
    elif body:
        _print_bodies(run(ask(url, token, f"{path}/bodies", {})), as_json=as_json)
    else:
        _print_story(run(ask(url, token, path, {})), as_json=as_json)


def _print_bodies(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for each in found["bodies"]:
        did = "answered" if each["is_answer"] else "sent"
        console.print(f"{each['at'][:19]}  {each['sender']} {did}: {each['about']}", markup=False)
        console.print(each["text"] or f"not JSON, {each['bytes']} bytes", markup=False, highlight=False)


def _print_story(story: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(story)
        return
    console.print(f"{story['id']}  {story['location']} → {story['provider']}  {story['status']}", markup=False)
    if story["waiting_for"]:
        console.print(f"waits for {story['waiting_for']['who']}: {story['waiting_for']['next']}", markup=False)
    moments = [(event["at"], event["kind"], event["cause"]) for event in story["events"]]
    moments += [
        (each["at"], f"  {each['operation']} → {each['destination']}", f"{each['outcome']} {each['detail']}".strip())
        for each in story["attempts"]
    ]
    table = Table("when", "what", "why", box=None)
    for moment in sorted(moments):
        table.add_row(*moment)
    console.print(table)
