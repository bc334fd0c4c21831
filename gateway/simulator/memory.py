"""How far back a simulator's record goes, so that a long run does not fill the memory."""

from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
KEEP = 20_000
"""Attempts, and requests or orders that are over; the open ones are all kept."""


def forget_oldest(kept: dict[str, T], is_over: Callable[[T], bool], most: int) -> T | None:
    """When there are more than `most`, remove the oldest that is over and return it."""
    if len(kept) <= most:
        return None
    over = next((key for key, each in kept.items() if is_over(each)), None)
    return None if over is None else kept.pop(over)
