"""Compare what NewStore shows with everything we sent: cumulative counts, never "appears in the list"."""

from collections import Counter
from collections.abc import Mapping

from .commands import Key, ReadBack
from .deliveries import REPORT, Operation, Parcel
from .events import Fact, SurplusShown, UnitsProved, UnitsRefused, UnitsUnverified
from .requests import Request
from .units import Confirmed, Unit


def key(unit: Unit, operation: Operation, parcels: Mapping[int, Parcel]) -> Key:
    """Say what NewStore counts this unit by."""
    if operation is not Operation.SHIP:
        return (unit.product, None, None)
    parcel = parcels[unit.by]
    return (unit.product, parcel.carrier, parcel.tracking_code)


def compare(request: Request, shown: ReadBack) -> list[Fact]:
    """Prove or refuse the units that were sent; those proved before use up what is shown first."""
    taken = Counter(shown.taken)
    refused = Counter({each: count for each, (count, _) in shown.refused.items()})
    taken.subtract(_count(request, shown, Confirmed.PROVED))
    refused.subtract(_count(request, shown, Confirmed.REFUSED))

    proved: list[int] = []
    silent: list[int] = []
    by_reason: dict[str, list[int]] = {}
    for each, indices in _waiting(request, shown).items():
        shows, fails = max(0, taken[each]), max(0, refused[each])
        taken[each] -= min(shows, len(indices))
        proved += indices[:shows]
        if failed := indices[shows : shows + fails]:
            by_reason.setdefault(shown.refused[each][1], []).extend(failed)
        silent += [i for i in indices[shows + fails :] if request.units[i].confirmed is Confirmed.SENT]

    facts: list[Fact] = [UnitsProved(shown.operation, tuple(sorted(proved)))] if proved else []
    facts += [UnitsRefused(shown.operation, tuple(units), reason) for reason, units in by_reason.items()]
    if silent and shown.overdue:
        facts.append(UnitsUnverified(shown.operation, tuple(sorted(silent))))
    if not request.surplus:
        # A report whose outcome is not settled here may be at NewStore already: its units are no surplus.
        taken.subtract(_count(request, shown, Confirmed.NOT_SENT))
        facts += [SurplusShown(shown.operation, each[0], count) for each, count in taken.items() if count > 0]
    return facts


def _waiting(request: Request, shown: ReadBack) -> dict[Key, list[int]]:
    """The units that this read-back can still prove or refuse, by what NewStore counts them by."""
    waiting: dict[Key, list[int]] = {}
    for index, unit in enumerate(request.units):
        if _is_reported(unit, shown) and unit.confirmed in {Confirmed.SENT, Confirmed.UNVERIFIED}:
            waiting.setdefault(key(unit, shown.operation, shown.parcels), []).append(index)
    return waiting


def _count(request: Request, shown: ReadBack, confirmed: Confirmed) -> Counter[Key]:
    return Counter(
        key(unit, shown.operation, shown.parcels)
        for unit in request.units
        if _is_reported(unit, shown) and unit.confirmed is confirmed
    )


def _is_reported(unit: Unit, shown: ReadBack) -> bool:
    return unit.by > 0 and REPORT.get(unit.said) is shown.operation


def missing(request: Request, seq: int, shown: ReadBack) -> tuple[int, ...] | None:
    """Say which units of a report whose outcome is unknown never arrived, or None where counts can't decide.

    Writes to NewStore go one at a time, so what is shown beyond the earlier reports can only be this one.
    """
    expected: Counter[Key] = Counter()
    ours: dict[Key, list[int]] = {}
    for index, unit in enumerate(request.units):
        if not _is_reported(unit, shown):
            continue
        if unit.by == seq:
            ours.setdefault(key(unit, shown.operation, shown.parcels), []).append(index)
        elif unit.confirmed is not Confirmed.NOT_SENT:
            expected[key(unit, shown.operation, shown.parcels)] += 1
    absent: list[int] = []
    for each, indices in ours.items():
        seen = shown.taken.get(each, 0) + shown.refused.get(each, (0, ""))[0] - expected[each]
        if not 0 <= seen <= len(indices):
            return None
        absent += indices[seen:]
    return tuple(absent)
