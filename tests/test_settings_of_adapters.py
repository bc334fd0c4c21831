"""Each adapter says what its providers' tables may hold; here one that has nothing in common with `http`."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import pytest

from gateway.providers.http_settings import HttpSettings
from gateway.settings import ProviderSettings, Settings, SettingsError, change, describe, load
from gateway.settings.kinds import Flag, Source, seconds
from gateway.settings.references import File, Key
from gateway.settings.tables import Fault, Table

KEYS = {"NEWSTORE_SECRET": "newstore-secret-0001", "PASSWORD": "password-0000000001", "DC01": "dc01-key-00000000001"}
SMALLEST = """
public_url = "https://gateway.example.com"
newstore = { tenant = "acme", client_id = "gateway", client_secret = "env:NEWSTORE_SECRET" }
"""
PROVIDER = """
[providers."north.3pl"]
adapter = "sftp"
inbox = "in"
password = "env:PASSWORD"
"""


@dataclass(frozen=True)
class SftpSettings(ProviderSettings):
    """A provider that reads files."""

    live: ClassVar = ProviderSettings.live | {"every", "password"}
    addressed: ClassVar = frozenset({"inbox"})

    inbox: File
    """Where orders go."""
    password: Key
    """What we show there."""
    every: Annotated[float, seconds(3_600)] = 60.0
    """How often we look."""
    keep: Flag = False
    """Whether what was read stays."""
    archive: File | None = None
    """Where it stays."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        if written.get("keep") and "archive" not in written:
            yield Fault(("archive",), "is missing beside keep; add it, or remove keep")
        if "archive" in written and written["archive"] == written.get("inbox"):
            yield Fault(("archive",), "is the inbox too; name another")


def read(folder: Path, text: str) -> Settings:
    file = folder / "gateway.toml"
    file.write_text(SMALLEST + text)
    return load(file, KEYS, adapters={"http": HttpSettings, "sftp": SftpSettings})


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        read(folder, text)
    return list(caught.value.faults)


def test_a_provider_is_read_by_the_schema_of_its_adapter(tmp_path: Path) -> None:
    found = read(tmp_path, f"{PROVIDER}timeout = 3\n").providers["north.3pl"]
    assert isinstance(found, SftpSettings)
    assert (found.name, found.adapter, found.timeout, found.every) == ("north.3pl", "sftp", 3.0, 60.0)
    assert (found.inbox, found.password.reveal()) == (tmp_path.resolve() / "in", KEYS["PASSWORD"])
    assert (found.address, found.callback_keys, found.callback_secrets) == ("", (), ())


def test_faults_of_its_keys_and_between_them_have_their_places_and_come_with_all_others(tmp_path: Path) -> None:
    text = PROVIDER.replace('"env:PASSWORD"', '"hunter2hunter2hunter2"') + "every = 0\nkeep = true\nurl = 'x'\n"
    assert faults(tmp_path, f"{text}[locations.DC01]\n") == [
        'providers."north.3pl".password: a secret must not stand here itself; write env:NAME or file:PATH',
        'providers."north.3pl".every: must be a number of seconds; choose one above 0 and up to 3600',
        'providers."north.3pl".url: is not known here; remove it',
        'providers."north.3pl".archive: is missing beside keep; add it, or remove keep',
        "locations.DC01.api_keys: is missing; add api_keys here",
    ]


def test_a_key_of_another_adapter_is_not_known(tmp_path: Path) -> None:
    assert faults(tmp_path, f"{PROVIDER}look_up = true\nevry = 3\n") == [
        'providers."north.3pl".look_up: is not known here; remove it',
        'providers."north.3pl".evry: is not known here; did you mean every?',
    ]


def test_the_name_of_a_provider_stands_in_its_heading_alone(tmp_path: Path) -> None:
    assert faults(tmp_path, f'{PROVIDER}name = "x"\nheading = "x"\n') == [
        'providers."north.3pl".name: is not known here; remove it',
        'providers."north.3pl".heading: is not known here; remove it',
    ]
    assert faults(tmp_path, PROVIDER.replace("north.3pl", "north 3pl")) == [
        'providers."north 3pl": is not a name; use 1 to 64 letters, digits, dots, dashes or underscores'
    ]


def test_an_unknown_adapter_is_told_with_those_there_are_and_the_one_that_was_meant_judges_the_rest(
    tmp_path: Path,
) -> None:
    place = 'providers."north.3pl"'
    assert faults(tmp_path, PROVIDER.replace('"sftp"', '"stfp"') + "every = 0\n") == [
        f"{place}.adapter: no adapter is called stfp; did you mean sftp? choose one of http, sftp",
        f"{place}.every: must be a number of seconds; choose one above 0 and up to 3600",
    ]
    assert faults(tmp_path, PROVIDER.replace('"sftp"', '"soap"') + "timeout = 0\n") == [
        f"{place}.adapter: no adapter is called soap; choose one of http, sftp",
        f"{place}.timeout: must be a number of seconds; choose one above 0 and up to 300",
    ]
    assert faults(tmp_path, PROVIDER.replace('"sftp"', "7"))[0].startswith(f"{place}.adapter: must be text; ")
    assert faults(tmp_path, "[providers]\nwms = 3\n") == [
        "providers.wms: must be a table; write [providers.wms] and its keys below"
    ]


def test_a_reload_takes_what_the_adapter_says_and_leaves_a_secret_with_its_address(tmp_path: Path) -> None:
    old = read(tmp_path, PROVIDER)
    other = f"{PROVIDER.replace('env:PASSWORD', 'env:DC01')}every = 5\nkeep = true\narchive = 'a'\n"
    taken, told = change(old, read(tmp_path, other))
    place = 'providers."north.3pl"'
    assert told.changed == [f"{place}.every", f"{place}.password"]
    assert told.needs_restart == [f"{place}.archive", f"{place}.keep"]
    found = taken.providers["north.3pl"]
    assert isinstance(found, SftpSettings)
    assert (found.every, found.keep, found.password.reveal()) == (5.0, False, KEYS["DC01"])
    _, told = change(old, read(tmp_path, other.replace('"in"', '"out"')))
    assert told.changed == [f"{place}.every"]
    assert f"{place}.password" in told.needs_restart


def test_another_adapter_needs_a_restart(tmp_path: Path) -> None:
    old = read(tmp_path, PROVIDER)
    http = '[providers."north.3pl"]\nadapter = "http"\nurl = "https://n.example"\n'
    new = read(tmp_path, f'{http}api_key = "env:PASSWORD"\ncallback_key = "env:DC01"\n')
    taken, told = change(old, new)
    assert (taken.providers, told.changed) == (old.providers, [])
    assert told.needs_restart == ['providers."north.3pl".adapter']


def test_the_description_shows_its_keys_and_no_secret(tmp_path: Path) -> None:
    told = describe(read(tmp_path, f'{PROVIDER}[locations.DC01]\nprovider = "north.3pl"\napi_keys = ["env:DC01"]\n'))
    shown = told["providers"]["north.3pl"]
    assert (shown["every"], shown["password"]) == (60.0, "****")
    assert told["locations"]["DC01"]["provider"] == {"name": "north.3pl", "adapter": "sftp", "url": ""}


def test_a_command_that_reads_no_settings_does_not_wait_for_what_reads_them() -> None:
    told = "import sys, gateway.cli, gateway.app; print([each for each in sys.modules if 'pydantic' in each])"
    found = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"
