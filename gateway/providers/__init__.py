"""The adapters, one module each, by the name that the settings give them."""

from . import http
from .port import Adapter

ADAPTERS: dict[str, type[Adapter]] = {"http": http.Http}
SETTINGS = {name: adapter.settings for name, adapter in ADAPTERS.items()}
"""What `[providers.NAME]` may say, by the adapter that it names."""
