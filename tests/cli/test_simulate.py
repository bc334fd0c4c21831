import asyncio
import os
import re
import signal
import socket
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from aiohttp import web
from typer.testing import CliRunner

from gateway.cli import cli
from gateway.domain.orders import Order
from gateway.providers.files import Files
from gateway.providers.files_settings import FilesSettings
from gateway.providers.port import Reading, Statement
from gateway.providers.rest import Rest
from gateway.providers.rest_settings import RestSettings
from gateway.simulator.served import Served
from tests.cli import typed as a_person
from tests.loading import settings_in
from tests.processes import LONG, command, read_until

if TYPE_CHECKING:
    import subprocess


class Gateway(Served):
    """Takes whatever it is sent."""

    def __init__(self) -> None:
        super().__init__([web.post("/{door:.*}", self.take)])
        self.came: list[tuple[str, str, dict[str, Any]]] = []

    def _resume(self) -> None:
        pass

    async def take(self, http: web.Request) -> web.Response:
        self.came.append((http.path, http.headers["Authorization"], await http.json()))
        self._change()
        return web.Response()


def toml_in(said: str) -> str:
    return said.partition("For gateway.toml:")[2].partition("For the environment")[0]


def variables_in(said: str) -> dict[str, str]:
    return dict(re.findall(r"^export (\w+)=(.+)$", said, re.MULTILINE))


async def ended(simulated: "subprocess.Popen[str]") -> tuple[int, str]:
    """Wait for its end, taking its last calls: asyncio leaves open a connection that comes as our server closes."""
    _, errors = await asyncio.to_thread(simulated.communicate, timeout=LONG)
    return simulated.returncode, errors


async def test_a_simulated_newstore_serves_what_it_prints_until_sigterm() -> None:
    async with Gateway().running() as gateway, aiohttp.ClientSession() as session:
        with command("simulate", "newstore", "--port", "0", "--dc", f"DC01={gateway.url}/here") as simulated:
            said = read_until(simulated, "Ready.")
            newstore = tomllib.loads(toml_in(said))["newstore"]
            keys = variables_in(said)
            form = {
                "grant_type": "client_credentials",
                "client_id": newstore["client_id"],
                "client_secret": keys["NEWSTORE_CLIENT_SECRET"],
            }
            async with session.post(newstore["token_url"], data=form) as answer:
                assert answer.status == 200
            async with session.post(f"{newstore['url']}/simulator/orders?location=DC01") as answer:
                placed = await answer.json()
            ((path, key, body),) = gateway.came
            assert (path, key, body["id"]) == ("/here", f"Bearer {keys['DC01_API_KEY']}", placed["id"])
            async with session.get(f"{newstore['url']}/simulator/record") as answer:
                assert placed["id"] in (await answer.json())["requests"]
            simulated.send_signal(signal.SIGTERM)
            assert await ended(simulated) == (0, "")


async def test_a_simulated_newstore_places_orders_by_itself_at_a_rate() -> None:
    async with Gateway().running() as gateway:
        words = ("--port", "0", "--dc", f"DC01={gateway.url}/here", "--orders-per-second", "50")
        with command("simulate", "newstore", *words) as simulated:
            await gateway.until(lambda: len(gateway.came) > 2)
            simulated.send_signal(signal.SIGTERM)
            assert await ended(simulated) == (0, "")


async def test_a_simulated_warehouse_works_an_order_and_calls_back_until_ctrl_c() -> None:
    order = {"id": "r-1", "shipping_options": {"carrier": "UPS"}, "items": [{"product_id": "A"}]}
    async with Gateway().running() as gateway, aiohttp.ClientSession() as session:
        words = ("--port", "0", "--name", "acme-wms", "--callback-url", f"{gateway.url}/back")
        with command("simulate", "warehouse", *words) as simulated:
            said = read_until(simulated, "Ready.")
            provider = tomllib.loads(toml_in(said))["providers"]["acme-wms"]
            keys = variables_in(said)
            headers = {"Authorization": f"Bearer {keys['ACME_WMS_API_KEY']}"}
            async with session.post(provider["url"], json=order, headers=headers) as answer:
                assert answer.status == 201
            await gateway.until(lambda: len(gateway.came) == 2)
            assert {(path, key) for path, key, _ in gateway.came} == {
                ("/back", f"Bearer {keys['ACME_WMS_CALLBACK_KEY']}")
            }
            os.killpg(simulated.pid, signal.SIGINT)
            assert await ended(simulated) == (0, "")


def test_what_both_print_is_a_gateway_toml(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    with command("simulate", "newstore", "--port", "0", "--dc", "DC01", "--dc", "DC.02") as simulated:
        newstore = read_until(simulated, "Ready.")
    with command("simulate", "warehouse", "--port", "0", "--host", "0.0.0.0", "--name", "3pl") as simulated:
        warehouse = read_until(simulated, "Ready.")
    text = toml_in(newstore).replace('# provider = "NAME"', 'provider = "3pl"')
    path.write_text(f'public_url = "http://127.0.0.1:8080"\n{text}{toml_in(warehouse)}')
    loaded = settings_in(path, variables_in(newstore) | variables_in(warehouse))
    assert {name: location.provider for name, location in loaded.locations.items()} == {"DC01": "3pl", "DC.02": "3pl"}


def test_secrets_given_by_reference_are_not_printed(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a key out of a file\n")
    words = ("--port", "0", "--api-key", f"file:{tmp_path / 'key'}", "--callback-key", f"file:{tmp_path / 'key'}")
    with command("simulate", "warehouse", *words) as simulated:
        said = read_until(simulated, "Ready.")
    assert f'api_key = "file:{tmp_path / "key"}"' in said
    assert "a key out" not in said
    assert "export" not in said


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["newstore", "--client-secret", "plain"], "write env:NAME or file:PATH"),
        (["newstore", "--dc", "DC01=gateway"], "--dc: is not an http(s) URL"),
        (["newstore", "--dc-key", "DC09=env:KEY"], "no --dc is called DC09"),
        (["warehouse", "--api-key", "env:NOT_SET"], "NOT_SET is not set"),
        (["warehouse", "--name", "a b"], "is not a name"),
        (["warehouse", "--callback-key", "env:A", "--callback-secret", "env:B"], "give one of the two"),
    ],
)
def test_a_wrong_option_is_named(words: list[str], fault: str) -> None:
    done = CliRunner().invoke(cli, ["simulate", *words])
    assert done.exit_code == 2
    assert fault in " ".join(done.stderr.replace("│", "").split())


@pytest.mark.parametrize("end", ["newstore", "warehouse"])
async def test_an_address_that_is_taken_is_named_with_its_options(end: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, output = await a_person.typed("simulate", end, "--port", str(taken.getsockname()[1]))
    assert (code, output.partition(" on ")[0], output.count("\n")) == (2, "--host, --port: can't listen", 1)


async def test_a_simulated_file_warehouse_is_read_by_the_settings_that_it_prints(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    with command("simulate", "file-warehouse", str(shared), "--port", "0", "--name", "acme") as simulated:
        said = read_until(simulated, "Ready.")
        toml = toml_in(said).partition("Ready.")[0]
        (tmp_path / "gateway.toml").write_text(
            'public_url = "https://gateway.example.com"\n'
            f'newstore = {{ tenant = "acme", client_id = "gateway", client_secret = "env:SECRET" }}\n{toml}'
        )
        provider = settings_in(tmp_path / "gateway.toml", {"SECRET": "s" * 20}).providers["acme"]
        assert isinstance(provider, FilesSettings)
        files = Files(provider, None)  # type: ignore[arg-type]
        await files.check()
        order = Order(request_id="r-1", reference="NS0123456789ABCD", products=("A", "A"))
        await files.create(order, files.compose(order))
        said_of_it: list[Reading] = []
        while not any(isinstance(each, Statement) and each.word == "shipped" for each in said_of_it):
            page = await files.poll("")
            said_of_it += [reading for message in page.messages for reading in files.read(message)]
            await files.acknowledge(page)
        assert {each.names.reference for each in said_of_it if isinstance(each, Statement)} == {"NS0123456789ABCD"}
        simulated.send_signal(signal.SIGTERM)
        assert simulated.wait(timeout=LONG) == 0


async def test_a_simulated_rest_warehouse_is_read_by_the_mapping_that_it_prints(tmp_path: Path) -> None:
    with command("simulate", "rest-warehouse", "--port", "0", "--name", "acme", "--mode", "poll") as simulated:
        said = read_until(simulated, "Ready.")
        mapping = said.partition("beside gateway.toml:")[2].partition("For gateway.toml:")[0]
        (tmp_path / "acme.toml").write_text(mapping)
        (tmp_path / "gateway.toml").write_text(
            'public_url = "https://gateway.example.com"\n'
            f'newstore = {{ tenant = "acme", client_id = "gateway", client_secret = "env:SECRET" }}\n{toml_in(said)}'
        )
        keys = variables_in(said) | {"SECRET": "s" * 20}
        provider = settings_in(tmp_path / "gateway.toml", keys).providers["acme"]
        assert isinstance(provider, RestSettings)
        async with aiohttp.ClientSession() as session:
            rest = Rest(provider, session)
            order = Order(request_id="r-1", reference="NS0123456789ABCD", products=("A", "A"))
            assert (await rest.create(order, rest.compose(order))).provider_order == "17"
            words: set[object] = set()
            while "shipped" not in words:
                page = await rest.poll("")
                readings = [each for message in page.messages for each in rest.read(message)]
                words |= {each.word for each in readings if isinstance(each, Statement)}
        simulated.send_signal(signal.SIGTERM)
        assert simulated.wait(timeout=LONG) == 0
