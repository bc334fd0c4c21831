"""The adapters, one module each, and which of them a provider's settings name."""

from collections.abc import Callable

import aiohttp

from gateway.settings import Provider

from .contract import Adapter
from .http import Http

ADAPTERS: dict[str, Callable[[aiohttp.ClientSession, Provider], Adapter]] = {"http": Http}
