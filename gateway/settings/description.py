from dataclasses import asdict
from pathlib import Path

from gateway.settings import database_url
from gateway.settings.secret import MASK
from gateway.settings.shapes import Listener, Location, NewStore, Provider, Settings


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


def describe(settings: Settings) -> dict[str, object]:
    """What these settings come to, ready for JSON, secrets masked: the URLs to hand out and where requests will go."""
    return {
        "public_url": settings.public_url,
        "public": _listener(settings.public),
        "internal": _listener(settings.internal),
        "body_limit": settings.body_limit,
        "state_dir": _file(settings.state_dir),
        "trusted_proxies": [str(each) for each in settings.trusted_proxies],
        "express_service_levels": settings.express_service_levels,
        "brake": asdict(settings.brake),
        "database": {
            "url": MASK if settings.database.url else None,
            "data_dir": str(settings.database.data_dir),
            "ca": _file(settings.database.ca),
            "plain_hosts": settings.database.plain_hosts,
        },
        "newstore": _newstore(settings.newstore),
        "telemetry": {
            "otlp_endpoint": settings.telemetry.otlp_endpoint,
            "sample_ratio": settings.telemetry.sample_ratio,
        },
        "operators": [
            {"name": each.name, "role": each.role, "tokens": len(each.tokens)} for each in settings.operators
        ],
        "providers": {name: _provider(settings, each) for name, each in settings.providers.items()},
        "locations": {name: _location(settings, each) for name, each in settings.locations.items()},
        "remarks": remarks(settings),
    }


def _listener(listener: Listener) -> dict[str, object]:
    return {"host": listener.host, "port": listener.port}


def _newstore(newstore: NewStore) -> dict[str, object]:
    return {
        "url": newstore.url,
        "token_url": newstore.token_url,
        "client_id": newstore.client_id,
        "client_secret": MASK,
        "timeout": newstore.timeout,
        "concurrency": newstore.concurrency,
        "calls_per_second": newstore.calls_per_second,
        "calls_per_five_minutes": newstore.calls_per_five_minutes,
        "verify_within": newstore.verify_within,
        "unknown_grace": newstore.unknown_grace,
        "read_back": dict(newstore.read_back),
        **_tls(newstore),
    }


def _provider(settings: Settings, provider: Provider) -> dict[str, object]:
    return {
        "adapter": provider.adapter,
        "url": provider.url,
        "api_key": MASK,
        "callback_url": f"{settings.public_url}/providers/{provider.name}/callbacks",
        "callback_keys": len(provider.callback_keys),
        "callback_secrets": len(provider.callback_secrets),
        "timeout": provider.timeout,
        "concurrency": provider.concurrency,
        "calls_per_second": provider.calls_per_second,
        "look_up": provider.look_up,
        "withdraw": provider.withdraw,
        "same_parcel": provider.same_parcel,
        "accept_within": provider.accept_within,
        "poll_seconds": provider.poll_seconds,
        "carriers": dict(provider.carriers),
        **_tls(provider),
    }


def _tls(of: NewStore | Provider) -> dict[str, object]:
    return {
        "ca": _file(of.ca),
        "client_certificate": _file(of.client_certificate),
        "client_key": MASK if of.client_key else None,
    }


def _file(path: Path | None) -> str | None:
    return str(path) if path else None


def _location(settings: Settings, location: Location) -> dict[str, object]:
    provider = settings.providers[location.provider] if location.provider else None
    return {
        "url": f"{settings.public_url}/newstore/{location.id}/fulfillment_requests",
        "provider": {"name": provider.name, "adapter": provider.adapter, "url": provider.url} if provider else None,
        "api_keys": len(location.api_keys),
        "time_zone": location.time_zone,
        "confirm_first": location.confirm_first,
        "on_provider_cancel": location.on_provider_cancel,
    }
