"""What a person does about requests: one by its id, or many by a filter that is counted first."""

from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.progress import Progress

from gateway.api_shapes import BULK

from .api import LOCAL, Json, Token, Url, given, part, tell, why
from .terminal import console, fault, print_json, print_table, run, say

commands = typer.Typer()

Id = Annotated[str, typer.Argument(help="A request's id; leave it out to choose by a filter.")]
OneId = Annotated[str, typer.Argument(help="A request's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; it goes into the story and the audit.")]
Status = Annotated[str, typer.Option("--status", help="pending, failed, rejected, unroutable, shipped or cancelled.")]
Location = Annotated[str, typer.Option("--location", help="Only of this DC.")]
Provider = Annotated[str, typer.Option("--provider", help="Only of this provider.")]
Since = Annotated[str, typer.Option("--since", help="Received since, as 2026-03-05T09:00:00Z.")]
Until = Annotated[str, typer.Option("--until", help="Received before.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count and say what would follow; change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before acting on many.")]
Stopped = Annotated[
    str, typer.Option("--provider-stopped", help="Who told you how that the provider will not ship it.")
]

_PATHS = {action: path for path, action in BULK.items()}


def _plain(action: str, says: str, *, among: str = "") -> None:
    """Add a command that needs no more than a reason; a filter without a status chooses `among` those."""

    def act(
        request_id: Id = "", reason: Reason = "", status: Status = "", location: Location = "",
        provider: Provider = "", since: Since = "", until: Until = "", dry_run: DryRun = False, yes: Yes = False,
        url: Url = LOCAL, token: Token = "", as_json: Json = False,
    ) -> None:  # fmt: skip
        chosen = _filter(status or ("" if request_id else among), location, provider, since, until)
        _act(action, request_id, chosen, {"reason": reason, "dry_run": dry_run}, _Ask(url, token, as_json, yes))

    commands.command(action, help=says)(act)


@commands.command()
def redrive(
    request_id: Id = "",
    carrier: Annotated[str, typer.Option("--carrier", help="Tell NewStore this carrier, where it refused.")] = "",
    tracking_code: Annotated[str, typer.Option("--tracking-code", help="Likewise this tracking code.")] = "",
    reason: Reason = "", status: Status = "", location: Location = "",
    provider: Provider = "", since: Since = "", until: Until = "", dry_run: DryRun = False, yes: Yes = False,
    url: Url = LOCAL, token: Token = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Send again what failed, after a look wherever it may have happened."""
    if (carrier or tracking_code) and not request_id:
        raise fault("a carrier or tracking code corrects one request: name it by its id", 2)
    chosen = _filter(status or ("" if request_id else "failed"), location, provider, since, until)
    order = {"reason": reason, "dry_run": dry_run, **given(carrier=carrier, tracking_code=tracking_code)}
    _act("redrive", request_id, chosen, order, _Ask(url, token, as_json, yes))


_plain("recheck", "Ask NewStore and the provider what became of what failed; sends nothing.", among="failed")
_plain("discard", "Open again what was rejected or cancelled by mistake, while NewStore was not told of it.")
_plain("close", "End what was settled by hand elsewhere: nothing is sent or checked for it any more.")


@commands.command()
def reroute(
    request_id: Id = "", to: Annotated[str, typer.Option("--to", help="The provider that shall have it.")] = "",
    provider_stopped: Stopped = "", reason: Reason = "", status: Status = "", location: Location = "",
    provider: Provider = "", since: Since = "", until: Until = "", dry_run: DryRun = False, yes: Yes = False,
    url: Url = LOCAL, token: Token = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Give requests to another provider, once the present one can't ship them any more."""
    chosen = _filter(status, location, provider, since, until)
    if not to:
        raise fault("name the provider that shall have it with --to", 2)
    order = {"reason": reason, "dry_run": dry_run, "to": to, "provider_stopped": provider_stopped}
    _act("reroute", request_id, chosen, order, _Ask(url, token, as_json, yes))


@commands.command()
def reject(
    request_id: Id = "",
    say: Annotated[str, typer.Option("--as", help="cannot_fulfill, or no_inventory: it empties the DC's stock.")] = "",
    provider_stopped: Stopped = "", reason: Reason = "", status: Status = "", location: Location = "",
    provider: Provider = "", since: Since = "", until: Until = "", dry_run: DryRun = False, yes: Yes = False,
    url: Url = LOCAL, token: Token = "", as_json: Json = False,
) -> None:  # fmt: skip
    """Reject open units at NewStore, so that it reroutes them, once the provider can't ship them any more."""
    chosen = _filter(status, location, provider, since, until)
    if not say:
        raise fault(
            "say what NewStore shall hear with --as: cannot_fulfill, or no_inventory, which empties the stock", 2
        )
    order = {"reason": reason, "dry_run": dry_run, "provider_stopped": provider_stopped, "rejection_reason": say}
    _act("reject", request_id, chosen, order, _Ask(url, token, as_json, yes))


@commands.command()
def note(request_id: OneId, text: str, url: Url = LOCAL, token: Token = "", as_json: Json = False) -> None:
    """Write something into a request's story; it also answers a conflict."""
    _one("note", request_id, {"reason": text}, _Ask(url, token, as_json, yes=True))


@commands.command()
def take(
    request_id: OneId, reason: Reason = "taken", url: Url = LOCAL, token: Token = "", as_json: Json = False
) -> None:  # fmt: skip
    """Say that you see to a request."""
    _one("take", request_id, {"reason": reason}, _Ask(url, token, as_json, yes=True))


@dataclass(frozen=True, slots=True)
class _Ask:
    """How the person called."""

    url: str
    token: str
    as_json: bool
    yes: bool

    def post(self, path: str, body: dict[str, Any], good: tuple[int, ...] = (200,)) -> Any:
        return run(tell(self.url, self.token, path, body, good))


def _filter(status: str, location: str, provider: str, since: str, until: str) -> dict[str, str]:
    return given(status=status, location=location, provider=provider, since=since, until=until)


def _act(action: str, request_id: str, chosen: dict[str, str], order: dict[str, Any], ask: _Ask) -> None:
    why(order["reason"])
    if request_id:
        _one(action, request_id, order, ask)
    else:
        _many(action, {**order, "filter": chosen}, ask)


def _one(action: str, request_id: str, order: dict[str, Any], ask: _Ask) -> None:
    told = ask.post(f"/v1/requests/{part(request_id)}/{action}", order, (200, 409))
    if ask.as_json:
        print_json(told)
    elif "outcome" in told:
        say(f"{told['id']}: {told['outcome']}")
        if told.get("consequence"):
            say(told["consequence"])
    if not told.get("done"):
        raise typer.Exit(1)


def _many(action: str, order: dict[str, Any], ask: _Ask) -> None:
    path = f"/v1/{_PATHS[action]}"
    counted = ask.post(path, {**order, "dry_run": True})
    if order["dry_run"] or not counted["matching"]:
        _show(counted, ask)
        return
    if not ask.yes:
        say(f"{counted['matching']} requests match. {action}: {counted['consequence']}.")
        typer.confirm(f"{action} {counted['matching']} requests?", abort=True)
    results: list[dict[str, Any]] = []
    with Progress(console=console, disable=ask.as_json) as progress:
        bar = progress.add_task(action, total=counted["matching"])
        page: dict[str, Any] = {"next_page": None}
        while True:
            page = ask.post(path, {**order, "after": page["next_page"]})
            results += page["results"]
            progress.update(bar, completed=len(results))
            if page["next_page"] is None:
                break
    done = sum(result["done"] for result in results)
    _show({**page, "matching": counted["matching"], "done": done, "results": results}, ask)


def _show(told: dict[str, Any], ask: _Ask) -> None:
    if ask.as_json:
        print_json(told)
        return
    if not told["matching"]:
        say("No request is like that.")
        return
    rows = [(each["id"], "yes" if each["done"] else "no", each["outcome"]) for each in told["results"]]
    print_table(("id", "would be done" if told["dry_run"] else "done", "outcome"), rows)
    say(f"{told['matching']} match; {told['done']} of {len(rows)} {'would be ' if told['dry_run'] else ''}done.")
    if told["consequence"]:
        say(told["consequence"])
