"""The first gateway.toml: written from options or answers, with secrets by reference."""

import json
import re
import tomllib
import zipfile
from pathlib import Path
from shutil import copy
from typing import Any

import hatchling.build
import pytest

from gateway.providers.example import acme
from gateway.providers.http_settings import HttpSettings
from tests.cli.typed import typed
from tests.loading import http_provider, settings_in
from tests.pages import ROOT

TENANT = ("--tenant", "acme", "--location", "DC01")
PROVIDER = ("--provider", "acme-wms", "--provider-url", "https://wms.example.com/orders")


async def init(folder: Path, *words: str, answer: str = "") -> tuple[int, str]:
    return await typed("init", "--config", str(folder / "gateway.toml"), *words, answer=answer)


def names_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]


def written(folder: Path) -> dict[str, Any]:
    return tomllib.loads((folder / "gateway.toml").read_text())


async def test_what_is_written_names_variables_and_is_told_what_to_set(tmp_path: Path) -> None:
    code, told = await init(tmp_path, *TENANT, *PROVIDER, "--location", "DC.02")
    assert code == 0, told
    assert written(tmp_path) == {
        "public_url": "http://127.0.0.1:8080",
        "newstore": {"tenant": "acme", "client_id": "gateway", "client_secret": "env:NEWSTORE_CLIENT_SECRET"},
        "operators": [{"name": "admin", "role": "admin", "token": "env:GATEWAY_TOKEN"}],
        "providers": {
            "acme-wms": {
                "adapter": "http",
                "url": "https://wms.example.com/orders",
                "api_key": "env:ACME_WMS_API_KEY",
                "callback_key": "env:ACME_WMS_CALLBACK_KEY",
            }
        },
        "locations": {
            "DC01": {"provider": "acme-wms", "api_keys": ["env:DC01_API_KEY"]},
            "DC.02": {"provider": "acme-wms", "api_keys": ["env:DC_02_API_KEY"]},
        },
    }
    assert "env:NEWSTORE_CLIENT_SECRET: set it before the start; the real one comes from NewStore" in told
    assert "env:DC_02_API_KEY: set it before the start\n" in told
    assert told.endswith(f"Next: gateway check-config --config {tmp_path}/gateway.toml\n")


async def test_with_secrets_the_check_that_is_told_next_finds_no_fault(tmp_path: Path) -> None:
    code, told = await init(tmp_path, *TENANT, *PROVIDER, "--secrets", ".gateway/secrets", "--json")
    assert code == 0, told
    said = json.loads(told)
    folder = tmp_path / ".gateway" / "secrets"
    names = {"newstore_client_secret", "gateway_token", "acme_wms_api_key", "acme_wms_callback_key", "dc01_api_key"}
    assert {each["reference"] for each in said["secrets"]} == {f"file:.gateway/secrets/{name}" for name in names}
    assert [each["of"] for each in said["secrets"]] == ["NewStore", "acme-wms", None, None, None]
    assert {(file.name, file.stat().st_mode & 0o777) for file in folder.iterdir()} == {(name, 0o600) for name in names}
    assert folder.stat().st_mode & 0o777 == 0o700
    values = {file.read_text() for file in folder.iterdir()}
    assert (len(values), min(map(len, values))) == (5, 43)
    assert not [value for value in values if value in (tmp_path / "gateway.toml").read_text() + told]
    loaded = settings_in(tmp_path / "gateway.toml", {})
    assert isinstance(http_provider(loaded, "acme-wms"), HttpSettings)
    code, told = await typed(*said["next"].split()[1:])
    assert (code, "DC01 → acme-wms → http → https://wms.example.com/orders" in told) == (0, True), told


async def test_a_provider_with_an_adapter_of_its_own_gets_the_keys_of_that(tmp_path: Path) -> None:
    copy(acme.__file__, tmp_path / "acme.py")
    code, told = await init(tmp_path, *TENANT, *PROVIDER, "--adapter", "./acme.py", "--secrets", "s")
    assert code == 0, told
    assert written(tmp_path)["providers"]["acme-wms"] == {
        "adapter": "./acme.py",
        "url": "https://wms.example.com/orders",
        "api_key": "file:s/acme_wms_api_key",
        "webhook_secret": "file:s/acme_wms_webhook_secret",
    }
    code, told = await typed("check-config", "--config", str(tmp_path / "gateway.toml"))
    assert code == 0, told


async def test_what_only_a_person_knows_of_a_provider_is_left_open(tmp_path: Path) -> None:
    code, told = await init(tmp_path, *TENANT, "--provider", "acme-wms", "--adapter", "files", "--secrets", "s")
    assert code == 0, told
    assert "# folder = …  # The folder that is shared with the provider." in (tmp_path / "gateway.toml").read_text()
    code, told = await typed("check-config", "--config", str(tmp_path / "gateway.toml"))
    assert (code, "providers.acme-wms.folder: is missing" in told) == (2, True), told


async def test_a_file_that_is_there_stays_and_so_does_a_secret(tmp_path: Path) -> None:
    (tmp_path / "gateway.toml").write_text("mine")
    code, told = await init(tmp_path, *TENANT, "--secrets", "s")
    assert (code, "gateway.toml is there already; remove it, or name another" in re.sub(r"\s+", " ", told)) == (2, True)
    assert ((tmp_path / "gateway.toml").read_text(), (tmp_path / "s").exists()) == ("mine", False)
    (tmp_path / "gateway.toml").unlink()
    (tmp_path / "s").mkdir()
    (tmp_path / "s" / "dc01_api_key").write_text("mine-too")
    code, told = await init(tmp_path, *TENANT, "--secrets", "s")
    assert code == 0
    assert "file:s/dc01_api_key: was there\n" in told
    assert "file:s/gateway_token: made\n" in told
    assert (tmp_path / "s" / "dc01_api_key").read_text() == "mine-too"


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("--tenant", "Acme Corp", "--location", "DC01"), "--tenant: is not a tenant name"),
        (("--tenant", "acme", "--location", "DC 01"), "--location: 'DC 01' is not a name"),
        ((*TENANT, "--provider", "wms"), "give --provider and --provider-url"),
        ((*TENANT, "--provider", "wms", "--provider-url", "http://wms.example"), "--provider-url: would send secrets"),
        ((*TENANT, *PROVIDER, "--adapter", "files"), "--provider-url: the adapter files has no URL; leave it out"),
        ((*TENANT, *PROVIDER, "--adapter", "fils"), "--adapter: no adapter is called fils; did you mean files?"),
        ((*TENANT, "--newstore-url", "https://n.example"), "give --tenant, or --newstore-url and --token-url"),
        ((*TENANT, "--public-url", "gateway"), "--public-url: is not an http(s) URL"),
        ((*TENANT, "--location", "DC-1", "--location", "DC.1"), "another name leads to env:DC_1_API_KEY too"),
        ((*TENANT, "--location", "DC01"), "another name leads to env:DC01_API_KEY too"),
        (("--json",), "--tenant, or --newstore-url and --token-url, and --location: give them"),
    ],
)
async def test_what_gateway_toml_would_not_take_is_refused_and_nothing_is_written(
    tmp_path: Path, words: tuple[str, ...], what: str
) -> None:
    code, told = await init(tmp_path, *words, "--secrets", "s")
    assert code == 2
    assert what.replace("env:DC_1_API_KEY", "file:s/dc_1_api_key").replace(
        "env:DC01_API_KEY", "file:s/dc01_api_key"
    ) in (re.sub(r"[│\s]+", " ", told))
    assert names_in(tmp_path) == []


async def test_what_no_option_says_is_asked(tmp_path: Path) -> None:
    answers = "\nhttp://127.0.0.1:8090\nhttp://127.0.0.1:8090/token\nDC01 DC02\nwms\nhttp://127.0.0.1:8091\n"
    code, told = await init(tmp_path, "--secrets", "s", answer=answers)
    assert code == 0, told
    loaded = settings_in(tmp_path / "gateway.toml", {})
    assert (loaded.newstore.url, loaded.newstore.token_url) == ("http://127.0.0.1:8090", "http://127.0.0.1:8090/token")
    assert [(each.id, each.provider) for each in loaded.locations.values()] == [("DC01", "wms"), ("DC02", "wms")]
    assert loaded.providers["wms"].address == "http://127.0.0.1:8091"


async def test_the_example_comes_with_the_program(tmp_path: Path) -> None:
    assert await init(tmp_path, "--example") == (0, (ROOT / "gateway.example.toml").read_text())
    assert names_in(tmp_path) == []


def test_the_wheel_has_the_example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    wheel = hatchling.build.build_wheel(str(tmp_path))
    with zipfile.ZipFile(tmp_path / wheel) as packed:
        assert packed.read("gateway/gateway.example.toml") == (ROOT / "gateway.example.toml").read_bytes()
