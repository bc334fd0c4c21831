"""What becomes of owed calls, and when they are tried again."""

from dataclasses import replace
from itertools import pairwise

import pytest

from gateway.dispatch.retry import LOOKS, PROVIDER, REPORTS, delay
from gateway.domain.commands import Assign, CallEnded, CallTaken, End, OnProviderCancel, Word
from gateway.domain.deliveries import NEWSTORE, READ_BACKS, Delivery, Operation
from gateway.domain.evolve import evolve
from gateway.domain.references import idempotency_key, provider_reference, reference
from gateway.domain.units import CONFIRMED_NEXT, SAID_NEXT, Confirmed, Said, Unit, from_text, to_text
from tests.requests import AT, receive, said

from .steps import after, ended, events, names, operations, reject, ship, taken


def test_a_call_is_settled_once_and_a_late_outcome_changes_nothing() -> None:
    request = taken(after(receive()), Operation.CREATE)
    assert request.owed == ()
    assert request.submitted_at == AT
    late = CallEnded(
        request_id="r-1", at=AT, operation=Operation.CREATE, seq=1, attempt=2, end=End.REFUSED, detail="409"
    )
    assert events(request, late) == []


def test_a_report_refused_by_its_own_answer_waits_for_a_person() -> None:
    request = ended(after(receive(), ship(TEE=1)), Operation.SHIP, End.REFUSED)
    assert request.units[0].confirmed is Confirmed.REFUSED
    assert request.failure == "refused"
    assert Operation.SHIP not in operations(request)


@pytest.mark.parametrize("end", [End.EXHAUSTED, End.UNDECIDABLE])
def test_a_report_that_may_have_arrived_dies_and_is_never_called_refused(end: End) -> None:
    request = ended(after(receive(), ship(TEE=1)), Operation.SHIP, end)
    assert request.units[0].confirmed is Confirmed.NOT_SENT
    assert request.failure == "dead_ship"


def test_a_dead_call_unblocks_the_next_write_to_its_destination() -> None:
    request = after(receive(), ship())
    assert Delivery(NEWSTORE, Operation.SHIP, 3) not in request.ready
    assert Delivery(NEWSTORE, Operation.SHIP, 3) in ended(request, Operation.ACKNOWLEDGE, End.EXHAUSTED).ready


def test_reads_wait_for_no_write_and_block_none() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1))
    request = taken(taken(request, Operation.ACKNOWLEDGE), Operation.SHIP)
    request = after(ship("s-2", A=1), start=request)
    assert {each.operation for each in request.ready} == {Operation.CREATE, Operation.READ_SHIPMENT, Operation.SHIP}


def test_two_reports_of_a_kind_are_read_back_by_one_call() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", A=1))
    both = taken(taken(request, Operation.SHIP), Operation.SHIP)
    assert operations(both).count(Operation.READ_SHIPMENT) == 1


def test_each_kind_of_report_has_its_own_read_back() -> None:
    cancelled = said(Word.CANCELLED, items={"C": 1}, on_cancel=OnProviderCancel.CANCEL)
    request = after(receive("r-1", "A", "B", "C"), ship(A=1), reject("B"), cancelled)
    for report in (Operation.SHIP, Operation.REJECT, Operation.CANCEL):
        request = taken(request, report)
    assert {each.operation for each in request.owed if each.is_read} == READ_BACKS


def test_a_report_without_a_read_back_at_this_tenant_is_unverifiable_and_no_failure() -> None:
    request = taken(after(receive(), ship()), Operation.SHIP, verifiable=False)
    assert {unit.confirmed for unit in request.units} == {Confirmed.UNVERIFIABLE}
    assert not READ_BACKS & set(operations(request))
    assert not request.is_pending
    assert request.failure is None


def test_a_create_that_dies_after_the_provider_spoke_is_no_failure() -> None:
    request = ended(after(receive(), said(Word.ACCEPTED)), Operation.CREATE, End.UNDECIDABLE)
    assert request.failure is None
    assert Operation.CREATE not in operations(request)


def test_a_read_back_that_dies_waits_for_a_person() -> None:
    request = ended(taken(after(receive(), ship()), Operation.SHIP), Operation.READ_SHIPMENT, End.REFUSED)
    assert request.failure == "dead_read_shipment"


def test_a_read_back_is_answered_by_what_it_shows_and_not_by_being_taken() -> None:
    request = taken(after(receive(), ship()), Operation.SHIP)
    call = CallTaken(request_id="r-1", at=AT, operation=Operation.READ_SHIPMENT, seq=0, attempt=1)
    assert events(request, call) == []


def test_a_request_is_assigned_once() -> None:
    request = after(receive(provider=None), Assign(request_id="r-1", at=AT, provider="acme"))
    assert names(request, Assign(request_id="r-1", at=AT, provider="beta")) == []
    assert names(after(receive()), Assign(request_id="r-1", at=AT, provider="beta")) == []


def test_a_story_begins_once_and_has_no_gap() -> None:
    received = events(None, receive())[0]
    request = evolve("r-1", None, received)
    with pytest.raises(ValueError, match="does not follow"):
        evolve("r-1", request, replace(received, version=2))
    accepted = events(request, said(Word.ACCEPTED))[0]
    with pytest.raises(ValueError, match="does not follow"):
        evolve("r-1", request, replace(accepted, version=3))


def test_an_illegal_move_is_never_folded() -> None:
    request = after(receive())
    shipped = events(request, ship())[1]
    rejected = after(reject("TEE", "CAP"), start=request)
    with pytest.raises(ValueError, match="a unit that is rejected cannot become shipped"):
        evolve("r-1", rejected, replace(shipped, version=rejected.version + 1))


def test_what_was_said_is_taken_back_only_before_it_is_told_and_what_is_proved_stays_proved() -> None:
    assert not SAID_NEXT[Said.SHIPPED]
    assert SAID_NEXT[Said.REJECTED] == SAID_NEXT[Said.CANCELLED] == {Said.OPEN}
    assert not CONFIRMED_NEXT[Confirmed.PROVED]
    assert set(SAID_NEXT) == set(Said)
    assert set(CONFIRMED_NEXT) == set(Confirmed)


@pytest.mark.parametrize(
    ("unit", "text"),
    [
        (Unit("A"), "o-0.0"),
        (Unit("A", Said.SHIPPED, Confirmed.PROVED, 2, 13), "sp2.13"),
        (Unit("A", Said.REJECTED, Confirmed.REFUSED, 0, 4), "rf0.4"),
        (Unit("A", Said.CANCELLED, Confirmed.UNVERIFIABLE, 5, 6), "cn5.6"),
        (Unit("A", Said.SHIPPED, Confirmed.UNVERIFIED, 2, 3), "su2.3"),
        (Unit("A", Said.SHIPPED, Confirmed.SENT, 2, 3), "ss2.3"),
    ],
)
def test_a_unit_is_stored_as_a_few_characters_that_never_change_meaning(unit: Unit, text: str) -> None:
    assert to_text([unit]) == text
    assert from_text(["A"], text) == (unit,)


def test_states_of_another_number_of_units_are_not_read() -> None:
    with pytest.raises(ValueError, match="zip"):
        from_text(["A", "B"], "o-0.0")


@pytest.mark.parametrize("schedule", [PROVIDER, REPORTS, LOOKS])
def test_a_retry_never_comes_sooner_than_the_one_before_it(schedule: tuple[float, ...]) -> None:
    assert all(earlier < later for earlier, later in pairwise(schedule))


@pytest.mark.parametrize(
    ("destination", "operation", "attempt", "soonest", "latest"),
    [
        ("acme", Operation.CREATE, 1, 0, 2),
        ("acme", Operation.CREATE, 11, 0, 12 * 3600),
        (NEWSTORE, Operation.SHIP, 1, 0, 1),
        (NEWSTORE, Operation.SHIP, 11, 0, 8 * 3600),
        (NEWSTORE, Operation.READ_SHIPMENT, 1, 0.5, 1),
        (NEWSTORE, Operation.READ_SHIPMENT, 8, 60, 120),
        (NEWSTORE, Operation.READ_SHIPMENT, 500, 60, 120),
    ],
)
def test_jitter_spreads_a_write_over_its_step_and_a_look_over_the_second_half(
    destination: str, operation: Operation, attempt: int, soonest: float, latest: float
) -> None:
    assert delay(destination, operation, attempt, 0.0) == soonest
    almost = delay(destination, operation, attempt, 0.999999)
    assert almost is not None
    assert 0.999 * latest < almost < latest


@pytest.mark.parametrize(("destination", "operation"), [("acme", Operation.CREATE), (NEWSTORE, Operation.SHIP)])
def test_a_write_is_dead_after_eleven_retries(destination: str, operation: Operation) -> None:
    assert delay(destination, operation, 11, 0.5) is not None
    assert delay(destination, operation, 12, 0.5) is None


def test_requests_have_references_of_their_own_and_assignments_too() -> None:
    names = {reference(f"r-{number}") for number in range(1000)}
    assert len(names) == 1000
    assert {len(provider_reference(name, 999)) for name in names} == {20}
    assert provider_reference("NS0123456789ABCD", 2) == "NS0123456789ABCD-2"


def test_an_idempotency_key_names_the_intent() -> None:
    assert idempotency_key("NS0123456789ABCD", 1, "create", 1) == "NS0123456789ABCD.1.create.1"
    assert idempotency_key("NS0123456789ABCD", 2, "create", 3) == "NS0123456789ABCD.2.create.3"
