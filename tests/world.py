"""The demo's world with its gateway in this process, so that a test can wait for its commits."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gateway import app, settings
from gateway.demo.world import World, simulated
from gateway.simulator.newstore_faults import NO_FAULTS, Faults
from tests.loading import settings_in

NOT_TRACED = settings.Telemetry()


@dataclass(slots=True)
class Road(World):
    gateway: app.Gateway
    settings: settings.Settings


@asynccontextmanager
async def running(
    folder: Path,
    dsn: str,
    faults: Faults = NO_FAULTS,
    telemetry: settings.Telemetry = NOT_TRACED,
    *,
    all_providers: bool = False,
) -> AsyncIterator[Road]:
    """Start all parts on a migrated database, and connect them."""
    async with simulated(folder, faults=faults, all_providers=all_providers) as simulators:
        loaded = replace(settings_in(simulators.config, {**simulators.keys, "DATABASE_URL": dsn}), telemetry=telemetry)
        async with app.running(loaded, dsn) as gateway:
            yield Road(simulators, gateway.public_url, gateway.internal_url, gateway, loaded)
