"""What a person can have done where the gateway must not go on by itself."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from .commands import Act, Close, Discard, DiscardReports, End, Note, Recheck, Redrive, Take
from .deliveries import READ_BACK, REPORT, REVERSALS, Operation, normal
from .events.calls import RecheckAsked, Redriven
from .events.event import Fact
from .events.messages import QuarantineLeft
from .events.people import Closed, Declined, Noted, TakenOver, UnitsReopened
from .requests import Dead, Request
from .units import Confirmed, Said

_MAY_HAVE_HAPPENED = frozenset({Operation.CREATE, *READ_BACK})
CLOSED = "the request is closed: nothing is done for it any more"


def redrive(request: Request, act: Redrive) -> list[Fact]:
    """Owe what failed once more: what definitely did not happen as it is or corrected, all else only after a look."""
    if request.closed:
        return declined(act, CLOSED)
    again = [*(_dead(request, dead, act) for dead in request.dead), *_failed(request, act)]
    if not again:
        return declined(act, "nothing failed that could be sent again: see what the request waits for")
    again.sort(key=lambda each: each.was_seq)
    if not (act.carrier or act.tracking_code):
        return [*(_mapped(request, each, act) for each in again)]
    if why := _cannot_correct(request, again, act):
        return declined(act, why)
    return [*(_corrected(request, each, act.carrier, act.tracking_code) for each in again)]


def _mapped(request: Request, each: Redriven, act: Redrive) -> Redriven:
    """Map the provider's carrier anew, where its settings have another word for it by now."""
    if not _is_correctable(each):
        return each
    parcel = request.parcels[each.units[0]]
    said = parcel.carrier_said or parcel.carrier
    return _corrected(request, each, act.carriers.get(normal(said), ""), "")


def _corrected(request: Request, each: Redriven, carrier: str, tracking_code: str) -> Redriven:
    if not _is_correctable(each):
        return each
    parcel = request.parcels[each.units[0]].corrected(carrier, tracking_code)
    return each if parcel == request.parcels[each.units[0]] else replace(each, parcel=parcel)


def _is_correctable(each: Redriven) -> bool:
    """Tell whether it is a shipment that NewStore definitely has not: in other words it can't be there twice."""
    return each.operation is Operation.SHIP and bool(each.units) and not each.in_doubt


def _cannot_correct(request: Request, again: Sequence[Redriven], act: Redrive) -> str:
    shipments = [each for each in again if each.operation is Operation.SHIP and each.units]
    if not shipments:
        return "no shipment failed here: a carrier or tracking code corrects nothing else"
    if not all(_is_correctable(each) for each in shipments):
        return "NewStore may have the shipment as it was told: recheck it first, and correct it once it is refused"
    codes = {request.parcels[each.units[0]].tracking_code for each in shipments}
    if act.tracking_code and len(codes) > 1:
        return f"{len(codes)} parcels were refused, and one tracking code can't be theirs: give only the carrier"
    return ""


def _dead(request: Request, dead: Dead, act: Redrive) -> Redriven:
    units = tuple(
        index
        for index, unit in enumerate(request.units)
        if unit.reported_by == dead.seq
        and unit.confirmed is Confirmed.NOT_SENT
        and REPORT.get(unit.said) is dead.operation
    )
    in_doubt = dead.end is End.UNDECIDABLE and dead.operation in _MAY_HAVE_HAPPENED
    return Redriven(dead.operation, dead.seq, units, in_doubt, act.who, act.reason)


def _failed(request: Request, act: Redrive) -> Iterator[Redriven]:
    """The reports that NewStore refused, and those it took and never showed: those may yet be there."""
    reports: dict[tuple[Operation, int], list[int]] = {}
    for index, unit in enumerate(request.units):
        if unit.confirmed in {Confirmed.REFUSED, Confirmed.UNVERIFIED}:
            reports.setdefault((REPORT[unit.said], unit.reported_by), []).append(index)
    for (operation, seq), units in reports.items():
        in_doubt = any(request.units[index].confirmed is Confirmed.UNVERIFIED for index in units)
        yield Redriven(operation, seq, tuple(units), in_doubt, act.who, act.reason)


def recheck(request: Request, act: Recheck) -> list[Fact]:
    """Look at what became of the failed calls, each kind once; nothing is sent."""
    if request.closed:
        return declined(act, CLOSED)
    concerned = set(reads_of_failures(request, act.read_backs))
    if act.can_look_up and any(dead.operation is Operation.CREATE for dead in request.dead):
        concerned.add(Operation.LOOK_UP)
    if not concerned:
        return declined(act, "nothing failed that can be read back or looked up: redrive or close it")
    under_way = {owed.operation for owed in request.owed if owed.seq}
    asked: list[Fact] = [RecheckAsked(each, act.who, act.reason) for each in sorted(concerned - under_way)]
    return asked or declined(act, "a recheck is under way: wait for what it shows")


def reads_of_failures(request: Request, read_backs: Collection[Operation]) -> Iterator[Operation]:
    """Name the reads that tell what became of reports that failed."""
    dead = {each.seq for each in request.dead}
    for unit in request.units:
        is_dead = unit.confirmed is Confirmed.NOT_SENT and unit.reported_by in dead
        if is_dead or unit.confirmed in {Confirmed.REFUSED, Confirmed.UNVERIFIED}:
            report = REPORT[unit.said]
            if report in read_backs:
                yield READ_BACK[report]


def close(request: Request, act: Close) -> list[Fact]:
    """End what is left of the request: a person has settled it elsewhere."""
    if request.closed:
        return declined(act, "the request is closed already")
    if not request.is_pending and request.failure is None:
        return declined(act, "the request is settled and nothing is wrong with it")
    return [Closed(act.who, act.reason)]


def discard_reports(request: Request, act: DiscardReports) -> list[Fact]:
    """Take back what was rejected or cancelled, as long as NewStore can't have been told of it."""
    owed = [each for each in request.owed if each.operation in REVERSALS]
    reports = tuple(each.seq for each in owed)
    units = tuple(
        index
        for index, unit in enumerate(request.units)
        if unit.said in {Said.REJECTED, Said.CANCELLED} and unit.reported_by in {0, *reports}
    )
    if request.closed:
        return declined(act, CLOSED)
    if request.withdrawn or request.withdrawal:
        return declined(act, f"{request.provider} was told to stop: it does not ship these units any more")
    if not all(each.is_unsent for each in owed) or any(request.units[index].refusals for index in units):
        return declined(act, "NewStore may have been told: release what holds it back, and see what is shown there")
    if not units:
        return declined(act, "nothing that was rejected or cancelled waits to be told to NewStore")
    return [UnitsReopened(units, reports, act.who, act.reason)]


def note(_: Request, act: Note) -> list[Fact]:
    return [Noted(act.who, act.text)]


def take(_: Request, act: Take) -> list[Fact]:
    return [TakenOver(act.who)]


def discard(_: Request, act: Discard) -> list[Fact]:
    """Let a message go that nobody will apply."""
    return [QuarantineLeft("discarded", act.message, act.who, act.reason)]


def declined(act: Act, why: str) -> list[Fact]:
    """Say why what a person commanded can't be done."""
    return [Declined(act.who, act.action, why)]
