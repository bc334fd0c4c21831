"""An adapter as a gateway would make it: from settings that are written, by the loader that reads all of them."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway.providers.port import Adapter
from gateway.providers.transports.http import session_to
from gateway.settings import ProviderSettings, SettingsError, load

from .target import Target

NAME = "tried"
_AROUND = """
public_url = "https://gateway.example.com"

[newstore]
tenant = "acme"
client_id = "gateway"
client_secret = "env:CONFORMANCE_CLIENT_SECRET"

[providers.{name}]
adapter = "tried"
{written}
"""


class Unfit(Exception):
    """The settings that a target has for its adapter are none of its; the text names each fault."""


def written(target: Target) -> str:
    """Give the settings that a target has for its adapter, as they stand below `[providers.NAME]`.

    The files that they name are put beside them.
    """
    for name, text in target.files.items():
        (Path(target.folder) / name).write_text(text)
    return target.settings.format(url=target.url or "http://127.0.0.1:9", folder=target.folder)


def settings_of(adapter: type[Adapter], target: Target) -> ProviderSettings:
    """Read the target's settings. Raises `Unfit`."""
    path = Path(target.folder) / "gateway.toml"
    path.write_text(_AROUND.format(name=NAME, written=written(target)))
    environ = {"CONFORMANCE_CLIENT_SECRET": "of-nobody-at-newstore", **target.environ}
    try:
        return load(path, environ, adapters={"tried": adapter.settings}).providers[NAME]
    except SettingsError as error:
        module, kind = sys.modules[type(target).__module__], adapter.settings.__name__
        told = str(error).replace(f"providers.{NAME}.", "  ")
        raise Unfit(
            f"{module.__file__}: `settings` and `environ` of {type(target).__name__} do not fit {kind}:\n{told}"
        ) from error


@asynccontextmanager
async def adapter_of(adapter: type[Adapter], target: Target) -> AsyncIterator[Adapter]:
    """Make an adapter whose calls leave as a gateway's do."""
    settings = settings_of(adapter, target)
    async with session_to(settings) as session:
        yield adapter(settings, session)
