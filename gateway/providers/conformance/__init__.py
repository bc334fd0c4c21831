"""What every adapter must do, as cases that are tried on it: the suite runs for those of this package and plug-ins."""

from .http_target import HttpTarget
from .suite import CASES, Case, Outcome, Result, attempt, conform, pair
from .target import Happening, Switch, Target

__all__ = [
    "CASES", "Case", "Happening", "HttpTarget", "Outcome", "Result", "Switch", "Target", "attempt", "conform", "pair",
]  # fmt: skip
