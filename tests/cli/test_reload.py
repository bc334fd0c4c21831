"""Settings that change while a gateway runs: real processes, real signals."""

import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
import pytest
from aiohttp import web

from gateway import settings
from tests.cli.typed import typed
from tests.listening import listening
from tests.loading import http_provider, settings_in
from tests.processes import Gateway, gateway, until
from tests.served import order

KEYS = {name: f"{name}-only-known-to-these-tests" for name in ("KEY", "SECRET", "CALLBACK", "DC", "ADA", "OTTO")}
CONFIG = """
public_url = "http://127.0.0.1:8080"
public = { port = 0 }
internal = { port = 0 }
[newstore]
url = "http://127.0.0.1:9"
token_url = "http://127.0.0.1:9/token"
client_id = "gateway"
client_secret = "env:SECRET"
[[operators]]
name = "ada"
role = "admin"
token = "env:ADA"
[[operators]]
name = "otto"
role = "operator"
token = "env:OTTO"
[providers.wms]
adapter = "http"
url = "http://127.0.0.1:9/orders"
api_key = "env:KEY"
callback_key = "file:callback"
[locations.DC01]
provider = "wms"
api_keys = ["env:DC"]
"""


@dataclass
class Site:
    """One gateway, the file that it was started with, and its log."""

    config: Path
    served: Gateway

    async def post(self, path: str, key: str, body: object) -> tuple[int, dict[str, Any]]:
        base = self.served.internal_url if path.startswith("/v1") else self.served.public_url
        async with (
            aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as http,
            http.post(f"{base}{path}", json=body) as answer,
        ):
            return answer.status, orjson.loads(await answer.read())

    async def calls_back(self, key: str) -> int:
        said = {"type": "accepted", "event_id": "e", "fulfillment_request_id": "nobodys"}
        return (await self.post("/providers/wms/callbacks", key, said))[0]

    async def reload(self, token: str = KEYS["ADA"]) -> tuple[int, dict[str, Any]]:
        return await self.post("/v1/reload", token, {"reason": "it changes"})

    async def type_reload(self) -> tuple[int, str]:
        return await typed("reload", GATEWAY_URL=self.served.internal_url, GATEWAY_TOKEN=KEYS["ADA"])

    def write(self, old: str, new: str) -> None:
        assert old in self.config.read_text()
        self.config.write_text(self.config.read_text().replace(old, new))

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [orjson.loads(line) for line in self.config.with_suffix(".log").read_bytes().splitlines()]
        return [line for line in lines if line["event"] == event]

    async def hang_up(self) -> None:
        """SIGHUP, and wait until it was heard."""
        ends = ("settings.reloaded", "settings.faulty")
        before = sum(len(self.logged(event)) for event in ends)
        self.served.process.send_signal(signal.SIGHUP)

        async def heard() -> bool:
            return sum(len(self.logged(event)) for event in ends) > before

        await until(heard)


@pytest.fixture
async def site(tmp_path: Path, database: str, pool: asyncpg.Pool) -> AsyncIterator[Site]:
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG)
    (tmp_path / "callback").write_text("first".ljust(24, "k"))
    async with gateway(config, {**KEYS, "DATABASE_URL": database}) as served:
        yield Site(config, served)


async def test_sighup_takes_a_key_from_a_file_that_was_rewritten_and_ends_nothing(site: Site) -> None:
    new = "second".ljust(24, "k")
    assert (await site.calls_back("first".ljust(24, "k")), await site.calls_back(new)) == (202, 401)
    (site.config.parent / "callback").write_text(new)
    await site.hang_up()
    assert (await site.calls_back("first".ljust(24, "k")), await site.calls_back(new)) == (401, 202)
    assert site.logged("settings.reloaded")[0]["changed"] == "providers.wms.callback_key"
    assert await site.served.stop() < 10


async def test_a_file_with_faults_changes_nothing_and_each_fault_is_a_line_of_the_log_and_of_the_command(
    site: Site,
) -> None:
    (site.config.parent / "callback").write_text("second".ljust(24, "k"))
    site.write('role = "operator"', 'role = "boss"')
    site.write('adapter = "http"', 'adapter = "soap"')
    await site.hang_up()
    places = [line["fault"].partition(":")[0] for line in site.logged("settings.faulty")]
    assert places == ["operators[1].role", "providers.wms.adapter"]
    code, said = await site.type_reload()
    assert (code, [line.partition(":")[0] for line in said.splitlines()]) == (
        1, [*places, "The settings that are in force stay."]
    )  # fmt: skip
    assert await site.calls_back("first".ljust(24, "k")) == 202
    assert (await site.post("/v1/holds", KEYS["OTTO"], {"scope": "everything", "reason": "x"}))[0] == 201


async def test_a_reload_says_what_changed_and_is_in_the_audit(site: Site, pool: asyncpg.Pool) -> None:
    site.write('name = "otto"\nrole = "operator"', 'name = "otto"\nrole = "viewer"')
    site.config.write_text(f'{site.config.read_text()}[locations.DC02]\napi_keys = ["env:KEY"]\nconfirm_first = 5\n')
    assert await site.type_reload() == (0, "operators.otto.role\nlocations.DC02 (new)\n")
    assert (await site.post("/v1/holds", KEYS["OTTO"], {"scope": "everything", "reason": "x"}))[0] == 403
    assert (await site.post("/newstore/DC02/fulfillment_requests", KEYS["KEY"], order("r-9")))[0] == 200
    assert await pool.fetchval("SELECT name FROM holds WHERE scope = 'rejections'") == "DC02"
    (row,) = await pool.fetch("SELECT who, subject, reason, outcome FROM audit WHERE action = 'reload'")
    told = "changed: operators.otto.role, locations.DC02 (new); needs a restart: nothing"
    assert tuple(row) == ("ada", "settings", "settings changed", told)
    assert await site.type_reload() == (0, "Nothing has changed.\n")


async def test_what_needs_a_restart_is_named_and_stays_as_it_was(site: Site) -> None:
    site.write("internal = { port = 0 }", "internal = { port = 1 }\nbody_limit = 2_000")
    site.write('/orders"', '/elsewhere"\ntimeout = 3')
    site.write('api_key = "env:KEY"', 'api_key = "env:OTTO"')
    site.write('"env:OTTO"\n[providers.wms]', '"env:SECRET"\n[providers.wms]')
    site.write('client_id = "gateway"', 'client_id = "other"')
    site.config.write_text(f"{site.config.read_text()}[locations.DC02]\nprovider = 'erp'\napi_keys = ['env:KEY']\n")
    erp = CONFIG.partition("[providers.wms]")[2].partition("[loc")[0].replace("file:callback", "env:CALLBACK")
    site.config.write_text(f"{site.config.read_text()}[providers.erp]{erp}")
    status, told = await site.reload()
    assert (status, told["faults"], told["changed"]) == (200, [], ["operators.otto.token"])
    left = [
        "body_limit", "internal.port", "locations.DC02.provider", "newstore.client_id", "providers.erp",
        "providers.wms.api_key", "providers.wms.timeout", "providers.wms.url",
    ]  # fmt: skip
    assert sorted(told["needs_restart"]) == left
    assert sorted(line["key"] for line in site.logged("settings.needs_restart")) == left


async def test_only_an_admin_has_the_settings_read_anew_and_says_why(site: Site) -> None:
    assert (await site.reload(KEYS["OTTO"]))[0] == 403
    assert (await site.post("/v1/reload", KEYS["ADA"], {"reason": " "}))[0] == 400


async def test_calls_carry_the_keys_that_a_reload_brought(tmp_path: Path, database: str, pool: asyncpg.Pool) -> None:
    seen: list[str] = []

    async def take(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response({"id": "w-1"})

    async def token(request: web.Request) -> web.Response:
        seen.append(str((await request.post())["client_secret"]))
        return web.json_response({"access_token": "t", "expires_in": 300})

    config = tmp_path / "gateway.toml"
    (tmp_path / "callback").write_text(KEYS["CALLBACK"])
    async with listening(web.post("/orders", take), web.post("/token", token)) as outside:
        config.write_text(CONFIG.replace("http://127.0.0.1:9", outside))
        async with gateway(config, {**KEYS, "DATABASE_URL": database}) as served:
            site = Site(config, served)
            for name in ("key", "secret"):
                (tmp_path / name).write_text(f"fresh-{name}".ljust(24, "k"))
                site.write(f"env:{name.upper()}", f"file:{name}")
            await site.hang_up()
            assert (await site.post("/newstore/DC01/fulfillment_requests", KEYS["DC"], order("r-1")))[0] == 200
            said = {"type": "accepted", "event_id": "e", "fulfillment_request_id": "r-1"}
            assert (await site.post("/providers/wms/callbacks", KEYS["CALLBACK"], said))[0] == 200

            async def both_called() -> bool:
                return len(set(seen)) > 1

            await until(both_called)
    assert set(seen) == {f"Bearer {'fresh-key'.ljust(24, 'k')}", "fresh-secret".ljust(24, "k")}


def test_the_new_settings_hold_for_whoever_holds_the_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    (tmp_path / "callback").write_text("first".ljust(24, "k"))
    path.write_text(CONFIG)
    old, environ = (
        settings_in(path, KEYS),
        {**KEYS, "SECRET": "another".ljust(24, "k"), "KEY": "fresh".ljust(24, "k")},
    )
    newstore, held = old.newstore, old
    new, told = settings.change(old, settings_in(path, environ))
    old.take(new)
    assert told.changed == ["newstore.client_secret", "providers.wms.api_key"]
    assert (newstore.client_secret.reveal(), http_provider(held, "wms").api_key.reveal()) == (
        environ["SECRET"],
        environ["KEY"],
    )
