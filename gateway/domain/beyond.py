"""After a restore: what NewStore shows beyond the log is taken over where it can only be what became of open units."""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from .commands import Compare, Key, ReadBack, RejectionReason
from .deliveries import READ_BACK, REPORT, Operation, Parcel
from .events.calls import RecheckAsked, Reported
from .events.event import Fact
from .events.newstore import ShownBeyondLog, SurplusShown
from .events.provider import RejectionProven, UnitsCancelled, UnitsRejected, UnitsShipped
from .reports import reads_of_failures
from .requests import Request
from .units import Confirmed, Said

_WHO = "gateway"
_WHY = "released after a restore: what does NewStore show that this log lacks?"
_WORDS = {Operation.SHIP: "shipped", Operation.REJECT: "rejected", Operation.CANCEL: "cancelled"}
_REASON = RejectionReason.CANNOT_FULFILL  # which one it was, only the lost part of the log said
_ON_ITS_WAY = frozenset({Confirmed.NOT_SENT, Confirmed.SENT})


def ask(request: Request, command: Compare) -> list[Fact]:
    """Have NewStore's lists read once: all of them where units are open, else those of the reports that failed."""
    if request.closed or not (request.restored and request.is_pending):
        return []
    concerned = set(reads_of_failures(request, command.read_backs))
    if request.open_units or request.unproved_rejections:
        concerned = {READ_BACK[report] for report in command.read_backs}
    under_way = {owed.operation for owed in request.owed if owed.seq}
    return [RecheckAsked(each, _WHO, _WHY) for each in sorted(concerned - under_way)]


@dataclass(frozen=True, slots=True)
class Explained:
    """What is shown beyond the log is what became of these units of one product; of a shipment in this parcel."""

    operation: Operation
    units: tuple[int, ...]
    parcel: Parcel | None
    refusals: int
    detail: str

    def facts(self, request: Request, version: int) -> list[Fact]:
        """Say it as the provider and the report would have, after `version`: NewStore is the only other witness."""
        facts: list[Fact] = [
            ShownBeyondLog(self.operation, self.units, self.refusals, self.detail),
            *self._said(request),
        ]
        return [*facts, Reported(self.operation, version + len(facts), found=True, verifiable=True)]

    def _said(self, request: Request) -> list[Fact]:
        if self.parcel is not None:
            return [UnitsShipped(self.units, self.parcel)]
        if self.operation is Operation.CANCEL:
            return [UnitsCancelled(self.units)]
        still_open = tuple(index for index in self.units if request.units[index].said is Said.OPEN)
        rejected = [UnitsRejected(still_open, _REASON)] if still_open else []
        return [*rejected, RejectionProven(self.units, _REASON, "NewStore shows the rejection")]


def shown_beyond(
    request: Request, shown: ReadBack, ours: Counter[Key], refused: Counter[Key]
) -> Iterator[Explained | SurplusShown]:
    """Say what is shown beyond what we reported (`ours`) and what was refused of it, product by product."""
    beyond = Counter(shown.taken) - ours
    unshown = ours - Counter(shown.taken)
    for product in sorted({product for product, _, _ in (*beyond, *refused)}):
        found = _Found(
            product,
            {each: count for each, count in beyond.items() if each[0] == product},
            {each: count for each, count in refused.items() if each[0] == product},
        )
        if not _may_be_ours(found, unshown, shown):
            yield from _placed(request, shown, found)
        elif not _is_on_its_way(request, shown.operation, product):
            yield from _left_over(request, shown.operation, found, found.taken)


@dataclass(frozen=True, slots=True)
class _Found:
    """What NewStore shows of one product beyond the log."""

    product: str
    taken: dict[Key, int]
    refused: dict[Key, int]


def _may_be_ours(found: _Found, unshown: Counter[Key], shown: ReadBack) -> bool:
    """Tell whether it may be a report of ours in other words: its carrier was mapped anew, or it was refused before."""
    ours = [each for each in unshown if each[0] == found.product]
    codes = {code for _, _, code in found.taken}
    was_refused = any(each[0] == found.product for each in shown.refused)
    return bool(ours) and (was_refused or any(code in codes for _, _, code in ours))


def _placed(request: Request, shown: ReadBack, found: _Found) -> Iterator[Explained | SurplusShown]:
    units, count = _open(request, shown.operation, found.product), sum(found.taken.values())
    if count > len(units):
        yield from _left_over(request, shown.operation, found, found.taken)
        return
    start = 0
    for key, number in sorted(found.taken.items(), key=lambda item: str(item[0])):
        ours = tuple(sorted(units[start : start + number]))
        start += number
        parcel = (
            shown.spelled.get(key, Parcel(key[1] or "", key[2] or "")) if shown.operation is Operation.SHIP else None
        )
        told = _sentence(number, found.product, shown.operation, parcel)
        yield Explained(
            shown.operation, ours, parcel, found.refused.get(key, 0),
            f"NewStore showed {told}, which this log did not know: taken over after the restore",
        )  # fmt: skip
    if count < len(units):  # one of them may be what was refused, or that was one of these, sent again
        yield from _left_over(request, shown.operation, found, found.refused, " refused")


def _left_over(
    request: Request, operation: Operation, found: _Found, counts: dict[Key, int], how: str = ""
) -> Iterator[SurplusShown]:
    if counts and not request.surplus:
        count = sum(counts.values())
        told = _sentence(count, found.product, operation, None)
        detail = f"NewStore shows {told}{how}, which this log does not know and can't place"
        yield SurplusShown(operation, found.product, count, detail)


def _sentence(count: int, product: str, operation: Operation, parcel: Parcel | None) -> str:
    within = f" ({parcel.carrier} {parcel.tracking_code})" if parcel else ""
    return f"{count} {product[:200]} {_WORDS[operation]}{within}"


def _open(request: Request, operation: Operation, product: str) -> list[int]:
    """The units that may be meant: those whose rejection waits for proof, then for a shipment accepted ones first."""
    waiting: Collection[int] = request.unproved_rejections if operation is Operation.REJECT else ()
    still_open = sorted(
        request.open_units,
        key=lambda index: bool(request.units[index].accepted) is not (operation is Operation.SHIP),
    )
    return [index for index in (*waiting, *still_open) if request.units[index].product == product]


def _is_on_its_way(request: Request, operation: Operation, product: str) -> bool:
    """Tell whether a report of this product will be looked at again: what is shown may be that one in other words."""
    return any(
        unit.product == product
        and unit.reported_by
        and REPORT.get(unit.said) is operation
        and unit.confirmed in _ON_ITS_WAY
        for unit in request.units
    )
