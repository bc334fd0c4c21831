"""A long run in which everything fails now and then: gateways are killed, Postgres restarts, the others err.

It ends with what the simulators' own records say: each request that was accepted is settled or waits for a person with
a reason, and none was lost or doubled. Exits 1 otherwise.

A write to NewStore that times out is read back after the grace time. Simulators that stand still for longer than both,
12 s, may take it up after that: "doubled" then speaks of this machine, which had more to do than it can. The table
tells.
"""

import asyncio
import contextlib
import itertools
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from gateway.demo import providers
from gateway.simulator.newstore_faults import Faults
from gateway.simulator.newstore_units import Request
from gateway.simulator.orders import orders
from gateway.simulator.warehouse_temperament import Temperament

from .faults.proof import Proof, is_quiet, prove
from .faults.proxies import ended
from .faults.servers import Server, server
from .faults.site import Site, site
from .processes import gateway

# One call in ten goes wrong; few of them with 429, which stops all calls to a destination for a second.
FAULTS = Faults(
    error_before=0.03, error_after=0.02, break_after=0.03, bad_gateway=0.018, too_many_requests=0.002,
    failed_shipment=0.001,
)  # fmt: skip
ERRS: dict[str, Any] = {
    "error_before": 0.045, "error_after": 0.035, "hangs_after": 0.018, "too_many_requests": 0.002, "hang_seconds": 2.5,
}  # fmt: skip
TEMPERAMENTS = {
    "DC01": Temperament(**ERRS),
    "DC02": Temperament(pause=(0.05, 0.3), parcels=3, rejects=0.1, **ERRS),
    "DC03": Temperament(pause=(0.005, 0.05), parcels=2, rejects=0.05, says_twice=0.2, says_backwards=0.2, **ERRS),
}
ON_FILES = {"DC04": Temperament(pause=(0.01, 0.1), parcels=2, rejects=0.05, says_twice=0.2, says_backwards=0.2)}
"""Its calls are files: none fails by itself, but its gateway is killed between any two steps of one."""
OTHERS = ("DC05", "DC06", "DC07")
"""Integrated with NewStore, with an API of their own that pushes, and with one that is polled: none fails by itself."""
GRACE = 10.0  # seconds, as without a setting: on a busy machine a simulator may take up a call long after its time-out
SENDERS = 16
MOST_OPEN = 600  # so that a run shows a rate and not the length of a queue
TICK = 0.5  # seconds
OWED = """
SELECT operation, destination, count(*) AS calls,
    greatest(0, ceil(extract(epoch FROM max(due_at) - clock_timestamp()))) AS seconds
FROM deliveries WHERE NOT is_read GROUP BY operation, destination ORDER BY operation, destination
"""


@dataclass
class Run:
    """A soak under way."""

    at: Site
    postgres: Server
    requests: int
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    started: float = field(default_factory=time.monotonic)
    placed: int = 0
    kills: int = 0
    restarts: int = 0
    standstill: float = 0.0  # the longest of this process, in seconds
    _known: int = 0
    _open: list[Request] = field(default_factory=list)

    def still_open(self) -> int:
        """Count what NewStore waits for, without looking again at what is over."""
        known = self.at.newstore.requests
        self._open += itertools.islice(known.values(), self._known, None)
        self._known = len(known)
        self._open = [each for each in self._open if each.status != "completed"]
        return len(self._open)

    def has_placed(self, share: float) -> bool:
        return self.placed >= self.requests * share

    def seconds(self) -> float:
        return time.monotonic() - self.started


async def send(run: Run) -> None:
    """Place all orders, at most so many at once."""
    stream = zip(
        itertools.cycle([*TEMPERAMENTS, *ON_FILES, *OTHERS]), orders(seed=1), range(run.requests), strict=False
    )

    async def work() -> None:
        for location, order, _ in stream:
            await run.may_go_on.wait()
            await run.at.newstore.place(order, location)
            run.placed += 1

    await asyncio.gather(*(work() for _ in range(SENDERS)))


async def watch(run: Run, console: Console) -> None:
    """Hold the senders back when much is open, and print how far it is."""
    for tick in itertools.count():
        began = time.monotonic()
        still_open, known = run.still_open(), len(run.at.newstore.requests)
        (run.may_go_on.set if still_open < MOST_OPEN else run.may_go_on.clear)()
        if tick % 10 == 0:
            console.print(
                f"{run.seconds():6.0f} s  placed {run.placed}  completed {known - still_open} of {known}  "
                f"killed {run.kills}  Postgres restarted {run.restarts}"
            )
        await asyncio.sleep(TICK)
        run.standstill = max(run.standstill, time.monotonic() - began - TICK)


async def kill_now_and_then(run: Run, every: float) -> None:
    """Kill one gateway after the other, and start a new one for each."""
    chance = random.Random(0)
    while True:
        await asyncio.sleep(every)
        await run.at.end(chance.choice(run.at.gateways), kill=True)
        run.kills += 1
        await start_again(run)


async def start_again(run: Run) -> None:
    """Start a gateway as its supervisor would: once more where Postgres is away."""
    while True:
        with contextlib.suppress(AssertionError, TimeoutError):
            await run.at.start()
            return
        await asyncio.sleep(1)


async def restart_postgres(run: Run) -> None:
    """Stop it after a third of the requests, and let it crash after two."""
    for share, crashes in ((1 / 3, False), (2 / 3, True)):
        await run.at.newstore.until(partial(run.has_placed, share), 86_400)
        await (run.postgres.kill() if crashes else run.postgres.stop())
        await asyncio.sleep(2)
        await run.postgres.start()
        run.restarts += 1


async def settled(run: Run, console: Console) -> None:
    """Wait for the last ones, and print for which: a call that has failed often waits for minutes, as in production."""
    async with asyncpg.create_pool(run.postgres.dsn, min_size=1, max_size=1) as pool:
        for tick in itertools.count():
            if await is_quiet(run.at, pool):
                return
            for owed in await pool.fetch(OWED) if tick % 10 == 0 else ():
                console.print("{calls} to {operation} at {destination}, the last in {seconds} s".format(**owed))
            await run.at.newstore.resend()
            await asyncio.sleep(TICK)


async def soak(requests: int, gateways: int, every: float, limit: float, console: Console) -> tuple[Run, Proof]:
    """Run until all is settled, or the time is over."""
    async with running(requests, gateways) as run:
        try:
            async with asyncio.timeout(limit), beside(watch(run, console)):
                async with beside(kill_now_and_then(run, every)):
                    await asyncio.gather(send(run), restart_postgres(run))
                await settled(run, console)
        except TimeoutError:
            console.print(f"not settled after {limit:g} s")
        async with asyncpg.create_pool(run.postgres.dsn, min_size=1, max_size=1) as pool:
            return run, await prove(run.at, pool)


@asynccontextmanager
async def running(requests: int, gateways: int) -> AsyncIterator[Run]:
    """Start Postgres, what is around the gateways, and the gateways."""
    safe = {"synchronous_commit": "on", "max_connections": "200"}
    with tempfile.TemporaryDirectory(prefix="gateway-soak-") as name:
        folder = Path(name)
        integrated, pushes, is_polled = OTHERS
        others = [
            providers.newstore(integrated, "slow_and_partial", 0),
            providers.rest(pushes, "push", folder, 0),
            providers.rest(is_polled, "poll", folder, 0),
        ]
        async with (
            server(folder / "a", safe) as postgres,
            site(
                folder,
                postgres.dsn,
                temperaments=TEMPERAMENTS,
                faults=FAULTS,
                grace=GRACE,
                on_files=ON_FILES,
                others=others,
                begun=gateway,
            ) as at,
        ):
            await asyncio.gather(*(at.start() for _ in range(gateways)))
            yield Run(at, postgres, requests)


@asynccontextmanager
async def beside(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Do this while the block runs."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        await ended(task)


def result(run: Run, proof: Proof) -> dict[str, Any]:
    met = run.at.newstore.fault_injector.met + sum((each.faults for each in run.at.everybody.values()), Counter())
    made = run.at.newstore.calls.total() + sum(each.calls.total() for each in run.at.everybody.values())
    attempts = Counter(str(each["answer"]) for each in run.at.newstore.webhook.attempts)
    return {
        "requests accepted": proof.accepted,
        "settled and proved": proof.settled,
        "waiting for a person": proof.for_a_person,
        **{f"  {reason}": count for reason, count in proof.reasons.items()},
        "lost": len(proof.lost),
        "doubled": len(proof.doubled),
        "differing": len(proof.differs),
        "stuck": len(proof.stuck),
        "gateways killed": run.kills,
        "Postgres restarts": run.restarts,
        "calls that met a fault": f"{met.total()} of {made}",
        "answers to NewStore": dict(attempts),
        "seconds": round(run.seconds()),
        "longest standstill of the simulators": f"{run.standstill:.1f} s",
        "settled per second": round(proof.settled / run.seconds(), 1),
    }


def main(
    requests: int = 20_000,
    gateways: int = 3,
    kill_every: float = 6.0,
    limit: Annotated[float, typer.Option(help="Seconds after which it is over.")] = 7200.0,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    run, proof = uvloop.run(soak(requests, gateways, kill_every, limit, Console(stderr=True)))
    told = result(run, proof)
    if as_json:
        typer.echo(json.dumps({**told, "faults": proof.faults}))
        raise typer.Exit(bool(proof.faults))
    console, table = Console(), Table("", "", title=f"{requests} fulfillment requests and all that can go wrong")
    for name, value in told.items():
        table.add_row(name, str(value))
    console.print(table)
    for fault in proof.faults[:50]:
        console.print(fault, markup=False)
    raise typer.Exit(bool(proof.faults))


if __name__ == "__main__":
    typer.run(main)
