"""Compare what NewStore shows with everything we sent: cumulative counts, never "appears in the list"."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from .beyond import Explained, shown_beyond
from .commands import Key, ReadBack
from .deliveries import READ_BACK, REPORT, Operation, Parcel, normal
from .events.calls import Rechecked, Reported
from .events.event import Fact
from .events.newstore import SurplusShown, UnitsProved, UnitsRefused, UnitsUnverifiable, UnitsUnverified
from .requests import Request
from .units import SETTLED, Confirmed, Unit


class Unclear(Enum):
    """Why counts don't say which units of a report never arrived."""

    NOT_YET = "an earlier report of the same units is not shown yet"
    NEVER = "NewStore shows other units than were sent: only a person can tell what happened"


def key(unit: Unit, operation: Operation, parcels: Mapping[int, Parcel]) -> Key:
    """Say what NewStore counts this unit by."""
    if operation is not Operation.SHIP:
        return (unit.product, None, None)
    parcel = parcels[unit.reported_by]
    return (unit.product, normal(parcel.carrier), normal(parcel.tracking_code))


@dataclass(slots=True)
class _Unexplained:
    """What is shown and belongs to none of the units looked at so far."""

    taken: Counter[Key]
    refused: Counter[Key]

    def explain(self, each: Key) -> Confirmed | None:
        for counts, confirmed in ((self.taken, Confirmed.PROVED), (self.refused, Confirmed.REFUSED)):
            if counts[each] > 0:
                counts[each] -= 1
                return confirmed
        return None

    def copy(self) -> "_Unexplained":
        return _Unexplained(self.taken.copy(), self.refused.copy())


@dataclass(frozen=True, slots=True)
class _Arrived:
    """The reports that died and are there all the same, the units that are told of again, and what is left then."""

    reports: tuple[int, ...]
    units: Mapping[int, Confirmed]
    left: _Unexplained


def compare(request: Request, shown: ReadBack) -> list[Fact]:
    """Prove or refuse the units that were sent; those settled before use up what is shown first.

    A recheck also looks at what is refused, and at reports that died: whole ones that are shown did arrive.
    """
    if request.closed or (shown.seq and not request.owes(READ_BACK[shown.operation], shown.seq)):
        return []
    if shown.seq and not shown.answered and request.is_cut_off:
        return []  # asked again until there is an answer: what it waits for may be there
    if not shown.exists:
        return [*_unverifiable(request, shown), *_rechecked(shown, {})]
    if not shown.taken and not shown.refused:  # also of a read-back that failed, whose parcels nobody looked up
        return [*_silent(request, shown, heard=()), *_rechecked(shown, {})]
    left = _Unexplained(Counter(shown.taken), Counter({each: count for each, (count, _) in shown.refused.items()}))
    left.taken.subtract(_count(request, shown, SETTLED))
    left.refused.subtract(_refusals(request, shown) + _answered(request, shown))

    found: dict[int, Confirmed] = {}
    for index, unit in _counted(request, shown, {Confirmed.SENT, Confirmed.UNVERIFIED}):
        if confirmed := left.explain(key(unit, shown.operation, shown.parcels)):
            found[index] = confirmed
    arrived = _died_and_arrived(request, shown, left) if shown.seq else _Arrived((), {}, left)
    found |= arrived.units
    left = arrived.left

    facts: list[Fact] = [Reported(shown.operation, seq, found=True, verifiable=True) for seq in arrived.reports]
    beyond = _beyond(request, shown, left) if _knows_all(request, shown) else []
    for fact in beyond:
        if isinstance(fact, Explained):
            found |= dict.fromkeys(fact.units, Confirmed.PROVED)
            facts += fact.facts(request, request.version + len(facts))
    facts += _told(request, shown, found)
    facts += _silent(request, shown, heard=found)
    facts += [fact for fact in beyond if isinstance(fact, SurplusShown)]
    return [*facts, *_rechecked(shown, found)]


def _beyond(request: Request, shown: ReadBack, left: _Unexplained) -> list[Explained | SurplusShown]:
    """What is shown and was not reported; what is refused or not sent, as far as we know, may be there all the same."""
    ours = _count(request, shown, frozenset(Confirmed))
    if request.restored:
        return list(shown_beyond(request, shown, ours, left.refused - _count(request, shown, {Confirmed.NOT_SENT})))
    surplus = Counter(shown.taken) - ours if not request.surplus else {}
    return [SurplusShown(shown.operation, each[0], count) for each, count in surplus.items()]


def _died_and_arrived(request: Request, shown: ReadBack, left: _Unexplained) -> _Arrived:
    """Explain the rest of what is shown by reports that died, then by units that were refused."""
    dead = [each.seq for each in request.dead if each.operation is shown.operation]
    reports: dict[int, list[tuple[int, Key]]] = {seq: [] for seq in dead}
    rest = left.copy()
    for index, unit in _counted(request, shown, {Confirmed.NOT_SENT}):
        each = key(unit, shown.operation, shown.parcels)
        if unit.reported_by in reports:
            reports[unit.reported_by].append((index, each))
        else:
            rest.taken[each] -= 1  # its report may be on the way right now
    arrived: list[int] = []
    found: dict[int, Confirmed] = {}
    for seq, units in reports.items():
        trial = rest.copy()
        told = {index: trial.explain(each) for index, each in units}
        explained = {index: confirmed for index, confirmed in told.items() if confirmed}
        if units and len(explained) == len(units):
            arrived.append(seq)
            found |= explained
            rest = trial
    for index, unit in _counted(request, shown, {Confirmed.REFUSED}):
        each = key(unit, shown.operation, shown.parcels)
        if rest.taken[each] > 0:
            rest.taken[each] -= 1
            found[index] = Confirmed.PROVED
    return _Arrived(tuple(arrived), found, rest)


def _told(request: Request, shown: ReadBack, found: Mapping[int, Confirmed]) -> Iterator[Fact]:
    proved = tuple(sorted(index for index, confirmed in found.items() if confirmed is Confirmed.PROVED))
    if proved:
        yield UnitsProved(shown.operation, proved)
    by_reason: dict[str, list[int]] = {}
    for index, confirmed in found.items():
        if confirmed is Confirmed.REFUSED:
            _, reason = shown.refused[key(request.units[index], shown.operation, shown.parcels)]
            by_reason.setdefault(reason, []).append(index)
    for reason, units in by_reason.items():
        yield UnitsRefused(shown.operation, tuple(sorted(units)), reason)


def _rechecked(shown: ReadBack, found: Mapping[int, Confirmed]) -> list[Fact]:
    if not shown.seq:
        return []
    counts = Counter(found.values())
    outcome = f"{counts[Confirmed.PROVED]} proved, {counts[Confirmed.REFUSED]} refused"
    if not shown.exists:
        outcome = "NewStore shows such reports nowhere"
    return [Rechecked(READ_BACK[shown.operation], shown.seq, outcome if shown.answered else "no answer")]


def _unverifiable(request: Request, shown: ReadBack) -> list[Fact]:
    units = tuple(
        index
        for index, unit in enumerate(request.units)
        if _is_reported(unit, shown) and unit.confirmed in {Confirmed.SENT, Confirmed.UNVERIFIED}
    )
    return [UnitsUnverifiable(shown.operation, units)] if units else []


def _silent(request: Request, shown: ReadBack, heard: Collection[int]) -> list[Fact]:
    """The units that NewStore took and never showed, once the time-box for showing them has passed."""
    units = tuple(
        index
        for index, unit in enumerate(request.units)
        if _is_reported(unit, shown) and unit.confirmed is Confirmed.SENT and index not in heard
    )
    is_over = shown.overdue and not shown.seq  # a recheck has a time-box of its own, which says nothing of the units
    return [UnitsUnverified(shown.operation, units)] if units and is_over else []


def _counted(request: Request, shown: ReadBack, confirmed: Collection[Confirmed]) -> Iterator[tuple[int, Unit]]:
    """The reported units of this kind; of shipments those whose parcel was known when NewStore was asked."""
    for index, unit in enumerate(request.units):
        is_known = shown.operation is not Operation.SHIP or unit.reported_by in shown.parcels
        if _is_reported(unit, shown) and unit.confirmed in confirmed and is_known:
            yield index, unit


def _count(request: Request, shown: ReadBack, confirmed: Collection[Confirmed]) -> Counter[Key]:
    return Counter(key(unit, shown.operation, shown.parcels) for _, unit in _counted(request, shown, confirmed))


def _refusals(request: Request, shown: ReadBack) -> Counter[Key]:
    """What NewStore's list of failures has shown before, of units that were sent again since too."""
    counts = Counter[Key]()
    for _, unit in _counted(request, shown, frozenset(Confirmed)):
        counts[key(unit, shown.operation, shown.parcels)] += unit.refusals
    return counts


def _answered(request: Request, shown: ReadBack) -> Counter[Key]:
    """The units of reports that were refused by their own answer: as far as we know, those are never shown."""
    units = (unit for _, unit in _counted(request, shown, {Confirmed.REFUSED}) if not unit.refusals)
    return Counter(key(unit, shown.operation, shown.parcels) for unit in units)


def _knows_all(request: Request, shown: ReadBack) -> bool:
    """Tell whether no report of this kind is younger than the look at NewStore."""
    counted = sum(1 for _ in _counted(request, shown, frozenset(Confirmed)))
    return counted == sum(_is_reported(unit, shown) for unit in request.units)


def _is_reported(unit: Unit, shown: ReadBack) -> bool:
    return unit.reported_by > 0 and REPORT.get(unit.said) is shown.operation


def missing(request: Request, seq: int, shown: ReadBack) -> tuple[int, ...] | Unclear:
    """Say which units of a report whose outcome is unknown never arrived, or why counts can't tell.

    Writes to NewStore go one at a time, so what is shown beyond the earlier reports can only be this one, or equal
    units of others that are in doubt as well: whichever they were, as many are there. While an earlier one is not
    proved, fewer than all of them may mean either.
    """
    ours: dict[Key, list[int]] = {}
    doubted = Counter[Key]()
    in_doubt = {owed.seq for owed in request.owed if owed.operation is shown.operation and owed.in_doubt}
    for index, unit in _counted(request, shown, {Confirmed.NOT_SENT}):
        each = key(unit, shown.operation, shown.parcels)
        if unit.reported_by == seq:
            ours.setdefault(each, []).append(index)
        elif unit.reported_by in in_doubt:
            doubted[each] += 1
    sent, unverified = _count(request, shown, {Confirmed.SENT}), _count(request, shown, {Confirmed.UNVERIFIED})
    earlier = _count(request, shown, SETTLED) + sent + unverified
    refusals, answered = _refusals(request, shown), _answered(request, shown)
    if _is_shown_elsewhere(request, shown, ours):
        return Unclear.NEVER
    absent: list[int] = []
    for each, indices in ours.items():
        fails = shown.refused.get(each, (0, ""))[0] - refusals[each]
        seen = shown.taken.get(each, 0) + fails - earlier[each]
        # A report refused by its own answer is never shown, one refused later is: whose these are can't be told.
        is_unclear = fails > 0 and answered[each] > 0
        if is_unclear or seen > len(indices) + doubted[each]:
            return Unclear.NEVER
        if seen < len(indices) and (sent[each] or unverified[each]):
            return Unclear.NEVER if unverified[each] else Unclear.NOT_YET
        if seen < 0:
            return Unclear.NEVER
        absent += indices[seen:]
    return tuple(absent)


def _is_shown_elsewhere(request: Request, shown: ReadBack, ours: Collection[Key]) -> bool:
    """Tell whether one of these products is shown in a parcel that nobody sent: ours, maybe, under another spelling."""
    products = {product for product, _, _ in ours}
    strange = Counter(shown.taken) - _count(request, shown, frozenset(Confirmed))
    return any(each[0] in products and each not in ours for each in strange)
