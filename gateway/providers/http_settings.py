"""What `[providers.NAME]` says of a provider whose adapter is `http`."""

from dataclasses import dataclass
from typing import ClassVar

from gateway.domain.mappings import MappedKind
from gateway.settings import ProviderSettings
from gateway.settings.kinds import Flag
from gateway.settings.references import Key, OneOrTwo, SigningKey
from gateway.settings.urls import BaseUrl

from .transports.settings import CalledOverHttp


@dataclass(frozen=True)
class HttpSettings(CalledOverHttp):
    """A provider that takes orders as NewStore's own JSON, and calls back."""

    written_as: ClassVar = {
        **ProviderSettings.written_as,
        "callback_keys": "callback_key",
        "callback_secrets": "callback_secret",
    }
    either: ClassVar = (("callback_key",), ("callback_secret",))
    live: ClassVar = CalledOverHttp.live | {"callback_keys", "callback_secrets", "look_up", "withdraw"}
    maps: ClassVar = frozenset({MappedKind.CARRIER})
    shown_to_us: ClassVar = ("callback_key", "callback_secret")

    url: BaseUrl
    """Where orders are posted; `{url}/{reference}` is one order."""
    callback_keys: OneOrTwo[Key] = ()
    """What the provider shows us; a list of two while it changes."""
    callback_secrets: OneOrTwo[SigningKey] = ()
    """In the place of `callback_key`: what the provider signs with by Standard Webhooks, `whsec_…`."""
    look_up: Flag = True
    """`false` where the provider can't find an order by our reference."""
    withdraw: Flag = False
    """`true` where `DELETE {url}/{reference}` stops an order: reroute and reject can then ask for it."""
