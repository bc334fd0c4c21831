"""What may change while the process runs, and what only a restart brings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any, Final, TypeVar

from gateway.settings.shapes import Location, Operator, Settings
from gateway.settings.table import key_path

T = TypeVar("T")
Named = TypeVar("Named", Location, Operator)

_AS_WRITTEN: Final = {"callback_keys": "callback_key", "callback_secrets": "callback_secret", "tokens": "token"}
_OF_PROVIDERS: Final = frozenset(
    {
        "api_key",
        "callback_keys",
        "callback_secrets",
        "look_up",
        "withdraw",
        "same_parcel",
        "accept_within",
        "poll_seconds",
        "carriers",
    }
)
_OF_NEWSTORE: Final = frozenset({"client_secret"})
_SHOWN_THERE: Final = frozenset({"api_key", "client_secret"})
_THERE: Final = frozenset({"adapter", "url", "token_url", "client_id"})
_OWN_PLACES: Final = frozenset({"newstore", "operators", "providers", "locations"})
_AT_ONCE: Final = ("public_url", "trusted_proxies")


@dataclass(slots=True)
class Change:
    """What other settings bring, by its place in the file."""

    changed: list[str] = field(default_factory=list)
    needs_restart: list[str] = field(default_factory=list)


def change(old: Settings, new: Settings) -> tuple[Settings, Change]:
    """Give the old settings with all of the new ones that needs no restart, and say what differs."""
    told = Change()
    for each in fields(Settings):
        if each.name in _AT_ONCE and getattr(old, each.name) != getattr(new, each.name):
            told.changed.append(each.name)
        elif each.name not in {*_OWN_PLACES, *_AT_ONCE}:
            _compare((each.name,), getattr(old, each.name), getattr(new, each.name), told)
    return replace(
        old,
        **{name: getattr(new, name) for name in _AT_ONCE},
        newstore=_with(("newstore",), old.newstore, new.newstore, _OF_NEWSTORE, told),
        providers=_providers(old, new, told),
        operators=_operators(old, new, told),
        locations=_locations(old, new, told),
    ), told


def _compare(where: tuple[str, ...], old: Any, new: Any, told: Change) -> None:
    if old == new:
        return
    if hasattr(old, "__dataclass_fields__"):
        _with(where, old, new, frozenset(), told)
    else:
        told.needs_restart.append(key_path(*where))


def _with(where: tuple[str, ...], old: T, new: T, live: Iterable[str], told: Change) -> T:
    """Take these values of the new one; a key stays with the address that it is shown to."""
    differ = {name for name in old.__dataclass_fields__ if getattr(old, name) != getattr(new, name)}  # type: ignore[attr-defined]
    taken = differ & set(live) - (_SHOWN_THERE if differ & _THERE else frozenset())
    told.changed += _places(where, taken)
    told.needs_restart += _places(where, differ - taken)
    return replace(old, **{name: getattr(new, name) for name in taken})  # type: ignore[type-var]


def _places(where: tuple[str, ...], names: Iterable[str]) -> list[str]:
    return sorted(key_path(*where, _AS_WRITTEN.get(name, name)) for name in names)


def _providers(old: Settings, new: Settings, told: Change) -> Mapping[str, Any]:
    """Take no provider and leave none: the dispatcher knows from its start whose calls it makes."""
    told.needs_restart += sorted(key_path("providers", name) for name in old.providers.keys() ^ new.providers.keys())
    return MappingProxyType(
        {
            name: _with(("providers", name), each, new.providers[name], _OF_PROVIDERS, told)
            if name in new.providers
            else each
            for name, each in old.providers.items()
        }
    )


def _operators(old: Settings, new: Settings, told: Change) -> tuple[Operator, ...]:
    _note("operators", {each.name: each for each in old.operators}, {each.name: each for each in new.operators}, told)
    return new.operators


def _locations(old: Settings, new: Settings, told: Change) -> Mapping[str, Location]:
    found = {}
    for name, each in new.locations.items():
        if each.provider is None or each.provider in old.providers:
            found[name] = each
        else:
            told.needs_restart.append(key_path("locations", name, "provider"))
            if name in old.locations:
                found[name] = replace(each, provider=old.locations[name].provider)
    _note("locations", old.locations, found, told)
    return MappingProxyType(found)


def _note(table: str, old: Mapping[str, Named], new: Mapping[str, Named], told: Change) -> None:
    """Note what is new, gone or different in a table that changes freely."""
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            told.changed.append(f"{key_path(table, name)} (removed)")
        elif name not in old:
            told.changed.append(f"{key_path(table, name)} (new)")
        else:
            _with((table, name), old[name], new[name], old[name].__dataclass_fields__, told)
