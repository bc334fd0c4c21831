"""A site: simulated NewStore and warehouses in this process, gateways as processes of their own behind a balancer."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp

from gateway.demo.providers import Provider, Shipper
from gateway.simulator.file_warehouse import SOME_FILE_FAULTS, FileWarehouse
from gateway.simulator.newstore import NewStore
from gateway.simulator.newstore_faults import NO_FAULTS, Faults
from gateway.simulator.warehouse import Warehouse
from gateway.simulator.warehouse_temperament import Temperament
from tests import forked
from tests.cli.typed import typed
from tests.processes import LONG, Gateway

from .proxies import Backend, Balancer

_ALL = 10**9  # what a simulator has forgotten proves nothing
QUICK = MappingProxyType({"DC01": Temperament()})
_TOML = """
public_url = "http://127.0.0.1:8080"
public = {{ port = 0 }}
internal = {{ port = 0 }}

[brake]
units = 1_000_000

[newstore]
url = "{newstore}"
token_url = "{newstore}/auth/realms/acme/protocol/openid-connect/token"
client_id = "gateway"
client_secret = "env:NEWSTORE"
calls_per_second = 1_000_000
calls_per_five_minutes = 1_000_000
timeout = {timeout}
unknown_grace = {grace}

[[operators]]
name = "test"
role = "admin"
token = "env:OPERATOR"
"""
_PROVIDER = """
[providers.{location}-wms]
adapter = "http"
url = "{url}/orders"
api_key = "env:{location}_WMS"
callback_key = "env:{location}_CALLBACK"
timeout = {timeout}
calls_per_second = 1_000_000

[locations.{location}]
provider = "{location}-wms"
api_keys = ["env:{location}"]
"""
_FILES = """
[providers.{location}-files]
adapter = "files"
folder = "{folder}"
fetched = ["fetched"]
marker = ".done"
poll_seconds = 1
timeout = {timeout}
calls_per_second = 1_000_000
final_rejections = true
columns = {{ reference = "Order No", product = "SKU", quantity = "Qty", word = "Status", reason = "Reason", \
tracking_number = "Tracking No", carrier = "Carrier", date = "Time" }}
words = {{ TAKEN = "accepted", SHORT = "rejected", VOID = "cancelled", SENT = "shipped" }}
reasons = {{ "NOT ON SHELF" = "no_inventory", BROKEN = "cannot_fulfill" }}

[locations.{location}]
provider = "{location}-files"
api_keys = ["env:{location}"]
"""


Answer = tuple[int, Mapping[str, str], float]
"""The status, the headers, and the seconds it took."""
Begun = Callable[..., AbstractAsyncContextManager[Gateway]]
"""Who starts gateways: `forked.gateway`, or `processes.gateway` where a balancer is to see that one will stop."""


@dataclass
class Site:
    """Everything around the gateways."""

    folder: Path
    dsn: str
    keys: dict[str, str]
    newstore: NewStore
    warehouses: dict[str, Warehouse]
    balancer: Balancer
    session: aiohttp.ClientSession
    config: Path
    stack: AsyncExitStack
    begun: Begun
    file_warehouses: dict[str, FileWarehouse] = field(default_factory=dict)
    others: dict[str, Provider] = field(default_factory=dict)
    """Providers of the demo that take part, by their DC."""
    gateways: list[Gateway] = field(default_factory=list)

    @property
    def everybody(self) -> dict[str, Shipper]:
        """Give the warehouse of each DC."""
        others = {location: each.warehouse for location, each in self.others.items()}
        return {**self.warehouses, **self.file_warehouses, **others}

    def may_repeat(self, location: str) -> bool:
        """Tell whether an order may be posted there again: its provider's contract makes that harmless."""
        return location in self.others and self.others[location].may_repeat

    async def start(self, *options: str) -> Gateway:
        """Start a gateway and put it behind the balancer."""
        started = self.begun(self.config, {**self.keys, "DATABASE_URL": self.dsn}, *options)
        new = await self.stack.enter_async_context(started)
        self.gateways.append(new)
        port = int(new.public_url.rpartition(":")[2])
        self.balancer.backends.append(Backend(port, f"{new.internal_url}/readyz", is_ready=True))
        return new

    async def end(self, gateway: Gateway, *, kill: bool = False) -> float:
        """Stop a gateway, or kill it, and take it from the balancer once it is gone."""
        started = time.monotonic()
        await (gateway.kill() if kill else gateway.stop())
        self.gateways.remove(gateway)
        self.balancer.remove(int(gateway.public_url.rpartition(":")[2]))
        return time.monotonic() - started

    async def said(self, *words: str, dsn: str) -> tuple[int, str]:
        """Run a command of the gateway on this database to its end; gives its exit code and all that it said."""
        async with asyncio.timeout(LONG):
            code, told = await typed(*words, "--config", str(self.config), **self.keys, DATABASE_URL=dsn)
        assert "Traceback" not in told
        return code, told

    async def post(self, body: Mapping[str, Any]) -> Answer:
        """Send a request as NewStore would, once."""
        return await self._post("newstore/DC01/fulfillment_requests", body, self.keys["DC01"])

    async def call_back(self, body: Mapping[str, Any]) -> Answer:
        """Send an event as the warehouse would, once."""
        return await self._post("providers/DC01-wms/callbacks", body, self.keys["DC01_CALLBACK"])

    async def _post(self, path: str, body: Mapping[str, Any], key: str) -> Answer:
        url, started = f"http://127.0.0.1:{self.balancer.port}/{path}", time.monotonic()
        async with self.session.post(url, json=body, headers=_bearer(key)) as answer:
            await answer.read()
            return answer.status, answer.headers, time.monotonic() - started

    async def ask(self, method: str, path: str, **content: Any) -> tuple[int, Any]:
        """Ask the internal listener of the first gateway."""
        url, headers = f"{self.gateways[0].internal_url}{path}", _bearer(self.keys["OPERATOR"])
        async with self.session.request(method, url, headers=headers, **content) as answer:
            is_json = "json" in answer.headers.get("Content-Type", "")
            return answer.status, await answer.json(content_type=None) if is_json else await answer.text()


@asynccontextmanager
async def site(
    folder: Path,
    dsn: str,
    *,
    temperaments: Mapping[str, Temperament] = QUICK,
    faults: Faults = NO_FAULTS,
    apply_after: float = 0.03,
    patience: tuple[float, ...] = (0.2,) * 200,
    call_time: float = 2,
    grace: float = 1,
    kind: type[Warehouse] = Warehouse,
    on_files: Mapping[str, Temperament] = MappingProxyType({}),
    others: Sequence[Provider] = (),
    begun: Begun = forked.gateway,
) -> AsyncIterator[Site]:
    """Start NewStore, the warehouses and the balancer; `patience` is how long NewStore goes on sending one request."""
    names = [*on_files, *(name for each in temperaments for name in (each, f"{each}_WMS", f"{each}_CALLBACK"))]
    keys = {name: secrets.token_urlsafe(24) for name in ("NEWSTORE", "OPERATOR", *names)}
    async with AsyncExitStack() as stack:
        balancer = await stack.enter_async_context(Balancer().running())
        session = await stack.enter_async_context(aiohttp.ClientSession())
        newstore = NewStore(
            client_secret=keys["NEWSTORE"], faults=faults, apply_after=apply_after, webhook_backoff=patience, keep=_ALL
        )
        await stack.enter_async_context(newstore.running())
        text = _TOML.format(newstore=newstore.url, timeout=call_time, grace=grace)
        warehouses: dict[str, Warehouse] = {}
        door = f"http://127.0.0.1:{balancer.port}"
        for location, temperament in temperaments.items():
            called = f"{door}/providers/{location}-wms/callbacks"
            ours, theirs = keys[f"{location}_WMS"], keys[f"{location}_CALLBACK"]
            warehouse = kind(f"{location}-wms", temperament, called, api_key=ours, callback_key=theirs, keep=_ALL)
            await stack.enter_async_context(warehouse.running())
            warehouses[location] = warehouse
            text += _PROVIDER.format(location=location, url=warehouse.url, timeout=call_time)
            newstore.configure(location, f"{door}/newstore/{location}/fulfillment_requests", keys[location])
        file_warehouses: dict[str, FileWarehouse] = {}
        for location, temperament in on_files.items():
            shared = FileWarehouse(
                f"{location}-files", folder / location, temperament, SOME_FILE_FAULTS, marker=".done", keep=_ALL
            )
            await stack.enter_async_context(shared.running())
            file_warehouses[location] = shared
            text += _FILES.format(location=location, folder=shared.folder, timeout=call_time)
            newstore.configure(location, f"{door}/newstore/{location}/fulfillment_requests", keys[location])
        for other in others:
            other.warehouse.keep = _ALL
            await stack.enter_async_context(other.warehouse.running())
            other.meet(door)
            text += other.settings
            keys |= other.keys
            called = f"{door}/newstore/{other.location}/fulfillment_requests"
            newstore.configure(other.location, called, other.keys[f"{other.location}_API_KEY"])
        config = folder / "gateway.toml"
        config.write_text(text)
        yield Site(
            folder, dsn, keys, newstore, warehouses, balancer, session, config, stack, begun, file_warehouses,
            {each.location: each for each in others},
        )  # fmt: skip


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
