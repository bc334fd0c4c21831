"""Who may come in, and which of two keys was used."""

from typing import Literal

from gateway.telemetry import metrics

Door = Literal["locations", "providers", "operators"]
"""Where the settings name who may come in."""


def count_use(door: Door, name: str, which: int) -> None:
    """Count which of two keys was used, so that a person sees when nobody needs the old one any more."""
    metrics.of(metrics.KEYS_USED, door, name, str(which)).inc()
