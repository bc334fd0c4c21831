"""`providers`: which adapters there are, what each can do, how one is written, and whether it does what it must."""

import os
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, TypeVar

import typer

from gateway import settings
from gateway.call_errors import CallError
from gateway.domain.orders import Order
from gateway.newstore import webhook
from gateway.providers.conformance import CASES, Outcome, Result, conform, pair
from gateway.providers.conformance.orders import sample
from gateway.providers.conformance.setting_up import Unfit, settings_of
from gateway.providers.port import Adapter, Capabilities
from gateway.providers.registry import NoAdapter, Registry, is_file
from gateway.providers.transports.http import session_to

from .api import Json
from .providers_map import map_sample
from .providers_new import write
from .providers_try import Heard, Kind, Tried, calm, tried
from .running import HERE, Config
from .terminal import fault, print_json, print_table, run, say

commands = typer.Typer(help="Adapters: list, check, write, try and prove them.", no_args_is_help=True)
T = TypeVar("T")
commands.command("map")(map_sample)
_SAID = {Result.PASSED: "pass", Result.FAILED: "FAIL", Result.NOT_APPLICABLE: "n/a"}


@commands.command("list")
def list_adapters(config: Config = HERE, as_json: Json = False) -> None:
    """List the adapters that there are, and what the providers of the settings can do."""
    registry = Registry(config.parent)
    adapters = [{"adapter": name, "from": origin, **_can_be_used(registry, name)} for name, origin in registry.known()]
    named = _loaded(config, registry).providers.values() if config.exists() else ()
    providers = [(each.name, each.adapter, registry.find(each.adapter)(each, calm()).can) for each in named]
    if as_json:
        told = [{"provider": name, "adapter": adapter, "can": asdict(can)} for name, adapter, can in providers]
        print_json({"adapters": adapters, "providers": told})
        return
    print_table(("adapter", "from", "module"), [tuple(each.values()) for each in adapters])
    if providers:
        print_table(("provider", "adapter", "can"), [(*names, _can(can)) for *names, can in providers])
    else:
        say(f"{config} names no provider." if config.exists() else f"There is no {config} that names providers.")


@commands.command()
def check(
    name: Annotated[str, typer.Argument(help="A provider of the settings, by its name there.")], config: Config = HERE,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Say how a provider is set up and what it can do, and reach it; fails where it can't be reached."""
    registry = Registry(config.parent)
    loaded = _loaded(config, registry)
    if name not in loaded.providers:
        known = ", ".join(loaded.providers) or "none"
        raise fault(f"{config} has no [providers.{name}]; it has {known}", 2)
    provider = loaded.providers[name]
    kind = registry.find(provider.adapter)
    wrong = run(_reached(kind, provider))
    can, told = kind(provider, calm()).can, settings.describe(loaded)["providers"][name]
    if as_json:
        print_json({"provider": name, "settings": told, "can": asdict(can), "reached": not wrong, "why": wrong})
    else:
        shown = told | _in_files(config, provider)
        print_table(("setting", "value"), [(key, _plain(value)) for key, value in shown.items()], box=None)
        say(f"It can {_can(can)}.")
        say(wrong or "Reached.")
    raise typer.Exit(bool(wrong))


def _in_files(config: Path, provider: settings.ProviderSettings) -> dict[str, str]:
    """Name the files in which more of a provider's settings stand."""
    written = tomllib.loads(config.read_text(encoding="utf-8-sig"))["providers"][provider.name]
    return {key: written[key] for key in provider.beside}


async def _reached(kind: type[Adapter], provider: settings.ProviderSettings) -> str:
    """Reach a provider and say what was wrong; empty where nothing was."""
    async with session_to(provider) as session:
        try:
            await kind(provider, session).check()
        except CallError as error:
            return str(error)
    return ""


@commands.command()
def new(
    name: Annotated[str, typer.Argument(help="What to call it, as acme.")],
    into: Annotated[Path, typer.Option(help="The folder to write it into.")] = Path(),
    as_json: Json = False,
) -> None:
    """Write a small adapter that works, with its settings, a simulator of its provider, a sample and a test."""
    try:
        written = write(name, into)
    except (ValueError, OSError) as error:
        raise fault(str(error), 2) from error
    if as_json:
        print_json({"written": {str(path): lines for path, lines in written.items()}})
        return
    for path, lines in written.items():
        say(f"{path}  {lines} lines")
    say(f"It works as it is: gateway providers conform {into / name}.py")


@commands.command("conform")
def prove(
    target: Annotated[str, typer.Argument(help="An adapter: its name, or a file as ./acme.py.")],
    case: Annotated[str, typer.Option(help="Only cases with these words.")] = "",
    provider: Annotated[str, typer.Option(help="Another simulated provider beside it, by its class.")] = "",
    as_json: Json = False,
) -> None:
    """Try an adapter on every case that all adapters must pass; fails where it does not."""
    adapter, there = _found(lambda: pair(target, Path(), provider or "TARGET"))
    chosen = [each for each in CASES if case in each]
    if not chosen:
        raise fault(f"no case has the words {case!r}; without --case all are tried", 2)
    outcomes = _found(lambda: run(conform(adapter, there, chosen)))
    if as_json:
        print_json({"adapter": adapter.__name__, "cases": [asdict(each) for each in outcomes]})
    else:
        _print_outcomes(outcomes)
    raise typer.Exit(any(each.result is Result.FAILED for each in outcomes))


def _print_outcomes(outcomes: Sequence[Outcome]) -> None:
    rows = [(_SAID[each.result], each.case, each.why) for each in outcomes]
    print_table(("", "case", "why"), rows)
    counts = {result: sum(each.result is result for each in outcomes) for result in Result}
    say(", ".join(f"{count} {result}" for result, count in counts.items()))


@commands.command("try")
def try_out(
    name: Annotated[str, typer.Argument(help="A provider of the settings, or an adapter: its name or file.")],
    messages: Annotated[list[Path] | None, typer.Argument(help="Files with what the provider sends.")] = None,
    order: Annotated[Path | None, typer.Option(help="A fulfillment request as NewStore sends it, as JSON.")] = None,
    path: Annotated[str, typer.Option(help="Where it would call, below its own URL at the gateway.")] = "callbacks",
    kind: Annotated[
        Kind | None, typer.Option("--as", help="What the files are, where its adapter reads one unlike another.")
    ] = None,
    config: Config = HERE,
    as_json: Json = False,
) -> None:
    """Show what would be sent for an order, and what is read of a message. Nothing is sent."""
    adapter = _calm_adapter(name, config)
    asked = _order_in(order) if order else sample("b7a0c1de-52f4-4d0e-9a51-0c3f6c1e7d42")
    bodies = {each: _bytes_of(each) for each in messages or ()}
    found = tried(adapter, asked, bodies, path, kind)
    if as_json:
        print_json(asdict(found))
    else:
        _print_tried(found)
    raise typer.Exit(not found.is_good)


def _print_tried(found: Tried) -> None:
    sent = "\n\n".join(filter(None, (found.call, found.sent))) or "nothing"
    say(f"For the order {found.reference} this would be sent:\n\n{sent}\n")
    for message in found.messages:
        _print_heard(message)
    for each in found.faults:
        say(f"wrong: {each}")


def _print_heard(message: Heard) -> None:
    say(f"{message.file} says:")
    for number, reading in enumerate(message.readings, 1):
        say(f"  {number}. {reading.what}")
        for fact, value in reading.facts.items():
            say(f"     {fact}: {value}")
    told = (
        ("", message.answered),
        ("nothing that can be read: ", message.malformed),
        ("ignored: ", ", ".join(message.ignored)),
        ("unknown words: ", ", ".join(message.unknown)),
        ("not read: ", ", ".join(message.not_read)),
    )
    if not (message.readings or message.answered or message.malformed or message.ignored):
        say("  no statement in it")
    for what, which in told:
        if which:
            say(f"  {what}{which}")


def _calm_adapter(name: str, config: Path) -> Adapter:
    """Make the adapter of a provider, whatever is wrong with others, or one with the settings of its target."""
    if config.exists() and not is_file(name):
        registry = Registry(config.parent)
        try:
            provider = settings.load_provider(config, name, os.environ, adapters=registry)
        except settings.SettingsError as error:
            raise fault(str(error), 2) from error
        if provider is not None:
            return _found(lambda: registry.find(provider.adapter))(provider, calm())
    adapter, kind = _found(lambda: pair(name, Path()))
    with TemporaryDirectory() as folder:
        target = kind()
        target.folder = folder
        return adapter(_found(lambda: settings_of(adapter, target)), calm())


def _order_in(path: Path) -> Order:
    body = _bytes_of(path)
    try:
        read = webhook.receive(body, datetime.now(UTC), "", None)
    except webhook.Malformed as error:
        raise fault(f"{path}: {error}", 2) from error
    plain = sample(read.request_id, *read.products)
    level, order_id = read.service_level or "", read.order_id or ""
    return replace(plain, order_id=order_id, service_level=level, body=body, read_details=webhook.details)


def _bytes_of(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise fault(f"{path} can't be read: {error.strerror}", 2) from error


def _can_be_used(registry: Registry, name: str) -> dict[str, str]:
    try:
        return {"module": registry.find(name).__module__}
    except NoAdapter as error:
        return {"module": f"can't be used: {error}"}


def _loaded(config: Path, registry: Registry) -> settings.Settings:
    try:
        return settings.load(config, os.environ, adapters=registry)
    except settings.SettingsError as error:
        raise fault(str(error), 2) from error


def _found(find: Callable[[], T]) -> T:
    try:
        return find()
    except (NoAdapter, Unfit) as error:
        raise fault(str(error), 2) from error


def _plain(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {each}" for key, each in value.items() if each is not None)
    return "not set" if value is None else str(value)


def _can(what: Capabilities) -> str:
    return ", ".join(name for name, so in asdict(what).items() if so) or "nothing"
