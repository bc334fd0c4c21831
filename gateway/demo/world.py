"""Both ends of the road, and the settings by which a gateway stands between them."""

import json
import secrets
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from gateway.simulator.file_warehouse import NO_FILE_FAULTS, SOME_FILE_FAULTS, FileWarehouse
from gateway.simulator.newstore import NewStore
from gateway.simulator.newstore_faults import NO_FAULTS, SOME_FAULTS, Faults
from gateway.simulator.warehouse import Warehouse

DATABASE = Path("postgres")
FILES = Path("files")
_DCS = {"DC01": "quick", "DC02": "slow_and_partial", "DC03": "flaky"}
_ON_FILES = {"DC04": "slow_and_partial"}
_GATEWAY_TOML = """
public_url = "http://127.0.0.1:8080"
public = {{ port = 0 }}
internal = {{ port = 0 }}
database = {{ data_dir = "{database}" }}
brake = {{ share = 0.9 }}  # these warehouses reject a lot, and nobody is there to release it

[newstore]
url = "{newstore}"
token_url = "{newstore}/auth/realms/acme/protocol/openid-connect/token"
client_id = "gateway"
client_secret = "env:NEWSTORE_SECRET"
calls_per_second = 1_000_000
calls_per_five_minutes = 1_000_000
verify_within = 120
unknown_grace = 2

[[operators]]
name = "demo"
role = "admin"
token = "env:DEMO_TOKEN"
"""
_PROVIDER_TOML = """
[providers.{name}]
adapter = "http"
url = "{url}/orders"
api_key = "env:{name}_API_KEY"
callback_key = "env:{name}_CALLBACK_KEY"
timeout = 2
calls_per_second = 1_000_000
withdraw = true

[locations.{location}]
provider = "{name}"
api_keys = ["env:{location}_API_KEY"]
"""
_FILES_TOML = """
[providers.{name}]
adapter = "files"
folder = {folder}
fetched = ["fetched"]
poll_seconds = 1
timeout = 2
calls_per_second = 1_000_000
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
AWAITED = "backordered"

[providers.{name}.reasons]
"NOT ON SHELF" = "no_inventory"
BROKEN = "cannot_fulfill"

[locations.{location}]
provider = "{name}"
api_keys = ["env:{location}_API_KEY"]
"""


@dataclass(frozen=True, slots=True)
class Simulators:
    """The simulators, the settings file that names them, and the secrets it refers to."""

    newstore: NewStore
    warehouses: dict[str, Warehouse]
    file_warehouses: dict[str, FileWarehouse]
    config: Path
    keys: dict[str, str]


@dataclass(slots=True)
class World:
    """Both ends and the gateway between them, wherever that runs."""

    simulators: Simulators
    public_url: str
    internal_url: str
    placed: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        """Tell both ends where the gateway listens."""
        for warehouse in self.warehouses.values():
            warehouse.callback.url = f"{self.public_url}/providers/{warehouse.name}/callbacks"
        for location in self.everybody:
            url = f"{self.public_url}/newstore/{location}/fulfillment_requests"
            self.newstore.configure(location, url, self.simulators.keys[f"{location}_API_KEY"])

    @property
    def newstore(self) -> NewStore:
        return self.simulators.newstore

    @property
    def warehouses(self) -> dict[str, Warehouse]:
        return self.simulators.warehouses

    @property
    def everybody(self) -> dict[str, Warehouse | FileWarehouse]:
        """Give the warehouse of each DC."""
        return {**self.simulators.warehouses, **self.simulators.file_warehouses}

    @property
    def token(self) -> str:
        return self.simulators.keys["DEMO_TOKEN"]

    async def summary(self) -> dict[str, Any]:
        """Ask the gateway what is open, as the dashboard does."""
        return await self._ask("/v1/summary", {})

    async def requests(self) -> list[dict[str, Any]]:
        """Ask the gateway for all its requests, page by page."""
        found: list[dict[str, Any]] = []
        query = {"limit": "200"}
        while True:
            page = await self._ask("/v1/requests", query)
            found += page["requests"]
            if page["next_page"] is None:
                return found
            query["after"] = page["next_page"]

    async def _ask(self, path: str, query: dict[str, str]) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            aiohttp.ClientSession(headers=headers) as session,
            session.get(f"{self.internal_url}{path}", params=query) as answer,
        ):
            answer.raise_for_status()
            found: dict[str, Any] = await answer.json()
            return found


@asynccontextmanager
async def simulated(folder: Path, *, faults: Faults = SOME_FAULTS, seed: int = 0) -> AsyncIterator[Simulators]:
    """Start the simulators and write `gateway.toml` for them."""
    keys = {name: secrets.token_urlsafe(24) for name in ("NEWSTORE_SECRET", "DEMO_TOKEN")}
    async with AsyncExitStack() as stack:
        newstore = NewStore(client_secret=keys["NEWSTORE_SECRET"], faults=faults, seed=seed)
        await stack.enter_async_context(newstore.running())
        text = _GATEWAY_TOML.format(newstore=newstore.url, database=DATABASE)
        warehouses: dict[str, Warehouse] = {}
        for location, temperament in _DCS.items():
            warehouse = _warehouse(location, temperament, keys, seed)
            await stack.enter_async_context(warehouse.running())
            warehouses[location] = warehouse
            text += _PROVIDER_TOML.format(name=warehouse.name, location=location, url=warehouse.url)
        on_files: dict[str, FileWarehouse] = {}
        for location, temperament in _ON_FILES.items():
            keys[f"{location}_API_KEY"] = secrets.token_urlsafe(24)
            shared = folder / FILES / location
            shutil.rmtree(shared, ignore_errors=True)
            file_faults = NO_FILE_FAULTS if faults is NO_FAULTS else SOME_FILE_FAULTS
            shares = FileWarehouse("files", shared, temperament, file_faults, seed=seed)
            await stack.enter_async_context(shares.running())
            on_files[location] = shares
            text += _FILES_TOML.format(name=shares.name, location=location, folder=json.dumps(str(shared.absolute())))
        yield Simulators(newstore, warehouses, on_files, _written(folder, text), keys)


def _warehouse(location: str, temperament: str, keys: dict[str, str], seed: int) -> Warehouse:
    name = temperament.replace("_and_", "_")
    for key in (f"{name}_API_KEY", f"{name}_CALLBACK_KEY", f"{location}_API_KEY"):
        keys[key] = secrets.token_urlsafe(24)
    api_key, callback_key = keys[f"{name}_API_KEY"], keys[f"{name}_CALLBACK_KEY"]
    return Warehouse(name, temperament, api_key=api_key, callback_key=callback_key, seed=seed)


def _written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gateway.toml"
    path.write_text(text)
    return path
