"""The providers of the demo: for each DC a simulated warehouse, and what the settings say of it."""

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gateway.simulator.file_warehouse import NO_FILE_FAULTS, SOME_FILE_FAULTS, FileWarehouse
from gateway.simulator.warehouse import Warehouse

Shipper = Warehouse | FileWarehouse
_COMMON = """
[providers.{name}]
timeout = 2
calls_per_second = 1_000_000
"""
_LOCATION = """
[locations.{location}]
provider = "{name}"
api_keys = ["env:{location}_API_KEY"]
"""
_HTTP = """\
adapter = "http"
url = "{url}/orders"
api_key = "env:{name}_API_KEY"
callback_key = "env:{name}_CALLBACK_KEY"
withdraw = true
"""
_FILES = """\
adapter = "files"
folder = {folder}
fetched = ["fetched"]
poll_seconds = 1
withdraw = true
final_rejections = true

[providers.{name}.columns]
reference = "Order No"
product = "SKU"
quantity = "Qty"
word = "Status"
reason = "Reason"
tracking_number = "Tracking No"
carrier = "Carrier"
date = "Time"

[providers.{name}.words]
TAKEN = "accepted"
SHORT = "rejected"
VOID = "cancelled"
SENT = "shipped"

[providers.{name}.reasons]
"NOT ON SHELF" = "no_inventory"
BROKEN = "cannot_fulfill"
"""


@dataclass(frozen=True, slots=True)
class Provider:
    """Who ships for one DC."""

    location: str
    warehouse: Shipper
    keys: Mapping[str, str]
    written: Callable[[], str]
    """Its own part of the settings, once it runs."""
    meet: Callable[[str], None] = lambda _: None
    """Tells it the gateway's public URL."""

    @property
    def settings(self) -> str:
        """All that the settings say of it."""
        name, location = self.warehouse.name, self.location
        return _COMMON.format(name=name) + self.written() + _LOCATION.format(name=name, location=location)


def http(location: str, temperament: str, seed: int) -> Provider:
    """Give a warehouse that speaks as the adapter `http` wants it."""
    name = temperament.replace("_and_", "_")
    keys = _made(f"{name}_API_KEY", f"{name}_CALLBACK_KEY", f"{location}_API_KEY")
    ours, theirs = keys[f"{name}_API_KEY"], keys[f"{name}_CALLBACK_KEY"]
    warehouse = Warehouse(name, temperament, api_key=ours, callback_key=theirs, seed=seed)

    def meet(public_url: str) -> None:
        warehouse.callback.url = f"{public_url}/providers/{name}/callbacks"

    return Provider(location, warehouse, keys, lambda: _HTTP.format(name=name, url=warehouse.url), meet)


def files(location: str, folder: Path, seed: int, *, faulty: bool) -> Provider:
    """Give a warehouse without an API, which shares a folder; it begins empty."""
    shutil.rmtree(folder, ignore_errors=True)
    faults = SOME_FILE_FAULTS if faulty else NO_FILE_FAULTS
    warehouse = FileWarehouse("files", folder, "slow_and_partial", faults, seed=seed)
    text = _FILES.format(name=warehouse.name, folder=json.dumps(str(folder.absolute())))
    return Provider(location, warehouse, _made(f"{location}_API_KEY"), lambda: text)


def _made(*names: str) -> dict[str, str]:
    return {name: secrets.token_urlsafe(24) for name in names}
