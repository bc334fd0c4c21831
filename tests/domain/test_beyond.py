"""What NewStore shows beyond a restored log, and what its provider tells of it afterwards."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.acts.again import Recheck, Redrive
from gateway.domain.commands import (
    CallEnded,
    Compare,
    End,
    Key,
    OnProviderCancel,
    ProviderSaid,
    ReadBack,
    SameParcel,
    Word,
)
from gateway.domain.decide import Command
from gateway.domain.deliveries import READ_BACK, Operation, Parcel, normal
from gateway.domain.events.calls import RecheckAsked
from gateway.domain.events.messages import CallbackWithoutEffect
from gateway.domain.events.newstore import ShownBeyondLog, SurplusShown
from gateway.domain.proof import missing
from gateway.domain.requests import Request
from gateway.domain.units import Confirmed, Said
from gateway.domain.waiting import waiting_for
from tests.requests import AT, PARCEL, receive, said

from .steps import NO_STOCK, after, ended, events, names, operations, parcel_of, reject, ship, taken

OTHER = Parcel("DHL", "JD0002")
SPELLED = Parcel("UPS", "1Z 999 AA10123456784")
COMPARE = Compare(request_id="r-1", at=AT, hold=1)


def restored(*commands: Command, start: Request | None = None) -> Request:
    """A request as it is once NewStore is asked about it."""
    request = after(*commands, start=start)
    return after(COMPARE, start=replace(request, restored=True))


def read(
    request: Request,
    taken: Mapping[Key, int],
    operation: Operation = Operation.SHIP,
    refused: Mapping[Key, tuple[int, str]] | None = None,
) -> ReadBack:
    """What NewStore answers when it is asked after the restore."""
    seq = next(owed.seq for owed in request.owed if owed.operation is READ_BACK[operation] and owed.seq)
    return ReadBack(
        request_id="r-1",
        at=AT + timedelta(seconds=request.version),
        operation=operation,
        attempt=1,
        taken=taken,
        refused=refused or {},
        parcels={request.units[index].reported_by: parcel for index, parcel in request.parcels.items()},
        overdue=False,
        seq=seq,
        spelled={key_of(SPELLED): SPELLED},
    )


def key_of(parcel: Parcel, product: str = "TEE") -> Key:
    return (product, normal(parcel.carrier), normal(parcel.tracking_code))


def counted(request: Request) -> Counter[tuple[str, Said, Confirmed]]:
    return Counter((unit.product, unit.said, unit.confirmed) for unit in request.units)


def test_newstore_is_asked_about_all_that_is_open_once_for_each_release() -> None:
    request = replace(after(receive()), restored=True)
    assert [event.fact for event in events(request, COMPARE)] == [
        RecheckAsked(each, "gateway", "released after a restore: what does NewStore show that this log lacks?")
        for each in sorted(READ_BACK.values())
    ]
    asked = after(COMPARE, start=request)
    for read_back in READ_BACK:
        asked = after(read(asked, {}, read_back), start=asked)
    assert events(asked, COMPARE) == []
    assert len(events(asked, replace(COMPARE, hold=2))) == 3


def test_a_report_that_failed_before_the_backup_is_read_back_and_nothing_else_where_no_unit_is_open() -> None:
    request = ended(taken(after(receive(), ship()), Operation.ACKNOWLEDGE), Operation.SHIP, End.REFUSED)
    (event,) = events(replace(request, restored=True), COMPARE)
    assert isinstance(event.fact, RecheckAsked)
    assert event.fact.operation is Operation.READ_SHIPMENT


@pytest.mark.parametrize(
    "request_", [after(receive()), replace(after(receive(), ship(TEE=1)), restored=True, closed=True)]
)
def test_nobody_asks_about_what_was_not_restored_or_is_closed(request_: Request) -> None:
    assert events(request_, COMPARE) == []


def test_what_a_person_is_asking_already_is_not_asked_beside_it() -> None:
    request = after(receive("r-1", "A", "A"), ship(A=1))
    request = ended(taken(request, Operation.ACKNOWLEDGE), Operation.SHIP, End.REFUSED)
    request = after(Recheck(request_id="r-1", at=AT, who="ada", action_id="a", can_look_up=True), start=request)
    asked = after(COMPARE, start=replace(request, restored=True))
    assert operations(asked).count(Operation.READ_SHIPMENT) == 1


def test_what_a_tenant_does_not_read_back_is_not_asked() -> None:
    only = replace(COMPARE, read_backs=frozenset({Operation.SHIP}))
    assert operations(after(only, start=replace(after(receive()), restored=True)))[1:] == [Operation.READ_SHIPMENT]


def test_units_shown_shipped_are_shipped_in_that_parcel_and_proved() -> None:
    request = restored(receive("r-1", "TEE", "TEE", "CAP"))
    told = events(request, read(request, {key_of(SPELLED): 1}))
    assert told[0].fact == ShownBeyondLog(
        Operation.SHIP, (0,), 0,
        "NewStore showed 1 TEE shipped (UPS 1Z 999 AA10123456784), which this log did not know: "
        "taken over after the restore",
    )  # fmt: skip
    request = after(read(request, {key_of(SPELLED): 1}), start=request)
    assert request.units[0].reported_by == told[1].version
    assert counted(request) == {
        ("TEE", Said.SHIPPED, Confirmed.PROVED): 1,
        ("TEE", Said.OPEN, Confirmed.NOT_SENT): 1,
        ("CAP", Said.OPEN, Confirmed.NOT_SENT): 1,
    }
    assert request.shipped_at


def test_a_rejection_that_stands_at_newstore_ends_the_wait_for_an_acceptance() -> None:
    request = restored(receive())
    request = after(read(request, {("TEE", None, None): 1, ("CAP", None, None): 1}, Operation.REJECT), start=request)
    assert counted(request) == {(each, Said.REJECTED, Confirmed.PROVED): 1 for each in ("TEE", "CAP")}
    assert (request.is_pending, request.failure) == (False, None)


def test_a_cancellation_that_stands_at_newstore_is_taken_over() -> None:
    request = restored(receive("r-1", "A"))
    request = after(read(request, {("A", None, None): 1}, Operation.CANCEL), start=request)
    assert counted(request) == {("A", Said.CANCELLED, Confirmed.PROVED): 1}


def test_a_rejection_that_waited_for_proof_is_the_one_that_newstore_shows() -> None:
    unproved = said(Word.REJECTED, items={"A": 1}, reason=NO_STOCK, is_proof=False)
    request = restored(receive("r-1", "A", "A"), unproved)
    request = after(read(request, {("A", None, None): 1}, Operation.REJECT), start=request)
    assert [(unit.said, unit.confirmed) for unit in request.units].count((Said.REJECTED, Confirmed.PROVED)) == 1
    assert (request.unproved_rejections, len(request.open_units), request.untold) == ((), 1, ())


def test_an_order_that_is_done_at_newstore_is_not_sent_to_its_provider() -> None:
    request = restored(receive("r-1", "A"))
    assert Operation.CREATE in operations(request)
    request = after(read(request, {key_of(OTHER, "A"): 1}), start=request)
    assert Operation.CREATE not in operations(request)


def test_an_order_that_is_done_in_part_is_not_sent_either_as_somebody_has_it() -> None:
    request = restored(receive("r-1", "A", "A"))
    request = after(read(request, {key_of(OTHER, "A"): 1}), start=request)
    assert Operation.CREATE not in operations(request)
    assert len(request.open_units) == 1


def test_more_than_the_open_units_is_a_surplus_that_a_person_closes() -> None:
    request = restored(receive("r-1", "A"))
    look = read(request, {key_of(OTHER, "A"): 2})
    assert events(request, look)[0].fact == SurplusShown(
        Operation.SHIP, "A", 2, "NewStore shows 2 A shipped, which this log does not know and can't place"
    )
    request = after(look, start=request)
    waiting = waiting_for(request)
    assert (request.failure, len(request.open_units)) == ("surplus", 1)
    assert waiting is not None
    assert "its log comes from a backup" in waiting.next


def test_a_product_that_nobody_asked_for_is_a_surplus() -> None:
    request = restored(receive("r-1", "A"))
    assert names(request, read(request, {key_of(OTHER, "B"): 1})) == ["SurplusShown", "Rechecked"]


def test_while_a_report_of_the_product_is_on_its_way_its_parcel_may_be_shown_in_other_words() -> None:
    request = restored(receive("r-1", "A", "A"), ship(A=1))
    mapped = key_of(replace(PARCEL, carrier="United Parcel"), "A")
    assert names(request, read(request, {mapped: 1})) == ["Rechecked"]
    refused = {parcel_of("A"): (1, "bad_code")}
    assert names(request, read(request, {key_of(OTHER, "A"): 1}, refused=refused)) == ["Rechecked"]
    both = {parcel_of("A"): 1, mapped: 1}
    assert names(request, read(request, both)) == [
        "ShownBeyondLog",
        "UnitsShipped",
        "Reported",
        "UnitsProved",
        "Rechecked",
    ]


def test_another_parcel_than_the_one_on_its_way_is_what_became_of_another_unit() -> None:
    request = restored(receive("r-1", "A", "A"), ship(A=1))
    look = read(request, {key_of(OTHER, "A"): 1})
    assert names(request, look) == ["ShownBeyondLog", "UnitsShipped", "Reported", "UnitsProved", "Rechecked"]
    after_all = after(look, start=request)
    again = replace(
        look, seq=0, parcels={unit.reported_by: after_all.parcels[i] for i, unit in enumerate(after_all.units)}
    )
    assert missing(after_all, after_all.units[0].reported_by, again) == (0,)


def test_what_a_regular_look_shows_beyond_a_restored_log_is_taken_over_too() -> None:
    request = restored(receive("r-1", "A", "A"), ship(A=1))
    request = after(read(request, {}), start=request)
    request = taken(taken(request, Operation.ACKNOWLEDGE), Operation.SHIP)
    parcels = {request.units[0].reported_by: PARCEL}
    look = ReadBack(
        request_id="r-1", at=AT, operation=Operation.SHIP, attempt=1, taken={parcel_of("A"): 1, key_of(OTHER, "A"): 1},
        refused={}, parcels=parcels, overdue=False,
    )  # fmt: skip
    assert names(request, look) == ["ShownBeyondLog", "UnitsShipped", "Reported", "UnitsProved"]


def test_a_refusal_that_may_be_of_any_open_unit_leaves_them_open_and_asks_a_person() -> None:
    request = restored(receive("r-1", "A"))
    request = after(read(request, {}, refused={key_of(OTHER, "A"): (1, "no")}), start=request)
    assert (request.failure, len(request.open_units)) == ("surplus", 1)


def test_a_refusal_of_what_was_sent_again_refuses_no_later_unit() -> None:
    request = restored(receive("r-1", "A"))
    request = after(read(request, {key_of(OTHER, "A"): 1}, refused={key_of(OTHER, "A"): (1, "no")}), start=request)
    assert (request.failure, request.is_pending, request.units[0].refusals) == (None, False, 1)


def test_an_answer_that_can_not_be_read_is_asked_for_again_while_units_are_open() -> None:
    request = restored(receive())
    none = replace(read(request, {}), answered=False, overdue=True)
    assert events(request, none) == []
    closed = restored(receive(), ship())
    assert operations(closed).count(Operation.READ_SHIPMENT) == 0


def test_a_question_that_newstore_turns_away_is_a_persons_and_a_redrive_asks_it_again() -> None:
    request = restored(receive("r-1", "A"))
    owed = next(each for each in request.owed if each.operation is Operation.READ_SHIPMENT)
    no = CallEnded(
        request_id="r-1", at=AT, operation=owed.operation, seq=owed.seq, attempt=1, end=End.REFUSED, detail="400"
    )
    request = after(no, start=request)
    assert request.failure == "dead_read_shipment"
    request = after(Redrive(request_id="r-1", at=AT, who="ada", action_id="a"), start=request)
    assert request.failure is None
    request = after(read(request, {key_of(OTHER, "A"): 1}), start=request)
    assert counted(request) == {("A", Said.SHIPPED, Confirmed.PROVED): 1}


def test_while_newstore_is_asked_the_gateway_has_to_move_and_then_the_provider_has_to_tell_again() -> None:
    request = restored(receive("r-1", "A"))
    waiting = waiting_for(request)
    assert waiting is not None
    assert (waiting.who, "restored log lacks" in waiting.next) == ("gateway", True)
    for read_back in READ_BACK:
        request = after(read(request, {}, read_back), start=request)
    request = taken(request, Operation.CREATE)
    waiting = waiting_for(request)
    assert waiting is not None
    assert (waiting.who, "acme has to tell it again" in waiting.next) == ("acme", True)


# What the provider tells after NewStore has shown it.


def shown_shipped(*products: str, count: int = 1, parcel: Parcel = OTHER) -> Request:
    request = restored(receive("r-1", *products))
    return after(read(request, {key_of(parcel, "A"): count}), start=request)


def tell(
    event: str, parcel: Parcel = OTHER, means: SameParcel = SameParcel.ANOTHER_PIECE, **items: int
) -> ProviderSaid:
    return said(Word.SHIPPED, event=event, items=items or None, parcel=parcel, same_parcel=means)


@pytest.mark.parametrize("means", list(SameParcel))
def test_what_the_provider_tells_again_is_first_what_newstore_has_shown(means: SameParcel) -> None:
    request = shown_shipped("A", "A", "B")
    (event,) = events(request, tell("e-1", means=means, A=1))
    assert event.fact == CallbackWithoutEffect(Word.SHIPPED, (0,), "NewStore had shown 1 of these units before")
    request = after(tell("e-1", means=means, A=1), start=request)
    assert (request.untold, len(request.open_units)) == ((), 2)


def test_another_piece_in_a_parcel_that_was_told_again_is_another_piece() -> None:
    request = after(tell("e-1", A=1), start=shown_shipped("A", "A"))
    assert names(request, tell("e-2", A=1)) == ["UnitsAccepted", "UnitsShipped"]


def test_the_total_of_a_parcel_counts_what_newstore_has_shown_of_it() -> None:
    request = shown_shipped("A", "A", "A", count=2)
    half = after(tell("e-1", means=SameParcel.TOTAL, A=1), start=request)
    assert (len(half.untold), len(half.open_units)) == (1, 1)
    whole = after(tell("e-2", means=SameParcel.TOTAL, A=3), start=half)
    assert (whole.untold, whole.open_units) == ((), ())
    assert sum(unit.confirmed is Confirmed.NOT_SENT for unit in whole.units) == 1


def test_the_total_of_a_parcel_counts_what_was_told_of_it_before_the_backup() -> None:
    first = tell("e-1", means=SameParcel.TOTAL, A=1)
    request = restored(receive("r-1", "A", "A", "A", "A"), first)
    request = after(read(request, {key_of(OTHER, "A"): 3}), start=request)
    assert (request.untold, len(request.open_units)) == ((1, 2), 1)
    two = after(tell("e-2", means=SameParcel.TOTAL, A=2), start=request)
    assert (two.untold, len(two.open_units)) == ((2,), 1)


def test_only_what_goes_beyond_what_newstore_has_shown_is_about_open_units() -> None:
    request = shown_shipped("A", "A", "B")
    assert names(request, tell("e-1", A=2, B=1)) == ["CallbackWithoutEffect", "UnitsAccepted", "UnitsShipped"]
    request = after(tell("e-1", A=2, B=1), start=request)
    assert (request.open_units, request.untold) == ((), ())
    assert [unit.confirmed for unit in request.units] == [Confirmed.PROVED, Confirmed.NOT_SENT, Confirmed.NOT_SENT]


def test_a_message_about_all_open_units_tells_what_newstore_has_shown_as_well() -> None:
    request = after(said(Word.SHIPPED, items=None, parcel=OTHER), start=shown_shipped("A", "A"))
    assert (request.open_units, request.untold) == ((), ())


def test_a_message_that_can_not_be_applied_whole_tells_nothing_of_what_newstore_has_shown() -> None:
    request = after(reject("A"), start=shown_shipped("A", "A"))
    assert names(request, tell("e-1", A=2)) == ["CallbackRefused"]
    assert after(tell("e-1", A=2), start=request).untold == (0,)


def test_a_line_without_a_count_may_mean_what_newstore_has_shown_and_what_is_open() -> None:
    line = replace(tell("e-1"), items=None, uncounted={"A": 1})
    assert names(shown_shipped("A", "A"), line) == ["CallbackQuarantined"]
    assert names(shown_shipped("A", "B"), line) == ["CallbackWithoutEffect"]


def shown_rejected(*products: str) -> Request:
    request = restored(receive("r-1", *products))
    return after(read(request, {("A", None, None): 1}, Operation.REJECT), start=request)


@pytest.mark.parametrize(
    ("word", "on_cancel"),
    [
        *((Word.REJECTED, each) for each in OnProviderCancel),
        (Word.CANCELLED, OnProviderCancel.REJECT), (Word.CANCELLED, OnProviderCancel.QUARANTINE),
    ],
)  # fmt: skip
def test_a_rejection_told_again_in_either_word_rejects_no_other_unit(word: Word, on_cancel: OnProviderCancel) -> None:
    again = said(word, items={"A": 1}, reason=NO_STOCK, on_cancel=on_cancel)
    request = shown_rejected("A", "A")
    assert names(request, again) == ["CallbackWithoutEffect"]
    assert len(after(again, start=request).open_units) == 1


def test_a_cancellation_is_not_what_newstore_shows_rejected_where_the_location_cancels() -> None:
    cancelled = said(Word.CANCELLED, items={"A": 1}, on_cancel=OnProviderCancel.CANCEL)
    assert names(shown_rejected("A", "A"), cancelled) == ["UnitsCancelled"]


def test_a_shipment_of_what_newstore_shows_rejected_contradicts_and_alarms() -> None:
    request = after(tell("e-1", A=1), start=shown_rejected("A"))
    assert request.failure == "callback_refused"
    assert "it may ship twice" in request.refused[-1].detail


def test_a_shipment_in_another_parcel_than_newstore_shows_alarms() -> None:
    request = after(tell("e-1", parcel=PARCEL, A=1), start=shown_shipped("A"))
    assert request.failure == "conflict"


def test_an_acceptance_told_again_is_no_matter_for_anybody() -> None:
    for request in (shown_shipped("A"), shown_rejected("A"), shown_shipped("A", "A")):
        again = after(said(Word.ACCEPTED, items=None), start=request)
        assert again.failure is None
