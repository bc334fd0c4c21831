"""Measure the gateway against its own limits, in one run: medians of interleaved rounds, as ratios.

Every round of accepting begins with empty tables and under a hold, so that the gateway does nothing else beside it.

accept     durable accepts ÷ the same handler without a database, and ÷ a handler that only parses and answers
tracing    durable accepts with 1 % of them traced and exported ÷ with tracing off
settle     requests settled ÷ the bare HTTP calls of their lifecycle
dispatch   calls through dispatch ÷ the same dispatcher without a database, and ÷ its bare HTTP client
backlog    calls through dispatch with 500,000 others waiting ÷ with 1,000 waiting
"""

import asyncio
import json
import platform
import shutil
import statistics
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import asyncpg
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from gateway import app, settings
from tests.loading import settings_in

from . import limits
from .calls import backlog, bare_calls, bare_lifecycles, dispatched, lifecycles, unstored_calls
from .served import CONFIG, KEYS, TRACED, gateway, served
from .wrk import CONNECTIONS, Round, load

PATH = "/newstore/DC01/fulfillment_requests"


async def measure(rounds: int, seconds: int, calls: int, waiting: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Run everything; each limit is measured right beside what it limits."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stub = await stack.enter_async_context(served(limits.stub))
        path = folder / "own.toml"
        path.write_text(CONFIG.format(stub=stub))
        loaded = settings_in(path, {**KEYS, "DATABASE_URL": ""})
        dsn = await stack.enter_async_context(app.database(loaded))
        main = await stack.enter_async_context(gateway(folder / "gateway.toml", dsn, stub))
        pool = await stack.enter_async_context(asyncpg.create_pool(dsn, min_size=1, max_size=2))
        bench = Bench(rounds, seconds, calls, stub, main.public_url, main.internal_url, pool, say)
        bare = await stack.enter_async_context(served(limits.bare))
        same = await stack.enter_async_context(served(limits.same, str(path)))
        relay = await stack.enter_async_context(served(limits.relay, stub))
        return {
            "machine": f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}",
            **await bench.accept(bare, same),
            **await _tracing(bench, folder, dsn),
            **await bench.settle(relay),
            **await bench.dispatch(loaded, waiting),
        }


async def _tracing(bench: "Bench", folder: Path, dsn: str) -> dict[str, Any]:
    """Run a second gateway, which traces, for this part alone."""
    async with (
        served(limits.sink) as sink,
        gateway(folder / "traced.toml", dsn, bench.stub, TRACED.format(sink=sink)) as traced,
    ):
        return await bench.tracing(traced.public_url)


@dataclass(frozen=True)
class Bench:
    """What every part works with."""

    rounds: int
    seconds: int
    calls: int
    stub: str
    public: str
    internal: str
    pool: asyncpg.Pool
    say: Callable[[str], None]

    async def accept(self, bare: str, same: str) -> dict[str, Any]:
        """Accepts under a hold, so that nothing but intake is measured."""
        await self._hold_everything()
        await load(f"{self.public}{PATH}", self.seconds)
        found = []
        for _ in self._rounds("accept"):
            await self._empty()
            await self._hold_everything()
            found.append([await load(f"{url}{PATH}", self.seconds) for url in (bare, same, self.public)])
        ours = statistics.median(row[2].per_second for row in found)
        calm = await load(f"{self.public}{PATH}", self.seconds, pause_ms=round(2000 * CONNECTIONS / ours))
        await self._empty()
        return {
            "accept_ratio": _ratio(row[2].per_second / row[1].per_second for row in found),
            "accept_ratio_to_bare_aiohttp": _ratio(row[2].per_second / row[0].per_second for row in found),
            "accepts_per_second": round(ours),
            "ack_ms_saturated": _latency([row[2] for row in found]),
            "ack_ms_half_load": _latency([calm]),
        }

    async def tracing(self, traced: str) -> dict[str, Any]:
        """Accepts of a gateway that traces, between two looks at the one that does not."""
        await self._hold_everything()
        await load(f"{traced}{PATH}", self.seconds)
        found = [
            [await load(f"{url}{PATH}", self.seconds) for url in (self.public, traced, self.public)]
            for _ in self._rounds("tracing", 3)  # their difference is smaller than what shared cores do to one round
        ]
        await self._empty()
        return {
            "tracing_ratio": _ratio(
                2 * on.per_second / (before.per_second + after.per_second) for before, on, after in found
            )
        }

    async def settle(self, relay: str) -> dict[str, Any]:
        """Whole lifecycles: 3 calls in and 4 out for each request."""
        rows = []
        for _ in self._rounds("settle"):
            bare = await bare_lifecycles(self.stub, relay, self.calls)
            rows.append((bare, *await lifecycles(self.stub, self.public, self.internal, self.calls)))
            await self._empty()
        return {
            "settle_ratio": _ratio(ours / bare for bare, ours, _ in rows),
            "settled_per_second": round(statistics.median(ours for _, ours, _ in rows)),
            "newstore_calls_per_settled": _ratio(calls for _, _, calls in rows),
        }

    async def dispatch(self, loaded: settings.Settings, waiting: int) -> dict[str, Any]:
        """Creates at the provider, released at once; then the same behind a long queue."""
        rows = []
        for _ in self._rounds("dispatch"):
            bare = await bare_calls(self.stub, self.calls)
            unstored = await unstored_calls(self.stub, loaded, self.calls)
            with_few = await self._drain(1_000)
            with_many = await self._drain(waiting)
            rows.append((bare, unstored, with_few, with_many))
        return {
            "dispatch_ratio": _ratio(few / unstored for _, unstored, few, _ in rows),
            "dispatch_ratio_to_bare_client": _ratio(few / bare for bare, _, few, _ in rows),
            "backlog_ratio": _ratio(many / few for _, _, few, many in rows),
            "dispatched_per_second": round(statistics.median(few for _, _, few, _ in rows)),
        }

    async def _drain(self, waiting: int) -> float:
        await self._empty()
        await backlog(self.pool, waiting)
        return await dispatched(self.pool, self.stub, self.public, self.calls)

    async def _hold_everything(self) -> None:
        await self.pool.execute("INSERT INTO holds (scope, name, reason, who) VALUES ('everything', '', 'b', 'b')")

    async def _empty(self) -> None:
        """Forget everything, once what the load left behind is stored too."""
        await asyncio.sleep(1)
        await self.pool.execute(
            "TRUNCATE requests, request_keys, events, attempts, payloads, deliveries, dead_deliveries, holds, "
            "recent_outcomes"
        )
        await self.pool.execute("UPDATE destinations SET is_open = false, opened_at = NULL, half_open_at = NULL")

    def _rounds(self, part: str, times: int = 1) -> Any:
        for number in range(self.rounds * times):
            self.say(f"{part} {number + 1}/{self.rounds * times}")
            yield number


def _ratio(values: Any) -> float:
    return round(float(statistics.median(values)), 3)


def _latency(rounds: list[Round]) -> dict[str, float]:
    return {
        "p50": round(statistics.median(each.p50_ms for each in rounds), 2),
        "p99": round(statistics.median(each.p99_ms for each in rounds), 2),
    }


def main(
    rounds: int = 3,
    seconds: Annotated[int, typer.Option(help="Of each round of load.")] = 4,
    calls: Annotated[int, typer.Option(help="Requests of each round of settling and dispatching.")] = 5_000,
    waiting: Annotated[int, typer.Option(help="Deliveries of the long queue.")] = 500_000,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for machines.")] = False,
) -> None:
    """Print ratios; the limit of each is measured in the same run."""
    if shutil.which("wrk") is None:
        typer.echo("the benchmark drives load with wrk: apt-get install wrk, or brew install wrk", err=True)
        raise typer.Exit(2)
    console = Console(stderr=True)
    app.collect_rarely()  # as the gateway does: this process is the client of the limits
    found = uvloop.run(_say_so(console, lambda say: measure(rounds, seconds, calls, waiting, say)))
    if as_json:
        typer.echo(json.dumps(found))
        return
    table = Table("measured", "median", title="One machine, one run: read the ratios")
    for name, value in found.items():
        table.add_row(name.replace("_", " "), str(value))
    Console().print(table)


async def _say_so(console: Console, work: Callable[[Callable[[str], None]], Awaitable[dict[str, Any]]]) -> Any:
    with console.status("starting") as status:
        return await work(status.update)


if __name__ == "__main__":
    typer.run(main)
