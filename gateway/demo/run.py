"""Run the demo: start everything, place orders, and tell what became of them."""

import asyncio
import itertools
import secrets
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import Progress, TaskID

from gateway import postgres
from gateway.demo.outcome import show
from gateway.demo.process import gateway
from gateway.demo.proof import faults_found, is_settled
from gateway.demo.watching import watched
from gateway.demo.world import DATABASE, World, simulated
from gateway.simulator.orders import orders
from gateway.simulator.served import JSON

_PACE = 50.0  # orders per second
_RATE = 2.0  # … once the first ones are placed
_LOOK_AGAIN = 0.2


Beside = Callable[[str, str], AbstractContextManager[str]]
"""What runs beside a demo, given the URL of its operations API and a token for it; it tells where to find it."""


async def endless(folder: Path, requests: int, console: Console, beside: Beside, *, all_providers: bool) -> int:
    """Place these orders, then go on slowly until somebody ends it."""
    seed = _seed()
    async with _world(folder, console, seed, all_providers=all_providers) as world:
        with beside(world.internal_url, world.token) as dashboard:
            console.print(f"Dashboard           {dashboard}", markup=False)
            await _go_on(world, requests, seed, console)
    return 0


async def _go_on(world: World, requests: int, seed: int, console: Console) -> None:
    await place(world, requests, seed=seed)
    console.print(f"{requests} requests sent; {_RATE:g} more each second. Ctrl-C ends it and leaves no process behind.")
    await world.newstore.place_steadily(_RATE)


async def settled(folder: Path, requests: int, seconds: float, console: Console, *, all_providers: bool) -> int:
    """Place these orders and wait until all are settled; 0 only if nothing is lost, doubled or unproved."""
    seed = _seed()
    async with _world(folder, console, seed, all_providers=all_providers) as world:
        try:
            async with asyncio.timeout(seconds):
                await _settle(world, requests, seed, console)
        except TimeoutError:
            console.print(f"[red]Not settled within {seconds:g} s.[/red]")
        await show(console, world)
        faults = await faults_found(world)
        for fault in faults:
            console.print(f"[red]{fault}[/red]")
        console.print(f"{len(faults)} faults." if faults else "Nothing lost, doubled or unproved.")
        return 1 if faults else 0


async def place(world: World, count: int, *, seed: int = 0) -> None:
    """Place `count` orders at NewStore, one DC after the other, at a pace that this machine can hold.

    As fast as they go they would queue, and the time of an ack would tell the length of the queue.
    """

    async def one(order: JSON, location: str) -> None:
        await world.newstore.place(order, location)
        world.placed += 1

    stream = zip(itertools.cycle(world.everybody), orders(seed), range(count), strict=False)
    async with asyncio.TaskGroup() as group:
        for location, order, _ in stream:
            group.create_task(one(order, location))
            await asyncio.sleep(1 / _PACE)


@asynccontextmanager
async def _world(folder: Path, console: Console, seed: int, *, all_providers: bool) -> AsyncIterator[World]:
    console.print(f"Starting Postgres, the gateway, NewStore and {'seven' if all_providers else 'four'} warehouses …")
    # The simulators begin without a memory: what they were told last time, nobody could settle.
    await postgres.forget(folder / DATABASE)
    async with (
        simulated(folder, seed=seed, all_providers=all_providers) as simulators,
        gateway(simulators.config, simulators.keys) as (public_url, internal_url),
    ):
        world = World(simulators, public_url, internal_url)
        console.print(f"NewStore posts to   {public_url}/newstore/DC01/fulfillment_requests")
        console.print(f"Operations API      {internal_url}/v1/summary")
        console.print(f"  Bearer token      {world.token}")
        typed = f"GATEWAY_URL={internal_url} GATEWAY_TOKEN={world.token} {as_typed(sys.argv[0])} list"
        console.print(f"  as a command      {typed}", soft_wrap=True)
        console.print(f"What NewStore saw   {simulators.newstore.url}/simulator/record")
        console.print(f"Settings, log       {simulators.config}, {simulators.config.with_name('gateway.log')}")
        async with watched(folder, internal_url, console):
            yield world


async def _settle(world: World, requests: int, seed: int, console: Console) -> None:
    with Progress(console=console) as progress:
        sent = progress.add_task("sent", total=requests)
        done = progress.add_task("settled", total=requests)
        async with asyncio.TaskGroup() as group:
            sending = group.create_task(place(world, requests, seed=seed))
            while not (sending.done() and await is_settled(world)):
                _update(world, progress, sent, done)
                await asyncio.sleep(_LOOK_AGAIN)
                if sending.done():
                    await world.newstore.resend()
        _update(world, progress, sent, done)


def _update(world: World, progress: Progress, sent: TaskID, done: TaskID) -> None:
    known = world.newstore.requests.values()
    progress.update(sent, completed=world.placed)
    completed = sum(request.status == "completed" for request in known)
    progress.update(done, completed=completed, total=max(len(known), progress.tasks[done].total or 0))


def as_typed(program: str) -> str:
    """Name the command so that the same shell finds it: `make` puts it where none looks."""
    return program if Path(program).name == "gateway" else "gateway"


def _seed() -> int:
    """Another run sends other requests and meets other faults."""
    return secrets.randbelow(2**32)
