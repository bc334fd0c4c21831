"""What may change while the process runs, and what only a restart brings."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import MappingProxyType
from typing import Final, TypeVar

from gateway.settings.secret import Secret
from gateway.settings.shapes import Location, Operator, ProviderSettings, Settings
from gateway.settings.tables import At, Readable, place

Kept = TypeVar("Kept", bound=Readable)
Named = TypeVar("Named", Location, Operator)

_OWN_PLACES: Final = frozenset({"newstore", "operators", "providers", "locations"})


@dataclass(slots=True)
class Change:
    """What other settings bring, by its place in the file."""

    changed: list[str] = field(default_factory=list)
    needs_restart: list[str] = field(default_factory=list)


def change(old: Settings, new: Settings) -> tuple[Settings, Change]:
    """Give the old settings with all of the new ones that needs no restart, and say what differs."""
    told = Change()
    rest = replace(new, **{name: getattr(old, name) for name in _OWN_PLACES})
    return replace(
        _with((), old, rest, told),
        newstore=_with(("newstore",), old.newstore, new.newstore, told),
        providers=_providers(old, new, told),
        operators=_operators(old, new, told),
        locations=_locations(old, new, told),
    ), told


def _with(at: At, old: Kept, new: Kept, told: Change) -> Kept:
    """Take what may change of the new one; a secret stays with the address that it is shown to."""
    differ = {each.name for each in fields(old) if getattr(old, each.name) != getattr(new, each.name)}  # type: ignore[arg-type]
    taken = differ & old.live
    if differ & old.addressed:
        taken = {name for name in taken if not isinstance(getattr(old, name), Secret)}
    told.changed += _places(at, old, taken)
    for name in sorted(differ - taken):
        before, after = getattr(old, name), getattr(new, name)
        if isinstance(before, Readable):
            _with((*at, name), before, after, told)
        else:
            told.needs_restart += _places(at, old, [name])
    return replace(old, **{name: getattr(new, name) for name in taken})  # type: ignore[type-var]


def _places(at: At, of: Readable, names: Iterable[str]) -> list[str]:
    return sorted(place((*at, of.written_as.get(name, name))) for name in names)


def _providers(old: Settings, new: Settings, told: Change) -> Mapping[str, ProviderSettings]:
    """Take no provider and leave none: the dispatcher knows from its start whose calls it makes."""
    told.needs_restart += sorted(place(("providers", name)) for name in old.providers.keys() ^ new.providers.keys())
    return MappingProxyType(
        {name: _provider(each, new.providers.get(name, each), told) for name, each in old.providers.items()}
    )


def _provider(old: ProviderSettings, new: ProviderSettings, told: Change) -> ProviderSettings:
    at = ("providers", old.name)
    if type(old) is type(new):
        return _with(at, old, new, told)
    told.needs_restart.append(place((*at, "adapter")))
    return old


def _operators(old: Settings, new: Settings, told: Change) -> tuple[Operator, ...]:
    _note("operators", {each.name: each for each in old.operators}, {each.name: each for each in new.operators}, told)
    return new.operators


def _locations(old: Settings, new: Settings, told: Change) -> Mapping[str, Location]:
    found = {}
    for name, each in new.locations.items():
        if each.provider is None or each.provider in old.providers:
            found[name] = each
        else:
            told.needs_restart.append(place(("locations", name, "provider")))
            if name in old.locations:
                found[name] = replace(each, provider=old.locations[name].provider)
    _note("locations", old.locations, found, told)
    return MappingProxyType(found)


def _note(table: str, old: Mapping[str, Named], new: Mapping[str, Named], told: Change) -> None:
    """Note what is new, gone or different in a table that changes freely."""
    for name in sorted(old.keys() | new.keys()):
        if name not in new:
            told.changed.append(f"{place((table, name))} (removed)")
        elif name not in old:
            told.changed.append(f"{place((table, name))} (new)")
        else:
            _with((table, name), old[name], new[name], told)
