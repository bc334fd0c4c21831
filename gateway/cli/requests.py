"""`list` and `show`: what became of requests."""

from typing import Annotated

import typer
from rich.table import Table

from .api import LOCAL, Json, Token, Url, ask
from .terminal import console, print_json, run

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
def show(request_id: str, url: Url = LOCAL, token: Token = "", as_json: Json = False) -> None:
    """Print one request's whole story as a timeline."""
    story = run(ask(url, token, f"/v1/requests/{request_id}", {}))
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
