"""The providers of the demo: for each DC a simulated warehouse, and what the settings say of it."""

import json
import secrets
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gateway.simulator.file_warehouse import NO_FILE_FAULTS, SOME_FILE_FAULTS, FileWarehouse
from gateway.simulator.newstore_callback import NewStoreCallback
from gateway.simulator.rest_warehouse import RestWarehouse
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
_NEWSTORE = """\
adapter = "newstore"
url = "{url}/orders"
api_key = "env:{name}_API_KEY"
client_id = "{name}"
client_secret = "env:{name}_CLIENT_SECRET"
"""
_REST = """\
adapter = "rest"
url = "{url}"
mapping = "{mapping}"
poll_seconds = 1

[providers.{name}.auth]
kind = "header"
header = "X-Api-Key"
secret = "env:{name}_API_KEY"
"""
_WEBHOOKS = """
[providers.{name}.webhooks]
kind = "hmac"
header = "X-Signature"
prefix = "sha256="
"""
_MAPPINGS = Path(__file__).parents[1] / "providers" / "example"


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
    may_repeat: bool = False
    """An order may be posted to it again: it can't be asked for one, and its contract makes that harmless."""

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


def newstore(location: str, temperament: str, seed: int) -> Provider:
    """Give a warehouse that is integrated with NewStore, and takes the gateway for it."""
    name = "integrated"
    keys = _made(f"{name}_API_KEY", f"{name}_CLIENT_SECRET", f"{location}_API_KEY")
    warehouse = Warehouse(name, temperament, api_key=keys[f"{name}_API_KEY"], seed=seed)

    def meet(public_url: str) -> None:
        here = f"{public_url}/providers/{name}"
        token_url = f"{here}/auth/realms/acme/protocol/openid-connect/token"
        warehouse.callback = NewStoreCallback(here, token_url, name, keys[f"{name}_CLIENT_SECRET"])

    text = partial(_NEWSTORE.format, name=name)
    return Provider(location, warehouse, keys, lambda: text(url=warehouse.url), meet, may_repeat=True)


def rest(location: str, mode: str, folder: Path, seed: int) -> Provider:
    """Give a warehouse with an API of its own, which sends webhooks or is polled; the folder gets its mapping."""
    name = f"rest_{mode}"
    keys = _made(f"{name}_API_KEY", f"{name}_WEBHOOK_SECRET", f"{location}_API_KEY")
    ours, signs = keys[f"{name}_API_KEY"], keys[f"{name}_WEBHOOK_SECRET"]
    warehouse = RestWarehouse(name, "slow_and_partial", api_key=ours, webhook_secret=signs, mode=mode, seed=seed)
    mapping = f"warehouse_{mode}.toml"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(_MAPPINGS / mapping, folder)

    def written() -> str:
        secret = f'webhook_secret = "env:{name}_WEBHOOK_SECRET"\n' if mode == "push" else ""
        webhooks = _WEBHOOKS if mode == "push" else ""
        return secret + (_REST + webhooks).format(name=name, url=warehouse.url, mapping=mapping)

    def meet(public_url: str) -> None:
        warehouse.callback.url = f"{public_url}/providers/{name}/callbacks"

    return Provider(location, warehouse, keys, written, meet)


def _made(*names: str) -> dict[str, str]:
    return {name: secrets.token_urlsafe(24) for name in names}
