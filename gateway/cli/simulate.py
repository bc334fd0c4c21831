"""`simulate`: one end of the road, a NewStore or a warehouse, to try a gateway of your own against."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from gateway.providers import example
from gateway.settings.kinds import NAME, tenant
from gateway.settings.tables import place
from gateway.settings.urls import web_url
from gateway.simulator.file_warehouse import (
    COLUMNS,
    NO_FILE_FAULTS,
    REASONS,
    SOME_FILE_FAULTS,
    WORDS,
    FileWarehouse,
)
from gateway.simulator.newstore import TOKEN_PATH, NewStore
from gateway.simulator.newstore_faults import NO_FAULTS, SOME_FAULTS
from gateway.simulator.rest_warehouse import RestWarehouse
from gateway.simulator.served import Served
from gateway.simulator.warehouse import Warehouse

from .keys import OR_MADE, Key, fit, key
from .terminal import fault, run, told_to_stop

commands = typer.Typer(
    help="Run a simulated NewStore or warehouse, to try a gateway of your own.", no_args_is_help=True
)
_COLUMNS = ("reference", "product", "quantity", "word", "reason", "tracking_number", "carrier", "date")
"""What the columns of a file warehouse say, in the words of the settings."""
_GATEWAY = "http://127.0.0.1:8080"

Host = Annotated[str, typer.Option(help="The address to listen on.")]
PlainHttp = Annotated[
    list[str] | None, typer.Option(help="A host besides loopback to call by plain http://; repeatable.")
]
Port = Annotated[int, typer.Option(help="The port to listen on; 0 lets the system choose.", min=0, max=65_535)]


class Mood(StrEnum):
    """How a warehouse works its orders and answers."""

    QUICK = "quick"
    SHORT_OF_STOCK = "short_of_stock"
    SLOW_AND_PARTIAL = "slow_and_partial"
    FLAKY = "flaky"


@commands.command()
def newstore(
    host: Host = "127.0.0.1",
    port: Port = 8090,
    tenant_name: Annotated[str, typer.Option("--tenant", help="The tenant.")] = "acme",
    client_id: Annotated[str, typer.Option(help="The API client that may ask for tokens.")] = "gateway",
    client_secret: Annotated[str, typer.Option(help=f"Its secret: {OR_MADE}")] = "",
    dc: Annotated[
        list[str] | None, typer.Option(help="DC01, or DC01=URL to give it; repeatable, in routing order.")
    ] = None,
    dc_key: Annotated[
        list[str] | None, typer.Option(help=f"DC01=KEY, the API key to send to that DC: {OR_MADE}")
    ] = None,
    orders_per_second: Annotated[float, typer.Option(help="How many orders to place.", min=0, max=500)] = 0,
    faults: Annotated[bool, typer.Option(help="Let one call in twenty go wrong.")] = False,
    plain_http_host: PlainHttp = None,
) -> None:
    """Run a simulated NewStore, which sends fulfillment requests and takes what becomes of them."""
    urls = {name: _dc_url(name, url, plain_http_host or ()) for name, url in map(_split, dc or ["DC01"])}
    references = dict(map(_split, dc_key or []))
    if strangers := references.keys() - urls.keys():
        raise typer.BadParameter(f"--dc-key: no --dc is called {', '.join(sorted(strangers))}")
    secret = key("--client-secret", client_secret, "NEWSTORE_CLIENT_SECRET")
    keys = {name: key("--dc-key", references.get(name, ""), f"{name}_API_KEY") for name in urls}
    simulated = NewStore(
        tenant=fit("--tenant", tenant, tenant_name),
        client_id=client_id,
        client_secret=secret.value,
        faults=SOME_FAULTS if faults else NO_FAULTS,
        seed=_seed(),
    )
    for name, url in urls.items():
        simulated.configure(name, url, keys[name].value)
    run(_newstore(simulated, (host, port), secret, keys, orders_per_second))


async def _newstore(
    simulated: NewStore, at: tuple[str, int], secret: Key, keys: Mapping[str, Key], orders_per_second: float
) -> None:
    stop = told_to_stop()
    async with _listening(simulated, *at), asyncio.TaskGroup() as group:
        url = simulated.url
        typer.echo(f"NewStore        {url}")
        typer.echo(f"Its record      {url}/simulator/record")
        typer.echo(f"Place an order  curl -X POST '{url}/simulator/orders?location={next(iter(keys))}'")
        typer.echo(f"Send the lost   curl -X POST {url}/simulator/resend")
        _print_settings(_newstore_toml(simulated, secret, keys), (secret, *keys.values()))
        placing = group.create_task(simulated.place_steadily(orders_per_second))
        await stop.wait()
        placing.cancel()


def _newstore_toml(simulated: NewStore, secret: Key, keys: Mapping[str, Key]) -> str:
    tokens = simulated.tokens
    text = f"""\
[newstore]
url = "{simulated.url}"
token_url = "{simulated.url}{TOKEN_PATH.format(tenant=tokens.tenant)}"
client_id = {json.dumps(tokens.client_id)}
client_secret = {json.dumps(secret.reference)}
"""
    for name, each in keys.items():
        text += f"""
[{place(("locations", name))}]
api_keys = [{json.dumps(each.reference)}]
# provider = "NAME"  # one of your [providers.NAME]; without it the requests are parked
"""
    return text


@commands.command()
def warehouse(
    host: Host = "127.0.0.1",
    port: Port = 8091,
    name: Annotated[str, typer.Option(help="The provider's name in gateway.toml.")] = "warehouse",
    temperament: Annotated[Mood, typer.Option(help=str(Mood.__doc__))] = Mood.QUICK,
    api_key: Annotated[str, typer.Option(help=f"What the gateway shows it: {OR_MADE}")] = "",
    callback_url: Annotated[str, typer.Option(help="Where it tells what became of an order.")] = "",
    callback_key: Annotated[str, typer.Option(help=f"What it shows the gateway: {OR_MADE}")] = "",
    callback_secret: Annotated[
        str, typer.Option(help="Instead of a key, whsec_…: it signs. env:NAME or file:PATH.")
    ] = "",
    plain_http_host: PlainHttp = None,
) -> None:
    """Run a simulated warehouse, which takes orders, works them, and calls the gateway back."""
    if callback_key and callback_secret:
        raise typer.BadParameter("--callback-key and --callback-secret: give one of the two")
    url_kind = partial(web_url, plain_http_hosts=plain_http_host or ())
    shown = key("--api-key", api_key, f"{_named('--name', name)}_API_KEY")
    if callback_secret:
        proof = key("--callback-secret", callback_secret, "", signs=True)
    else:
        proof = key("--callback-key", callback_key, f"{name}_CALLBACK_KEY")
    simulated = Warehouse(
        name,
        temperament.value,
        fit("--callback-url", url_kind, callback_url or f"{_GATEWAY}/providers/{name}/callbacks"),
        api_key=shown.value,
        callback_key=None if callback_secret else proof.value,
        callback_secret=proof.value if callback_secret else None,
        seed=_seed(),
    )
    run(_warehouse(simulated, (host, port), shown, proof))


async def _warehouse(simulated: Warehouse, at: tuple[str, int], shown: Key, proof: Key) -> None:
    stop = told_to_stop()
    async with _listening(simulated, *at):
        typer.echo(f"Warehouse       {simulated.url}/orders")
        typer.echo(f"Its record      {simulated.url}/simulator/record")
        typer.echo(f"It calls back   {simulated.callback.url}")
        _print_settings(_warehouse_toml(simulated, shown, proof), (shown, proof))
        await stop.wait()


def _warehouse_toml(simulated: Warehouse, shown: Key, proof: Key) -> str:
    return f"""\
[{place(("providers", simulated.name))}]
adapter = "http"
url = "{simulated.url}/orders"
api_key = {json.dumps(shown.reference)}
callback_{"secret" if simulated.callback.secret else "key"} = {json.dumps(proof.reference)}
# and in the [locations.ID] that it serves: provider = "{simulated.name}"
"""


@commands.command()
def file_warehouse(
    folder: Annotated[
        Path, typer.Argument(help="The folder that it shares with the gateway; made where it is missing.")
    ],
    host: Host = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The port on which it shows its record.", min=0, max=65_535)] = 8093,
    name: Annotated[str, typer.Option(help="The provider's name in gateway.toml.")] = "file-warehouse",
    temperament: Annotated[Mood, typer.Option(help=str(Mood.__doc__))] = Mood.QUICK,
    faults: Annotated[
        bool, typer.Option(help="Let files come in halves, twice, in another order, with a bad row.")
    ] = False,
) -> None:
    """Run a simulated warehouse without an API: it fetches orders from a folder, and writes files of its own there."""
    simulated = FileWarehouse(
        _named("--name", name), folder, temperament.value, SOME_FILE_FAULTS if faults else NO_FILE_FAULTS, seed=_seed()
    )
    run(_file_warehouse(simulated, (host, port)))


async def _file_warehouse(simulated: FileWarehouse, at: tuple[str, int]) -> None:
    stop = told_to_stop()
    async with _listening(simulated, *at):
        typer.echo(f"Its folder      {simulated.folder.absolute()}")
        typer.echo(f"Its record      {simulated.url}/simulator/record")
        _print_settings(_file_warehouse_toml(simulated), ())
        await stop.wait()


def _file_warehouse_toml(simulated: FileWarehouse) -> str:
    """Write the settings by which its files are read."""
    table = place(("providers", simulated.name))
    columns = dict(zip(_COLUMNS, COLUMNS, strict=True))
    lines = [
        f"[{table}]",
        'adapter = "files"',
        f"folder = {json.dumps(str(simulated.folder.absolute()))}",
        'fetched = ["fetched"]',
        "withdraw = true",
        "final_rejections = true",
        "poll_seconds = 5",
        f"\n[{table}.columns]",
        *(f"{ours} = {json.dumps(theirs)}" for ours, theirs in columns.items()),
        f"\n[{table}.words]",
        *(f"{json.dumps(theirs)} = {json.dumps(ours)}" for ours, theirs in WORDS.items()),
        f"\n[{table}.reasons]",
        *(f"{json.dumps(theirs)} = {json.dumps(ours)}" for ours, theirs in REASONS.items()),
        f'# and in the [locations.ID] that it serves: provider = "{simulated.name}"',
    ]
    return "\n".join(lines) + "\n"


class Mode(StrEnum):
    """How a warehouse with an API of its own tells what became of an order."""

    PUSH = "push"
    POLL = "poll"


@commands.command()
def rest_warehouse(
    host: Host = "127.0.0.1",
    port: Port = 8094,
    name: Annotated[str, typer.Option(help="The provider's name in gateway.toml.")] = "rest-warehouse",
    mode: Annotated[Mode, typer.Option(help=f"{Mode.__doc__} By webhooks, or where it is polled.")] = Mode.PUSH,
    temperament: Annotated[Mood, typer.Option(help=str(Mood.__doc__))] = Mood.QUICK,
    api_key: Annotated[str, typer.Option(help=f"What the gateway shows it: {OR_MADE}")] = "",
    webhook_url: Annotated[str, typer.Option(help="Where it tells what became of an order.")] = "",
    webhook_secret: Annotated[str, typer.Option(help=f"What it signs that with: {OR_MADE}")] = "",
    plain_http_host: PlainHttp = None,
) -> None:
    """Run a simulated warehouse with a JSON API of its own, which a mapping file describes."""
    url_kind = partial(web_url, plain_http_hosts=plain_http_host or ())
    shown = key("--api-key", api_key, f"{_named('--name', name)}_API_KEY")
    signs = key("--webhook-secret", webhook_secret, f"{name}_WEBHOOK_SECRET")
    simulated = RestWarehouse(
        name,
        temperament.value,
        fit("--webhook-url", url_kind, webhook_url or f"{_GATEWAY}/providers/{name}/callbacks"),
        api_key=shown.value,
        webhook_secret=signs.value,
        mode=mode.value,
        seed=_seed(),
    )
    run(_rest_warehouse(simulated, (host, port), shown, signs))


async def _rest_warehouse(simulated: RestWarehouse, at: tuple[str, int], shown: Key, signs: Key) -> None:
    stop = told_to_stop()
    mapping = (Path(example.__file__).parent / f"warehouse_{simulated.mode}.toml").read_text(encoding="utf-8")
    async with _listening(simulated, *at):
        typer.echo(f"Its orders      {simulated.url}/orders")
        typer.echo(f"Its record      {simulated.url}/simulator/record")
        is_pushed = simulated.mode == Mode.PUSH
        typer.echo(
            f"It calls back   {simulated.callback.url}" if is_pushed else f"Its shipments   {simulated.url}/shipments"
        )
        typer.echo(f"\nFor {simulated.name}.toml, beside gateway.toml:\n\n{mapping}")
        _print_settings(_rest_warehouse_toml(simulated, shown, signs), (shown, signs) if is_pushed else (shown,))
        await stop.wait()


def _rest_warehouse_toml(simulated: RestWarehouse, shown: Key, signs: Key) -> str:
    webhooks = f"""\
webhooks = {{ kind = "hmac", header = "X-Signature", prefix = "sha256=" }}
webhook_secret = {json.dumps(signs.reference)}
"""
    return f"""\
[{place(("providers", simulated.name))}]
adapter = "rest"
url = "{simulated.url}"
mapping = {json.dumps(f"{simulated.name}.toml")}
auth = {{ kind = "header", header = "X-Api-Key", secret = {json.dumps(shown.reference)} }}
{webhooks if simulated.mode == Mode.PUSH else "poll_seconds = 5"}
# and in the [locations.ID] that it serves: provider = "{simulated.name}"
"""


@asynccontextmanager
async def _listening(simulated: Served, host: str, port: int) -> AsyncIterator[None]:
    try:
        await simulated.start(host, port)
    except OSError as error:
        why = f"can't listen on {host}, port {port}: {error.strerror}"
        raise fault(f"--host, --port: {why}; give a free one of this machine", 2) from error
    try:
        yield
    finally:
        await simulated.stop()


def _print_settings(toml: str, keys: tuple[Key, ...]) -> None:
    typer.echo(f"\nFor gateway.toml:\n\n{toml}")
    if made := [f"export {each.made_for}={each.value}" for each in keys if each.made_for]:
        typer.echo("For the environment of the gateway:\n\n" + "\n".join(made) + "\n")
    typer.echo("Ready. Ctrl-C ends it.")


def _split(text: str) -> tuple[str, str]:
    name, _, value = text.partition("=")
    return _named("--dc", name), value


def _named(option: str, name: str) -> str:
    if not NAME.fullmatch(name):
        raise typer.BadParameter(f"{option}: {name!r} is not a name; use letters, digits, dots, dashes or underscores")
    return name


def _dc_url(name: str, url: str, plain_http: Collection[str]) -> str:
    kind = partial(web_url, plain_http_hosts=plain_http)
    return fit("--dc", kind, url or f"{_GATEWAY}/newstore/{name}/fulfillment_requests")


def _seed() -> int:
    """Another run places other orders: a gateway knows those of the last one."""
    return secrets.randbelow(2**32)
