"""Requests that come in while something else happens."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.simulator.orders import orders
from tests.processes import LONG

from .site import Site


@asynccontextmanager
async def load(at: Site, *, senders: int = 4, pause: float = 0.2) -> AsyncIterator[None]:
    """Place orders at NewStore, about twenty a second, while the block runs."""
    going, stream = True, orders()
    locations = itertools.cycle(at.warehouses)

    async def send() -> None:
        while going:
            await at.newstore.place(next(stream), next(locations))
            await asyncio.sleep(pause)

    async with asyncio.TaskGroup() as group:
        for _ in range(senders):
            group.create_task(send())
        try:
            yield
        finally:
            going = False


async def placed(at: Site, more: int) -> None:
    """Wait until NewStore has placed so many requests more."""
    goal = sum(each.delivered for each in at.newstore.requests.values()) + more
    await at.newstore.until(lambda: sum(each.delivered for each in at.newstore.requests.values()) >= goal, LONG)
