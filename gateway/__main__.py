"""The command line."""

import asyncio
import logging
import os
import signal
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import aiohttp
import asyncpg
import orjson
import typer
from rich.console import Console
from rich.table import Table

from gateway import app, demo, migrations, settings
from gateway.ledger.servers import Servers
from gateway.postgres import PostgresUnavailable

cli = typer.Typer(
    help="A durable gateway between NewStore and fulfillment providers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_console = Console()
_errors = Console(stderr=True)

Config = Annotated[Path, typer.Option("--config", "-c", help="The settings file.", envvar="GATEWAY_CONFIG")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Url = Annotated[str, typer.Option("--url", help="The internal listener of a gateway.", envvar="GATEWAY_URL")]
Token = Annotated[str, typer.Option("--token", help="An operator's token.", envvar="GATEWAY_TOKEN")]
T = TypeVar("T")
_HERE = Path("gateway.toml")
_LOCAL = "http://127.0.0.1:8081"


def _run(main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop; faults that a person can mend are printed without a traceback."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        import uvloop  # noqa: PLC0415 - not on Windows

        return uvloop.run(main)
    except (settings.SettingsError, migrations.SchemaMismatch, PostgresUnavailable) as error:
        _errors.print(str(error), markup=False, highlight=False)
        raise typer.Exit(2) from error
    except (OSError, asyncpg.PostgresError) as error:
        _errors.print(f"{type(error).__name__}: {error}", markup=False, highlight=False)
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@cli.command("demo")
def run_demo(
    requests: Annotated[int, typer.Option(help="How many fulfillment requests to send.", min=1)] = 50,
    until_settled: Annotated[
        bool, typer.Option("--until-settled", help="End when all are settled and proved.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="Give up after this long.")] = 600.0,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its database.")] = Path(".gateway/demo"),
) -> None:
    """Run everything on this machine: Postgres, the gateway, a simulated NewStore and three warehouses."""
    code = _run(demo.run(folder, requests, until_settled=until_settled, seconds=seconds, console=_console))
    raise typer.Exit(code)


@cli.command()
def serve(
    config: Config = _HERE,
    paused: Annotated[
        bool, typer.Option("--paused", help="After a restore: send nothing until a person releases the hold.")
    ] = False,
) -> None:
    """Run the gateway until SIGTERM."""
    _run(_serve(config, paused=paused))


async def _serve(config: Path, *, paused: bool) -> None:
    loaded = settings.load(config, os.environ)
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    async with app.database(loaded) as dsn, app.running(loaded, dsn, paused=paused, grace=app.GRACE) as gateway:
        _console.print(f"public {gateway.public_url}  internal {gateway.internal_url}")
        ends = [asyncio.create_task(event.wait()) for event in (stop, gateway.broke)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        _console.print("draining")
    if gateway.broke.is_set():
        raise typer.Exit(1)


@cli.command()
def migrate(config: Config = _HERE) -> None:
    """Bring the database to this program's schema."""

    async def main() -> None:
        async with app.database(settings.load(config, os.environ)) as dsn:
            connection = await Servers(dsn).connect()
            try:
                for each in await migrations.migrate(connection):
                    _console.print(f"applied {each.number:04} {each.name}")
            finally:
                await connection.close()

    _run(main())


@cli.command("check-config")
def check_config(
    config: Config = _HERE,
    online: Annotated[bool, typer.Option("--online", help="Get a NewStore token and reach each provider.")] = False,
    as_json: Json = False,
) -> None:
    """Check the settings and print the URL to give NewStore for each location, and where its requests go."""
    try:
        loaded = settings.load(config, os.environ)
    except (settings.SettingsError, OSError) as error:
        _errors.print(str(error), markup=False, highlight=False)
        raise typer.Exit(2) from error
    told = settings.describe(loaded)
    strangers = _run(app.open_work_without_provider(loaded)) if loaded.database.url else {}
    reached = _run(app.reach(loaded)) if online else {}
    if as_json:
        _print_json({**told, "open_work_without_provider": strangers, "reached": reached})
        raise typer.Exit(any(reached.values()))
    table = Table("location", "give NewStore this URL", "provider", "adapter", "provider's URL")
    for location in loaded.locations.values():
        provider = loaded.providers[location.provider] if location.provider else None
        table.add_row(
            location.id,
            f"{loaded.public_url}/newstore/{location.id}/fulfillment_requests",
            provider.name if provider else "— (unroutable)",
            provider.adapter if provider else "",
            provider.url if provider else "",
        )
    _console.print(table)
    for provider in loaded.providers.values():
        _console.print(f"{provider.name} calls back at {loaded.public_url}/providers/{provider.name}/callbacks")
    for name, count in strangers.items():
        _console.print(f"[yellow]{count} open requests belong to {name}, which the settings do not name[/yellow]")
    for name, fault in reached.items():
        _console.print(f"{name}: {fault or 'reached'}", markup=False)
    raise typer.Exit(any(reached.values()))


@cli.command("list")
def list_requests(
    url: Url = _LOCAL,
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
    found = _run(_ask(url, token, "/v1/requests", {name: value for name, value in asked.items() if value}))
    if as_json:
        _print_json(found)
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
    _console.print(table)


@cli.command()
def show(request_id: str, url: Url = _LOCAL, token: Token = "", as_json: Json = False) -> None:
    """Print one request's whole story as a timeline."""
    story = _run(_ask(url, token, f"/v1/requests/{request_id}", {}))
    if as_json:
        _print_json(story)
        return
    _console.print(f"{story['id']}  {story['location']} → {story['provider']}  {story['status']}", markup=False)
    if story["waiting_for"]:
        _console.print(f"waits for {story['waiting_for']['who']}: {story['waiting_for']['next']}", markup=False)
    moments = [(event["at"], event["kind"], event["cause"]) for event in story["events"]]
    moments += [
        (each["at"], f"  {each['operation']} → {each['destination']}", f"{each['outcome']} {each['detail']}".strip())
        for each in story["attempts"]
    ]
    table = Table("when", "what", "why", box=None)
    for moment in sorted(moments):
        table.add_row(*moment)
    _console.print(table)


async def _ask(url: str, token: str, path: str, query: dict[str, str]) -> Any:
    async with (
        aiohttp.ClientSession(headers={"Authorization": f"Bearer {token}"}) as session,
        session.get(f"{url}{path}", params=query) as answer,
    ):
        body = await answer.json(content_type=None)
        if answer.status != 200:
            _errors.print(f"{answer.status} {body.get('title')}: {body.get('detail')}", markup=False)
            raise typer.Exit(1)
        return body


def _print_json(value: object) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def main() -> None:
    cli()


if __name__ == "__main__":
    main()
