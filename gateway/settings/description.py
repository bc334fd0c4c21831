from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final, get_type_hints

from gateway.settings import database_url
from gateway.settings.references import KeyFile
from gateway.settings.secret import MASK, Secret
from gateway.settings.shapes import Location, ProviderSettings, Settings

_SECRETS: Final = tuple[Secret, ...]
_KEY_FILE: Final = KeyFile | None


def remarks(settings: Settings) -> list[str]:
    """What these settings say that nobody heeds, or that is weaker than it could be, with its place."""
    url = settings.database.url
    found = [f"database.url: {each}" for each in database_url.remarks(url.reveal())] if url else []
    if settings.state_dir is None:
        found.append(
            "state_dir: is not set, so a restore to a moment minutes ago may go unnoticed; "
            "name a folder outside the database that outlives the process"
        )
    return found


def describe(settings: Settings) -> dict[str, Any]:
    """What these settings come to, ready for JSON, secrets masked: the URLs to hand out and where requests will go."""
    told = _table(settings)
    for name, provider in settings.providers.items():
        told["providers"][name] |= {"callback_url": f"{settings.public_url}{provider.call_path}"}
    for name, location in settings.locations.items():
        url = f"{settings.public_url}/newstore/{name}/fulfillment_requests"
        told["locations"][name] |= {"url": url, "provider": _road(settings, location)}
    return told | {"remarks": remarks(settings)}


def _table(of: Any) -> dict[str, Any]:
    """Give all that a table says but the name at its head."""
    heading = {ProviderSettings: "name", Location: "id"}
    hidden = {name for kind, name in heading.items() if isinstance(of, kind)}
    kinds, types = get_type_hints(type(of), include_extras=True), get_type_hints(type(of))
    told = {each.name: _shown(getattr(of, each.name)) for each in fields(of) if each.name not in hidden}
    counted = {name: len(getattr(of, name)) for name in told if types[name] == _SECRETS}
    masked = {name: MASK for name, shown in told.items() if shown and kinds[name] == _KEY_FILE}
    return told | counted | masked


def _shown(value: Any) -> Any:
    if isinstance(value, Secret):
        return MASK
    if is_dataclass(value):
        return _table(value)
    if isinstance(value, Mapping):
        return {key: _shown(each) for key, each in value.items()}
    if isinstance(value, tuple):
        return [*map(_shown, value)]
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _road(settings: Settings, location: Location) -> dict[str, str] | None:
    provider = settings.providers[location.provider] if location.provider else None
    return {"name": provider.name, "adapter": provider.adapter, "url": provider.address} if provider else None
