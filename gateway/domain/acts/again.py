"""What failed: find out what became of it, or owe it once more."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from gateway.domain.commands import End
from gateway.domain.deliveries import READ_BACK, REPORT, Operation, normal
from gateway.domain.events.calls import RecheckAsked, Redriven
from gateway.domain.events.event import Fact
from gateway.domain.reports import reads_of_failures
from gateway.domain.requests import Dead, Request
from gateway.domain.units import Confirmed

from .act import CLOSED, Act, Aside, Asked

_MAY_HAVE_HAPPENED = frozenset({Operation.CREATE, *READ_BACK})
_CORRECTION = Aside(
    "Did NewStore refuse the carrier or the tracking number?",
    "What stays empty is told as before. Only a shipment that NewStore definitely refused is corrected.",
    "a carrier or tracking code corrects one request",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck(Act):
    """Find out what became of what failed, and send nothing."""

    action = "recheck"
    label = "Recheck"
    help = "Ask NewStore and the provider what became of what failed; sends nothing."
    many = "rechecks"
    among = "failed"
    consequence = "NewStore and the provider are asked what became of it; nothing is sent"

    can_look_up: bool  # its provider can be asked for our reference
    read_backs: frozenset[Operation] = frozenset(READ_BACK)  # the reports that this tenant reads back

    def decide(self, request: Request) -> list[Fact]:
        """Look at what became of the failed calls, each kind once; nothing is sent."""
        if request.closed:
            return self.declined(CLOSED)
        concerned = set(reads_of_failures(request, self.read_backs))
        if self.can_look_up and any(dead.operation is Operation.CREATE for dead in request.dead):
            concerned.add(Operation.LOOK_UP)
        if not concerned:
            return self.declined("nothing failed that can be read back or looked up: redrive or close it")
        under_way = {owed.operation for owed in request.owed if owed.seq}
        asked: list[Fact] = [RecheckAsked(each, self.who, self.reason) for each in sorted(concerned - under_way)]
        return asked or self.declined("a recheck is under way: wait for what it shows")


@dataclass(frozen=True, slots=True, kw_only=True)
class Redrive(Act):
    """Owe every dead delivery and every report that NewStore refused or never showed once more.

    A shipment that was definitely refused is told anew: its carrier as `carriers` (the provider's word -> NewStore's)
    has it by now, or with the carrier and tracking code that a person gives.
    """

    action = "redrive"
    label = "Redrive"
    help = "Send again what failed, after a look wherever it may have happened."
    asks: ClassVar[Mapping[str, Asked]] = {
        "carrier": Asked(
            question="Carrier, as NewStore calls it",
            help="Tell NewStore this carrier, where it refused.",
            most=500,
            aside=_CORRECTION,
        ),
        "tracking_code": Asked(
            question="Tracking number", help="Likewise this tracking code.", most=500, aside=_CORRECTION
        ),
    }
    many = "redrives"
    among = "failed"
    consequence = "what failed is sent again, after a look wherever it may have happened"
    needs_parcels = True

    carriers: Mapping[str, str] = field(default_factory=dict)
    carrier: str = ""
    tracking_code: str = ""

    def decide(self, request: Request) -> list[Fact]:
        """Owe what definitely did not happen as it is or corrected, all else only after a look."""
        if request.closed:
            return self.declined(CLOSED)
        dead = (self._dead(request, each) for each in request.dead if not _is_read_again(request, each))
        again = [*dead, *self._failed(request)]
        if not again:
            return self.declined("nothing failed that could be sent again: see what the request waits for")
        again.sort(key=lambda each: each.was_seq)
        if not (self.carrier or self.tracking_code):
            return [*(self._mapped(request, each) for each in again)]
        if why := self._cannot_correct(request, again):
            return self.declined(why)
        return [*(_corrected(request, each, self.carrier, self.tracking_code) for each in again)]

    def _mapped(self, request: Request, each: Redriven) -> Redriven:
        """Map the provider's carrier anew, where its settings have another word for it by now."""
        if not _is_correctable(each):
            return each
        parcel = request.parcels[each.units[0]]
        said = parcel.carrier_said or parcel.carrier
        return _corrected(request, each, self.carriers.get(normal(said), ""), "")

    def _cannot_correct(self, request: Request, again: Sequence[Redriven]) -> str:
        shipments = [each for each in again if each.operation is Operation.SHIP and each.units]
        if not shipments:
            return "no shipment failed here: a carrier or tracking code corrects nothing else"
        if not all(_is_correctable(each) for each in shipments):
            return "NewStore may have the shipment as it was told: recheck it first, and correct it once it is refused"
        codes = {request.parcels[each.units[0]].tracking_code for each in shipments}
        if self.tracking_code and len(codes) > 1:
            return f"{len(codes)} parcels were refused, and one tracking code can't be theirs: give only the carrier"
        return ""

    def _dead(self, request: Request, dead: Dead) -> Redriven:
        units = tuple(
            index
            for index, unit in enumerate(request.units)
            if unit.reported_by == dead.seq
            and unit.confirmed is Confirmed.NOT_SENT
            and REPORT.get(unit.said) is dead.operation
        )
        in_doubt = dead.end is End.UNDECIDABLE and dead.operation in _MAY_HAVE_HAPPENED
        return Redriven(dead.operation, dead.seq, units, in_doubt, self.who, self.reason)

    def _failed(self, request: Request) -> Iterator[Redriven]:
        """The reports that NewStore refused, and those it took and never showed: those may yet be there."""
        reports: dict[tuple[Operation, int], list[int]] = {}
        for index, unit in enumerate(request.units):
            if unit.confirmed in {Confirmed.REFUSED, Confirmed.UNVERIFIED}:
                reports.setdefault((REPORT[unit.said], unit.reported_by), []).append(index)
        for (operation, seq), units in reports.items():
            in_doubt = any(request.units[index].confirmed is Confirmed.UNVERIFIED for index in units)
            yield Redriven(operation, seq, tuple(units), in_doubt, self.who, self.reason)


def _corrected(request: Request, each: Redriven, carrier: str, tracking_code: str) -> Redriven:
    if not _is_correctable(each):
        return each
    parcel = request.parcels[each.units[0]].corrected(carrier, tracking_code)
    return each if parcel == request.parcels[each.units[0]] else replace(each, parcel=parcel)


def _is_correctable(each: Redriven) -> bool:
    """Tell whether it is a shipment that NewStore definitely has not: in other words it can't be there twice."""
    return each.operation is Operation.SHIP and bool(each.units) and not each.in_doubt


def _is_read_again(request: Request, dead: Dead) -> bool:
    """Tell whether a read of the order that came to nothing has been asked for anew: many reasons are one read."""
    return dead.operation is Operation.READ_ORDER and any(owed.operation is dead.operation for owed in request.owed)
