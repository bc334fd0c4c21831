"""Both ends of the road, and the settings by which a gateway stands between them."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from gateway.demo import providers
from gateway.demo.providers import Provider, Shipper
from gateway.simulator.newstore import NewStore
from gateway.simulator.newstore_faults import NO_FAULTS, SOME_FAULTS, Faults
from gateway.simulator.warehouse import Warehouse

DATABASE = Path("postgres")
FILES = Path("files")
_DCS = {"DC01": "quick", "DC02": "slow_and_partial", "DC03": "flaky"}
_ON_FILES = "DC04"
_OTHERS = ("DC05", "DC06", "DC07")
"""Of a demo with all kinds of providers."""
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


@dataclass(frozen=True, slots=True)
class Simulators:
    """The simulators, the settings file that names them, and the secrets it refers to."""

    newstore: NewStore
    providers: dict[str, Provider]
    """Who ships for each DC."""
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
        for location, provider in self.simulators.providers.items():
            provider.meet(self.public_url)
            url = f"{self.public_url}/newstore/{location}/fulfillment_requests"
            self.newstore.configure(location, url, self.simulators.keys[f"{location}_API_KEY"])

    @property
    def newstore(self) -> NewStore:
        return self.simulators.newstore

    @property
    def everybody(self) -> dict[str, Shipper]:
        """Give the warehouse of each DC."""
        return {location: each.warehouse for location, each in self.simulators.providers.items()}

    @property
    def warehouses(self) -> dict[str, Warehouse]:
        """Give those that take NewStore's own JSON."""
        return {location: each for location, each in self.everybody.items() if type(each) is Warehouse}

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
async def simulated(
    folder: Path, *, faults: Faults = SOME_FAULTS, seed: int = 0, all_providers: bool = False
) -> AsyncIterator[Simulators]:
    """Start the simulators and write `gateway.toml` for them; with `all_providers` there is one for each adapter."""
    keys = {name: secrets.token_urlsafe(24) for name in ("NEWSTORE_SECRET", "DEMO_TOKEN")}
    async with AsyncExitStack() as stack:
        newstore = NewStore(client_secret=keys["NEWSTORE_SECRET"], faults=faults, seed=seed)
        await stack.enter_async_context(newstore.running())
        shippers = [providers.http(location, temperament, seed) for location, temperament in _DCS.items()]
        shippers.append(providers.files(_ON_FILES, folder / FILES / _ON_FILES, seed, faulty=faults is not NO_FAULTS))
        if all_providers:
            integrated, pushes, is_polled = _OTHERS
            shippers.append(providers.newstore(integrated, "slow_and_partial", seed))
            shippers += [providers.rest(pushes, "push", folder, seed), providers.rest(is_polled, "poll", folder, seed)]
        text = _GATEWAY_TOML.format(newstore=newstore.url, database=DATABASE)
        for each in shippers:
            await stack.enter_async_context(each.warehouse.running())
            text += each.settings
            keys |= each.keys
        yield Simulators(newstore, {each.location: each for each in shippers}, _written(folder, text), keys)


def _written(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gateway.toml"
    path.write_text(text)
    return path
