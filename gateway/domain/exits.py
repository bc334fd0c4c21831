"""What a person can have done where the gateway must not go on by itself."""

from collections.abc import Collection, Iterator

from .commands import Act, Close, Discard, DiscardReports, End, Note, Recheck, Redrive, Take
from .deliveries import READ_BACK, REPORT, REVERSALS, Operation
from .events import Closed, Declined, Fact, Noted, QuarantineLeft, RecheckAsked, Redriven, TakenOver, UnitsReopened
from .requests import Dead, Request
from .units import Confirmed, Said

_MAY_HAVE_HAPPENED = frozenset({Operation.CREATE, *READ_BACK})
CLOSED = "the request is closed: nothing is done for it any more"


def redrive(request: Request, act: Redrive) -> list[Fact]:
    """Owe what failed once more: what definitely did not happen as it is, all else only after a look."""
    if request.closed:
        return declined(act, CLOSED)
    again = [*(_dead(request, dead, act) for dead in request.dead), *_failed(request, act)]
    if not again:
        return declined(act, "nothing failed that could be sent again: see what the request waits for")
    return [*sorted(again, key=lambda each: each.was_seq)]


def _dead(request: Request, dead: Dead, act: Redrive) -> Redriven:
    units = tuple(
        index
        for index, unit in enumerate(request.units)
        if unit.by == dead.seq and unit.confirmed is Confirmed.NOT_SENT and REPORT.get(unit.said) is dead.operation
    )
    in_doubt = dead.end is End.UNDECIDABLE and dead.operation in _MAY_HAVE_HAPPENED
    return Redriven(dead.operation, dead.seq, units, in_doubt, act.who, act.reason)


def _failed(request: Request, act: Redrive) -> Iterator[Redriven]:
    """The reports that NewStore refused, and those it took and never showed: those may yet be there."""
    reports: dict[tuple[Operation, int], list[int]] = {}
    for index, unit in enumerate(request.units):
        if unit.confirmed in {Confirmed.REFUSED, Confirmed.UNVERIFIED}:
            reports.setdefault((REPORT[unit.said], unit.by), []).append(index)
    for (operation, seq), units in reports.items():
        in_doubt = any(request.units[index].confirmed is Confirmed.UNVERIFIED for index in units)
        yield Redriven(operation, seq, tuple(units), in_doubt, act.who, act.reason)


def recheck(request: Request, act: Recheck) -> list[Fact]:
    """Look at what became of the failed calls, each kind once; nothing is sent."""
    if request.closed:
        return declined(act, CLOSED)
    concerned = set(_reads(request, act.read_backs))
    if act.can_look_up and any(dead.operation is Operation.CREATE for dead in request.dead):
        concerned.add(Operation.LOOK_UP)
    if not concerned:
        return declined(act, "nothing failed that can be read back or looked up: redrive or close it")
    under_way = {owed.operation for owed in request.owed if owed.seq}
    asked: list[Fact] = [RecheckAsked(each, act.who, act.reason) for each in sorted(concerned - under_way)]
    return asked or declined(act, "a recheck is under way: wait for what it shows")


def _reads(request: Request, read_backs: Collection[Operation]) -> Iterator[Operation]:
    dead = {each.seq for each in request.dead}
    for unit in request.units:
        is_dead = unit.confirmed is Confirmed.NOT_SENT and unit.by in dead
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
        if unit.said in {Said.REJECTED, Said.CANCELLED} and unit.by in {0, *reports}
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
