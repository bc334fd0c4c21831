"""How every command runs and speaks."""

import asyncio
import signal
import sys
from collections.abc import Coroutine
from typing import Any, TypeVar

import asyncpg
import orjson
import typer
from rich.console import Console

from gateway.demo.process import GatewayEnded
from gateway.migrations import SchemaMismatch
from gateway.postgres import PostgresUnavailable
from gateway.settings import SettingsError
from gateway.telemetry import logs

T = TypeVar("T")
console = Console()
errors = Console(stderr=True)


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop; faults that a person can mend are printed without a traceback."""
    logs.setup(sys.stderr)
    try:
        import uvloop  # noqa: PLC0415 - not on Windows

        return uvloop.run(_cancelled_by_signals(main))
    except (SettingsError, SchemaMismatch, PostgresUnavailable) as error:
        raise fault(str(error), 2) from error
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
    errors.print(text, markup=False, highlight=False)
    return typer.Exit(code)


def told_to_stop() -> asyncio.Event:
    """From now on SIGTERM and Ctrl-C set this event and do nothing else."""
    stop = asyncio.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, stop.set)
    return stop


def print_json(value: object) -> None:
    """Print for machines."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
