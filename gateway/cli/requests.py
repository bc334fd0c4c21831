"""`list` and `show`: what became of requests."""

import re
from typing import Annotated, Any

import typer

from .api import LOCAL, Json, Token, Url, ask, given, part, tell, why
from .terminal import print_json, print_table, run, say

commands = typer.Typer()

_FINGERPRINT = re.compile("([0-9a-f]{12})[0-9a-f]{52}$")  # the cause of a message without an id: --json has it whole
Unmasked = Annotated[bool, typer.Option("--unmasked", help="Print bodies as they came; needs --reason, and an admin.")]
Why = Annotated[str, typer.Option("--reason", help="Why you must see personal data; it goes into the audit.")]


@commands.command("list")
def list_requests(
    url: Url = LOCAL,
    token: Token = "",
    status: Annotated[str, typer.Option(help="pending, failed, rejected, unroutable, shipped or cancelled.")] = "",
    location: Annotated[str, typer.Option(help="Only of this DC.")] = "",
    provider: Annotated[str, typer.Option(help="Only of this provider.")] = "",
    order: Annotated[str, typer.Option(help="Of this order at NewStore.")] = "",
    reference: Annotated[str, typer.Option(help="That the provider knows by this reference.")] = "",
    tracking_code: Annotated[str, typer.Option(help="With this parcel.")] = "",
    product: Annotated[str, typer.Option(help="With a unit of this product.")] = "",
    limit: Annotated[int, typer.Option(help="How many, at most 200.")] = 50,
    after: Annotated[str, typer.Option(help="Where the page before says that more follow.")] = "",
    as_json: Json = False,
) -> None:
    """List requests, newest first, and what each waits for."""
    asked = given(
        status=status, location=location, provider=provider, order=order, reference=reference,
        tracking_code=tracking_code, product=product, limit=str(limit), after=after,
    )  # fmt: skip
    found = run(ask(url, token, "/v1/requests", asked))
    if as_json:
        print_json(found)
        return
    for each in found["requests"]:
        _print_head(each)
    if not found["requests"]:
        say("No request is like that.")
    if found["next_page"]:
        say(f"More follow: --after {found['next_page']}")


@commands.command()
def show(
    request_id: str,
    body: Annotated[bool, typer.Option("--body", help="Print the bodies instead, personal data masked.")] = False,
    unmasked: Unmasked = False,
    reason: Why = "",
    url: Url = LOCAL,
    token: Token = "",
    as_json: Json = False,
) -> None:
    """Print one request's whole story as a timeline, or the bodies that were sent and answered."""
    path = f"/v1/requests/{part(request_id)}"
    if unmasked:
        print_unmasked(url, token, path, reason, as_json=as_json)
    elif body:
        _print_bodies(run(ask(url, token, f"{path}/bodies", {})), as_json=as_json)
    else:
        _print_story(run(ask(url, token, path, {})), as_json=as_json)


def print_unmasked(url: str, token: str, path: str, reason: str, *, as_json: bool) -> None:
    """Print bodies as they came, once it is in the audit who sees them and why."""
    _print_bodies(run(tell(url, token, f"{path}/reveal", {"reason": why(reason)})), as_json=as_json)


def _print_bodies(found: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for each in found["bodies"]:
        did = "answered" if each["is_answer"] else "sent"
        say(f"{each['at'][:19]}  {each['sender']} {did}: {each['about']}")
        print_body(each)


def print_body(body: dict[str, Any]) -> None:
    """Print the text of a body, or what is to be said where it has none."""
    say(body["text"] or f"not JSON, {body['bytes']} bytes")


def _print_story(story: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(story)
        return
    _print_head(story)
    moments = [
        (each["at"], each["kind"], " ".join((_FINGERPRINT.sub(r"\1…", each["cause"]), *_said(each["fact"]))))
        for each in story["events"]
    ]
    moments += [
        (each["at"], f"  {each['operation']} → {each['destination']}", f"{each['outcome']} {each['detail']}".strip())
        for each in story["attempts"]
    ]
    print_table(("when", "what", "why"), [(at[:23], what, why) for at, what, why in sorted(moments)], box=None)


def _print_head(request: dict[str, Any]) -> None:
    at = request["received_at"][:19]
    say(f"{request['id']}  {request['location']} → {request['provider'] or '—'}  {_state(request)}  received {at}")
    if waiting := request["waiting_for"]:
        say(f"  waits for {waiting['who']}: {waiting['next']}")


def _state(request: dict[str, Any]) -> str:
    if request["failure"]:
        return f"failed: {request['failure']}"
    if request["closed"]:
        return "closed"
    return "unroutable" if request["pending"] and request["provider"] is None else str(request["status"])


def _said(fact: dict[str, Any]) -> list[str]:
    return [str(fact[name]) for name in ("reason", "detail", "text") if fact.get(name)]
