"""What a location has decided: when a request counts as accepted, and what becomes of a back order."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.acts.again import Recheck
from gateway.domain.acts.leaving import Reroute
from gateway.domain.acts.story import Note
from gateway.domain.commands import (
    AfterGrace,
    CallTaken,
    Deadline,
    End,
    OnBackorder,
    Overdue,
    ProviderSaid,
    RejectionReason,
    Word,
)
from gateway.domain.decide import Command
from gateway.domain.deliveries import Operation
from gateway.domain.requests import Request, Status
from gateway.domain.units import Said
from gateway.domain.waiting import waiting_for
from tests.requests import AT, overdue, receive, said

from .steps import after, ended, events, names, operations, reject, ship, stopped, taken

REJECTED = RejectionReason.NO_INVENTORY


def created(request: Request, *, accepts: bool = True) -> Command:
    owed = next(each for each in request.owed if each.operation is Operation.CREATE)
    return CallTaken(
        request_id="r-1", at=AT, operation=owed.operation, seq=owed.seq, attempt=1, found=False, accepts=accepts
    )


def lacks(event: str = "lacks", **changes: object) -> ProviderSaid:
    return replace(said(Word.BACKORDERED, event=event), can_withdraw=True, **changes)  # type: ignore[arg-type]


def late(*, after: AfterGrace = AfterGrace.PERSON, can_withdraw: bool = True, number: int = 0) -> Overdue:
    told = overdue(deadline=Deadline.BACKORDER, at=AT + timedelta(seconds=number))
    return replace(told, after=after, can_withdraw=can_withdraw)


def submitted() -> Request:
    return taken(after(receive()), Operation.CREATE)


def test_where_taken_is_accepted_newstore_is_told_once_the_order_is_there_and_never_again() -> None:
    request = after(receive())
    there = after(created(request), start=request)
    assert (there.status, operations(there)) == (Status.ACKNOWLEDGED, [Operation.ACKNOWLEDGE])
    assert names(there, said(Word.ACCEPTED)) == ["CallbackWithoutEffect"]
    assert operations(after(created(request, accepts=False), start=request)) == []


def test_what_a_look_up_finds_is_taken_too() -> None:
    dead = ended(after(receive()), Operation.CREATE, End.UNDECIDABLE)
    asked = after(Recheck(request_id="r-1", at=AT, who="ada", action_id="a", can_look_up=True), start=dead)
    owed = next(each for each in asked.owed if each.operation is Operation.LOOK_UP)
    look = CallTaken(
        request_id="r-1", at=AT, operation=owed.operation, seq=owed.seq, attempt=1, found=True, accepts=True
    )
    assert after(look, start=asked).status is Status.ACKNOWLEDGED
    assert after(replace(look, found=False), start=asked).status is Status.DISPATCHED


def test_only_units_of_which_nothing_is_said_count_as_accepted() -> None:
    request = after(receive(), reject("TEE"))
    there = after(created(request), start=request)
    assert [bool(unit.accepted) for unit in there.units] == [False, True]
    early = after(receive(), said(Word.ACCEPTED))
    assert names(early, created(early)) == ["Submitted"]


def test_an_order_that_is_to_be_withdrawn_is_not_accepted_by_being_there() -> None:
    start = after(receive())
    flying = replace(start, owed=tuple(replace(each, in_flight=True) for each in start.owed))
    to_beta = Reroute(request_id="r-1", at=AT, who="ada", action_id="a", to="beta", can_withdraw=True)
    request = after(to_beta, start=flying)
    assert names(request, created(start)) == ["Submitted"]


def test_a_back_order_that_may_wait_changes_nothing_at_newstore_and_is_told_in_a_sentence() -> None:
    request = after(lacks(items={"TEE": 1}), start=submitted())
    assert (request.status, operations(request), request.failure) == (Status.DISPATCHED, [], None)
    waiting = waiting_for(request)
    assert waiting is not None
    assert (waiting.who, waiting.next) == (
        "acme", "acme lacks 1 of 2 units since 2026-11-03 09:00 UTC and may get them"
    )  # fmt: skip


@pytest.mark.parametrize("next_word", [said(Word.ACCEPTED), ship(), reject("TEE", "CAP")])
def test_whatever_is_said_of_them_next_ends_a_back_order(next_word: ProviderSaid) -> None:
    request = after(said(Word.ACCEPTED, event="before"), lacks(), start=submitted())
    assert request.backordered == (0, 1)
    ended_ = after(next_word, start=request)
    assert (ended_.backordered, ended_.backordered_at) == ((), None)


def test_a_back_order_told_again_or_too_late_changes_nothing() -> None:
    request = after(lacks(items={"TEE": 1}), start=submitted())
    assert names(request, lacks("again", items={"TEE": 1})) == ["CallbackWithoutEffect"]
    shipped = after(ship(), start=request)
    late_one = after(lacks("late", items={"TEE": 1}), start=shipped)
    assert late_one.failure is None


def test_a_total_of_what_is_lacking_that_falls_says_nothing_and_one_that_rises_the_rest() -> None:
    request = after(
        lacks(items={"TEE": 2}, is_total=True),
        start=taken(after(receive("r-1", "TEE", "TEE", "TEE")), Operation.CREATE),
    )
    assert request.backordered == (0, 1)
    assert names(request, lacks("less", items={"TEE": 1}, is_total=True)) == ["CallbackWithoutEffect"]
    assert after(lacks("more", items={"TEE": 3}, is_total=True), start=request).backordered == (0, 1, 2)


def test_a_back_order_that_is_rejected_is_stopped_at_the_provider_before_newstore_hears_of_it() -> None:
    request = after(lacks(on_backorder=OnBackorder.REJECT), start=submitted())
    assert [unit.said for unit in request.units] == [Said.REJECTED, Said.REJECTED]
    assert operations(request) == [Operation.WITHDRAW]
    assert operations(stopped(request)) == [Operation.REJECT]


def test_a_part_that_is_rejected_waits_for_a_person_while_the_rest_is_open() -> None:
    request = after(lacks(on_backorder=OnBackorder.REJECT, items={"TEE": 1}), start=submitted())
    assert operations(request) == []
    assert request.unproved_rejections == (0,)


def test_a_back_order_that_has_waited_too_long_waits_for_a_person_once_and_the_next_one_has_its_own_time() -> None:
    request = after(lacks(items={"TEE": 1}), start=submitted())
    told = after(late(), start=request)
    assert told.failure == "overdue_backorder"
    assert events(told, late(number=1)) == []
    noted = after(Note(request_id="r-1", at=AT, who="ada", action_id="n", reason="on Monday"), start=told)
    assert noted.failure is None

    there = after(said(Word.ACCEPTED), start=noted)
    assert after(lacks("again", items={"TEE": 1}), late(number=2), start=there).failure == "overdue_backorder"


def test_after_its_grace_a_back_order_is_rejected_where_the_location_has_it_so() -> None:
    request = after(lacks(), start=submitted())
    assert names(request, late(after=AfterGrace.REJECT)) == ["BackorderOverdue", "UnitsRejected", "WithdrawalAsked"]
    rejected = after(late(after=AfterGrace.REJECT), start=request)
    assert (operations(rejected), rejected.failure) == ([Operation.WITHDRAW], None)
    by_hand = after(late(after=AfterGrace.REJECT, can_withdraw=False), start=request)
    assert (operations(by_hand), by_hand.unproved_rejections) == ([], (0, 1))


def test_what_came_in_meanwhile_is_not_too_late() -> None:
    for word in (said(Word.ACCEPTED), ship()):
        assert events(after(lacks(), word, start=submitted()), late()) == []


def test_the_next_provider_lacks_nothing_yet() -> None:
    to_beta = Reroute(
        request_id="r-1", at=AT, who="ada", action_id="a", to="beta", can_withdraw=False, provider_stopped="phoned"
    )
    request = after(lacks(), to_beta, start=submitted())
    assert (request.provider, request.backordered, request.backordered_at) == ("beta", (), None)
