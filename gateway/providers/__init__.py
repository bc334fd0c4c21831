"""The adapters, one module each, and which of them a provider's settings name."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import aiohttp

from gateway.domain.commands import ProviderSaid
from gateway.settings import ProviderSettings

from . import http
from .contract import Adapter, Kind
from .http_settings import HttpSettings

SETTINGS: dict[str, type[ProviderSettings]] = {"http": HttpSettings}
"""What `[providers.NAME]` may say, by the adapter that it names."""

ADAPTERS: dict[str, Callable[[aiohttp.ClientSession, Any], Adapter]] = {"http": http.Http}
CALLBACKS: dict[str, Callable[[bytes, Any, datetime, str], ProviderSaid]] = {"http": http.read_callback}
"""Each reads a body, with the name that its sender's signature gives it, or an empty one."""
MESSAGES: dict[str, Any] = {"http": http.Message}
"""The type of all that each understands."""
EXAMPLES = {"http": http.EXAMPLES}
"""A message of each kind, by the name of the kind."""
READABLE: dict[str, Mapping[str, Kind]] = {"http": http.READABLE}
"""What of its messages and answers is shown to everybody who may look, and as what: the rest may be personal data."""
