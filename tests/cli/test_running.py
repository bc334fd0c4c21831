# ruff: noqa: ASYNC240  # a test has its loop to itself and may block it
import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path

import asyncpg
import pytest
from aiohttp import web
from typer.testing import CliRunner

from gateway import app
from gateway.cli import cli
from gateway.ledger.database import migrations
from tests import processes
from tests.certificates import Authority
from tests.cli import typed as a_person
from tests.ledger.conftest import writing
from tests.listening import listening
from tests.loading import settings_in
from tests.processes import GATEWAY
from tests.requests import receive
from tests.world import running

KEYS = {name: name.ljust(24, "k") for name in ("KEY", "SECRET", "CALLBACK", "DC")}
CONFIG = """
public_url = "http://127.0.0.1:8080"
[newstore]
url = "http://127.0.0.1:9"
token_url = "http://127.0.0.1:9/token"
client_id = "gateway"
client_secret = "env:SECRET"
[providers.wms]
adapter = "http"
url = "http://127.0.0.1:9/orders"
api_key = "env:KEY"
callback_key = "env:CALLBACK"
[locations.DC01]
provider = "wms"
api_keys = ["env:DC"]
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(CONFIG)
    return path


def test_the_version_is_that_of_the_package() -> None:
    done = CliRunner().invoke(cli, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"{version('newstore-fulfillment-gateway')}\n")


def test_check_config_prints_the_url_to_give_newstore(config: Path) -> None:
    done = CliRunner().invoke(cli, ["check-config", "-c", str(config), "--json"], env={**KEYS, "DATABASE_URL": ""})
    assert done.exit_code == 0
    assert "http://127.0.0.1:8080/newstore/DC01/fulfillment_requests" in done.stdout
    assert not any(key in done.stdout for key in KEYS.values())


def test_no_url_to_give_away_is_cut_off_or_broken(config: Path) -> None:
    environment = {**KEYS, "DATABASE_URL": "", "COLUMNS": "20"}
    done = CliRunner().invoke(cli, ["check-config", "-c", str(config)], env=environment)
    assert "DC01 → wms → http → http://127.0.0.1:9/orders\n" in done.stdout
    assert "give NewStore  http://127.0.0.1:8080/newstore/DC01/fulfillment_requests\n" in done.stdout
    assert "wms calls back at http://127.0.0.1:8080/providers/wms/callbacks\n" in done.stdout


def test_check_config_says_what_nobody_can_do_without(config: Path) -> None:
    config.write_text(CONFIG.partition("[locations.DC01]")[0])
    done = CliRunner().invoke(cli, ["check-config", "-c", str(config)], env={**KEYS, "DATABASE_URL": ""})
    assert (done.exit_code, "no location: add" in done.stdout, "no operator: add" in done.stdout) == (0, True, True)


async def test_migrate_says_what_it_did_or_that_nothing_was_left(
    config: Path, new_database: Callable[[str], Awaitable[str]]
) -> None:
    url = await new_database("gateway_to_migrate")
    first, second = [await a_person.typed("migrate", "-c", str(config), **KEYS, DATABASE_URL=url) for _ in range(2)]
    assert (first[0], first[1].splitlines()[0]) == (0, "applied 0001_schema.sql")
    assert second == (0, "nothing to apply: the schema is this program's\n")


def test_check_config_names_every_fault_and_fails(config: Path) -> None:
    config.write_text(CONFIG.replace('provider = "wms"', 'provider = "wns"').replace("http://127.0.0.1:9/orders", "x"))
    done = CliRunner().invoke(cli, ["check-config", "-c", str(config)], env={**KEYS, "DATABASE_URL": ""})
    assert done.exit_code == 2
    named = [line.partition(":")[0] for line in done.stderr.splitlines()]
    assert named == ["providers.wms.url", "locations.DC01.provider"]


def test_check_config_names_what_only_an_adapter_can_tell_of_its_settings(config: Path) -> None:
    config.with_name("silent.py").write_text(
        "from gateway.providers.port import Adapter, Capabilities\nclass Silent(Adapter):\n    can = Capabilities()\n"
    )
    provider = '[providers.wms]\nadapter = "./silent.py"\ntimeout = 60\n'
    before, _, after = CONFIG.partition("[providers.wms]")
    config.write_text(before + provider + "[locations.DC01]" + after.partition("[locations.DC01]")[2])
    done = CliRunner().invoke(cli, ["check-config", "-c", str(config)], env={**KEYS, "DATABASE_URL": ""})
    assert (done.exit_code, done.stderr.split(" and ")[0]) == (2, "providers.wms.timeout: is above 20 seconds,")


async def test_online_says_what_could_not_be_reached(config: Path) -> None:
    loaded = settings_in(config, KEYS)
    found = await app.reach(loaded)
    assert "otlp" not in found
    assert all("can't be reached" in found[name] for name in ("newstore", "wms"))


async def test_online_a_token_alone_is_no_newstore(config: Path) -> None:
    async def token(_: web.Request) -> web.Response:
        return web.json_response({"access_token": "t", "expires_in": 300})

    async def page(_: web.Request) -> web.Response:
        return web.Response(text="<html>It works!</html>", content_type="text/html")

    async with listening(web.post("/token", token), web.get("/{rest:.*}", page)) as url:
        config.write_text(CONFIG.replace("http://127.0.0.1:9", url))
        found = await app.reach(settings_in(config, KEYS))
    assert found["newstore"] == "newstore.url answered a web page: it is not NewStore's API"


async def test_online_says_that_a_certificate_is_the_reason(config: Path, tmp_path: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*Authority(tmp_path).issue("wms", "localhost"))
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        host = f"localhost:{server.sockets[0].getsockname()[1]}"
        config.write_text(CONFIG.replace("http://127.0.0.1:9", f"https://{host}"))
        found = await app.reach(settings_in(config, KEYS))
    told = f"the certificate of {host} is of an issuer unknown here (unable to get local issuer certificate)"
    assert found == dict.fromkeys(("newstore", "wms"), f"{told}: name its CA in the settings as ca")


@pytest.mark.parametrize(
    ("status", "wrong"),
    [
        (200, ""),
        (400, ""),
        (302, "sends elsewhere"),
        (401, "answered 401"),
        (404, "answered 404"),
        (503, "answered 503"),
    ],
)
async def test_online_exports_no_span_to_see_whether_the_collector_would_take_one(
    config: Path, status: int, wrong: str
) -> None:
    bodies: list[bytes] = []

    async def take(http: web.Request) -> web.Response:
        bodies.append(await http.read())
        return web.Response(status=status, headers={"Location": "/v1/traces"})

    async with listening(web.post("/v1/traces", take)) as url:
        found = (await reached_with_traces(config, f"{url}/"))["otlp"]
        assert found.startswith(wrong and f"{url}/v1/traces {wrong}")
    assert (bool(found), bodies) == (bool(wrong), [b""])


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:9", "can't be reached (ConnectionError): check telemetry.otlp_endpoint, and that it runs"),
        ("https://0xA9FEA9FE:4318", "leads to 169.254.169.254, where a cloud keeps a machine's own keys: correct the"),
    ],
)
async def test_online_says_why_a_collector_is_not_reached(config: Path, url: str, why: str) -> None:
    assert (await reached_with_traces(config, url))["otlp"].startswith(f"{url}/v1/traces {why}")


async def reached_with_traces(config: Path, url: str) -> dict[str, str]:
    config.write_text(f'{CONFIG}\n[telemetry]\notlp_endpoint = "{url}"\n')
    return await app.reach(settings_in(config, KEYS))


async def test_check_config_says_what_a_database_url_asks_in_vain(config: Path) -> None:
    _, said, _ = await checked(config, f"{AWAY}?channel_binding=require")
    remark = "database.url: channel_binding is left out: the driver can't; sslmode=verify-full checks who answers"
    assert remark in said.splitlines()
    _, said, _ = await checked(config, f"{AWAY}?channel_binding=require", "--json")
    assert remark in json.loads(said)["remarks"]


async def test_online_reaches_newstore_and_every_provider_of_a_running_world(
    tmp_path: Path, database: str, pool: asyncpg.Pool
) -> None:
    async with running(tmp_path, database) as road:
        assert set((await app.reach(road.settings)).values()) == {""}


AWAY = "postgresql://gateway:hunter2@127.0.0.1:1/gateway"


async def checked(config: Path, url: str, *options: str) -> tuple[int, str, str]:
    """Check these settings with this database; gives the exit code, what it said, and what it complained of."""
    words = ("check-config", "-c", str(config), *options)
    code, said, fault = await a_person.piped(*words, **KEYS, DATABASE_URL=url)
    assert "Traceback" not in fault
    assert "hunter2" not in said + fault
    return code, said, fault


async def test_a_database_that_is_away_is_named_in_a_line_and_the_settings_are_shown_nevertheless(config: Path) -> None:
    code, said, fault = await checked(config, AWAY)
    assert (code, "give NewStore" in said, fault.count("\n")) == (1, True, 1)
    assert fault.startswith("database: 127.0.0.1:1: ConnectionRefusedError")
    assert "mend it, or database.url or DATABASE_URL" in fault
    code, said, fault = await checked(config, AWAY, "--json")
    assert (code, json.loads(said)["open_work_without_provider"], fault.count("\n")) == (1, None, 1)


async def test_online_names_a_database_that_is_away_once(config: Path) -> None:
    code, said, fault = await checked(config, AWAY, "--online")
    assert (code, fault) == (1, "")
    (line,) = [each for each in said.splitlines() if each.startswith("database: ")]
    assert line.startswith("database: 127.0.0.1:1: ConnectionRefusedError")
    assert "mend it, or database.url or DATABASE_URL" in line
    code, said, _ = await checked(config, AWAY, "--online", "--json")
    assert (code, json.loads(said)["reached"]["database"]) == (1, line.removeprefix("database: "))


async def test_without_a_database_url_there_is_no_database_to_reach(config: Path) -> None:
    _, said, _ = await checked(config, "", "--online", "--json")
    assert "database" not in json.loads(said)["reached"]


async def test_online_says_that_a_database_was_never_migrated_or_is_of_another_time(
    config: Path, new_database: Callable[[str], Awaitable[str]]
) -> None:
    url = await new_database("gateway_online")

    async def reached() -> str:
        return (await app.reach(settings_in(config, {**KEYS, "DATABASE_URL": url})))["database"]

    assert "was never migrated: run `gateway migrate`" in await reached()
    connection = await asyncpg.connect(url)
    try:
        await migrations.migrate(connection)
        assert await reached() == ""
        number = "(SELECT max(number) FROM migrations)"
        await connection.execute(f"UPDATE migrations SET oldest_program = 9 WHERE number = {number}")
        assert f"needs program 9 and this is {migrations.PROGRAM}: upgrade the program" in await reached()
        await connection.execute(f"DELETE FROM migrations WHERE number = {number}")
        fault = await reached()
        assert ("lacks" in fault, fault.endswith("run `gateway migrate`")) == (True, True)
    finally:
        await connection.close()


async def test_online_names_a_database_that_nobody_may_read(config: Path, database: str) -> None:
    wrong = database.replace("postgres:", "postgres:hunter2", 1)
    code, said, fault = await checked(config, wrong, "--online")
    assert (code, "InvalidPasswordError" in said, fault) == (1, True, "")


async def test_an_address_that_is_taken_is_named_with_its_place_in_the_settings(config: Path, database: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        config.write_text(f"{CONFIG}[internal]\nport = {taken.getsockname()[1]}\n")
        code, _, fault = await a_person.piped("serve", "-c", str(config), **KEYS, DATABASE_URL=database)
    assert (code, fault.partition(" on ")[0]) == (2, "internal: can't listen")


async def test_a_gateway_ends_with_the_postgres_that_it_started(config: Path) -> None:
    config.write_text(f"{CONFIG}[public]\nport = 0\n[internal]\nport = 0\n[database]\ndata_dir = 'own'\n")
    log, environ = config.with_name("log"), {**os.environ, **KEYS, "DATABASE_URL": ""}
    async with processes.running(*GATEWAY, "serve", log=log, environ=environ, stdout=subprocess.PIPE) as gateway:
        assert gateway.stdout is not None
        assert (await gateway.stdout.readline()).startswith(b"public ")
        os.kill(int((config.parent / "own/cluster/postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        assert await gateway.wait() == 1
    assert '"event":"postgres.ended"' in log.read_text()


async def test_before_the_first_migration_no_work_is_open(
    config: Path, new_database: Callable[[str], Awaitable[str]]
) -> None:
    loaded = settings_in(config, {**KEYS, "DATABASE_URL": await new_database("gateway_empty")})
    assert await app.open_work_without_provider(loaded) == {}


async def test_open_work_of_a_provider_that_the_settings_do_not_name_is_counted(
    config: Path, database: str, pool: asyncpg.Pool
) -> None:
    async with writing(database) as writer:
        await writer.apply(receive(provider="former"))
        await writer.apply(receive("r-2", provider="wms"))
    loaded = settings_in(config, {**KEYS, "DATABASE_URL": database})
    assert await app.open_work_without_provider(loaded) == {"former": 1}
