import os
import tomllib
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial
from importlib.metadata import Distribution
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from gateway import tls
from gateway.domain.commands import OnProviderCancel, SameParcel
from gateway.settings import database_url, kinds
from gateway.settings.kinds import SecretKinds
from gateway.settings.secret import Secret
from gateway.settings.shapes import (
    ADAPTERS,
    LONGEST_CALL,
    LONGEST_WAIT,
    READ_BACK_OPERATIONS,
    ROLES,
    Brake,
    Database,
    Listener,
    Location,
    NewStore,
    Operator,
    Provider,
    Settings,
    SettingsError,
    Telemetry,
)
from gateway.settings.table import Table, key_path

_LARGEST_BODY: Final = 8 * 1_048_576  # one batch of the writer
_MOST_CALLS: Final = 1_000
_MOST_RATE: Final = 1_000_000.0  # calls per second: no limit in practice
_OURS: Final = frozenset({"newstore", "gateway", "database", "call", "read", "person", "discard", "otlp"})
"""What else may cause an event, be a destination, or be reached."""
_DAY: Final = 86_400.0
_TRACING: Final = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http")
_REALM: Final = "https://id.p.newstore.net/auth/realms/{tenant}/protocol/openid-connect/token"


def load(path: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the file, or raise one `SettingsError` that names every fault in it."""
    faults: list[str] = []
    root = Table(_parse(path), (), faults)
    folder = path.resolve().parent
    settings = _settings(root, folder, SecretKinds(folder, environ))
    root.note_unknown_keys()
    faults.extend(_clashes(settings))
    if faults:
        raise SettingsError(tuple(faults))
    return settings


def _parse(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        fault = f"{path}: can't be read ({error.strerror}); start from a copy of gateway.example.toml"
    except ValueError as error:
        reason = error if isinstance(error, tomllib.TOMLDecodeError) else "it is not UTF-8"
        fault = f"{path}: is not TOML: {reason}; correct it there"
    raise SettingsError((fault,))


def _settings(root: Table, folder: Path, secrets: SecretKinds) -> Settings:
    plain_http = root.optional("plain_http_hosts", kinds.words) or ()
    providers = {name: _provider(name, table, secrets, plain_http) for name, table in root.named("providers").items()}
    locations = {
        name: _location(name, table, secrets, providers.keys()) for name, table in root.named("locations").items()
    }
    options: dict[str, Any] = root.given(
        body_limit=kinds.whole(1_024, _LARGEST_BODY),
        express_service_levels=kinds.words,
        trusted_proxies=kinds.networks,
        state_dir=secrets.own_folder,
    )
    return Settings(
        public_url=root.need("public_url", partial(kinds.base_url, plain_http_hosts=plain_http)),
        public=_listener(root.table("public"), 8080),
        internal=_listener(root.table("internal"), 8081),
        database=_database(root.table("database"), folder, secrets),
        newstore=_newstore(root.table("newstore"), secrets, plain_http),
        brake=_brake(root.table("brake")),
        telemetry=_telemetry(root.table("telemetry"), plain_http),
        operators=tuple(_operator(table, secrets) for table in root.rows("operators")),
        providers=MappingProxyType(providers),
        locations=MappingProxyType(locations),
        **options,
    )


def _listener(table: Table, port: int) -> Listener:
    options: dict[str, Any] = table.given(host=kinds.text, port=kinds.whole(0, 65_535))
    defaults: dict[str, Any] = {"host": "127.0.0.1", "port": port}
    return Listener(**defaults | options)


def _database(table: Table, folder: Path, secrets: SecretKinds) -> Database:
    from_environment = "env:DATABASE_URL" if secrets.environ.get("DATABASE_URL") else None
    plain_hosts = table.optional("plain_hosts", kinds.words) or ()

    def url(value: object) -> Secret:
        found = secrets.database_url(value)
        database_url.judge(found.reveal(), plain_hosts)
        return found

    ca = table.optional("ca", secrets.file)
    _note_unusable(table, ca)
    return Database(
        url=table.optional("url", url, from_environment),
        data_dir=folder / (table.optional("data_dir", kinds.text) or ".gateway/postgres"),
        ca=ca,
        plain_hosts=plain_hosts,
    )


def _note_unusable(table: Table, ca: Path | None, certificate: Path | None = None, key: Path | None = None) -> None:
    try:
        if ca or certificate:
            tls.context(ca, certificate, key)
    except tls.Unusable as unusable:
        table.fault(unusable.setting, str(unusable))


def _certificates(table: Table, secrets: SecretKinds) -> dict[str, Any]:
    """How a destination is known, and we there."""
    ca = table.optional("ca", secrets.file)
    certificate = table.optional("client_certificate", secrets.file)
    key = table.optional("client_key", secrets.key_file)
    for here, there in (("client_certificate", "client_key"), ("client_key", "client_certificate")):
        if here in table and there not in table:
            table.fault(there, f"is missing beside {here}; add it, or remove {here}")
    _note_unusable(table, ca, certificate, key)
    return {"ca": ca, "client_certificate": certificate, "client_key": key}


def _brake(table: Table) -> Brake:
    options: dict[str, Any] = table.given(
        units=kinds.whole(1, 1_000_000), share=kinds.share, seconds=kinds.seconds(_DAY)
    )
    return Brake(**options)


def _telemetry(table: Table, plain_http: Collection[str]) -> Telemetry:
    options: dict[str, Any] = table.given(
        otlp_endpoint=partial(kinds.web_url, plain_http_hosts=plain_http), sample_ratio=kinds.ratio
    )
    if "otlp_endpoint" in options and not all(any(Distribution.discover(name=each)) for each in _TRACING):
        table.fault(
            "otlp_endpoint", "needs what is not installed; run pip install 'newstore-fulfillment-gateway[otel]'"
        )
    return Telemetry(**options)


def _newstore(table: Table, secrets: SecretKinds, plain_http: Collection[str]) -> NewStore:
    url, token_url = _newstore_urls(table, plain_http)
    where = kinds.one_of(("endpoint", "off"))
    read_back: dict[str, Any] = table.table("read_back").given(**dict.fromkeys(READ_BACK_OPERATIONS, where))
    options: dict[str, Any] = table.given(
        timeout=kinds.seconds(LONGEST_CALL),
        concurrency=kinds.whole(1, _MOST_CALLS),
        calls_per_second=kinds.rate(_MOST_RATE),
        calls_per_five_minutes=kinds.rate(300 * _MOST_RATE),
        verify_within=kinds.seconds(_DAY),
        unknown_grace=kinds.seconds(600),
    )
    return NewStore(
        url=url,
        token_url=token_url,
        client_id=table.need("client_id", kinds.text),
        client_secret=table.need("client_secret", secrets.key),
        read_back=MappingProxyType(dict.fromkeys(READ_BACK_OPERATIONS, "endpoint") | read_back),
        **_certificates(table, secrets),
        **options,
    )


def _newstore_urls(table: Table, plain_http: Collection[str]) -> tuple[str, str]:
    tenant = table.optional("tenant", kinds.tenant)
    url = table.optional("url", partial(kinds.base_url, plain_http_hosts=plain_http))
    token_url = table.optional("token_url", partial(kinds.web_url, plain_http_hosts=plain_http))
    written = [key for key in ("url", "token_url") if key in table]
    if "tenant" in table:
        for key in written:
            table.fault(key, "stands beside tenant, which already says it; remove one of the two")
        return f"https://{tenant}.p.newstore.net", _REALM.format(tenant=tenant)
    if not written:
        table.fault("tenant", "is missing; add tenant, or url and token_url")
    elif len(written) == 1:
        missing = "url" if "token_url" in written else "token_url"
        table.fault(missing, "is missing; add it, or write tenant instead of both")
    return url or "", token_url or ""


def _operator(table: Table, secrets: SecretKinds) -> Operator:
    return Operator(
        name=table.need("name", kinds.text),
        role=table.need("role", kinds.one_of(ROLES)),
        tokens=table.one_or_two("token", secrets.token),
    )


def _provider(name: str, table: Table, secrets: SecretKinds, plain_http: Collection[str]) -> Provider:
    if "callback_key" in table and "callback_secret" in table:
        table.fault("callback_key", "stands beside callback_secret; keep the one by which the provider calls back")
    if "callback_key" not in table and "callback_secret" not in table:
        table.fault("callback_key", "is missing; add callback_key or callback_secret, so that callbacks can be checked")
    options: dict[str, Any] = table.given(
        timeout=kinds.seconds(LONGEST_WAIT),
        concurrency=kinds.whole(1, _MOST_CALLS),
        calls_per_second=kinds.rate(_MOST_RATE),
        look_up=kinds.flag,
        withdraw=kinds.flag,
        accept_within=kinds.seconds(30 * _DAY),
        poll_seconds=kinds.seconds(_DAY),
        same_parcel=kinds.one_of(tuple(SameParcel)),
        carriers=kinds.carriers,
    )
    return Provider(
        name=name,
        adapter=table.need("adapter", kinds.one_of(ADAPTERS)),
        url=table.need("url", partial(kinds.base_url, plain_http_hosts=plain_http)),
        api_key=table.need("api_key", secrets.key),
        callback_keys=table.one_or_two("callback_key", secrets.key) if "callback_key" in table else (),
        callback_secrets=table.one_or_two("callback_secret", secrets.signing_key) if "callback_secret" in table else (),
        **_certificates(table, secrets),
        **options,
    )


def _location(location: str, table: Table, secrets: SecretKinds, providers: Iterable[str]) -> Location:
    options: dict[str, Any] = table.given(
        time_zone=kinds.time_zone,
        confirm_first=kinds.whole(0, 1_000),
        on_provider_cancel=kinds.one_of(tuple(OnProviderCancel)),
    )
    return Location(
        id=location,
        provider=table.optional("provider", kinds.defined_provider(providers)),
        api_keys=table.several("api_keys", secrets.key, most=2),
        **options,
    )


def _clashes(settings: Settings) -> Iterator[str]:
    """What is right by itself and wrong beside another."""
    for name in _OURS & settings.providers.keys():
        yield f"{key_path('providers', name)}: is a name that the gateway's own log uses; call the provider otherwise"
    if settings.public == settings.internal and settings.public.port:
        yield "internal.port: is the port of [public] too; give each listener its own"
    names = [(key_path(f"operators[{n}]", "name"), operator.name) for n, operator in enumerate(settings.operators)]
    for here, there in _repeated(names):
        yield f"{here}: is the name at {there} too; give each operator their own, the audit tells them apart by it"
    keys = [(where, key.digest) for where, key in _callers(settings) if key]
    for here, there in _repeated(keys):
        yield f"{here}: has the same value as {there}; give each its own, a key tells who is calling"


def _callers(settings: Settings) -> Iterator[tuple[str, Secret]]:
    """Every secret by which somebody is let in, with its place."""
    for n, operator in enumerate(settings.operators):
        yield from _placed((f"operators[{n}]", "token"), operator.tokens)
    for provider in settings.providers.values():
        yield from _placed(("providers", provider.name, "callback_key"), provider.callback_keys)
        yield from _placed(("providers", provider.name, "callback_secret"), provider.callback_secrets)
    for location in settings.locations.values():
        yield from _placed(("locations", location.id, "api_keys"), location.api_keys)


def _placed(where: tuple[str, ...], secrets: tuple[Secret, ...]) -> Iterator[tuple[str, Secret]]:
    is_list = len(secrets) > 1 or where[-1] == "api_keys"
    for n, secret in enumerate(secrets):
        yield key_path(*where[:-1], f"{where[-1]}[{n}]" if is_list else where[-1]), secret


def _repeated(placed: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    first: dict[str, str] = {}
    for where, value in placed:
        if value and first.setdefault(value, where) != where:
            yield where, first[value]
