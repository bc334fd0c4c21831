"""What a person can do about a request, and what that may never do."""

import itertools
from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.acts.again import Recheck, Redrive
from gateway.domain.acts.ending import Close, DiscardReports
from gateway.domain.acts.leaving import RejectByHand, Reroute
from gateway.domain.acts.messages import Discard
from gateway.domain.acts.story import Note, Take
from gateway.domain.commands import CallTaken, End, OnProviderCancel, ProviderSaid, Word, replayed
from gateway.domain.deliveries import NEWSTORE, Delivery, Operation
from gateway.domain.events.calls import RecheckAsked, Redriven, Reported
from gateway.domain.events.messages import CallbackRefused, QuarantineLeft
from gateway.domain.events.newstore import UnitsProved
from gateway.domain.events.people import Closed, Declined, UnitsReopened
from gateway.domain.events.provider import UnitsShipped
from gateway.domain.handle import handle
from gateway.domain.proof import Unclear, missing
from gateway.domain.reports import parcels, reports
from gateway.domain.requests import Dead, Request
from gateway.domain.units import Confirmed, Said
from gateway.domain.waiting import waiting_for
from gateway.domain.withdrawal import never_reached
from tests.requests import AT, PARCEL, receive, said

from .steps import (
    NO_STOCK,
    after,
    ended,
    events,
    looked_up,
    names,
    operations,
    parcel_of,
    reject,
    ship,
    shown,
    stopped,
    taken,
)  # fmt: skip

_numbers = itertools.count()


def _asked() -> dict[str, Any]:
    return {
        "request_id": "r-1", "at": AT, "who": "ada", "action_id": f"a-{next(_numbers)}", "reason": "phoned the DC",
    }  # fmt: skip


def redrive() -> Redrive:
    return Redrive(**_asked())


def recheck(*, can_look_up: bool = True, read_backs: frozenset[Operation] | None = None) -> Recheck:
    command = Recheck(**_asked(), can_look_up=can_look_up)
    return command if read_backs is None else replace(command, read_backs=read_backs)


def close() -> Close:
    return Close(**_asked())


def note() -> Note:
    return Note(**_asked() | {"reason": "the second parcel was stopped at the gate"})


def discard() -> DiscardReports:
    return DiscardReports(**_asked())


def why_declined(request: Request, act: Redrive | Recheck | Close | DiscardReports) -> str:
    """Why a command is declined; it changes nothing but the story."""
    (event,) = events(request, act)
    assert isinstance(event.fact, Declined)
    assert (event.fact.who, event.fact.action) == ("ada", act.action)
    declined = after(act, start=request)
    assert replace(declined, version=request.version, causes=request.causes) == request
    return event.fact.why


def acknowledged() -> Request:
    return taken(taken(after(receive(), said(Word.ACCEPTED)), Operation.CREATE), Operation.ACKNOWLEDGE)


def refused_by_answer() -> Request:
    return ended(after(ship(), start=acknowledged()), Operation.SHIP, End.REFUSED)


def sent() -> Request:
    return taken(after(ship(), start=acknowledged()), Operation.SHIP)


def refused_by_read_back() -> Request:
    request = sent()
    return after(shown(request, {parcel_of("TEE"): 1}, {parcel_of("CAP"): (1, "no")}), start=request)


def unverified() -> Request:
    request = sent()
    return after(shown(request, {}, overdue=True), start=request)


def dead(end: End) -> Request:
    return ended(after(ship(), start=acknowledged()), Operation.SHIP, end)


def dead_create(end: End) -> Request:
    return ended(after(receive()), Operation.CREATE, end)


def owed(request: Request, operation: Operation) -> Delivery:
    return next(each for each in request.owed if each.operation is operation)


# Redrive


def test_a_refused_shipment_is_owed_again_under_the_number_of_the_redrive() -> None:
    request = refused_by_answer()
    was = request.units[0].reported_by
    again = after(redrive(), start=request)
    assert [event.fact for event in events(request, redrive())] == [
        Redriven(Operation.SHIP, was, (0, 1), in_doubt=False, who="ada", reason="phoned the DC")
    ]
    assert [(unit.confirmed, unit.reported_by) for unit in again.units] == [(Confirmed.NOT_SENT, again.version)] * 2
    assert owed(again, Operation.SHIP) == Delivery(NEWSTORE, Operation.SHIP, again.version)
    assert owed(again, Operation.SHIP).is_unsent
    assert again.failure is None


def test_of_a_shipment_refused_in_part_only_the_refused_units_are_sent_again() -> None:
    again = after(redrive(), start=refused_by_read_back())
    assert [unit.confirmed for unit in again.units] == [Confirmed.PROVED, Confirmed.NOT_SENT]
    assert again.units[0].reported_by < again.units[1].reported_by == again.version


def test_a_redriven_unit_is_not_refused_by_the_entry_of_its_first_refusal() -> None:
    request = taken(after(redrive(), start=refused_by_read_back()), Operation.SHIP)
    old = {parcel_of("CAP"): (1, "no")}
    assert events(request, shown(request, {parcel_of("TEE"): 1}, old)) == []
    assert names(request, shown(request, {parcel_of("TEE"): 1, parcel_of("CAP"): 1}, old)) == ["UnitsProved"]
    again = after(shown(request, {parcel_of("TEE"): 1}, {parcel_of("CAP"): (2, "no")}), start=request)
    assert again.units[1].confirmed is Confirmed.REFUSED
    assert again.failure == "refused"


def test_what_may_be_at_newstore_starts_in_doubt() -> None:
    assert owed(after(redrive(), start=dead(End.UNDECIDABLE)), Operation.SHIP).in_doubt
    assert owed(after(redrive(), start=unverified()), Operation.SHIP).in_doubt
    assert not owed(after(redrive(), start=dead(End.EXHAUSTED)), Operation.SHIP).in_doubt
    assert not owed(after(redrive(), start=refused_by_answer()), Operation.SHIP).in_doubt


def test_of_a_report_never_shown_only_what_is_still_missing_is_sent_again() -> None:
    request = after(redrive(), start=unverified())
    seq = owed(request, Operation.SHIP).seq
    assert missing(request, seq, shown(request, {})) == (0, 1)
    assert missing(request, seq, shown(request, {parcel_of("TEE"): 1})) == (1,)


def test_a_dead_delivery_is_owed_again_and_no_longer_dead() -> None:
    request = dead(End.UNDECIDABLE)
    assert request.dead == (Dead(Operation.SHIP, request.units[0].reported_by, End.UNDECIDABLE),)
    again = after(redrive(), start=request)
    assert again.dead == ()
    assert {unit.reported_by for unit in again.units} == {again.version}


@pytest.mark.parametrize("end", [End.REFUSED, End.EXHAUSTED, End.UNDECIDABLE])
def test_a_dead_create_is_sent_again_and_looked_up_first_where_it_may_have_arrived(end: End) -> None:
    again = after(redrive(), start=dead_create(end))
    create = owed(again, Operation.CREATE)
    assert (create.destination, create.seq, create.in_doubt) == ("acme", again.version, end is End.UNDECIDABLE)
    assert again.failure is None


def test_a_dead_acknowledgement_is_sent_again_without_a_look() -> None:
    request = ended(after(receive(), said(Word.ACCEPTED)), Operation.ACKNOWLEDGE, End.UNDECIDABLE)
    assert not owed(after(redrive(), start=request), Operation.ACKNOWLEDGE).in_doubt


def test_a_dead_read_back_is_read_again_as_the_one_of_its_kind() -> None:
    request = after(redrive(), start=ended(sent(), Operation.READ_SHIPMENT, End.REFUSED))
    assert operations(request) == [Operation.READ_SHIPMENT]
    assert request.owed[0].seq == 0


def test_reports_are_sent_again_in_their_order() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", A=1))
    for operation in (Operation.ACKNOWLEDGE, Operation.SHIP, Operation.SHIP):
        request = ended(request, operation, End.REFUSED)
    facts = [event.fact for event in events(request, redrive())]
    numbers = [fact.was_seq for fact in facts if isinstance(fact, Redriven)]
    assert len(numbers) == 3
    assert numbers == sorted(numbers)


def test_nothing_is_redriven_where_nothing_failed() -> None:
    assert "nothing failed" in why_declined(acknowledged(), redrive())
    assert "closed" in why_declined(after(close(), start=acknowledged()), redrive())


def test_the_same_command_twice_is_obeyed_once() -> None:
    request, command = refused_by_answer(), redrive()
    assert events(after(command, start=request), command) == []


def test_a_redriven_report_is_found_by_its_new_number() -> None:
    request, story = handle(None, receive())
    request, new = handle(request, ship())
    assert request is not None
    story += new
    was = request.units[0].reported_by
    for number in (1, 2):
        request = ended(request, Operation.SHIP, End.REFUSED)
        story += [replace(story[-1], version=request.version, fact=Declined("", "", ""))]
        request, new = handle(request, redrive())
        assert request is not None
        story += new
        assert reports(story)[request.version] == reports(story)[was] == UnitsShipped((0, 1), PARCEL)
        assert len(parcels(story)) == number + 1
        assert parcels(story)[request.version] == PARCEL


# Recheck


def test_a_recheck_reads_each_kind_once_and_sends_nothing() -> None:
    request = ended(after(reject("CAP"), start=after(ship(TEE=1), start=acknowledged())), Operation.SHIP, End.REFUSED)
    request = ended(request, Operation.REJECT, End.UNDECIDABLE)
    asked = after(recheck(), start=request)
    assert {(each.operation, each.seq) for each in asked.owed} == {
        (Operation.READ_SHIPMENT, asked.version),
        (Operation.READ_REJECTION, asked.version - 1),
    }
    assert asked.units == request.units
    assert "under way" in why_declined(asked, recheck())


def test_a_refused_unit_that_is_shown_after_all_is_proved() -> None:
    request = after(recheck(), start=refused_by_answer())
    look = shown(request, {parcel_of("TEE"): 1}, recheck=True)
    assert names(request, look) == ["UnitsProved", "Rechecked"]
    looked = after(look, start=request)
    assert [unit.confirmed for unit in looked.units] == [Confirmed.PROVED, Confirmed.REFUSED]
    assert looked.owed == ()


def test_an_unverified_unit_that_is_shown_by_now_is_proved_and_one_refused_is_refused() -> None:
    request = after(recheck(), start=unverified())
    looked = after(shown(request, {parcel_of("TEE"): 1}, {parcel_of("CAP"): (1, "no")}, recheck=True), start=request)
    assert [unit.confirmed for unit in looked.units] == [Confirmed.PROVED, Confirmed.REFUSED]


def test_a_dead_report_that_is_shown_whole_did_arrive() -> None:
    request = after(recheck(), start=dead(End.UNDECIDABLE))
    look = shown(request, {parcel_of("TEE"): 1, parcel_of("CAP"): 1}, recheck=True)
    seq = request.units[0].reported_by
    assert [event.fact for event in events(request, look)][:2] == [
        Reported(Operation.SHIP, seq, found=True, verifiable=True),
        UnitsProved(Operation.SHIP, (0, 1)),
    ]
    arrived = after(look, start=request)
    assert (arrived.failure, arrived.dead, arrived.owed, arrived.is_pending) == (None, (), (), False)


def test_a_dead_report_that_is_shown_in_part_stays_dead_until_it_is_redriven() -> None:
    request = after(recheck(), start=dead(End.UNDECIDABLE))
    looked = after(shown(request, {parcel_of("TEE"): 1}, recheck=True), start=request)
    assert looked.units == request.units
    assert looked.failure == "dead_ship"
    again = after(redrive(), start=looked)
    assert missing(again, again.version, shown(again, {parcel_of("TEE"): 1})) == (1,)


def test_a_recheck_gives_no_unit_what_a_report_on_its_way_may_have_done() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", A=1))
    request = ended(taken(request, Operation.ACKNOWLEDGE), Operation.SHIP, End.REFUSED)
    request = after(recheck(), start=request)
    assert names(request, shown(request, {parcel_of("A"): 1}, recheck=True)) == ["Rechecked"]


def test_a_recheck_that_shows_nothing_ends_all_the_same() -> None:
    request = after(recheck(), start=refused_by_answer())
    look = shown(request, {}, overdue=True, recheck=True)
    assert names(request, look) == ["Rechecked"]
    assert after(look, start=request).owed == ()
    assert events(after(look, start=request), replace(look, at=AT)) == []


def test_a_recheck_calls_no_unit_unverified() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", A=1))
    request = ended(taken(request, Operation.ACKNOWLEDGE), Operation.SHIP, End.REFUSED)
    request = after(recheck(), start=taken(request, Operation.SHIP))
    assert names(request, shown(request, {}, overdue=True, recheck=True)) == ["Rechecked"]


def test_a_dead_create_that_the_provider_has_is_submitted() -> None:
    request = after(recheck(), start=dead_create(End.UNDECIDABLE))
    assert owed(request, Operation.LOOK_UP).destination == "acme"
    found = looked_up(request, found=True)
    assert (found.failure, found.dead, found.owed, found.submitted_at) == (None, (), (), AT)


def test_a_dead_create_that_the_provider_never_had_is_known_to_be_absent() -> None:
    absent = looked_up(after(recheck(), start=dead_create(End.UNDECIDABLE)), found=False)
    assert absent.dead == (Dead(Operation.CREATE, 1, End.ABSENT),)
    assert not owed(after(redrive(), start=absent), Operation.CREATE).in_doubt


def test_a_look_up_without_an_answer_ends_and_leaves_everything_as_it_was() -> None:
    request = after(recheck(), start=dead_create(End.UNDECIDABLE))
    given_up = ended(request, Operation.LOOK_UP, End.EXHAUSTED)
    assert given_up.dead == request.dead
    assert given_up.owed == ()


def test_what_nobody_can_be_asked_about_is_not_rechecked() -> None:
    cannot = recheck(can_look_up=False)
    assert "nothing failed that can be" in why_declined(dead_create(End.UNDECIDABLE), cannot)
    off = recheck(read_backs=frozenset({Operation.REJECT}))
    assert "nothing failed that can be" in why_declined(refused_by_answer(), off)
    assert "nothing failed that can be" in why_declined(acknowledged(), recheck())
    assert "closed" in why_declined(after(close(), start=refused_by_answer()), recheck())


def test_a_recheck_says_who_asked() -> None:
    (event,) = events(refused_by_answer(), recheck())
    assert event.fact == RecheckAsked(Operation.READ_SHIPMENT, "ada", "phoned the DC")
    assert event.cause.startswith("person:a-")


# Discard


def rejected() -> Request:
    return after(reject("CAP"), start=acknowledged())


def cancelled() -> Request:
    return after(said(Word.CANCELLED, on_cancel=OnProviderCancel.CANCEL), start=acknowledged())


def unproved() -> Request:
    return after(said(Word.REJECTED, reason=NO_STOCK, is_proof=False), start=acknowledged())


@pytest.mark.parametrize("request_", [rejected(), cancelled(), unproved()])
def test_what_newstore_was_never_told_is_open_again_and_may_ship(request_: Request) -> None:
    undone = after(discard(), start=request_)
    assert [(unit.said, unit.reported_by) for unit in undone.units] == [(Said.OPEN, 0)] * 2
    assert (undone.owed, undone.failure, undone.is_rejected) == ((), None, False)
    assert waiting_for(undone) == waiting_for(acknowledged())

    shipped = after(ship(), start=undone)
    assert [unit.said for unit in shipped.units] == [Said.SHIPPED] * 2
    assert operations(shipped) == [Operation.SHIP]


def test_a_discard_says_who_took_back_which_reports_and_why() -> None:
    request = after(said(Word.CANCELLED, event="c", on_cancel=OnProviderCancel.CANCEL), start=rejected())
    reports = tuple(each.seq for each in request.owed)
    (event,) = events(request, discard())
    assert event.fact == UnitsReopened((0, 1), reports, "ada", "phoned the DC")


def test_a_discard_leaves_what_shipped_as_it_is() -> None:
    undone = after(discard(), start=after(ship(TEE=1), start=rejected()))
    assert [unit.said for unit in undone.units] == [Said.SHIPPED, Said.OPEN]
    assert operations(undone) == [Operation.SHIP]


@pytest.mark.parametrize("how", ["in_doubt", "in_flight"])
def test_nothing_is_discarded_that_newstore_may_have_been_told(how: str) -> None:
    request = rejected()
    (report,) = request.owed
    begun = replace(request, owed=(replace(report, in_doubt=how == "in_doubt", in_flight=how == "in_flight"),))
    assert "may have been told" in why_declined(begun, discard())
    assert "nothing that was rejected" in why_declined(taken(request, Operation.REJECT), discard())


def test_a_rejection_that_newstore_refused_before_is_not_discarded() -> None:
    request = taken(rejected(), Operation.REJECT)
    refused = after(shown(request, {}, {("CAP", None, None): (1, "no")}, operation=Operation.REJECT), start=request)
    assert "may have been told" in why_declined(after(redrive(), start=refused), discard())


def test_nothing_is_discarded_of_an_order_that_was_withdrawn_or_closed() -> None:
    by_hand = RejectByHand(**_asked(), rejection_reason=NO_STOCK, can_withdraw=True, provider_stopped="")
    asked = after(by_hand, start=rejected())
    assert "acme was told to stop" in why_declined(asked, discard())
    assert "acme was told to stop" in why_declined(stopped(asked), discard())
    assert "closed" in why_declined(after(close(), start=rejected()), discard())
    assert "nothing that was rejected" in why_declined(acknowledged(), discard())


def test_an_order_that_was_never_sent_and_rejected_by_hand_is_open_for_a_provider_again() -> None:
    parked = after(receive(provider=None))
    by_hand = RejectByHand(**_asked(), rejection_reason=NO_STOCK, can_withdraw=False)
    undone = after(discard(), start=after(by_hand, start=parked))
    assert (undone.units, undone.submitted_at) == (parked.units, None)


def test_a_provider_that_took_its_rejection_back_is_asked_before_another_gets_the_order() -> None:
    """Nothing that it said of the order still counts, and it has it all the same."""
    request = after(receive(), said(Word.REJECTED, reason=NO_STOCK), discard())
    assert not never_reached(request)
    assert operations(after(Reroute(**_asked(), to="beta", can_withdraw=True), start=request)) == [
        Operation.CREATE, Operation.WITHDRAW
    ]  # fmt: skip


# Close, note, take


@pytest.mark.parametrize(
    "request_",
    [
        after(receive()),
        after(receive(provider=None)),
        refused_by_answer(),
        dead(End.UNDECIDABLE),
        dead_create(End.REFUSED),
        after(receive(), reject("TEE"), said(Word.CANCELLED, event="c")),
        after(receive(fingerprint="other"), start=acknowledged()),
        after(RejectByHand(**_asked(), rejection_reason=NO_STOCK, can_withdraw=True), start=acknowledged()),
    ],
)
def test_a_closed_request_owes_nothing_and_waits_for_nobody(request_: Request) -> None:
    closed = after(close(), start=request_)
    assert (closed.closed, closed.owed, closed.is_pending, closed.failure) == (True, (), False, None)
    assert not closed.is_rejected
    assert (closed.settled_at, closed.dead, closed.conflicts, closed.withdrawal) == (AT, (), 0, None)
    assert waiting_for(closed) is None
    assert closed.units == request_.units


def test_a_request_is_closed_with_who_and_why() -> None:
    assert events(refused_by_answer(), close())[0].fact == Closed("ada", "phoned the DC")


@pytest.mark.parametrize("word", [Word.SHIPPED, Word.REJECTED, Word.ACCEPTED])
def test_a_callback_for_a_closed_request_changes_nothing_and_is_seen(word: Word) -> None:
    closed = after(close(), start=acknowledged())
    late = said(word, event="late", reason=NO_STOCK)
    fact = events(closed, late)[0].fact
    assert isinstance(fact, CallbackRefused)
    assert fact.reason == "closed"
    told = after(late, start=closed)
    assert (told.units, told.owed, told.conflicts, told.failure) == (closed.units, (), 1, "conflict")
    assert after(note(), start=told).failure is None


def test_a_call_that_was_on_its_way_when_its_request_was_closed_changes_nothing() -> None:
    request = after(ship(), start=acknowledged())
    call = CallTaken(request_id="r-1", at=AT, operation=Operation.SHIP, seq=request.units[0].reported_by, attempt=1)
    assert names(request, call) == ["Reported"]
    assert events(after(close(), start=request), call) == []
    assert events(after(close(), start=sent()), shown(sent(), {parcel_of("TEE"): 1})) == []


def test_what_is_settled_or_closed_is_not_closed() -> None:
    request = sent()
    proved = after(shown(request, {parcel_of("TEE"): 1, parcel_of("CAP"): 1}), start=request)
    assert "settled" in why_declined(proved, close())
    assert "closed already" in why_declined(after(close(), start=request), close())


def test_a_conflict_waits_for_operations_until_somebody_writes_what_became_of_it() -> None:
    request = after(receive(fingerprint="other"), start=acknowledged())
    assert request.failure == "conflict"
    noted = after(note(), start=request)
    assert (noted.conflicts, noted.failure, noted.changed_at) == (0, None, request.changed_at)


def test_who_takes_a_request_over_is_kept_and_changes_nothing_else() -> None:
    request = refused_by_answer()
    take = Take(request_id="r-1", at=AT, who="bo", action_id="t")
    seen = after(take, start=request)
    assert seen.taken_by == "bo"
    assert (seen.changed_at, seen.failure, seen.owed) == (request.changed_at, request.failure, request.owed)


# Quarantine


def quarantined() -> Request:
    return after(said(Word.CANCELLED, event="c"), start=acknowledged())


def test_a_discarded_message_leaves_quarantine_once() -> None:
    request = quarantined()
    discard = Discard(**_asked(), message="acme:c")
    assert [event.fact for event in events(request, discard)] == [
        QuarantineLeft("discarded", "acme:c", "ada", "phoned the DC")
    ]
    assert after(discard, start=request).quarantined == 0
    other = replace(discard, who="bo", action_id="another")
    assert events(after(discard, start=request), other) == []


def test_a_replayed_message_does_what_it_says_and_leaves_quarantine() -> None:
    request = quarantined()
    message = said(Word.CANCELLED, event="c")
    assert isinstance(message, ProviderSaid)
    again = replace(replayed(message, AT, "ada"), on_cancel=OnProviderCancel.CANCEL)
    assert names(request, again) == ["UnitsCancelled", "QuarantineLeft"]
    assert after(again, start=request).quarantined == 0
    assert events(after(again, start=request), again) == []


def test_a_message_that_is_quarantined_again_keeps_the_count() -> None:
    request = quarantined()
    message = said(Word.CANCELLED, event="c")
    assert isinstance(message, ProviderSaid)
    again = replayed(message, AT, "ada")
    assert names(request, again) == ["CallbackQuarantined", "QuarantineLeft"]
    assert after(again, start=request).quarantined == 1
    assert replayed(again, AT, "ada").cause != again.cause


# What every failure says


@pytest.mark.parametrize(
    ("request_", "failure", "exits"),
    [
        (refused_by_answer(), "refused", ("redrive", "close")),
        (unverified(), "unverified", ("recheck", "redrive")),
        (dead(End.UNDECIDABLE), "dead_ship", ("recheck", "redrive")),
        (dead_create(End.REFUSED), "dead_create", ("redrive", "reroute")),
        (after(receive(fingerprint="other"), start=acknowledged()), "conflict", ("note",)),
    ],
)
def test_every_failure_names_the_command_that_ends_it(request_: Request, failure: str, exits: tuple[str, ...]) -> None:
    waiting = waiting_for(request_)
    assert waiting is not None
    assert (request_.failure, waiting.who) == (failure, "operations")
    for each in exits:
        assert f"`gateway {each} ID" in waiting.next


def test_of_two_equal_reports_redriven_together_each_finds_its_own_units_and_what_is_missing_is_sent() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", A=1))
    request = taken(taken(taken(request, Operation.ACKNOWLEDGE), Operation.SHIP), Operation.SHIP)
    request = after(shown(request, {}, overdue=True), start=request)
    request = after(redrive(), start=request)
    first, second = (unit.reported_by for unit in request.units)
    assert missing(request, first, shown(request, {})) == (0,)
    for seen in (1, 2):
        assert missing(request, first, shown(request, {parcel_of("A"): seen})) == ()
    assert missing(request, first, shown(request, {parcel_of("A"): 3})) is Unclear.NEVER

    told = taken(request, Operation.SHIP)
    assert missing(told, second, shown(told, {parcel_of("A"): 2})) == ()
    assert missing(told, second, shown(told, {parcel_of("A"): 1})) is Unclear.NOT_YET
    proved = after(shown(told, {parcel_of("A"): 1}), start=told)
    assert missing(proved, second, shown(proved, {parcel_of("A"): 1})) == (1,)


# What is not shown yet


def test_while_an_earlier_report_is_not_shown_nothing_is_sent_again() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", A=1))
    request = taken(taken(request, Operation.ACKNOWLEDGE), Operation.SHIP)
    seq = request.units[1].reported_by
    assert missing(request, seq, shown(request, {})) is Unclear.NOT_YET
    assert missing(request, seq, shown(request, {parcel_of("A"): 1})) is Unclear.NOT_YET
    assert missing(request, seq, shown(request, {parcel_of("A"): 2})) == ()
    overdue = after(shown(request, {}, overdue=True), start=request)
    assert missing(overdue, seq, shown(overdue, {})) is Unclear.NEVER
    assert missing(overdue, seq, shown(overdue, {parcel_of("A"): 1})) is Unclear.NEVER


def test_a_unit_that_a_younger_report_sent_is_no_surplus() -> None:
    request = sent_one_of_two()
    look = shown(request, {parcel_of("A"): 2})
    younger = after(ship("s-2", A=1), start=request)
    assert names(younger, look) == ["UnitsProved"]


def test_a_refusal_that_may_be_of_a_report_refused_by_its_answer_refuses_no_other_unit() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", A=1))
    request = ended(taken(request, Operation.ACKNOWLEDGE), Operation.SHIP, End.REFUSED)
    request = taken(request, Operation.SHIP)
    assert events(request, shown(request, {}, {parcel_of("A"): (1, "no")})) == []
    assert names(request, shown(request, {}, {parcel_of("A"): (2, "no")})) == ["UnitsRefused"]


def test_a_report_younger_than_the_look_at_newstore_is_left_out_of_it() -> None:
    request = sent_one_of_two()
    look = shown(request, {parcel_of("A"): 1})
    younger = after(ship("s-2", A=1), start=request)
    assert names(younger, look) == ["UnitsProved"]


def sent_one_of_two() -> Request:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1))
    return taken(taken(request, Operation.ACKNOWLEDGE), Operation.SHIP)
