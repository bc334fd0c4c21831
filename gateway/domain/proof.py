"""Compare what NewStore shows with everything we sent: cumulative counts, never "appears in the list"."""

from collections import Counter
from collections.abc import Collection, Mapping
from itertools import chain

from .commands import Key, ReadBack
from .deliveries import REPORT, Operation, Parcel
from .events import Fact, SurplusShown, UnitsProved, UnitsRefused, UnitsUnverified
from .requests import Request
from .units import SETTLED, Confirmed, Unit


def key(unit: Unit, operation: Operation, parcels: Mapping[int, Parcel]) -> Key:
    """Say what NewStore counts this unit by."""
    if operation is not Operation.SHIP:
        return (unit.product, None, None)
    parcel = parcels[unit.by]
    return (unit.product, parcel.carrier, parcel.tracking_code)


def compare(request: Request, shown: ReadBack) -> list[Fact]:
    """Prove or refuse the units that were sent; those settled before use up what is shown first."""
    if not shown.taken and not shown.refused:  # also of a read-back that failed, whose parcels nobody looked up
        return _silent(request, shown, heard=())
    taken = Counter(shown.taken)
    refused = Counter({each: count for each, (count, _) in shown.refused.items()})
    taken.subtract(_count(request, shown, SETTLED))
    refused.subtract(_count(request, shown, {Confirmed.REFUSED}))

    proved: list[int] = []
    by_reason: dict[str, list[int]] = {}
    for each, indices in _waiting(request, shown).items():
        shows, fails = max(0, taken[each]), max(0, refused[each])
        taken[each] -= min(shows, len(indices))
        proved += indices[:shows]
        if failed := indices[shows : shows + fails]:
            by_reason.setdefault(shown.refused[each][1], []).extend(failed)

    facts: list[Fact] = [UnitsProved(shown.operation, tuple(sorted(proved)))] if proved else []
    facts += [UnitsRefused(shown.operation, tuple(sorted(units)), reason) for reason, units in by_reason.items()]
    facts += _silent(request, shown, heard={*proved, *chain.from_iterable(by_reason.values())})
    if not request.surplus:
        # What was reported and is not settled here, or was answered with a refusal, may be at NewStore all the same.
        taken.subtract(_count(request, shown, {Confirmed.NOT_SENT, Confirmed.REFUSED}))
        facts += [SurplusShown(shown.operation, each[0], count) for each, count in taken.items() if count > 0]
    return facts


def _silent(request: Request, shown: ReadBack, heard: Collection[int]) -> list[Fact]:
    """The units that NewStore took and never showed, once the time-box for showing them has passed."""
    units = tuple(
        index
        for index, unit in enumerate(request.units)
        if _is_reported(unit, shown) and unit.confirmed is Confirmed.SENT and index not in heard
    )
    return [UnitsUnverified(shown.operation, units)] if units and shown.overdue else []


def _waiting(request: Request, shown: ReadBack) -> dict[Key, list[int]]:
    """The units that this read-back can still prove or refuse, by what NewStore counts them by."""
    waiting: dict[Key, list[int]] = {}
    for index, unit in enumerate(request.units):
        if _is_reported(unit, shown) and unit.confirmed in {Confirmed.SENT, Confirmed.UNVERIFIED}:
            waiting.setdefault(key(unit, shown.operation, shown.parcels), []).append(index)
    return waiting


def _count(request: Request, shown: ReadBack, confirmed: Collection[Confirmed]) -> Counter[Key]:
    return Counter(
        key(unit, shown.operation, shown.parcels)
        for unit in request.units
        if _is_reported(unit, shown) and unit.confirmed in confirmed
    )


def _is_reported(unit: Unit, shown: ReadBack) -> bool:
    return unit.by > 0 and REPORT.get(unit.said) is shown.operation


def missing(request: Request, seq: int, shown: ReadBack) -> tuple[int, ...] | None:
    """Say which units of a report whose outcome is unknown never arrived, or None where counts can't decide.

    Writes to NewStore go one at a time, so what is shown beyond the earlier reports can only be this one.
    """
    ours: dict[Key, list[int]] = {}
    for index, unit in enumerate(request.units):
        if _is_reported(unit, shown) and unit.by == seq:
            ours.setdefault(key(unit, shown.operation, shown.parcels), []).append(index)
    earlier = _count(request, shown, {Confirmed.SENT, Confirmed.UNVERIFIED, *SETTLED})
    refused_before = _count(request, shown, {Confirmed.REFUSED})
    absent: list[int] = []
    for each, indices in ours.items():
        fails = shown.refused.get(each, (0, ""))[0]
        seen = shown.taken.get(each, 0) + fails - earlier[each]
        # A report refused by its own answer is never shown, one refused later is: whose these are can't be told.
        is_unclear = fails > 0 and refused_before[each] > 0
        if is_unclear or not 0 <= seen <= len(indices):
            return None
        absent += indices[seen:]
    return tuple(absent)
