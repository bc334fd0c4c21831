"""Read a gateway.toml as the commands do."""

from collections.abc import Mapping
from pathlib import Path

from gateway import settings
from gateway.providers.http_settings import HttpSettings
from gateway.providers.registry import Registry


def settings_in(path: Path, environ: Mapping[str, str]) -> settings.Settings:
    return settings.load(path, environ, adapters=Registry(path.parent))


def http_provider(read: settings.Settings, name: str) -> HttpSettings:
    """Give the settings of a provider whose adapter is `http`."""
    found = read.providers[name]
    assert isinstance(found, HttpSettings)
    return found
