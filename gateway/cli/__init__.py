"""The command line: one module for each theme, put together here."""

import typer

from . import acts, dashboard, demo, holds, quarantine, requests, running, simulate

cli = typer.Typer(
    help="A durable gateway between NewStore and fulfillment providers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for theme in (
    running.commands,
    dashboard.commands,
    requests.commands,
    acts.commands,
    holds.commands,
    quarantine.audited,
    demo.commands,
):
    cli.add_typer(theme)
cli.add_typer(simulate.commands, name="simulate")
cli.add_typer(quarantine.commands, name="quarantine")
