"""`demo`: everything on this machine."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated

import typer

from gateway.children import dies_with_us
from gateway.demo import run as demo

from . import dashboard
from .terminal import console, fault, run

commands = typer.Typer()


@commands.command("demo")
def run_demo(
    requests: Annotated[int, typer.Option(help="How many fulfillment requests to send.", min=1)] = 50,
    until_settled: Annotated[
        bool, typer.Option("--until-settled", help="End when all are settled and proved.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="Give up after this long.")] = 600.0,
    port: Annotated[int, typer.Option(help="Where the dashboard listens, if its extra is installed.")] = 8501,
    all_providers: Annotated[
        bool, typer.Option("--all-providers", help="With a DC on each adapter: seven warehouses.")
    ] = False,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its database; each start begins it anew.")] = Path(
        ".gateway/demo"
    ),
) -> None:
    """Run everything on this machine: Postgres, the gateway, a simulated NewStore and four warehouses."""
    if until_settled:
        raise typer.Exit(run(demo.settled(folder, requests, seconds, console, all_providers=all_providers)))
    beside = _dashboard(folder, port)
    raise typer.Exit(run(demo.endless(folder, requests, console, beside, all_providers=all_providers)))


def _dashboard(folder: Path, port: int) -> demo.Beside:
    """Serve the dashboard beside the demo, signed in by itself, where the extra is installed."""

    @contextmanager
    def beside(url: str, token: str) -> Iterator[str]:
        if not dashboard.is_installed():
            yield f"not installed: {dashboard.MISSING}"
            return
        at = _free(port)
        words = [*dies_with_us("TERM"), *dashboard.command("127.0.0.1", at)]
        environ = dashboard.environ(url, GATEWAY_DASHBOARD_TOKEN=token, GATEWAY_DASHBOARD_DEMO="1")
        with (folder / "dashboard.log").open("wb") as log:
            child = subprocess.Popen(words, env=environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603
        try:
            yield f"http://127.0.0.1:{at}"
        finally:
            child.terminate()
            child.wait()

    return beside


def _free(port: int) -> int:
    """Give the port, or another one where somebody listens there."""
    for wanted in (port, 0):
        with socket.socket() as listening, suppress(OSError):
            listening.bind(("127.0.0.1", wanted))
            found: int = listening.getsockname()[1]
            return found
    raise fault("no port is free for the dashboard", 1)
