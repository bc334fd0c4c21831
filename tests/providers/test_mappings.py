"""What the settings say that providers call things."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from gateway.domain.mappings import MappedKind
from gateway.providers.http_settings import HttpSettings
from gateway.settings import ProviderSettings, Settings, SettingsError, load

_TOML = """
public_url = "https://gateway.example.com"
[newstore]
tenant = "acme"
client_id = "gateway"
client_secret = "env:SECRET"
[[operators]]
name = "ada"
role = "admin"
token = "env:TOKEN"
[providers.wms]
adapter = "{adapter}"
url = "https://wms.example.com"
api_key = "env:KEY"
callback_key = "env:CALLBACK"
{keys}
[locations.DC01]
provider = "wms"
api_keys = ["env:DC01"]
"""
_ENVIRON = {name: f"{name}-of-these-tests-0123456789" for name in ("SECRET", "TOKEN", "KEY", "CALLBACK", "DC01")}
_TOLD = 'must_map = ["product"]\nshipping_methods = { EXPRESS = "NEXT DAY" }\nskus = { TEE = "10045"%s }'


@dataclass(frozen=True)
class _Mapped(HttpSettings):
    """Of a provider with words of its own for everything."""

    maps: ClassVar = frozenset(MappedKind)


def read(folder: Path, keys: str, adapter: str = "mapped") -> Settings:
    (folder / "gateway.toml").write_text(_TOML.format(keys=keys, adapter=adapter))
    kinds: dict[str, type[ProviderSettings]] = {"mapped": _Mapped, "http": HttpSettings}
    return load(folder / "gateway.toml", _ENVIRON, adapters=kinds)


def fault(folder: Path, keys: str, adapter: str = "mapped") -> str:
    with pytest.raises(SettingsError) as error:
        read(folder, keys, adapter)
    [only] = error.value.faults
    return only


def test_what_a_provider_calls_things_is_read(tmp_path: Path) -> None:
    wms = read(tmp_path, _TOLD % "").providers["wms"]
    assert (wms.shipping_methods, wms.skus, wms.must_map) == ({"EXPRESS": "NEXT DAY"}, {"TEE": "10045"}, ("product",))


@pytest.mark.parametrize(
    ("more", "wrong"),
    [
        (', CAP = "10045"', "gives TEE and CAP one SKU"),
        (', "" = "10046"', "maps a word that is empty"),
        (", CAP = 7", "must be text"),
    ],
)
def test_a_word_is_clear_in_both_directions(tmp_path: Path, more: str, wrong: str) -> None:
    assert wrong in fault(tmp_path, _TOLD % more)


@pytest.mark.parametrize(
    ("keys", "place", "wrong"),
    [
        ('must_map = ["product"]', "must_map", "names product, and this adapter passes"),
        ('must_map = ["colour"]', "must_map", "service_level"),
        ('skus = { TEE = "1" }', "skus", "changes nothing: this adapter passes"),
        ('shipping_methods = { A = "B" }', "shipping_methods", "changes nothing"),
    ],
)
def test_what_an_adapter_passes_on_as_it_is_can_not_be_mapped(
    tmp_path: Path, keys: str, place: str, wrong: str
) -> None:
    told = fault(tmp_path, keys, "http")
    assert told.startswith(f"providers.wms.{place}")
    assert wrong in told
