"""What `[providers.NAME]` says of a provider whose adapter is `newstore`."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from gateway.settings import ProviderSettings
from gateway.settings.kinds import Text
from gateway.settings.references import Key, OneOrTwo
from gateway.settings.urls import BaseUrl

from .transports.settings import CalledOverHttp


@dataclass(frozen=True)
class NewstoreSettings(CalledOverHttp):
    """A provider that is integrated with NewStore, and takes the gateway for it."""

    written_as: ClassVar = {**ProviderSettings.written_as, "client_secrets": "client_secret"}
    live: ClassVar = CalledOverHttp.live | {"client_id", "client_secrets", "same_call"}
    shown_to_us: ClassVar = ("client_secret",)
    called_at: ClassVar = ""

    url: BaseUrl
    """Where NewStore posts the provider's fulfillment requests today."""
    client_id: Text = field(kw_only=True)
    """The client for which the provider gets its tokens."""
    client_secrets: OneOrTwo[Key] = field(kw_only=True)
    """The secret of that client; a list of two while it changes."""
    same_call: Literal["repetition", "another"] = field(default="repetition", kw_only=True)
    """What a call that says the same again means: it is repeated, or as many units more, as NewStore has it."""
