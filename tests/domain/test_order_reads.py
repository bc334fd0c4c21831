"""A provider that only hints is asked how the order stands: once for many hints, once more for those that follow."""

from dataclasses import replace

from gateway.domain.acts.again import Redrive
from gateway.domain.acts.ending import Close
from gateway.domain.acts.leaving import Reroute
from gateway.domain.acts.story import Note
from gateway.domain.commands import Deadline, End, Overdue, Word
from gateway.domain.deliveries import Operation
from gateway.domain.events.calls import OrderRead, OrderReadAsked
from gateway.domain.events.messages import CallbackRefused
from gateway.domain.requests import Missed, Request
from gateway.domain.waiting import waiting_for
from tests.requests import AT, hint, overdue, receive, said

from .steps import after, ended, events, operations, reject, ship, taken

REROUTE = Reroute(
    request_id="r-1", at=AT, who="ada", action_id="a", to="beta", can_withdraw=False, provider_stopped="phoned"
)


def reads(request: Request) -> list[tuple[str, int]]:
    return [(each.destination, each.seq) for each in request.owed if each.operation is Operation.READ_ORDER]


def flying(request: Request) -> Request:
    """All that is owed is on its way."""
    return replace(request, owed=tuple(replace(each, in_flight=True) for each in request.owed))


def test_twenty_hints_are_one_read() -> None:
    request = after(receive(), *(hint(n) for n in range(20)))
    assert reads(request) == [("acme", 2)]
    assert request.version == 2  # those that change nothing make no story


def test_a_hint_during_the_read_is_one_more_read_and_many_are_no_more() -> None:
    request = after(hint(2), hint(3), start=flying(after(receive(), hint(1))))
    assert reads(request) == [("acme", 2), ("acme", 3)]


def test_a_read_answers_the_hints_from_before_it_began_and_no_other() -> None:
    two = after(hint(2), start=flying(after(receive(), hint(1))))
    assert reads(taken(two, Operation.READ_ORDER)) == [("acme", 3)]
    newest_first = replace(two, owed=tuple(reversed(two.owed)))
    assert reads(taken(newest_first, Operation.READ_ORDER)) == []


def test_a_read_waits_for_no_write_and_no_write_for_it() -> None:
    request = after(receive(), hint(1))
    assert {each.operation for each in request.ready} == {Operation.CREATE, Operation.READ_ORDER}
    assert [each.operation for each in after(hint(1), start=request).ready if not each.is_read] == [Operation.CREATE]


def test_who_had_the_order_before_is_read_as_it_may_yet_ship_and_under_the_name_that_it_had_there() -> None:
    request = after(REROUTE, start=taken(after(receive()), Operation.CREATE))
    assert reads(after(hint(1), start=request)) == [("acme", request.version + 1)]
    assert (request.assignment_of("acme"), request.assignment_of("beta"), request.assignment_of("zen")) == (1, 2, 0)


def test_a_hint_of_somebody_who_never_had_the_order_is_a_contradiction() -> None:
    request = after(receive(), hint(1, provider="zen"))
    (event,) = events(after(receive()), hint(1, provider="zen"))
    assert isinstance(event.fact, CallbackRefused)
    assert (event.fact.reason, request.failure) == ("other_provider", "conflict")


def test_a_read_that_never_comes_right_waits_for_a_person_whose_redrive_reads_again() -> None:
    dead = ended(after(receive(), hint(1)), Operation.READ_ORDER, End.EXHAUSTED)
    assert dead.failure == "dead_read_order"
    waits = waiting_for(dead)
    assert waits is not None
    assert (waits.who, "redrive" in waits.next) == ("operations", True)

    again = after(Redrive(request_id="r-1", at=AT, who="ada", action_id="a"), start=dead)
    assert (reads(again), again.failure) == ([("acme", again.version)], None)


def test_the_next_read_that_comes_right_ends_what_an_earlier_one_left_for_a_person() -> None:
    dead = ended(after(receive(), hint(1)), Operation.READ_ORDER, End.REFUSED)
    assert taken(after(hint(2), start=dead), Operation.READ_ORDER).failure is None


def test_a_redrive_reads_no_second_time_what_a_hint_has_asked_for_since() -> None:
    dead = ended(after(receive(), hint(1)), Operation.READ_ORDER, End.EXHAUSTED)
    hinted = after(hint(2), start=dead)
    assert reads(after(Redrive(request_id="r-1", at=AT, who="ada", action_id="a"), start=hinted)) == reads(hinted)


def test_closing_ends_a_read_and_a_hint_after_it_is_read_all_the_same() -> None:
    close = Close(request_id="r-1", at=AT, who="ada", action_id="a")
    closed = after(receive(), hint(1), close)
    assert operations(closed) == []
    assert reads(after(hint(2), start=closed)) == [("acme", closed.version + 1)]


def test_the_story_tells_that_a_read_was_asked_for_and_made() -> None:
    request = after(receive(), hint(1))
    assert [event.fact for event in events(after(receive()), hint(1))] == [OrderReadAsked("acme")]
    made = taken(request, Operation.READ_ORDER)
    assert (made.version, reads(made), made.changed_at) == (3, [], request.changed_at)
    assert OrderRead("acme", 2).kind == "order_read"


def submitted() -> Request:
    return taken(after(receive()), Operation.CREATE)


def test_what_is_not_accepted_in_time_waits_for_a_person_and_is_told_once() -> None:
    late = after(overdue(), start=submitted())
    assert (late.failure, late.version) == ("overdue_accept", 3)
    assert events(late, overdue()) == []
    assert reads(late) == []


def test_a_provider_that_can_be_asked_is_and_once_where_a_read_waits_already() -> None:
    late = after(overdue(can_read=True), start=submitted())
    assert reads(late) == [("acme", 4)]
    hinted = after(overdue(can_read=True), start=after(hint(1), start=submitted()))
    assert (reads(hinted), hinted.failure) == ([("acme", 3)], "overdue_accept")


def test_whatever_the_provider_says_of_units_ends_that_it_is_overdue() -> None:
    late = after(overdue(), start=submitted())
    assert after(said(Word.ACCEPTED), start=late).failure is None
    assert after(ship(), start=late).failure is None
    assert after(reject("TEE"), start=late).failure == "overdue_accept"  # of the other unit it is silent still
    assert after(reject("TEE", "CAP"), start=late).failure is None


def test_a_note_answers_that_a_provider_is_silent_and_it_is_not_told_again() -> None:
    noted = after(Note(request_id="r-1", at=AT, who="ada", action_id="a", reason="busy"), overdue(), start=submitted())
    late = after(overdue(), start=submitted())
    answered = after(Note(request_id="r-1", at=AT, who="ada", action_id="a", reason="they are busy"), start=late)
    assert (noted.failure, answered.failure) == ("overdue_accept", None)
    assert after(overdue(), start=answered).failure is None


def test_the_next_provider_has_its_own_time() -> None:
    late = after(overdue(), REROUTE, start=submitted())
    assert (late.failure, late.missed) == (None, ())
    assert events(late, overdue("beta", 2)) == []  # it does not have it yet
    again = after(overdue("beta", 2), start=taken(late, Operation.CREATE))
    assert again.failure == "overdue_accept"
    assert events(again, overdue("acme", 1)) == []


def test_what_was_accepted_or_withdrawn_or_settled_meanwhile_is_not_overdue() -> None:
    accepted = after(said(Word.ACCEPTED), start=submitted())
    closed = after(Close(request_id="r-1", at=AT, who="ada", action_id="a"), start=submitted())
    asked = after(replace(REROUTE, provider_stopped="", can_withdraw=True), start=submitted())
    for request in (accepted, closed, asked, after(receive())):
        assert events(request, overdue()) == []


def not_taken() -> Overdue:
    return overdue(deadline=Deadline.ACKNOWLEDGE)


def test_an_order_that_is_not_taken_in_time_waits_for_a_person_until_it_is_and_its_acceptance_has_its_own_time() -> (
    None
):
    late = after(not_taken(), start=after(receive()))
    assert (late.failure, late.missed) == ("overdue_acknowledge", (Missed(Deadline.ACKNOWLEDGE),))
    assert events(late, not_taken()) == []
    there = taken(late, Operation.CREATE)
    assert there.failure is None
    assert after(overdue(), start=there).failure == "overdue_accept"


def test_an_order_that_is_not_taken_says_what_keeps_it_back() -> None:
    late = after(not_taken(), start=after(receive()))
    held = replace(late, owed=tuple(replace(each, hold=7) for each in late.owed))
    waits, kept = waiting_for(late), waiting_for(held)
    assert waits is not None
    assert (waits.who, waits.next) == (
        "operations", "the provider has not taken the request in time: the gateway has to create the request at acme"
    )  # fmt: skip
    assert kept is not None
    assert "hold 7 keeps back its create at acme" in kept.next


def test_what_is_taken_or_spoken_of_or_given_up_is_not_too_late_to_be_taken() -> None:
    spoken = after(receive(), said(Word.ACCEPTED))
    given_up = ended(after(receive()), Operation.CREATE, End.EXHAUSTED)
    for request in (submitted(), spoken, given_up):
        assert events(request, not_taken()) == []
