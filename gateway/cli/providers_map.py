"""`providers map`: what the files or messages of a provider say, as settings to check and paste."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.providers import files_mapping, rest_proposal
from gateway.providers.port import Malformed

from .api import Json
from .terminal import fault, print_json, say


def map_sample(
    sample: Annotated[
        Path,
        typer.Argument(help="A file as the provider sends it, CSV or NDJSON; or one message of its API, as a .json."),
    ],
    as_json: Json = False,
) -> None:
    """Propose the settings by which files or messages like this one are read, and say what to ask the provider."""
    try:
        body = sample.read_bytes()
        is_message = sample.suffix == ".json"
        found = rest_proposal.propose(body) if is_message else files_mapping.propose(body, sample.name)
    except OSError as error:
        raise fault(f"{sample}: {error.strerror}; name a file that can be read", 2) from error
    except Malformed as malformed:
        raise fault(f"{sample}: {malformed}", 1) from malformed
    if as_json:
        print_json(found.told)
        return
    say(found.toml)
    for note in found.notes:
        say(f"# NOTE: {note}")
