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
    waiting: dict[Key, list[int]] = {}
    for index, unit in enumerate(request.units):
        if REPORT.get(unit.said) is not shown.operation:
            continue
        if unit.confirmed is Confirmed.PROVED:
            taken[key(unit, shown.operation, shown.parcels)] -= 1
        elif unit.confirmed is Confirmed.REFUSED:
            refused[key(unit, shown.operation, shown.parcels)] -= 1
        elif unit.confirmed in {Confirmed.SENT, Confirmed.UNVERIFIED}:
            waiting.setdefault(key(unit, shown.operation, shown.parcels), []).append(index)

    proved: list[int] = []
    unverified: list[int] = []
    by_reason: dict[str, list[int]] = {}
    for each, indices in waiting.items():
        shows, fails = max(0, taken[each]), max(0, refused[each])
        taken[each] -= min(shows, len(indices))
        proved += indices[:shows]
        if fails:
            by_reason.setdefault(shown.refused[each][1], []).extend(indices[shows : shows + fails])
        unverified += [i for i in indices[shows + fails :] if request.units[i].confirmed is Confirmed.SENT]

    facts: list[Fact] = []
    if proved:
        facts.append(UnitsProved(shown.operation, tuple(sorted(proved))))
    facts += [UnitsRefused(shown.operation, tuple(units), reason) for reason, units in by_reason.items() if units]
    if unverified and shown.overdue:
        facts.append(UnitsUnverified(shown.operation, tuple(sorted(unverified))))
    if not request.surplus:
        sent_keys = _sent_elsewhere(request, shown)
        facts += [
            SurplusShown(shown.operation, each[0], count - sent_keys[each])
            for each, count in taken.items()
            if count > sent_keys[each]
        ]
    return facts


def missing(request: Request, seq: int, shown: ReadBack) -> tuple[int, ...] | None:
    """Say which units of a report whose outcome is unknown never arrived, or None where counts can't decide.

    Writes to NewStore go one at a time, so what is shown beyond the earlier reports can only be this one.
    """
    expected: Counter[Key] = Counter()
    ours: dict[Key, list[int]] = {}
    for index, unit in enumerate(request.units):
        if REPORT.get(unit.said) is not shown.operation or not unit.by:
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


def _sent_elsewhere(request: Request, shown: ReadBack) -> Counter[Key]:
    """Units whose report may be at NewStore although its outcome is not settled here: they are no surplus."""
    return Counter(
        key(unit, shown.operation, shown.parcels)
        for unit in request.units
        if REPORT.get(unit.said) is shown.operation and unit.by and unit.confirmed is Confirmed.NOT_SENT
    )
