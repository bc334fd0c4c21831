"""The tables of the file: what each key may be, what it is for, and what keys mean together."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, InitVar, asdict, dataclass, field
from difflib import get_close_matches
from importlib.metadata import Distribution
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, ClassVar, Final, Literal, TypeAlias

from gateway import tls
from gateway.domain.commands import AcceptWhen, AfterGrace, Deadline, OnBackorder, OnProviderCancel, SameParcel
from gateway.domain.mappings import MappedKind
from gateway.settings.kinds import (
    Adapter,
    Around,
    Carriers,
    DefinedProvider,
    InvalidValue,
    Kind,
    Name,
    Network,
    Ratio,
    Share,
    Skus,
    Source,
    Tenant,
    Text,
    TimeZone,
    Words,
    is_tenant,
    rate,
    seconds,
    whole,
)
from gateway.settings.references import (
    DatabaseUrl,
    File,
    Folder,
    Key,
    KeyFile,
    OneOrTwo,
    OneOrTwoListed,
    Token,
    file,
    key,
    key_file,
    token,
)
from gateway.settings.secret import Secret
from gateway.settings.tables import HEADING, NAMED, At, Fault, Readable, Table, place, read, rows_of, table_of
from gateway.settings.urls import BaseUrl, WebUrl

_AS_IT_IS: Final = "passes NewStore's service levels and products on as they are"
MAPPED_IN: Final = {
    MappedKind.SERVICE_LEVEL: "shipping_methods",
    MappedKind.PRODUCT: "skus",
    MappedKind.CARRIER: "carriers",
}
"""Which table of a provider maps what."""
Role = Literal["viewer", "operator", "admin"]
ReadBackAt = Literal["endpoint", "off"]

ROLES: Final[tuple[Role, ...]] = ("viewer", "operator", "admin")
LONGEST_CALL: Final = 20.0
"""Seconds for which a stop waits for calls."""
LONGEST_TIMEOUT: Final = 300.0
"""Seconds that a call to a provider may take that can be asked, or told twice."""
_LARGEST_BODY: Final = 8 * 1_048_576  # one batch of the writer
_MOST_RATE: Final = 1_000_000.0  # calls per second: no limit in practice
_OURS: Final = frozenset({"newstore", "gateway", "database", "call", "read", "person", "discard", "otlp"})
"""What else may cause an event, be a destination, or be reached."""
_TRACING: Final = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
_REALM: Final = "https://id.p.newstore.net/auth/realms/{}/protocol/openid-connect/token"

CallSeconds: TypeAlias = Annotated[float, seconds(LONGEST_CALL)]
DaySeconds: TypeAlias = Annotated[float, seconds(86_400.0)]
CallsAtOnce: TypeAlias = Annotated[int, whole(1, 1_000)]
CallsPerSecond: TypeAlias = Annotated[float, rate(_MOST_RATE)]


class SettingsError(Exception):
    """Settings that can't be used: each fault names its place in the file, what is wrong and what to do."""

    def __init__(self, faults: tuple[str, ...]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


@dataclass(frozen=True)
class Listener(Readable):
    """An address the gateway listens on."""

    host: Text = "127.0.0.1"
    """The address of this machine to listen on."""
    port: Annotated[int, whole(0, 65_535)] = 8080
    """The port; 0 lets the system choose."""


@dataclass(frozen=True)
class _Internal(Listener):
    port: Annotated[int, whole(0, 65_535)] = 8081
    """The port; 0 lets the system choose."""


@dataclass(frozen=True)
class Certificates(Readable):
    """How a destination is known, and we there."""

    _: KW_ONLY
    ca: File | None = None
    """The CA, as PEM, where this system does not trust who signed the certificate of the destination."""
    client_certificate: File | None = None
    """Our certificate, as PEM, where the destination asks for one."""
    client_key: KeyFile | None = None
    """The private key of `client_certificate`, as `file:PATH`: PEM without a passphrase."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        for here, there in (("client_certificate", "client_key"), ("client_key", "client_certificate")):
            if here in written and there not in written:
                yield Fault((there,), f"is missing beside {here}; add it, or remove {here}")
        yield from _unusable(written, source)


def _unusable(written: Table, source: Source) -> Iterator[Fault]:
    """Try the files that could be read as settings: what is wrong with the others is told already."""
    named: dict[str, Path | None] = dict.fromkeys(("ca", "client_certificate", "client_key"))
    for each in named.keys() & written.keys():
        with suppress(InvalidValue):
            named[each] = (key_file if each == "client_key" else file)(written[each], source)
    try:
        if named["ca"] or named["client_certificate"]:
            tls.context(**named)
    except tls.Unusable as unusable:
        yield Fault((unusable.setting,), str(unusable))


@dataclass(frozen=True)
class Database(Readable):
    """The Postgres to use; without a `url` the gateway runs its own in `data_dir`."""

    url: DatabaseUrl | None = None
    """The URL of a Postgres, also with several hosts; where it is missing, DATABASE_URL of the environment is taken."""
    data_dir: Folder = Path(".gateway/postgres")
    """Where the gateway keeps its own Postgres, without a `url`."""
    ca: File | None = None
    """The CA, as PEM, where this system does not trust who signed the certificate of the Postgres."""
    plain_hosts: tuple[Text, ...] = ()
    """Hosts of a network of your own that may have no TLS."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        return _unusable(written, source)

    @classmethod
    def complete(cls, written: Table, source: Source) -> Table:
        from_environment = {"url": "env:DATABASE_URL"} if source.environ.get("DATABASE_URL") else {}
        return {"data_dir": ".gateway/postgres", **from_environment, **written}


@dataclass(frozen=True)
class Brake(Readable):
    """When rejections and cancellations of a location are held back until a person has looked.

    That is, of more than `units`, and more than `share` of all units said final, within `seconds`.
    """

    units: Annotated[int, whole(1, 1_000_000)] = 20
    """How many units may be rejected or cancelled."""
    share: Share = 0.3
    """Of all units that became final, the share that may be rejected or cancelled."""
    seconds: DaySeconds = 900.0
    """The time in which both are counted."""


@dataclass(frozen=True)
class _ReadBack(Readable):
    shipment: ReadBackAt = "endpoint"
    """`off` where your tenant can't be asked what became of a shipment: it then shows as unverifiable."""
    rejection: ReadBackAt = "endpoint"
    """As `shipment`, of a rejection."""
    cancellation: ReadBackAt = "endpoint"
    """As `shipment`, of a cancellation."""


@dataclass(frozen=True)
class NewStore(Certificates):
    """NewStore: the tenant, how it is called, and how long its writes may stay unproved."""

    either: ClassVar = (("tenant",), ("url", "token_url"))
    live: ClassVar = frozenset({"client_secret"})
    addressed: ClassVar = frozenset({"url", "token_url", "client_id"})

    url: BaseUrl
    """The address of NewStore's APIs, in the place of `tenant`."""
    token_url: WebUrl
    """Where tokens are got, in the place of `tenant`."""
    client_id: Text
    """The API client, from Omnichannel Manager."""
    client_secret: Key
    """The secret of the API client."""
    timeout: CallSeconds = 15.0
    """The time that one call may take."""
    concurrency: CallsAtOnce = 32
    """Calls at the same time, of all gateways together."""
    calls_per_second: CallsPerSecond = 180.0
    """Calls in a second, of all gateways together; NewStore's own limit is 200."""
    calls_per_five_minutes: Annotated[float, rate(300 * _MOST_RATE)] = 4800.0
    """Calls in five minutes, of all gateways together; NewStore blocks an address at 5,000."""
    verify_within: DaySeconds = 900.0
    """The time until a write that no read-back has proved counts as failed."""
    unknown_grace: Annotated[float, seconds(600)] = 10.0
    """The time until a call of unknown outcome is read back."""
    read_back: Annotated[
        Mapping[str, str], Around(of=_ReadBack, after=lambda found: MappingProxyType(asdict(found)))
    ] = field(default_factory=lambda: MappingProxyType(asdict(_ReadBack())))
    """Where it is read back what became of a report."""
    tenant: InitVar[Tenant | None] = None
    """The tenant's name, as in `TENANT.p.newstore.net`; it stands for both URLs."""

    @classmethod
    def complete(cls, written: Table, _: Source) -> Table:
        # without a tenant that is one there is a fault already, and the URLs are nobody's
        tenant = written["tenant"] if is_tenant(written.get("tenant")) else "nobodys"
        return {"url": f"https://{tenant}.p.newstore.net", "token_url": _REALM.format(tenant)} | written


@dataclass(frozen=True)
class Operator(Readable):
    """A person or a program that may use `/v1`."""

    written_as: ClassVar = {"tokens": "token"}
    live: ClassVar = frozenset({"name", "role", "tokens"})

    name: Text
    """The *who* of the audit."""
    role: Role
    """A viewer reads, an operator also clears exceptions, and an admin may also see personal data."""
    tokens: OneOrTwo[Token]
    """What they show: `env:`, `file:`, or `sha256:` of it (`gateway token new`); a list of two while it changes."""


@dataclass(frozen=True)
class ProviderSettings(Readable):
    """A warehouse system, 3PL or ERP: what the settings say of each. Its adapter adds its own keys."""

    written_as: ClassVar[Mapping[str, str]] = {"name": HEADING}
    live: ClassVar = frozenset(
        {
            "same_parcel",
            "acknowledge_within",
            "accept_within",
            "poll_seconds",
            "shipping_methods",
            "skus",
            "carriers",
            "must_map",
        }
    )
    maps: ClassVar[frozenset[MappedKind]] = frozenset(MappedKind)
    """What its adapter can have mapped."""
    shown_to_us: ClassVar[tuple[str, ...]] = ()
    """Fields with the secrets by which the provider is known; each is one that nobody else has."""
    called_at: ClassVar[str] = "callbacks"
    """Where the provider calls us, below `{public_url}/providers/NAME/`; empty for several places there."""
    beside: ClassVar[Mapping[str, type[Readable]]] = {}
    """Keys that name a TOML file, and what that is made of."""

    name: str  # judged as a key of the table above
    adapter: Adapter
    """The kind of provider, which says what other keys there are."""
    _: KW_ONLY
    timeout: Annotated[float, seconds(LONGEST_TIMEOUT)] = 15.0
    """The time that one call may take; above 20 only where the provider can be asked for an order, or told twice."""
    concurrency: CallsAtOnce = 16
    """Calls at the same time, of all gateways together."""
    calls_per_second: CallsPerSecond = 50.0
    """Calls in a second, of all gateways together."""
    same_parcel: SameParcel = SameParcel.ANOTHER_PIECE
    """What more about one parcel and product means: another piece, a repetition, the total so far, or ask a person."""
    acknowledge_within: Annotated[float, seconds(30 * 86_400.0)] | None = None
    """Seconds; an order that the provider has not taken for longer, whatever the reason, waits for a person too."""
    accept_within: Annotated[float, seconds(30 * 86_400.0)] | None = None
    """Seconds; an order that the provider has for longer, and of which it accepted nothing, waits for a person."""
    poll_seconds: DaySeconds = 60.0
    """Between two polls, of a provider that is asked for news."""
    shipping_methods: Words = field(default_factory=dict)
    """NewStore's service levels, and what the provider calls them: `{ "EXPRESS" = "UPS NEXT DAY" }`."""
    skus: Skus = field(default_factory=dict)
    """NewStore's products, and the provider's SKUs: `{ "TEE-BLK-M" = "10045" }`."""
    carriers: Carriers = field(default_factory=dict)
    """The provider's names of carriers, and NewStore's: `{ "ups ground" = "UPS" }`."""

    must_map: tuple[MappedKind, ...] = ()
    """What waits for a person where nobody has said what it is called: `service_level`, `product`, `carrier`."""

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        yield from super().judge(written, source)
        for kind, table in MAPPED_IN.items():
            if kind not in cls.maps and table in written:
                yield Fault((table,), f"changes nothing: this adapter {_AS_IT_IS}; remove it")
            if kind not in cls.maps and kind in (written.get("must_map") or ()):
                yield Fault(("must_map",), f"names {kind}, and this adapter {_AS_IT_IS}; leave it out")

    @property
    def deadlines(self) -> Mapping[Deadline, float]:
        """What it has how many seconds for."""
        given = {Deadline.ACKNOWLEDGE: self.acknowledge_within, Deadline.ACCEPT: self.accept_within}
        return {deadline: seconds for deadline, seconds in given.items() if seconds is not None}

    @property
    def address(self) -> str:
        """Where it is, for people; empty where it is nowhere in particular."""
        return ""

    @property
    def call_path(self) -> str:
        """Where it calls us, below `public_url`."""
        return f"/providers/{self.name}/{self.called_at}".rstrip("/")

    @property
    def callback_keys(self) -> tuple[Secret, ...]:
        return ()

    @property
    def callback_secrets(self) -> tuple[Secret, ...]:
        return ()


def _by_adapter(written: object, source: Source) -> ProviderSettings:
    """Read by the schema of its adapter; where that is unknown, by the one that was probably meant."""
    if not isinstance(written, dict):
        return read(ProviderSettings, written, source)
    said, known = str(written.get("adapter", "")), source.adapters
    likely = [said] if said in known else get_close_matches(said, known, n=1)
    if not likely and not said.endswith(".py"):
        likely = [*known]
    if len(likely) == 1:
        return read(known[likely[0]], written, source)
    common = {HEADING, *ProviderSettings.keys().values()}
    return read(ProviderSettings, {key: value for key, value in written.items() if key in common}, source)


BY_ADAPTER: Final = Kind(_by_adapter, {})
Providers: TypeAlias = Annotated[Mapping[Name, Annotated[ProviderSettings, BY_ADAPTER]], NAMED]


@dataclass(frozen=True)
class Location(Readable):
    """A distribution centre; without a provider its requests are parked as unroutable."""

    written_as: ClassVar = {"id": HEADING}
    live: ClassVar = frozenset(
        {
            "provider", "api_keys", "time_zone", "confirm_first", "accept_when", "on_provider_cancel", "backorder",
            "backorder_grace", "after_backorder_grace",
        }
    )  # fmt: skip

    id: str  # judged as a key of the table above
    api_keys: OneOrTwoListed[Key]
    """The key that NewStore shows; two while it changes."""
    provider: DefinedProvider | None = None
    """The NAME of the `[providers.NAME]` that ships its requests; without one they are parked as unroutable."""
    time_zone: TimeZone = "UTC"
    """The time zone of the DC, in which the dashboard shows its times."""
    confirm_first: Annotated[int, whole(0, 1_000)] = 0
    """How many rejections of a new location are held until a person has looked."""
    accept_when: AcceptWhen = AcceptWhen.SAID
    """When NewStore is told that a request is accepted: once the provider says so, or has taken the order."""
    on_provider_cancel: OnProviderCancel = OnProviderCancel.QUARANTINE
    """What a provider's own "cancelled" means: a person decides, a rejection that NewStore reroutes, or the end."""
    backorder: OnBackorder = OnBackorder.WAIT
    """What becomes of units that a provider lacks and may get: they wait, or are rejected once it has stopped."""
    backorder_grace: Annotated[float, seconds(90 * 86_400.0)] = 3 * 86_400.0
    """Seconds for which they may wait."""
    after_backorder_grace: AfterGrace = AfterGrace.PERSON
    """What then follows: a person decides, or they are rejected once the provider has stopped."""


@dataclass(frozen=True)
class Telemetry(Readable):
    """Where traces go; without an endpoint there are none. What fails is traced in any case."""

    otlp_endpoint: WebUrl | None = None
    """Where your collector takes OTLP over HTTP; needs the extra `[otel]`."""
    sample_ratio: Ratio = 0.01
    """The share of the requests that is traced whole; what fails is traced in any case."""

    @classmethod
    def judge(cls, written: Table, _: Source) -> Iterator[Fault]:
        if "otlp_endpoint" in written and not all(any(Distribution.discover(name=each)) for each in _TRACING):
            told = "needs what is not installed; run pip install 'newstore-fulfillment-gateway[otel]'"
            yield Fault(("otlp_endpoint",), told)


@dataclass(frozen=True)
class Settings(Readable):
    """The whole of `gateway.toml`. All parts of a process share one, and look up in it what may change."""

    live: ClassVar = frozenset({"public_url", "trusted_proxies"})

    public_url: BaseUrl
    """What NewStore and the providers call; your TLS proxy answers there."""
    newstore: NewStore
    """NewStore: the tenant, how it is called, and how long its writes may stay unproved."""
    public: Listener = field(default_factory=Listener)
    """The listener of /newstore, /providers and /livez: behind your TLS proxy."""
    internal: Annotated[Listener, Around(of=_Internal)] = field(default_factory=_Internal)
    """The listener of /v1, /metrics and /readyz: keep it inside."""
    database: Database = field(default_factory=Database)
    """The Postgres to use; without a `url` the gateway runs its own."""
    operators: tuple[Operator, ...] = ()
    """Who may use /v1, the command line and the dashboard."""
    providers: Providers = field(default_factory=dict)
    """One table for each warehouse system, 3PL or ERP."""
    locations: Annotated[Mapping[Name, Location], NAMED] = field(default_factory=dict)
    """One table for each distribution centre, named as NewStore names it."""
    brake: Brake = field(default_factory=Brake)
    """A location's rejections and cancellations wait for a person where there are more than all three allow."""
    telemetry: Telemetry = field(default_factory=Telemetry)
    """Where traces go; without an endpoint there are none."""
    express_service_levels: tuple[Text, ...] = ()
    """Service levels whose calls go before others that wait as long."""
    body_limit: Annotated[int, whole(1_024, _LARGEST_BODY)] = 1_048_576
    """Bytes of the largest body that is taken from NewStore or a provider."""
    trusted_proxies: tuple[Network, ...] = ()
    """Addresses or networks whose X-Forwarded-For tells who failed with a wrong key."""
    state_dir: Folder | None = None
    """A folder outside the database that outlives the process: by it a start notices that the database was restored."""
    plain_http_hosts: InitVar[tuple[Text, ...]] = ()
    """Hosts of a network of your own to call by http://."""

    def accepts_when_taken(self, location: str) -> bool:
        """Tell whether a location has NewStore told that what its provider has taken is accepted."""
        found = self.locations.get(location)
        return found is not None and found.accept_when is AcceptWhen.TAKEN

    def take(self, other: "Settings") -> None:
        """Put other settings into force. This is the one place where these change; see `changes.py` for what may."""
        for name in ("public_url", "trusted_proxies", "operators", "providers", "locations"):
            object.__setattr__(self, name, getattr(other, name))
        # NewStore's client keeps what it was given, and asks for the secret with each token
        object.__setattr__(self.newstore, "client_secret", other.newstore.client_secret)

    @classmethod
    def complete(cls, written: Table, _: Source) -> Table:
        return {"database": {}} | written

    @classmethod
    def judge(cls, written: Table, source: Source) -> Iterator[Fault]:
        for name in sorted(_OURS & table_of(written, "providers").keys()):
            yield Fault(("providers", name), "is a name that the gateway's own log uses; call the provider otherwise")
        public, internal = (
            asdict(Listener()) | table_of(written, "public"),
            asdict(_Internal()) | table_of(written, "internal"),
        )
        if public == internal and public["port"]:
            yield Fault(("internal", "port"), "is the port of [public] too; give each listener its own")
        names = (((*at, "name"), row["name"]) for at, row in rows_of(written, "operators") if "name" in row)
        for here, there in _repeated(names):
            yield Fault(
                here,
                f"is the name at {place(there)} too; give each operator their own, the audit tells them apart by it",
            )
        for here, there in _repeated(_callers(written, source)):
            yield Fault(here, f"has the same value as {place(there)}; give each its own, a key tells who is calling")


def _callers(written: Table, source: Source) -> Iterator[tuple[At, str]]:
    """Find every secret by which somebody is let in: its place, and what tells it from others."""
    for at, row in rows_of(written, "operators"):
        yield from _digests((*at, "token"), row.get("token"), token, source)
    for at, row in rows_of(written, "providers"):
        adapter = source.adapters.get(str(row.get("adapter")), ProviderSettings)
        for each in adapter.shown_to_us:
            yield from _digests((*at, each), row.get(each), key, source)
    for at, row in rows_of(written, "locations"):
        yield from _digests((*at, "api_keys"), row.get("api_keys"), key, source)


def _digests(
    at: At, value: object, kind: Callable[[object, Source], Secret], source: Source
) -> Iterator[tuple[At, str]]:
    for where, each in [((*at, n), each) for n, each in enumerate(value)] if isinstance(value, list) else [(at, value)]:
        with suppress(InvalidValue):
            yield where, kind(each, source).digest


def _repeated(placed: Iterable[tuple[At, object]]) -> Iterator[tuple[At, At]]:
    first: dict[object, At] = {}
    for at, value in placed:
        if first.setdefault(str(value), at) != at:
            yield at, first[str(value)]
