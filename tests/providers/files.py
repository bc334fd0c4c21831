"""A provider of files for tests: what its columns and words mean."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.providers.files import Files
from gateway.providers.files_settings import FilesSettings
from gateway.providers.port import Message, Reading, Statement, Unreadable
from gateway.settings import tables
from gateway.settings.kinds import Source
from gateway.settings.tables import HEADING

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
SHIPMENTS: dict[str, Any] = {
    "columns": {
        "reference": "Order No", "product": "SKU", "quantity": "Qty", "tracking_number": "Tracking",
        "carrier": "Carrier",
    },
    "word": "shipped",
}  # fmt: skip
"""A file that tells of shipments alone."""

STATES: dict[str, Any] = {
    "columns": SHIPMENTS["columns"] | {"word": "Status", "reason": "Why"},
    "words": {"SHP": "shipped", "OK": "accepted", "SHORT": "rejected", "VOID": "cancelled", "in transit": "ignored"},
    "reasons": {"OOS": "no_inventory", "DAMAGED": "cannot_fulfill"},
}
"""A file that tells of everything."""


def settings(folder: Path, **said: Any) -> FilesSettings:
    left_out = {"forms": SHIPMENTS.keys(), "words": {"word"}}
    common = {key: SHIPMENTS[key] for key in SHIPMENTS if not any(key in left_out.get(each, ()) for each in said)}
    written = {HEADING: "acme", "adapter": "files", "folder": str(folder), **common, **said}
    return tables.read(FilesSettings, written, Source(folder, {}, adapters={"files": FilesSettings}))


def read(body: bytes | str, name: str = "F.csv", **said: Any) -> list[Reading]:
    adapter = Files(settings(Path("/nowhere"), **said), None)  # type: ignore[arg-type]
    content = body if isinstance(body, bytes) else body.encode()
    return list(adapter.read(Message(content, NOW, name)))


def statements(body: bytes | str, **said: Any) -> list[Statement]:
    """Read a file of which all can be read."""
    found = [each for each in read(body, **said) if isinstance(each, Statement)]
    assert len(found) == len(read(body, **said))
    return found


def unreadable(body: bytes | str, **said: Any) -> list[Unreadable]:
    return [each for each in read(body, **said) if isinstance(each, Unreadable)]
