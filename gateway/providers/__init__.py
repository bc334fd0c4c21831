"""The adapters, one module each, by the name that the settings give them."""

from . import files, http, newstore, rest
from .port import Adapter

ADAPTERS: dict[str, type[Adapter]] = {
    "http": http.Http,
    "files": files.Files,
    "rest": rest.Rest,
    "newstore": newstore.Newstore,
}
SETTINGS = {name: adapter.settings for name, adapter in ADAPTERS.items()}
"""What `[providers.NAME]` may say, by the adapter that it names."""
