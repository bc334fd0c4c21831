"""How an adapter is found by its name, and what is said of one that is not."""

import re
from pathlib import Path
from shutil import copy

import pytest

from gateway.providers.conformance import Target
from gateway.providers.example import acme
from gateway.providers.http import Http
from gateway.providers.http_target import HttpProvider
from gateway.providers.port import Adapter
from gateway.providers.registry import NoAdapter, Registry, beside
from gateway.settings import SettingsError
from tests.loading import settings_in

EXAMPLE = Path(acme.__file__).parent
KEYS = {"CLIENT_SECRET": "c" * 20, "API_KEY": "a" * 20, "SECRET": "s" * 20}
TOML = """
public_url = "https://gateway.example.com"

[newstore]
tenant = "acme"
client_id = "gateway"
client_secret = "env:CLIENT_SECRET"

[providers.wms]
adapter = "{adapter}"
url = "https://acme.example.com"
api_key = "env:API_KEY"
webhook_secret = "env:SECRET"
"""
PORT = "from gateway.providers.port import Adapter\n"
SETTINGS = """from dataclasses import dataclass
from gateway.settings import ProviderSettings
from gateway.settings.kinds import Text
"""


def settings(folder: Path, adapter: str) -> Path:
    path = folder / "gateway.toml"
    path.write_text(TOML.format(adapter=adapter))
    return path


def installed(folder: Path, package: str, *names: str) -> None:
    """Install a package as pip would, with entry points."""
    info = folder / f"{package}-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("\n".join(["[newstore_gateway.providers]", *names]))


def test_an_adapter_in_a_file_beside_the_settings_reads_its_own_keys(tmp_path: Path) -> None:
    copy(EXAMPLE / "acme.py", tmp_path)
    read = settings_in(settings(tmp_path, "./acme.py"), KEYS).providers["wms"]
    found = Registry(tmp_path).find("./acme.py")
    assert (found.__name__, type(read)) == ("Acme", found.settings)
    assert read.address == "https://acme.example.com"


def test_a_key_that_the_adapter_in_a_file_does_not_know_is_named(tmp_path: Path) -> None:
    copy(EXAMPLE / "acme.py", tmp_path)
    path = settings(tmp_path, "./acme.py")
    path.write_text(path.read_text().replace("webhook_secret", "webhok_secret"))
    with pytest.raises(SettingsError) as told:
        settings_in(path, KEYS)
    assert set(told.value.faults) == {
        "providers.wms.webhok_secret: is not known here; did you mean webhook_secret?",
        "providers.wms.webhook_secret: is missing; add webhook_secret here",
    }


@pytest.mark.parametrize("to", ["acme_gateway:Acme", "acme_gateway"])
def test_an_adapter_that_is_installed_is_found_by_its_entry_point(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    name = f"acme_{'class' if ':' in to else 'module'}"
    copy(EXAMPLE / "acme.py", tmp_path / f"{name}.py")
    installed(tmp_path, "acme-gateway", f"acme = {to.replace('acme_gateway', name)}")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry(tmp_path)
    assert registry.find("acme").__name__ == "Acme"
    ours = [(name, "the gateway") for name in ("http", "files", "rest", "newstore")]
    assert list(registry.known()) == [*ours, ("acme", "acme-gateway 1.2")]
    assert settings_in(settings(tmp_path, "acme"), KEYS).providers["wms"].address == "https://acme.example.com"


def test_two_packages_with_an_adapter_of_one_name_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("acme-gateway", "other-gateway"):
        installed(tmp_path, package, "acme = acme_gateway:Acme")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NoAdapter, match="2 packages have an adapter called acme: acme-gateway and other-gateway; rem"):
        Registry().find("acme")


def test_a_package_that_can_not_be_imported_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    installed(tmp_path, "gone-gateway", "gone = gone_gateway:Gone")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(NoAdapter, match="gone_gateway:Gone can't be imported: ModuleNotFoundError: No module named"):
        Registry().find("gone")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "htp",
            r"no adapter is called htp; did you mean http\? choose one of files, http, newstore, rest, or name a file",
        ),
        (
            "zenith",
            "no adapter is called zenith; choose one of files, http, newstore, rest, or name a file, as ./zenith",
        ),
        (
            "./acme_wms.py",
            r"there is no file .*/acme_wms.py; did you mean ./acme-wms.py\? A file is named from the folder",
        ),
        ("../other.py", "there is no file .*/other.py; A file is named from the folder of the settings"),
    ],
)
def test_what_is_not_there_is_said_with_what_is_like_it(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "acme-wms.py").write_text(PORT + "class Acme(Adapter): ...\n")
    with pytest.raises(SettingsError) as error:
        settings_in(settings(tmp_path, name), KEYS)
    assert re.match(f"providers.wms.adapter: {told}", error.value.faults[0]), error.value.faults


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("import nothing_like_it\n", r"can't be imported: ModuleNotFoundError: .*nothing_like_it.* line 1\)"),
        ("\n\nx = 1 / 0\n", r"can't be imported: ZeroDivisionError: division by zero \(.*plug.py, line 3\)"),
        ("class Acme(:\n", r"can't be imported: invalid syntax \(.*plug.py, line 1\)"),
        ("raise SystemExit('bye')\n", r"can't be imported: SystemExit: bye \(.*plug.py, line 1\)"),
        ("x = 1\n", r"has no Adapter; write a class of it in there \(from gateway.providers.port import Adapter\)"),
        (PORT, "has no Adapter; write a class"),
        (
            PORT + "class A(Adapter): ...\nclass B(Adapter): ...\n",
            "has several: A, B; say which one is meant: ADAPTER = A",
        ),
        ("class A: ...\nADAPTER = A\n", "is no subclass of gateway.providers.port.Adapter, but <class .*A'>"),
        ("ADAPTER = 'Acme'\n", "is no subclass of gateway.providers.port.Adapter, but 'Acme'"),
        (PORT + "class A(Adapter):\n    settings = dict\n", "the settings of A are no subclass of Provider"),
        (
            PORT + SETTINGS + "class S(ProviderSettings):\n    host: Text = ''\nclass A(Adapter):\n    settings = S\n",
            "S is no dataclass; write @dataclass",
        ),
        (
            PORT + SETTINGS + "@dataclass(frozen=True)\nclass S(ProviderSettings):\n    timeout: Text = 'short'\n"
            "class A(Adapter):\n    settings = S\n",
            "say something else of timeout, a key of every provider; give it another name",
        ),
        (
            PORT + SETTINGS + "@dataclass(frozen=True)\nclass S(ProviderSettings):\n"
            "    host: Text = ''\n    to: Text = ''\n"
            "    written_as = {**ProviderSettings.written_as, 'to': 'host'}\nclass A(Adapter):\n    settings = S\n",
            "write host for two fields; give each its own",
        ),
        (
            PORT + SETTINGS + "@dataclass(frozen=True)\nclass S(ProviderSettings):\n    host: 'Nobody' = ''\n"
            "class A(Adapter):\n    settings = S\n",
            "can't be read: NameError: name 'Nobody' is not defined",
        ),
    ],
)  # fmt: skip
def test_a_file_that_is_no_adapter_says_why(tmp_path: Path, written: str, told: str) -> None:
    (tmp_path / "plug.py").write_text(written)
    with pytest.raises(SettingsError) as error:
        settings_in(settings(tmp_path, "./plug.py"), KEYS)
    first = next(each for each in error.value.faults if each.startswith("providers.wms.adapter: "))
    assert re.search(told, first), first


def test_of_several_the_one_that_is_named_is_taken(tmp_path: Path) -> None:
    (tmp_path / "plug.py").write_text(PORT + "class A(Adapter): ...\nclass B(Adapter): ...\nADAPTER = B\n")
    assert Registry(tmp_path).find("./plug.py").__name__ == "B"


def test_a_target_stands_in_the_module_beside_its_adapter(tmp_path: Path) -> None:
    assert beside(Http, Target, "_target", "TARGET") is HttpProvider
    for each in ("acme.py", "acme_target.py"):
        copy(EXAMPLE / each, tmp_path)
    found = beside(Registry(tmp_path).find("./acme.py"), Target, "_target", "TARGET")
    assert found.__name__ == "AcmeTarget"


def test_an_adapter_without_a_target_is_told_where_it_is_looked_for(tmp_path: Path) -> None:
    copy(EXAMPLE / "acme.py", tmp_path)
    with pytest.raises(NoAdapter, match=r"there is no file .*/acme_target.py, with a Target in it"):
        beside(Registry(tmp_path).find("./acme.py"), Target, "_target", "TARGET")
    with pytest.raises(NoAdapter, match=r"there is no module gateway.providers.port_target, with a Target in it"):
        beside(Adapter, Target, "_target", "TARGET")
