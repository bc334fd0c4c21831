"""What a value may be: each kind turns what the file says into what the program uses, or raises `InvalidValue`."""

import ipaddress
import re
import zoneinfo
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, TypeAlias

from gateway.domain.deliveries import normal

if TYPE_CHECKING:
    from gateway.settings.shapes import ProviderSettings

# "." and ".." would vanish from a URL's path
NAME: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}")
_TENANT: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class InvalidValue(ValueError):
    """What is wrong with a value, and what to do. Never repeats a value that may be a secret."""


@dataclass(frozen=True, slots=True)
class Source:
    """By what values are read: where secrets lie, and what the file says elsewhere."""

    folder: Path
    environ: Mapping[str, str]
    plain_http_hosts: Iterable[str] = ()
    plain_hosts: Iterable[str] = ()
    providers: Iterable[str] = ()
    adapters: "Mapping[str, type[ProviderSettings]]" = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """How pydantic reads a value, and what a JSON schema says of it."""

    read: Callable[[Any, Source], Any]
    schema: Mapping[str, Any]

    def __get_pydantic_core_schema__(self, _: Any, __: Any) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415 - nobody waits for it who reads no settings

        return core_schema.with_info_plain_validator_function(lambda value, info: self.read(value, info.context))

    def __get_pydantic_json_schema__(self, _: Any, __: Any) -> dict[str, Any]:
        return dict(self.schema)


def as_it_is(value: Any) -> Any:
    return value


@dataclass(frozen=True, slots=True, eq=False)
class Around:
    """What is done before pydantic reads a value of this type, or of another in its place, and after."""

    before: Callable[[Any], Any] = as_it_is
    after: Callable[[Any], Any] = as_it_is
    of: type | None = None
    schema: Callable[[dict[str, Any]], dict[str, Any]] = as_it_is

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415 - nobody waits for it who reads no settings

        inner = handler.generate_schema(self.of) if self.of else handler(source)
        begun = core_schema.no_info_before_validator_function(self.before, inner)
        return core_schema.no_info_after_validator_function(self.after, begun)

    def __get_pydantic_json_schema__(self, core: Any, handler: Any) -> dict[str, Any]:
        return self.schema(handler(core))


def closest(word: str, known: Iterable[str]) -> str:
    match = get_close_matches(word, known, n=1)
    return f"did you mean {match[0]}? " if match else ""


def text(value: object, _: Source | None = None) -> str:
    if not isinstance(value, str):
        raise InvalidValue('must be text; write it in quotes, "like this"')
    if not value or value != value.strip() or not value.isprintable():
        raise InvalidValue("is empty, or has control characters or spaces around it; write one plain line")
    return value


def _flag(value: object, _: Source) -> bool:
    if not isinstance(value, bool):
        raise InvalidValue("must be true or false, without quotes")
    return value


def _number(of: type[float], fits: Callable[[float], bool], what: str, **schema: object) -> Kind:
    def read(value: Any, _: Source) -> float:
        is_one = isinstance(value, int | of) and not isinstance(value, bool)
        if not is_one or not fits(value):
            raise InvalidValue(f"must be a {what}")
        return of(value)

    return Kind(read, {"type": "integer" if of is int else "number", **schema})


def whole(low: int, high: int) -> Kind:
    what = f"whole number; choose one from {low} to {high}"
    return _number(int, lambda value: low <= value <= high, what, minimum=low, maximum=high)


def seconds(longest: float) -> Kind:
    return _above_zero(longest, "seconds")


def rate(highest: float) -> Kind:
    return _above_zero(highest, "calls")


def _above_zero(high: float, unit: str) -> Kind:
    what = f"number of {unit}; choose one above 0 and up to {high:g}"
    return _number(float, lambda value: 0 < value <= high, what, title=unit, exclusiveMinimum=0, maximum=high)


_SHARE: Final = _number(
    float,
    lambda value: 0 < value < 1,
    "share; choose one between 0 and 1, as 0.3 for 30 %",
    title="share",
    exclusiveMinimum=0,
    exclusiveMaximum=1,
)
_RATIO: Final = _number(
    float,
    lambda value: 0 <= value <= 1,
    "share; choose one from 0 to 1, as 0.01 for 1 %",
    title="share",
    minimum=0,
    maximum=1,
)


def _network(value: object, _: Source) -> IPv4Network | IPv6Network:
    try:
        return ipaddress.ip_network(text(value))
    except ValueError as error:
        if isinstance(error, InvalidValue):
            raise
        raise InvalidValue(f"{value} is no address or network; write one as 10.0.0.7 or 10.0.0.0/24") from None


def _carriers(value: object, _: Source) -> Mapping[str, str]:
    """A provider's names of carriers, spelled as they are compared, and NewStore's."""
    if not isinstance(value, dict):
        raise InvalidValue('must be a table; write { "ups ground" = "UPS" }, the provider\'s word first')
    found: dict[str, str] = {}
    for said, told in value.items():
        if found.setdefault(normal(said), text(told)) != told:
            raise InvalidValue(f"names {said!r} twice, if blanks and capitals are left out; keep one of the two")
    if "" in found:
        raise InvalidValue("maps a carrier without a name; write the provider's word before the =")
    return MappingProxyType(found)


def _words(value: object, _: Source) -> Mapping[str, str]:
    """What the provider calls our words."""
    if not isinstance(value, dict):
        raise InvalidValue('must be a table; write { "EXPRESS" = "UPS NEXT DAY" }, our word first')
    if "" in value:
        raise InvalidValue("maps a word that is empty; write our word before the =")
    return MappingProxyType({ours: text(theirs) for ours, theirs in value.items()})


def _skus(value: object, source: Source) -> Mapping[str, str]:
    """Likewise of products: a SKU that stands for two could not be read back."""
    found = _words(value, source)
    for sku in found.values():
        if (products := [each for each, called in found.items() if called == sku])[1:]:
            raise InvalidValue(f"gives {' and '.join(products[:3])} one SKU; give each product its own")
    return found


def _name(value: str, _: Source) -> str:
    if not NAME.fullmatch(value):
        raise InvalidValue("is not a name; use 1 to 64 letters, digits, dots, dashes or underscores")
    return value


def _defined_provider(value: object, source: Source) -> str:
    name = text(value)
    if name not in source.providers:
        raise InvalidValue(
            f"no provider {name} is defined; {closest(name, source.providers)}Add [providers.{name}], "
            "or leave provider out to park this location's requests",
        )
    return name


def _adapter(value: object, source: Source) -> str:
    name = text(value)
    try:
        source.adapters[name]  # what finds it may say better why it can't
    except KeyError:
        known = ", ".join(sorted(source.adapters))
        told = f"no adapter is called {name}; {closest(name, source.adapters)}choose one of {known}"
        raise InvalidValue(told) from None
    return name


def _time_zone(value: object, _: Source) -> str:
    name = text(value)
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):  # OSError: some Pythons, "Europe" is a folder
        hint = closest(name, zoneinfo.available_timezones())
        raise InvalidValue(f"is not a time zone; {hint}Use an IANA name such as Europe/Berlin") from None
    return name


def is_tenant(value: object) -> bool:
    return isinstance(value, str) and _TENANT.fullmatch(value) is not None


def tenant(value: object, _: Source | None = None) -> str:
    name = text(value)
    if not is_tenant(name):
        raise InvalidValue("is not a tenant name; write the part of the host before .p.newstore.net, in small letters")
    return name


_TEXT: Final = {"type": "string", "minLength": 1}

Text: TypeAlias = Annotated[str, Kind(text, _TEXT)]
Flag: TypeAlias = Annotated[bool, Kind(_flag, {"type": "boolean"})]
Share: TypeAlias = Annotated[float, _SHARE]
Ratio: TypeAlias = Annotated[float, _RATIO]
Network: TypeAlias = Annotated[IPv4Network | IPv6Network, Kind(_network, {"title": "address or network", **_TEXT})]
Carriers: TypeAlias = Annotated[
    Mapping[str, str], Kind(_carriers, {"type": "object", "additionalProperties": {"type": "string"}})
]
Words: TypeAlias = Annotated[
    Mapping[str, str], Kind(_words, {"type": "object", "additionalProperties": {"type": "string"}})
]
Skus: TypeAlias = Annotated[
    Mapping[str, str], Kind(_skus, {"type": "object", "additionalProperties": {"type": "string"}})
]
Name: TypeAlias = Annotated[str, Kind(_name, {"type": "string", "pattern": f"^{NAME.pattern}$"})]
Adapter: TypeAlias = Annotated[str, Kind(_adapter, {"type": "string"})]
DefinedProvider: TypeAlias = Annotated[str, Kind(_defined_provider, {"title": "provider's name", **_TEXT})]
TimeZone: TypeAlias = Annotated[str, Kind(_time_zone, {"title": "time zone", **_TEXT})]
Tenant: TypeAlias = Annotated[str, Kind(tenant, {"type": "string", "pattern": f"^{_TENANT.pattern}$"})]
