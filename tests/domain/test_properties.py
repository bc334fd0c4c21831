"""Random lives of a request, held against what must always be true."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.acts.again import Recheck, Redrive
from gateway.domain.acts.ending import Close, DiscardReports
from gateway.domain.acts.leaving import RejectByHand, Reroute
from gateway.domain.acts.messages import Discard
from gateway.domain.acts.story import Note, Take
from gateway.domain.commands import (
    AfterGrace,
    Assign,
    CallEnded,
    CallTaken,
    Deadline,
    End,
    Key,
    OnBackorder,
    OnProviderCancel,
    ProviderSaid,
    ReadBack,
    RejectionReason,
    Word,
)
from gateway.domain.decide import Command
from gateway.domain.deliveries import NEWSTORE, READ_BACK, REVERSALS, Delivery, Operation, Parcel, normal
from gateway.domain.events.assignment import ProviderAssigned, RequestReceived
from gateway.domain.events.calls import Redriven, Reported, ReportRefused
from gateway.domain.events.event import Event, Fact
from gateway.domain.events.newstore import UnitsRefused
from gateway.domain.events.people import Declined, UnitsReopened
from gateway.domain.events.provider import RejectionProven, UnitsAccepted, UnitsCancelled, UnitsRejected, UnitsShipped
from gateway.domain.evolve import evolve
from gateway.domain.handle import handle
from gateway.domain.proof import Unclear, missing
from gateway.domain.reports import parcels
from gateway.domain.requests import STATUS_NEXT, Request
from gateway.domain.units import CONFIRMED_NEXT, SAID_NEXT, Confirmed, Said, from_text, to_text
from gateway.domain.waiting import waiting_for
from tests.requests import AT, overdue, receive, said

from .steps import after, ended, parcel_of, ship, shown, taken

PRODUCTS = ("A", "B", "C")
PARCELS = (Parcel("UPS", "1Z1"), Parcel("UPS", "1Z2"))
REPORTS = {read: report for report, read in READ_BACK.items()}


@st.composite
def messages(draw: st.DrawFn, number: int) -> ProviderSaid:
    counted = st.dictionaries(st.sampled_from((*PRODUCTS, "X")), st.integers(1, 3), min_size=1)
    cause = draw(st.sampled_from([f"acme:{number}", f"acme:{number // 2}"]))
    return ProviderSaid(
        request_id="r-1",
        at=AT + timedelta(seconds=number),
        provider=draw(st.sampled_from(["acme", "acme", "acme", "beta"])),
        cause=cause,
        fingerprint=draw(st.sampled_from([cause, "other"])),
        word=draw(st.sampled_from([*Word, None])),
        items=draw(st.none() | counted),
        reason=draw(st.sampled_from([*RejectionReason, None])),
        parcel=draw(st.sampled_from([*PARCELS, None])),
        is_proof=draw(st.booleans()),
        is_hint=draw(st.sampled_from([False, False, False, True])),
        on_cancel=draw(st.sampled_from(OnProviderCancel)),
        on_backorder=draw(st.sampled_from(OnBackorder)),
    )


@st.composite
def settlements(draw: st.DrawFn, request: Request, story: list[Event], number: int) -> Command:
    """How one of the calls that may go out now went."""
    owed = draw(st.sampled_from([*request.ready, *passing(request)]))
    at = AT + timedelta(seconds=number)
    if owed.operation in REPORTS:
        keys: list[Key] = (
            [(each, normal(parcel.carrier), normal(parcel.tracking_code)) for each in PRODUCTS for parcel in PARCELS]
            if owed.operation is Operation.READ_SHIPMENT
            else [(product, None, None) for product in PRODUCTS]
        )
        counts = st.dictionaries(st.sampled_from(keys), st.integers(1, 3))
        return ReadBack(
            request_id="r-1",
            at=at,
            operation=REPORTS[owed.operation],
            attempt=number,
            taken=draw(counts),
            refused={key: (count, "no") for key, count in draw(counts).items()},
            parcels=parcels(story),
            overdue=draw(st.booleans()),
            seq=owed.seq,
        )
    if draw(st.integers(0, 4)):
        return CallTaken(
            request_id="r-1",
            at=at,
            operation=owed.operation,
            seq=owed.seq,
            attempt=number,
            found=draw(st.booleans()),
            accepts=draw(st.booleans()),
            verifiable=draw(st.booleans()),
            proof="204",
        )
    return CallEnded(
        request_id="r-1",
        at=at,
        operation=owed.operation,
        seq=owed.seq,
        attempt=number,
        end=draw(st.sampled_from(End)),
        detail="",
    )


def passing(request: Request) -> list[Delivery]:
    """What may go before a rejection or cancellation that is held back."""
    writes = [owed for owed in request.owed if owed.destination == NEWSTORE and not owed.is_read]
    return [owed for owed in writes if owed.operation not in REVERSALS][:1]


@st.composite
def late_outcomes(draw: st.DrawFn, number: int) -> Command:
    """The outcome of a call that may be settled already, or never was owed."""
    operation, seq = draw(st.sampled_from(Operation)), draw(st.integers(0, 9))
    at = AT + timedelta(seconds=number)
    if draw(st.booleans()):
        return CallTaken(request_id="r-1", at=at, operation=operation, seq=seq, attempt=number)
    end = draw(st.sampled_from(End))
    return CallEnded(request_id="r-1", at=at, operation=operation, seq=seq, attempt=number, end=end, detail="")


@st.composite
def acts(draw: st.DrawFn, request: Request, number: int) -> Command:
    """What a person does about it."""
    told: dict[str, Any] = {
        "request_id": "r-1",
        "at": AT + timedelta(seconds=number),
        "who": "ada",
        "action_id": f"{number // draw(st.sampled_from([1, 1, 2]))}",
        "reason": "",
    }
    stop: dict[str, Any] = {
        "can_withdraw": draw(st.booleans()),
        "provider_stopped": draw(st.sampled_from(["", "", "phoned"])),
    }
    made: list[Command] = [
        Redrive(**told),
        Redrive(**told),
        Recheck(**told, can_look_up=draw(st.booleans())),
        Note(**told | {"reason": "seen"}),
        Take(**told),
        Reroute(**told, **stop, to=draw(st.sampled_from(["acme", "beta", "gamma"]))),
        RejectByHand(**told, **stop, rejection_reason=draw(st.sampled_from(RejectionReason))),
        DiscardReports(**told),
        Discard(**told, message=f"acme:{draw(st.integers(0, number))}"),
    ]
    if request.version > 12:  # a request that is closed early has a dull life
        made.append(Close(**told))
    return draw(st.sampled_from(made))


@st.composite
def times(draw: st.DrawFn, request: Request, number: int) -> Command:
    """The provider had its time for something, and maybe an earlier one."""
    provider, assignment = draw(st.sampled_from([(request.provider or "acme", request.assignment), ("acme", 1)]))
    deadline, can_read = draw(st.sampled_from(Deadline)), draw(st.booleans())
    at = AT + timedelta(seconds=number)
    told = overdue(provider, assignment, deadline=deadline, can_read=can_read, at=at)
    if deadline is not Deadline.BACKORDER:
        return told
    return replace(told, after=draw(st.sampled_from(AfterGrace)), can_withdraw=draw(st.booleans()))


def commands(request: Request, story: list[Event], number: int) -> st.SearchStrategy[Command]:
    assign = Assign(request_id="r-1", at=AT + timedelta(seconds=number), provider="acme")
    happens: list[st.SearchStrategy[Command]] = [messages(number), messages(number), late_outcomes(number)]
    happens.append(times(request, number))
    happens += [acts(request, number)] * (3 if request.failure else 1)
    if request.ready:
        happens += [settlements(request, story, number)] * 3
    return st.one_of(*happens, st.just(assign))


def check_step(before: Request, after: Request, facts: list[Fact]) -> None:
    is_redriven = any(isinstance(fact, Redriven) for fact in facts)
    is_rerouted = any(isinstance(fact, ProviderAssigned) for fact in facts)
    reopened = {index for fact in facts if isinstance(fact, UnitsReopened) for index in fact.units}
    for index, (was, now) in enumerate(zip(before.units, after.units, strict=True)):
        assert was.product == now.product
        assert was.said is now.said or now.said in SAID_NEXT[was.said]
        assert (was.said is not Said.OPEN and now.said is Said.OPEN) is (index in reopened)
        assert was.confirmed is now.confirmed or is_reached(was.confirmed, now.confirmed)
        assert was.accepted in {0, now.accepted} or is_rerouted
        assert was.reported_by in {0, now.reported_by} or is_redriven or (now.reported_by == 0 and index in reopened)
        assert was.refusals <= now.refusals
    assert before.status is after.status or after.status in STATUS_NEXT[before.status] or reopened
    assert before.settled_at is None or after.settled_at == before.settled_at
    if any(isinstance(fact, Declined) for fact in facts):
        assert replace(after, version=before.version, causes=before.causes) == before
    check_state(after)


def is_reached(was: Confirmed, now: Confirmed) -> bool:
    """One legal move, or two: a report that was found is sent and then proved or refused."""
    return now in CONFIRMED_NEXT[was] or (was is Confirmed.NOT_SENT and now in CONFIRMED_NEXT[Confirmed.SENT])


def check_state(request: Request) -> None:
    reads = [(owed.destination, owed.operation, owed.seq > 0) for owed in request.owed if owed.is_read]
    assert len(reads) == len(set(reads))
    assert len(request.owed) == len(set(request.owed))
    heads = Counter(owed.destination for owed in request.ready if not owed.is_read)
    assert all(count == 1 for count in heads.values())
    assert set(heads) == {owed.destination for owed in request.owed if not owed.is_read}
    others = [owed for owed in request.owed if owed.operation is not Operation.READ_ORDER]
    assert not (request.closed and (others or request.dead or request.is_pending))
    assert {owed.destination for owed in others} <= {NEWSTORE, request.provider}
    assert {owed.destination for owed in request.owed} <= {NEWSTORE, request.provider, *request.former}
    assert request.is_pending is (request.settled_at is None)
    assert (waiting_for(request) is not None) is (request.is_pending or request.failure is not None)
    assert from_text([unit.product for unit in request.units], to_text(request.units)) == request.units


def check_story(products: list[str], story: list[Event], owed: Counter[Operation]) -> None:
    """What was told of units and what that owed, counted from the log alone."""
    told = Counter(
        index
        for e in story
        if isinstance(e.fact, UnitsShipped | UnitsRejected | UnitsCancelled)
        for index in e.fact.units
    )
    assert set(told) <= set(range(len(products)))
    told.subtract(index for e in story if isinstance(e.fact, UnitsReopened) for index in e.fact.units)
    assert all(count in {0, 1} for count in told.values())
    facts = Counter(type(event.fact) for event in story)
    again = Counter(event.fact.operation for event in story if isinstance(event.fact, Redriven))
    assert owed[Operation.SHIP] == facts[UnitsShipped] + again[Operation.SHIP]
    assert owed[Operation.REJECT] == facts[RejectionProven] + again[Operation.REJECT]
    assert owed[Operation.CANCEL] == facts[UnitsCancelled] + again[Operation.CANCEL]
    assert owed[Operation.ACKNOWLEDGE] == min(1, facts[UnitsAccepted]) + again[Operation.ACKNOWLEDGE]
    assigned = [
        e.fact.provider for e in story if isinstance(e.fact, RequestReceived | ProviderAssigned) and e.fact.provider
    ]
    assert len(assigned) == len(set(assigned))
    check_repeats(story)


def check_repeats(story: list[Event]) -> None:
    """No unit is reported a second time without a definite refusal, or a look at NewStore first."""
    reports: dict[int, set[int]] = {}
    reported: set[int] = set()
    doubted: set[int] = set()
    for event in story:
        fact, seq = event.fact, event.version
        if isinstance(fact, UnitsShipped | RejectionProven | UnitsCancelled):
            reports[seq] = set(fact.units)
        elif isinstance(fact, Redriven):
            reports[seq] = set(fact.units)
            reports[fact.was_seq] = reports.get(fact.was_seq, set()) - reports[seq]
            doubted |= reports[seq] if fact.in_doubt else set()
        elif isinstance(fact, UnitsReopened):
            assert not set(fact.units) & (reported | doubted)
        elif isinstance(fact, ReportRefused):
            reported -= reports[fact.seq]
        elif isinstance(fact, UnitsRefused):
            reported -= set(fact.units)
        elif isinstance(fact, Reported):
            assert not reported & (reports[fact.seq] - doubted)
            reported |= reports[fact.seq]
            doubted -= reports[fact.seq]


@settings(deadline=None)
@given(st.data())
def test_whatever_happens_the_state_is_the_fold_of_legal_moves(data: st.DataObject) -> None:
    products = data.draw(st.lists(st.sampled_from(PRODUCTS), min_size=1, max_size=5))
    request, story = handle(
        None, receive("r-1", *products, provider=data.draw(st.sampled_from(["acme", "acme", None])))
    )
    assert request is not None
    owed: Counter[Operation] = Counter()
    for number in range(data.draw(st.integers(1, 25))):
        command = data.draw(commands(request, story, number))
        after, events = handle(request, command)
        assert after is not None
        check_step(request, after, [event.fact for event in events])
        assert handle(after, command) == (after, [])
        if isinstance(command, ProviderSaid) and command.provider != request.provider and not command.is_hint:
            assert (after.units, after.owed) == (request.units, request.owed)
        if not (after.closed and not request.closed):
            owed.update(each.operation for each in set(after.owed) - set(request.owed))
        story += events
        request = after
    check_story(products, story, owed)
    folded: Request | None = None
    for event in story:
        folded = evolve("r-1", folded, event)
    assert folded == request


@settings(deadline=None)
@given(
    earlier=st.lists(st.sampled_from(["proved", "refused by its answer", "refused later"]), max_size=3),
    units=st.integers(1, 3),
    data=st.data(),
)
def test_what_is_sent_again_is_never_more_than_what_did_not_arrive(
    earlier: list[str], units: int, data: st.DataObject
) -> None:
    """Every report carries the same product and parcel; the outcome of the last is unknown."""
    request = taken(after(receive("r-1", *["A"] * (len(earlier) + units)), said(Word.ACCEPTED)), Operation.ACKNOWLEDGE)
    at_newstore, not_there = 0, 0
    for number, outcome in enumerate(earlier):
        request = after(ship(f"s-{number}", A=1), start=request)
        if outcome == "refused by its answer":
            request = ended(request, Operation.SHIP, End.REFUSED)
            continue
        request = taken(request, Operation.SHIP)
        at_newstore += outcome == "proved"
        not_there += outcome == "refused later"
        request = after(look(request, at_newstore, not_there), start=request)
    request = after(ship("last", A=units), start=request)
    arrived = data.draw(st.integers(0, units))
    failed = data.draw(st.integers(0, units - arrived))
    absent = missing(request, request.version, look(request, at_newstore + arrived, not_there + failed))
    assert isinstance(absent, Unclear) or len(absent) == units - arrived - failed
    if "refused by its answer" not in earlier and "refused later" not in earlier:
        assert not isinstance(absent, Unclear)


def look(request: Request, took: int, refused: int) -> ReadBack:
    return shown(
        request, {parcel_of("A"): took} if took else {}, {parcel_of("A"): (refused, "no")} if refused else None
    )
