"""A provider with a mapping for tests: the settings, and the mapping that the README shows, with other keys."""

import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from gateway.domain.orders import Order
from gateway.providers import example
from gateway.providers.conformance.orders import sample
from gateway.providers.port import Message, Reading, Statement, Unreadable
from gateway.providers.rest import Rest
from gateway.providers.rest_mapping import MappingFile
from gateway.providers.rest_settings import RestSettings
from gateway.settings import tables
from gateway.settings.kinds import Source
from gateway.settings.tables import HEADING

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
FOLDER = Path(example.__file__).parent
PUSH: dict[str, Any] = tomllib.loads((FOLDER / "warehouse_push.toml").read_text())
POLL: dict[str, Any] = tomllib.loads((FOLDER / "warehouse_poll.toml").read_text())
ORDER: Order = sample("b7a0c1de-52f4-4d0e-9a51-000000000001", "TEE", "TEE", "CAP")
SHIPPED = {
    "event": "e-1",
    "order_number": ORDER.reference,
    "status": "SHIPPED",
    "cartons": [
        {"tracking": "1Z1", "carrier": "UPS", "lines": [{"sku": "TEE", "qty": 2}]},
        {"tracking": "1Z2", "carrier": "UPS", "lines": [{"sku": "CAP", "qty": 1}]},
    ],
}


def with_keys(written: dict[str, Any], **tables_: dict[str, Any] | None) -> dict[str, Any]:
    """Give a mapping with other keys in some tables; None leaves a key or a table out."""
    found = written | {name: {**written.get(name, {}), **(table or {})} for name, table in tables_.items()}
    dropped = {name: each for name, each in found.items() if tables_.get(name, each) is not None}
    return {
        name: {key: value for key, value in each.items() if value is not None} if isinstance(each, dict) else each
        for name, each in dropped.items()
    }


def mapped(written: dict[str, Any]) -> MappingFile:
    return tables.read(MappingFile, written, Source(FOLDER, {}))


def settings(url: str = "http://127.0.0.1:9", mapping: str = "warehouse_push.toml", **said: Any) -> RestSettings:
    source = Source(FOLDER, {"KEY": "the-key-of-the-gateway", "SECRET": "s" * 20}, adapters={"rest": RestSettings})
    auth = {"kind": "header", "header": "X-Api-Key", "secret": "env:KEY"}
    webhooks = {"webhooks": {"kind": "hmac", "header": "X-Signature"}, "webhook_secret": "env:SECRET"}
    more = webhooks if mapping == "warehouse_push.toml" else {}
    written = {HEADING: "acme", "adapter": "rest", "url": url, "mapping": mapping, "auth": auth, **more, **said}
    return tables.read(RestSettings, written, source)


class Mapped(Rest):
    """The adapter with another mapping than that of its settings."""

    def __init__(self, provider: RestSettings, session: aiohttp.ClientSession, written: dict[str, Any]) -> None:
        super().__init__(replace(provider, mapping=mapped(written)), session)


def read(document: object, written: dict[str, Any] = PUSH, **tables_: dict[str, Any] | None) -> list[Reading]:
    adapter = Mapped(settings(), None, with_keys(written, **tables_))  # type: ignore[arg-type]
    body = document if isinstance(document, bytes) else msgspec.json.encode(document)
    return list(adapter.read(Message(body, NOW)))


def statements(document: object, written: dict[str, Any] = PUSH, **tables_: Any) -> list[Statement]:
    """Read a message of which all can be read."""
    found = read(document, written, **tables_)
    assert not [each for each in found if not isinstance(each, Statement)], found
    return [each for each in found if isinstance(each, Statement)]


def unreadable(document: object, written: dict[str, Any] = PUSH, **tables_: Any) -> list[str]:
    found = read(document, written, **tables_)
    return [f"{each.place}: {each.what}" for each in found if isinstance(each, Unreadable)]
