"""What the dashboard asks, with a few requests in the log and with many: p95 of each question, and their ratio."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import asyncpg
import typer
from rich.console import Console
from rich.table import Table

from gateway import postgres
from gateway.ledger.database.migrations import migrate
from tests.ledger.many import fill
from tests.served import Served, serve

_MOST = 1.5
_UNJUDGED = {"/v1/requests?product=SKU-47"}  # a hundred times as many requests hold it, and all are looked at
_WARM = 3  # turns that fill caches
_SLACK = 0.002  # seconds: below this the clock decides, not the log
QUESTIONS = (
    "/v1/summary", "/v1/failures", "/v1/trends", "/v1/destinations", "/v1/requests", "/v1/requests?status=pending",
    "/v1/requests?status=failed", "/v1/requests?status=rejected", "/v1/requests?status=shipped",
    "/v1/requests?status=cancelled", "/v1/requests?status=failed&failure=refused&location=DC04",
    "/v1/requests?location=DC07", "/v1/requests?status=shipped&location=DC07", "/v1/requests?service_level=EXPRESS",
    "/v1/requests?text=SO-4711", "/v1/requests?tracking_code=1Z4711", "/v1/requests?product=SKU-47",
    "/v1/quarantine", "/v1/audit", "/v1/audit?action=redrive",
)  # fmt: skip


async def measure(few: int, many: int, rounds: int) -> list[tuple[str, float, float]]:
    """Ask everything of both logs, turn by turn, so that whatever else the machine does hits both alike."""
    with tempfile.TemporaryDirectory(prefix="gateway-bench-") as folder:
        async with (
            postgres.running(Path(folder), durable=False) as dsn,
            _log(dsn, "few", few) as short,
            _log(dsn, "many", many) as long,
        ):
            found: dict[str, tuple[list[float], list[float]]] = {question: ([], []) for question in QUESTIONS}
            for turn in range(rounds + _WARM):
                for question, times in found.items():
                    for served, into in zip((short, long), times, strict=True):
                        seconds = await _ask(served, question)
                        if turn >= _WARM:
                            into.append(seconds)
    return [(question, _p95(before), _p95(after)) for question, (before, after) in found.items()]


@asynccontextmanager
async def _log(server: str, name: str, size: int) -> AsyncIterator[Served]:
    """Serve a gateway's API over a log of this size."""
    parts = urlsplit(server)
    dsn = f"postgresql://{parts.netloc}/{name}?{parts.query}"
    connection = await asyncpg.connect(server)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    connection = await asyncpg.connect(dsn)
    await migrate(connection)
    await fill(connection, size)
    assert await connection.fetchval("SELECT count(*) FROM requests") == size
    await connection.close()
    async with (
        asyncpg.create_pool(dsn, min_size=1, max_size=4) as pool,
        serve(pool, partial(asyncpg.connect, dsn)) as served,
    ):
        yield served


async def _ask(served: Served, question: str) -> float:
    began = time.perf_counter()
    answer = await served.ask(question)
    text = await answer.text()
    assert answer.status == 200, f"{question}: {text}"
    return time.perf_counter() - began


def _p95(times: list[float]) -> float:
    return statistics.quantiles(times, n=20)[-1]


def main(
    few: int = 50_000,
    many: Annotated[int, typer.Option(help="Requests in the long log.")] = 5_000_000,
    rounds: Annotated[int, typer.Option(help="How often each question is asked of each log.")] = 200,
) -> None:
    """Print p95 in milliseconds; fails where many cost more than one and a half times as much as few."""
    rows = asyncio.run(measure(few, many, rounds))
    table = Table("question", f"p95 of {few:,}", f"p95 of {many:,}", "ratio", title="ms, one machine, one run")
    slow = [row for row in rows if row[0] not in _UNJUDGED and row[2] > max(_MOST * row[1], row[1] + _SLACK)]
    for question, before, after in rows:
        table.add_row(question, f"{before * 1e3:.1f}", f"{after * 1e3:.1f}", f"{after / before:.2f}")
    Console(width=120).print(table)
    raise typer.Exit(bool(slow))


if __name__ == "__main__":
    typer.run(main)
