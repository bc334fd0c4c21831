"""`serve`, `migrate` and `check-config`: what a gateway.toml is for."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway import app, settings
from gateway.ledger.database import grants, migrations
from gateway.ledger.database.sessions import refuse_shared
from gateway.providers.registry import Registry
from gateway.telemetry.logs import log

from .api import LOCAL, Json, Token, Url, tell
from .terminal import fault, print_json, run, say, told_to_stop

commands = typer.Typer()
Config = Annotated[Path, typer.Option("--config", "-c", help="The settings file.", envvar="GATEWAY_CONFIG")]
HERE = Path("gateway.toml")


@commands.command()
def serve(
    config: Config = HERE,
    paused: Annotated[
        bool, typer.Option("--paused", help="After a restore: send nothing until a person releases the hold.")
    ] = False,
) -> None:
    """Run the gateway until SIGTERM; SIGHUP has it read the settings anew."""
    run(_serve(config, paused=paused))


async def _serve(config: Path, *, paused: bool) -> None:
    hup = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hup.set)
    registry = Registry(config.parent)
    read = partial(settings.load, config, os.environ, adapters=registry)
    loaded = read()
    stop = told_to_stop()
    gone = asyncio.Event()
    async with app.database(loaded, on_end=gone.set) as dsn, AsyncExitStack() as stack:
        running = app.running(loaded, dsn, paused=paused, grace=app.GRACE, read_again=read, registry=registry)
        entering = stack.enter_async_context(running)
        gateway = await _unless(asyncio.create_task(entering), stop, gone)
        if gateway is not None:
            typer.echo(f"public {gateway.public_url}  internal {gateway.internal_url}")  # the demo reads this line
            log("gateway.started", public=gateway.public_url, internal=gateway.internal_url)
            app.collect_rarely()
            reloading = asyncio.create_task(_reload(hup, gateway))
            await _any(*(asyncio.create_task(event.wait()) for event in (stop, gone, gateway.broke)))
            reloading.cancel()
            log("gateway.draining")  # not to stdout: its reader may be gone
    log("gateway.stopped")
    if gone.is_set() or (gateway is not None and gateway.broke.is_set()):
        raise typer.Exit(1)


async def _reload(hup: asyncio.Event, gateway: app.Gateway) -> None:
    """Read the settings anew at each SIGHUP; a task of its own, so that one that breaks ends nothing else."""
    while True:
        await hup.wait()
        hup.clear()
        await asyncio.wait([asyncio.create_task(gateway.reload("SIGHUP", "the process was told so"))])


async def _unless(starting: asyncio.Task[app.Gateway], *ends: asyncio.Event) -> app.Gateway | None:
    """Wait for a start, which may itself wait for its database; None if it has to end before."""
    await _any(starting, *(asyncio.create_task(event.wait()) for event in ends))
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
    return None if starting.cancelled() else starting.result()


async def _any(*tasks: asyncio.Task[Any]) -> None:
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)


@commands.command("reload")
def reload_settings(
    reason: Annotated[str, typer.Option("--reason", help="Why; it goes into the audit.")] = "settings changed",
    url: Url = LOCAL,
    token: Token = "",
    as_json: Json = False,
) -> None:  # fmt: skip
    """Have a running gateway read its settings and the files of secrets anew."""
    told = run(tell(url, token, "/v1/reload", {"reason": reason}, (200, 409)))
    if as_json:
        print_json(told)
    else:
        for each in told["faults"] or told["changed"]:
            say(each)
        for each in told["needs_restart"]:
            say(f"{each} changes at the next start")
        if told["faults"]:
            say("The settings that are in force stay.")
        elif not told["changed"]:
            say("Nothing else has changed." if told["needs_restart"] else "Nothing has changed.")
    raise typer.Exit(bool(told["faults"]))


@commands.command()
def migrate(
    config: Config = HERE,
    grant_to: Annotated[
        str | None, typer.Option(metavar="ROLE", help="Give this role what `serve` needs, and nothing else.")
    ] = None,
) -> None:
    """Bring the database to this program's schema, as the owner of its tables."""

    async def main() -> None:
        loaded = settings.load(config, os.environ, adapters=Registry(config.parent))
        async with app.database(loaded) as dsn:
            connect = app.servers(loaded, dsn).connect
            await refuse_shared(connect)
            connection = await connect()
            try:
                applied = await migrations.migrate(connection)
                if grant_to:
                    await grants.give(connection, grant_to)
            finally:
                await connection.close()
        for each in applied:
            say(f"applied {each.name}")
        if not applied:
            say("nothing to apply: the schema is this program's")
        if grant_to:
            say(f"{grant_to} may serve")

    run(main())


@commands.command("check-config")
def check_config(
    config: Config = HERE,
    online: Annotated[
        bool,
        typer.Option(
            "--online", help="Look at the database, get a NewStore token, reach each provider and the traces."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Check the settings and print the URL to give NewStore for each location, and where its requests go."""
    try:
        registry = Registry(config.parent)
        loaded = settings.load(config, os.environ, adapters=registry)
    except (settings.SettingsError, OSError) as error:
        raise fault(str(error), 2) from error
    run(app.make_adapters(loaded, registry))
    strangers, unknown = run(_strangers(loaded)) if loaded.database.url else ({}, "")
    reached = run(app.reach(loaded, registry)) if online else {}
    if as_json:
        told: dict[str, Any] = settings.describe(loaded)
        print_json({**told, "open_work_without_provider": strangers, "reached": reached})
    else:
        _print_settings(loaded, strangers or {}, reached)
    if unknown and not reached.get("database"):
        raise fault(f"database: {unknown}", 1)
    raise typer.Exit(any(reached.values()))


async def _strangers(loaded: settings.Settings) -> tuple[dict[str, int] | None, str]:
    """Count the open work of providers that the settings do not name; None where the database can't tell, and why."""
    try:
        return await app.open_work_without_provider(loaded), ""
    except app.Unreached as error:
        return None, str(error)


def _print_settings(loaded: settings.Settings, strangers: dict[str, int], reached: dict[str, str]) -> None:
    for location in loaded.locations.values():
        provider = loaded.providers[location.provider] if location.provider else None
        road = (provider.name, provider.adapter, provider.address) if provider else ("no provider: it is unroutable",)
        say(" → ".join((location.id, *road)))
        say(f"  give NewStore  {loaded.public_url}/newstore/{location.id}/fulfillment_requests")
    for each in loaded.providers.values():
        say(f"{each.name} calls back at {loaded.public_url}{each.call_path}")
    if not loaded.locations:
        say("no location: add [locations.ID] for each DC, or NewStore has nothing to call")
    if not loaded.operators:
        say("no operator: add [[operators]], or nobody can use /v1, the command line and the dashboard")
    for remark in settings.remarks(loaded):
        say(remark)
    for name, count in strangers.items():
        say(f"{count} open requests belong to {name}, which the settings do not name")
    for name, wrong in reached.items():
        say(f"{name}: {wrong or 'reached'}")
