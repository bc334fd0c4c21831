"""What a person does about requests: one by its id, or many by a filter that is counted first."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.progress import Progress

from gateway.domain.acts import ACTS
from gateway.domain.acts.act import Act, Asked

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
Text = Annotated[str, typer.Argument(metavar="text")]


def _command(act: type[Act]) -> Callable[..., None]:
    """Make the command of an act, with an option for each of its parameters."""
    return _with_options(act, _of_many(act) if act.many else _of_one(act))


def _of_many(act: type[Act]) -> Callable[..., None]:
    def command(
        request_id: Id = "", *, reason: Reason = act.default_reason, status: Status = "", location: Location = "",
        provider: Provider = "", since: Since = "", until: Until = "", dry_run: DryRun = False, yes: Yes = False,
        url: Url = LOCAL, token: Token = "", as_json: Json = False, **told: str,
    ) -> None:  # fmt: skip
        order = {"reason": reason, "dry_run": dry_run, **_told(act, request_id, told)}
        ask = _Ask(url, token, as_json, yes)
        chosen = given(
            status=status or ("" if request_id else act.among), location=location, provider=provider, since=since,
            until=until,
        )  # fmt: skip
        why(reason)
        if request_id:
            _one(act, request_id, order, ask)
        else:
            _many(act, {**order, "filter": chosen}, ask)

    return command


def _of_one(act: type[Act]) -> Callable[..., None]:
    def command(
        request_id: OneId, *, reason: Reason = act.default_reason, url: Url = LOCAL, token: Token = "",
        as_json: Json = False, **told: str,
    ) -> None:  # fmt: skip
        order = {"reason": why(reason), **_told(act, request_id, told)}
        _one(act, request_id, order, _Ask(url, token, as_json, yes=True))

    return command


def _with_options(act: type[Act], command: Callable[..., None]) -> Callable[..., None]:
    """Say what the command takes, as typer reads it: `told` is the parameters of the act, and a note is its text."""
    request_id, reason, *others, _ = inspect.signature(command).parameters.values()
    if act.content:
        reason = reason.replace(annotation=Text, default=inspect.Parameter.empty)
    asked = [
        reason.replace(
            name=name, annotation=Annotated[str, typer.Option(_option(name, asked), help=asked.help)], default=""
        )
        for name, asked in act.asks.items()
    ]
    command.__signature__ = inspect.Signature([request_id, *asked, reason, *others])  # type: ignore[attr-defined]
    return command


def _option(name: str, asked: Asked) -> str:
    return f"--{asked.option or name.replace('_', '-')}"


def _told(act: type[Act], request_id: str, told: Mapping[str, str]) -> dict[str, str]:
    """Give what was told of an act; what it lacks is asked for."""
    for name, asked in act.asks.items():
        if told[name] and asked.aside and not request_id:
            raise fault(f"{asked.aside.alone}: name it by its id", 2)
        if asked.missing and not told[name]:
            raise fault(asked.missing.format(option=_option(name, asked)), 2)
    return given(**told)


@dataclass(frozen=True, slots=True)
class _Ask:
    """How the person called."""

    url: str
    token: str
    as_json: bool
    yes: bool

    def post(self, path: str, body: dict[str, Any], good: tuple[int, ...] = (200,)) -> Any:
        return run(tell(self.url, self.token, path, body, good))


def _one(act: type[Act], request_id: str, order: dict[str, Any], ask: _Ask) -> None:
    told = ask.post(f"/v1/requests/{part(request_id)}/{act.action}", order, (200, 409))
    if ask.as_json:
        print_json(told)
    elif "outcome" in told:
        say(f"{told['id']}: {told['outcome']}")
        if told.get("consequence"):
            say(told["consequence"])
    if not told.get("done"):
        raise typer.Exit(1)


def _many(act: type[Act], order: dict[str, Any], ask: _Ask) -> None:
    path = f"/v1/{act.many}"
    counted = ask.post(path, {**order, "dry_run": True})
    if order["dry_run"] or not counted["matching"]:
        _show(counted, ask)
        return
    if not ask.yes:
        say(f"{counted['matching']} requests match. {act.action}: {counted['consequence']}.")
        typer.confirm(f"{act.action} {counted['matching']} requests?", abort=True)
    results: list[dict[str, Any]] = []
    with Progress(console=console, disable=ask.as_json) as progress:
        bar = progress.add_task(act.action, total=counted["matching"])
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


for each in ACTS.values():
    commands.command(each.action, help=each.help)(_command(each))
