"""What the adapter `http` makes of a callback, as the command that the domain decides."""

from datetime import datetime
from typing import Any

from gateway.domain.commands import ProviderSaid
from gateway.providers.http import Http
from gateway.providers.http_settings import HttpSettings
from gateway.providers.port import Message
from gateway.providers.statements import command

_NO_SESSION: Any = None  # reading is pure


def read_callback(body: bytes, provider: HttpSettings, at: datetime, name: str = "") -> ProviderSaid:
    adapter, message = Http(provider, _NO_SESSION), Message(body, at, name)
    [said] = adapter.read(message)
    return command(adapter, message, said, said.names.request)
