"""Secrets given to a command: by reference as in gateway.toml, or made for this run."""

import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import typer

from gateway.settings import references
from gateway.settings.kinds import InvalidValue, Source

T = TypeVar("T")
OR_MADE = "env:NAME or file:PATH; without it one is made and printed."


@dataclass(frozen=True, slots=True)
class Key:
    """A secret, what gateway.toml has to say for it, and the variable to set for one that was made."""

    value: str
    reference: str
    made_for: str = ""


def key(option: str, reference: str, subject: str, *, signs: bool = False) -> Key:
    """Fetch the secret that an option refers to, or make one; the subject names its variable."""
    if not reference:
        variable = re.sub(r"\W", "_", subject, flags=re.ASCII).upper()
        variable = f"_{variable}" if variable[0].isdigit() else variable
        return Key(secrets.token_urlsafe(24), f"env:{variable}", variable)
    source = Source(Path.cwd(), os.environ)
    secret = fit(option, partial(references.signing_key if signs else references.key, source=source), reference)
    scheme, _, name = reference.partition(":")
    return Key(secret.reveal(), f"file:{Path(name).absolute()}" if scheme == "file" else reference)


def fit(option: str, kind: Callable[[object], T], value: object) -> T:
    """Read an option as gateway.toml would."""
    try:
        return kind(value)
    except InvalidValue as unfit:
        raise typer.BadParameter(f"{option}: {unfit}") from None
