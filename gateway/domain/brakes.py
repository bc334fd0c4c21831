"""When a location's rejections and cancellations are held back until a person has looked."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Brake:
    """More than `units`, and more than `share` of all units said final, rejected or cancelled within `seconds`."""

    units: int = 20
    share: float = 0.3
    seconds: float = 900.0
