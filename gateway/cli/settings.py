"""`settings schema` and `settings reference`: what gateway.toml may say."""

import typer

from gateway.providers import SETTINGS
from gateway.settings.reference import reference
from gateway.settings.schema import schema

from .terminal import print_json

commands = typer.Typer(help="What gateway.toml may say, for editors and people.", no_args_is_help=True)


@commands.command("schema")
def print_schema() -> None:
    """Print the JSON schema of gateway.toml: an editor then completes keys and marks faults."""
    print_json(schema(SETTINGS))


@commands.command("reference")
def print_reference() -> None:
    """Print the page of all keys, in Markdown."""
    typer.echo(reference(SETTINGS), nl=False)
