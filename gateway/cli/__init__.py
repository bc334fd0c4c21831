"""The command line: one module for each theme, put together here."""

from importlib.metadata import version
from typing import Annotated

import typer

from . import (
    acts,
    dashboard,
    demo,
    holds,
    init,
    mappings,
    providers,
    quarantine,
    requests,
    running,
    settings,
    simulate,
    tokens,
)

cli = typer.Typer(
    help="A durable gateway between NewStore and fulfillment providers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for theme in (
    init.commands,
    running.commands,
    dashboard.commands,
    requests.commands,
    acts.commands,
    holds.commands,
    quarantine.audited,
    demo.commands,
):
    cli.add_typer(theme)


def _say_version(asked: bool) -> None:  # noqa: FBT001 - as typer gives it
    if asked:
        typer.echo(version("newstore-fulfillment-gateway"))
        raise typer.Exit


@cli.callback()
def _begin(
    _: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None: ...


cli.add_typer(simulate.commands, name="simulate")
cli.add_typer(quarantine.commands, name="quarantine")
cli.add_typer(mappings.commands, name="mappings")
cli.add_typer(settings.commands, name="settings")
cli.add_typer(tokens.commands, name="token")
cli.add_typer(providers.commands, name="providers")
