"""What reports to NewStore said, and which reads tell what became of them; a redriven one repeats the one before it."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from .deliveries import READ_BACK, REPORT, Operation, Parcel
from .events.calls import Redriven
from .events.event import Event
from .events.provider import RejectionProven, UnitsCancelled, UnitsShipped
from .requests import Request
from .units import Confirmed

Report = UnitsShipped | RejectionProven | UnitsCancelled

ABOUT_PARCELS = [UnitsShipped.kind, Redriven.kind]
"""The kinds of facts that tell of parcels."""
ABOUT_REPORTS = [RejectionProven.kind, UnitsCancelled.kind, *ABOUT_PARCELS]
"""The kinds of facts that tell what reports said."""


def reports(story: Sequence[Event]) -> dict[int, Report]:
    """Give what provider or person said, by the number of each report that carries it."""
    found: dict[int, Report] = {}
    for event in story:
        if isinstance(event.fact, Report):
            found[event.version] = event.fact
        elif isinstance(event.fact, Redriven) and event.fact.was_seq in found:
            before = found[event.fact.was_seq]
            parcel = event.fact.parcel
            found[event.version] = (
                replace(before, parcel=parcel) if parcel and isinstance(before, UnitsShipped) else before
            )
    return found


def parcels(story: Sequence[Event]) -> dict[int, Parcel]:
    """Give the parcel of each report of a shipment."""
    return {seq: fact.parcel for seq, fact in reports(story).items() if isinstance(fact, UnitsShipped)}


def reads_of_failures(request: Request, read_backs: Collection[Operation]) -> Iterator[Operation]:
    """Name the reads that tell what became of reports that failed."""
    dead = {each.seq for each in request.dead}
    for unit in request.units:
        is_dead = unit.confirmed is Confirmed.NOT_SENT and unit.reported_by in dead
        if is_dead or unit.confirmed in {Confirmed.REFUSED, Confirmed.UNVERIFIED}:
            report = REPORT[unit.said]
            if report in read_backs:
                yield READ_BACK[report]
