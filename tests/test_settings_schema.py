"""What editors and people are told of gateway.toml is what the program reads."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

from gateway.providers import SETTINGS
from gateway.settings import describe
from gateway.settings.reference import reference
from gateway.settings.schema import of_adapter, schema
from tests.loading import settings_in
from tests.pages import PAGES, ROOT
from tests.test_settings import ENVIRON, WHOLE
from tests.test_settings_of_adapters import PROVIDER, SftpSettings

EXAMPLE = (ROOT / "gateway.example.toml").read_text()
SCHEMA = schema(SETTINGS)
TABLES = ("newstore", "public", "internal", "database", "brake", "telemetry")


def refused(text: str, found: dict[str, Any] = SCHEMA) -> list[str]:
    """Give the place of each fault that an editor would mark."""
    errors = jsonschema.Draft7Validator(found).iter_errors(tomllib.loads(text))
    return [".".join(map(str, each.absolute_path)) for each in errors]


def test_the_schema_is_one_and_takes_the_example_also_with_its_comments_spelled_out() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert refused(EXAMPLE) == []
    spelled = re.sub(r"^# (\w+ = )", r"\1", EXAMPLE, flags=re.MULTILINE)
    assert len(tomllib.loads(spelled)["newstore"]) == 10
    assert refused(spelled) == []


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("[brake]", "colour = 'blue'\n[brake]", ""),
        ("[brake]", "[brake]\nunit = 3", "brake"),
        ('provider = "acme-wms"', 'provder = "acme-wms"', "locations.DC01"),
        ("[providers.acme-wms]", "[providers.acme-wms]\nlookup = true", "providers.acme-wms"),
        ('adapter = "http"\nurl = "https://wms', 'adapter = "soap"\nurl = "https://wms', "providers.acme-wms.adapter"),
        ('"env:ACME_WMS_API_KEY"', '"the-key-itself-000001"', "providers.acme-wms.api_key"),
        ('callback_key = "env:ACME_WMS_CALLBACK_KEY"', "", "providers.acme-wms"),
        ('tenant = "acme"', "", "newstore"),
        ('tenant = "acme"', 'tenant = "acme"\ntimeout = 21', "newstore.timeout"),
        ('role = "operator"', 'role = "boss"', "operators.0.role"),
        ("[locations.DC01]", '[locations."DC 01"]', "locations"),
        ('public_url = "https://gateway.example.com"', "", ""),
    ],
)  # fmt: skip
def test_the_schema_refuses_what_the_program_does(old: str, new: str, place: str) -> None:
    assert old in EXAMPLE
    assert refused(EXAMPLE.replace(old, new, 1)) == [place]


def keys(part: dict[str, Any], at: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    tables = (part, part.get("items", {}), *part.get("patternProperties", {}).values())
    by_adapter = (each["then"] for table in tables for each in table.get("allOf", ()))
    for inner in (*tables, *by_adapter):
        for key, each in inner.get("properties", {}).items():
            yield f"{at}{key}", each
            yield from keys(each, f"{at}{key}.")


def test_every_key_is_told_in_one_sentence() -> None:
    told = {place: each.get("description", "") for place, each in keys(SCHEMA)}
    assert len(told) > 60
    assert [place for place, sentence in told.items() if not re.fullmatch(r"[^\n]+\.", sentence)] == []


def test_a_default_that_is_told_is_what_is_taken(tmp_path: Path) -> None:
    """The file is written with every default, and means what it meant without."""
    text, file = WHOLE, tmp_path / "gateway.toml"
    for table in TABLES:
        found = {key.removeprefix(f"{table}."): each for key, each in keys(SCHEMA) if key.startswith(f"{table}.")}
        lines = "".join(f"{key} = {json.dumps(each['default'])}\n" for key, each in found.items() if "default" in each)
        text = (
            text.replace("[newstore]\n", f"[newstore]\n{lines}") if table == "newstore" else f"{text}[{table}]\n{lines}"
        )
    provider = of_adapter("http", SETTINGS["http"])
    lines = "".join(f"{key} = {json.dumps(each['default'])}\n" for key, each in keys(provider) if "default" in each)
    text = text.replace("[providers.wms]\n", f"[providers.wms]\n{lines}")
    assert text.count("timeout = 15.0") == 2
    file.write_text(text)
    spelled = describe(settings_in(file, ENVIRON))
    file.write_text(WHOLE)
    assert spelled == describe(settings_in(file, ENVIRON))


def test_with_two_adapters_a_table_of_providers_is_judged_by_its_own() -> None:
    both = schema({**SETTINGS, "sftp": SftpSettings})
    text = f"{EXAMPLE}{PROVIDER}"
    assert refused(text, both) == []
    assert refused(f"{text}look_up = true\n", both) == ["providers.north.3pl"]
    page = reference({**SETTINGS, "sftp": SftpSettings})
    assert '### `adapter = "sftp"`' in page
    assert "| `every` | seconds, above 0, at most 3,600 | `60.0` | How often we look. |" in page


def test_the_page_of_all_keys_is_the_programs() -> None:
    assert PAGES["gateway/settings/README.md"] == reference(SETTINGS), "run `make settings`"


def test_the_command_prints_both() -> None:
    def printed(what: str) -> str:
        command = [sys.executable, "-m", "gateway", "settings", what]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout

    assert json.loads(printed("schema")) == SCHEMA
    assert printed("reference") == reference(SETTINGS)
