"""`demo`: everything on this machine."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.demo import run as demo

from .terminal import console, run

commands = typer.Typer()


@commands.command("demo")
def run_demo(
    requests: Annotated[int, typer.Option(help="How many fulfillment requests to send.", min=1)] = 50,
    until_settled: Annotated[
        bool, typer.Option("--until-settled", help="End when all are settled and proved.")
    ] = False,
    seconds: Annotated[float, typer.Option(help="Give up after this long.")] = 600.0,
    folder: Annotated[Path, typer.Option(help="Where the demo keeps its database; each start begins it anew.")] = Path(
        ".gateway/demo"
    ),
) -> None:
    """Run everything on this machine: Postgres, the gateway, a simulated NewStore and three warehouses."""
    work = (
        demo.settled(folder, requests, seconds, console) if until_settled else demo.endless(folder, requests, console)
    )
    raise typer.Exit(run(work))
