"""How every command runs and speaks."""

import asyncio
import signal
import sys
from collections.abc import Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import asyncpg
import orjson
import typer
from rich.box import HEAVY_HEAD, Box
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from gateway.demo.process import GatewayEnded
from gateway.ledger.database.migrations import SchemaMismatch
from gateway.ledger.database.servers import NoServer
from gateway.ledger.database.sessions import SharedSessions
from gateway.postgres import PostgresUnavailable
from gateway.settings import SettingsError
from gateway.telemetry import logs

T = TypeVar("T")
console = Console()
errors = Console(stderr=True)
_UNCUT = 100_000  # columns of what is no terminal
_LONGEST_NAME = 40  # characters that leave room for other columns


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop; faults that a person can mend are printed without a traceback."""
    logs.setup(sys.stderr)
    try:
        import uvloop  # noqa: PLC0415 - not on Windows

        return uvloop.run(_cancelled_by_signals(main))
    except (SettingsError, SchemaMismatch, SharedSessions, PostgresUnavailable) as error:
        raise fault(str(error), 2) from error
    except NoServer as error:
        raise fault(f"no database takes writes: {error}; mend it, or database.url or DATABASE_URL", 1) from error
    except GatewayEnded as error:
        raise fault(str(error), 1) from error
    except (OSError, asyncpg.PostgresError) as error:
        raise fault(f"{type(error).__name__}: {error}", 1) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


async def _cancelled_by_signals(main: Coroutine[Any, Any, T]) -> T:
    """Close what was opened; a second signal hastens that."""
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine runs in one
    told: list[int] = []

    def end(number: int) -> None:
        told.append(number)
        task.cancel()

    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, end, each)
    try:
        return await main
    except asyncio.CancelledError:
        if told:
            raise typer.Exit(128 + told[0]) from None
        raise


def fault(text: str, code: int) -> typer.Exit:
    """Print what is wrong, for a person; raise what this returns."""
    errors.print(_plain(text), soft_wrap=True)
    return typer.Exit(code)


def say(text: str) -> None:
    """Print a line for a person, whole; it may hold a stranger's text."""
    console.print(_plain(text), soft_wrap=True)


def print_table(headings: Iterable[str], rows: Sequence[Sequence[str]], *, box: Box | None = HEAVY_HEAD) -> None:
    """Print rows for a person: nothing is cut off, and the names in the first column are not broken."""
    table = Table(*(Column(each, overflow="fold") for each in headings), box=box)
    table.columns[0].no_wrap = all(len(row[0]) <= _LONGEST_NAME for row in rows)
    for row in rows:
        table.add_row(*map(_plain, row))
    if console.is_terminal:
        console.print(table)
        return
    wide = Console(width=_UNCUT)
    with wide.capture() as printed:
        wide.print(table)
    typer.echo("\n".join(line.rstrip() for line in printed.get().splitlines()))


def _plain(text: str) -> Text:
    """Show text as it is: no markup, and characters that would steer the terminal by their names."""
    return Text("".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text))


def told_to_stop() -> asyncio.Event:
    """From now on SIGTERM and Ctrl-C set this event and do nothing else."""
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    return stop


def print_json(value: object) -> None:
    """Print for machines."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
