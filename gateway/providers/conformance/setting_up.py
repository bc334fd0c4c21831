"""An adapter as a gateway would make it: from settings that are written, by the loader that reads all of them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from gateway import sending
from gateway.providers.port import Adapter
from gateway.settings import Provider, load

from .target import Target

NAME = "tried"
_AROUND = """
public_url = "https://gateway.example.com"

[newstore]
tenant = "acme"
client_id = "gateway"
client_secret = "env:CONFORMANCE_CLIENT_SECRET"

[providers.{name}]
adapter = "http"
{written}
"""


def settings_of(target: Target) -> Provider:
    """Read the target's settings. Raises `SettingsError`."""
    folder = Path(target.folder)
    written = target.settings.format(url=target.url or "http://127.0.0.1:9", folder=folder)
    path = folder / "gateway.toml"
    path.write_text(_AROUND.format(name=NAME, written=written))
    environ = {"CONFORMANCE_CLIENT_SECRET": "of-nobody-at-newstore", **target.environ}
    return load(path, environ).providers[NAME]


@asynccontextmanager
async def adapter_of(adapter: type[Adapter], target: Target) -> AsyncIterator[Adapter]:
    """Make an adapter whose calls leave as a gateway's do."""
    settings = settings_of(target)
    async with sending.session(settings) as session:
        yield adapter(settings, session)
