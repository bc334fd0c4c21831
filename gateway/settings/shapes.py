from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

from gateway.domain.commands import OnProviderCancel, SameParcel
from gateway.settings.secret import Secret

Role = Literal["viewer", "operator", "admin"]

ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")
ADAPTERS: Final = ("http",)
LONGEST_CALL: Final = 20.0
"""Seconds for which a stop waits for calls."""
LONGEST_WAIT: Final = 300.0
"""Seconds that a call to a provider may take that can be asked, or told twice."""
READ_BACK_OPERATIONS: Final = ("shipment", "rejection", "cancellation")


class SettingsError(Exception):
    """Settings that can't be used: each fault names its place in the file, what is wrong and what to do."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def _read_back_everything() -> Mapping[str, str]:
    return MappingProxyType(dict.fromkeys(READ_BACK_OPERATIONS, "endpoint"))


@dataclass(frozen=True, slots=True)
class Listener:
    """An address the gateway listens on; port 0 lets the system choose."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Database:
    """The Postgres to use; without a `url` the gateway runs its own in `data_dir`."""

    url: Secret | None
    data_dir: Path
    ca: Path | None = None
    plain_hosts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Brake:
    """When rejections and cancellations of a location are held back until a person has looked.

    That is, of more than `units`, and more than `share` of all units said final, within `seconds`.
    """

    units: int = 20
    share: float = 0.3
    seconds: float = 900.0


@dataclass(frozen=True, slots=True)
class NewStore:
    """The tenant, and how long its writes may stay unproved."""

    url: str
    token_url: str
    client_id: str
    client_secret: Secret
    timeout: float = 15.0
    concurrency: int = 32
    calls_per_second: float = 180.0
    calls_per_five_minutes: float = 4800.0
    verify_within: float = 900.0
    unknown_grace: float = 10.0
    read_back: Mapping[str, str] = field(default_factory=_read_back_everything)
    ca: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Operator:
    """A person or a program that may use `/v1`; the name is the *who* of the audit."""

    name: str
    role: Role
    tokens: tuple[Secret, ...]


@dataclass(frozen=True, slots=True)
class Provider:
    """A warehouse system, 3PL or ERP; its callbacks carry either a key or a signature, one of two while they change."""

    name: str
    adapter: str
    url: str
    api_key: Secret
    callback_keys: tuple[Secret, ...] = ()
    callback_secrets: tuple[Secret, ...] = ()
    timeout: float = 15.0
    concurrency: int = 16
    calls_per_second: float = 50.0
    look_up: bool = True
    withdraw: bool = False
    same_parcel: SameParcel = SameParcel.ANOTHER_PIECE
    accept_within: float | None = None
    """Seconds; an order that it has for longer and has accepted nothing of waits for a person."""
    poll_seconds: float = 60.0
    """Between two polls, of a provider that is asked for news."""
    carriers: Mapping[str, str] = field(default_factory=dict)
    """The provider's name of a carrier, as it is compared -> NewStore's."""
    ca: Path | None = None
    client_certificate: Path | None = None
    client_key: Path | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """A distribution centre; without a provider its requests are parked as unroutable."""

    id: str
    provider: str | None
    api_keys: tuple[Secret, ...]
    time_zone: str = "UTC"
    confirm_first: int = 0
    on_provider_cancel: OnProviderCancel = OnProviderCancel.QUARANTINE


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where traces go; without an endpoint there are none. What fails is traced in any case."""

    otlp_endpoint: str | None = None
    sample_ratio: float = 0.01


@dataclass(frozen=True, slots=True)
class Settings:
    """The whole of `gateway.toml`. All parts of a process share one, and look up in it what may change."""

    public_url: str
    public: Listener
    internal: Listener
    database: Database
    newstore: NewStore
    operators: tuple[Operator, ...]
    providers: Mapping[str, Provider]
    locations: Mapping[str, Location]
    brake: Brake = field(default_factory=Brake)
    telemetry: Telemetry = field(default_factory=Telemetry)
    express_service_levels: tuple[str, ...] = ()
    body_limit: int = 1_048_576
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    state_dir: Path | None = None

    def take(self, other: "Settings") -> None:
        """Put other settings into force. This is the one place where these change; see `changes.py` for what may."""
        for name in ("public_url", "trusted_proxies", "operators", "providers", "locations"):
            object.__setattr__(self, name, getattr(other, name))
        # NewStore's client keeps what it was given, and asks for the secret with each token
        object.__setattr__(self.newstore, "client_secret", other.newstore.client_secret)
