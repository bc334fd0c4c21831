"""How a warehouse behaves: what it makes of an order, and how badly it answers."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from gateway.simulator.served import JSON

REASONS = ("no_inventory", "cannot_fulfill")


@dataclass(frozen=True, slots=True)
class Temperament:
    """Shares run from 0 to 1: of units for `rejects`, `cancels` and `lacks`, of orders for `says_backwards`.

    All others are of calls. What it lacks it tells as a back order, and ships it later.
    `faults_in_a_row` bounds the calls of one order that go wrong, so that none waits for hours by bad luck alone.
    """

    pause: tuple[float, float] = (0.001, 0.005)
    parcels: int = 1
    rejects: float = 0.0
    cancels: float = 0.0
    lacks: float = 0.0
    says_twice: float = 0.0
    says_backwards: float = 0.0
    too_many_requests: float = 0.0
    error_before: float = 0.0
    error_after: float = 0.0
    hangs_after: float = 0.0
    hang_seconds: float = 30.0
    retry_after: int = 1
    faults_in_a_row: int | None = None


TEMPERAMENTS = {
    "quick": Temperament(),
    "short_of_stock": Temperament(pause=(0.1, 0.5), lacks=0.3),
    "slow_and_partial": Temperament(pause=(0.1, 0.5), parcels=3, rejects=0.2),
    "flaky": Temperament(
        pause=(0.005, 0.05),
        parcels=2,
        rejects=0.1,
        says_twice=0.3,
        says_backwards=0.3,
        too_many_requests=0.1,
        error_before=0.1,
        error_after=0.1,
        hangs_after=0.05,
        hang_seconds=3.0,
        faults_in_a_row=2,
    ),
}


NOT_FINAL = frozenset({"accepted", "backordered"})
"""What is said of units that are still open then."""


@dataclass(slots=True, eq=False)
class Unit:
    """One thing on the shelf; `open` until the warehouse has decided and said so."""

    product_id: str
    status: str = "open"
    parcel: str | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One thing the warehouse does to some units, and then says."""

    becomes: str
    units: tuple[Unit, ...]
    reason: str | None = None
    shipment: JSON | None = None


def plan(units: list[Unit], carrier: str, temperament: Temperament, source: random.Random) -> list[Step]:
    """Every unit ends in exactly one step besides those of `NOT_FINAL`, so nothing is shipped or rejected twice."""
    parcels: dict[str, list[Unit]] = {}
    rejected: dict[str, list[Unit]] = {}
    cancelled: list[Unit] = []
    labels = [f"1Z{source.getrandbits(52):016d}" for _ in range(temperament.parcels)]
    for unit in units:
        mark = source.random()
        if mark < temperament.rejects:
            rejected.setdefault(source.choice(REASONS), []).append(unit)
        elif mark < temperament.rejects + temperament.cancels:
            cancelled.append(unit)
        else:
            parcels.setdefault(source.choice(labels), []).append(unit)
    steps = [Step("rejected", tuple(some), reason=reason) for reason, some in rejected.items()]
    steps += [Step("cancelled", tuple(cancelled))] if cancelled else []
    steps += [Step("shipped", tuple(some), shipment=_shipment(carrier, label)) for label, some in parcels.items()]
    ships = [unit for some in parcels.values() for unit in some]
    if lacking := tuple(unit for unit in ships if temperament.lacks and source.random() < temperament.lacks):
        steps.insert(0, Step("backordered", lacking))
    if len(parcels) + bool(cancelled):
        steps.insert(0, Step("accepted", tuple(units)))
    return _told(steps, temperament, source)


def _told(steps: list[Step], temperament: Temperament, source: random.Random) -> list[Step]:
    if source.random() < temperament.says_backwards:
        steps.reverse()
    for at in range(len(steps), 0, -1):
        if source.random() < temperament.says_twice:
            steps.insert(source.randint(at, len(steps)), steps[at - 1])
    return steps


def _shipment(carrier: str, label: str) -> JSON:
    return {"carrier": carrier, "tracking_number": label, "tracking_url": f"https://carrier.example/t/{label}"}


def statuses(units: Iterable[Unit]) -> dict[str, dict[str, int]]:
    """Units per status and product id, for whoever compares two records."""
    counted: dict[str, dict[str, int]] = {}
    for unit in units:
        products = counted.setdefault(unit.status, {})
        products[unit.product_id] = products.get(unit.product_id, 0) + 1
    return counted
