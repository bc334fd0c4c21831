"""What a provider may say, and what becomes of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gateway.domain.commands import OnProviderCancel, RejectionReason, Word
from gateway.domain.decide import Command
from gateway.domain.deliveries import Operation
from gateway.domain.events.messages import CallbackQuarantined, CallbackRefused
from gateway.domain.events.provider import UnitsAccepted, UnitsRejected, UnitsShipped
from gateway.domain.requests import Status
from gateway.domain.units import Said
from gateway.domain.waiting import waiting_for
from tests.requests import AT, PARCEL, receive, said

from .steps import NO_STOCK, after, events, names, operations, reject, ship


def refusal(*commands: Command) -> str:
    *before, last = commands
    fact = events(after(*before), last)[0].fact
    assert isinstance(fact, CallbackRefused)
    return fact.reason


def test_all_of_it_shipped_is_refused_where_all_of_it_was_rejected() -> None:
    assert refusal(receive(), reject("TEE", "CAP"), said(Word.SHIPPED)) == "contradiction"


@pytest.mark.parametrize(
    ("shipped", "failure"),
    [({"A": 2}, "callback_refused"), ({"A": 1, "B": 1}, "callback_refused"), ({"A": 1}, None), (None, None)],
)
def test_a_shipment_of_what_was_rejected_alarms_unless_it_may_repeat_one_before(
    shipped: dict[str, int] | None, failure: str | None
) -> None:
    request = after(receive("r-1", "A", "A", "B"), ship("s-1", A=1), reject("A", "B"))
    late = said(Word.SHIPPED, event="late", items=shipped)
    told = after(late, start=request)
    assert (told.units, told.failure) == (request.units, failure)


@pytest.mark.parametrize("items", [{"A": 1}, {"A": 2}, None])
def test_what_was_shipped_and_is_shipped_again_alarms_unless_it_is_the_same_parcel(
    items: dict[str, int] | None,
) -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=2))
    for parcel, failure in ((PARCEL, None), (replace(PARCEL, tracking_code="another"), "conflict")):
        told = after(said(Word.SHIPPED, event="late", items=items, parcel=parcel), start=request)
        assert (told.units, told.failure) == (request.units, failure)


def test_more_of_it_shipped_in_another_parcel_than_is_open_alarms_and_says_which_parcel() -> None:
    both = said(Word.SHIPPED, event="late", items={"A": 2}, parcel=replace(PARCEL, tracking_code="another"))
    (event,) = events(after(receive("r-1", "A", "A"), ship("s-1", A=1)), both)
    assert isinstance(event.fact, CallbackRefused)
    assert (event.fact.reason, event.fact.detail[-7:]) == ("another_parcel", "another")


def test_a_rejection_of_what_was_shipped_alarms_and_one_of_what_was_rejected_does_not() -> None:
    request = after(receive(), ship("s-1", TEE=1), reject("CAP"))
    assert after(reject("TEE", event="late"), start=request).failure == "callback_refused"
    assert after(reject("CAP", event="late"), start=request).failure is None


def test_all_of_it_rejected_is_refused_where_all_of_it_was_shipped() -> None:
    assert refusal(receive(), ship(), said(Word.REJECTED, reason=NO_STOCK)) == "contradiction"


def test_all_of_it_cancelled_is_refused_where_all_of_it_was_shipped() -> None:
    cancelled = said(Word.CANCELLED, on_cancel=OnProviderCancel.CANCEL)
    assert refusal(receive(), ship(), cancelled) == "contradiction"


def test_all_of_it_accepted_is_refused_where_all_of_it_was_rejected_unaccepted() -> None:
    assert refusal(receive(), reject("TEE", "CAP"), said(Word.ACCEPTED)) == "units_not_open"


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (said(Word.SHIPPED, event="1"), said(Word.SHIPPED, event="2")),
        (said(Word.REJECTED, event="1", reason=NO_STOCK), said(Word.REJECTED, event="2", reason=NO_STOCK)),
        (said(Word.ACCEPTED, event="1"), said(Word.ACCEPTED, event="2")),
    ],
)
def test_all_of_it_said_again_under_another_id_is_kept_without_effect(first: Command, again: Command) -> None:
    request = after(receive(), first)
    assert names(request, again) == ["CallbackWithoutEffect"]
    assert after(again, start=request).units == request.units


def test_all_of_it_means_the_units_that_are_still_open() -> None:
    request = after(receive(), reject("TEE"), ship())
    assert [unit.said for unit in request.units] == [Said.REJECTED, Said.SHIPPED]
    assert request.status is Status.COMPLETED


def test_a_message_with_one_impossible_line_applies_none_of_its_lines() -> None:
    request = after(receive())
    for items in ({"TEE": 1, "HAT": 1}, {"TEE": 1, "CAP": 2}, {"TEE": 1, "CAP": -1}):
        refused = said(Word.SHIPPED, items=items)
        assert names(request, refused) == ["CallbackRefused"]
        assert after(refused, start=request).units == request.units


def test_a_negative_quantity_is_refused_and_not_taken_for_a_repetition() -> None:
    assert refusal(receive(), said(Word.SHIPPED, items={"TEE": -1})) == "negative_quantity"


def test_an_acceptance_that_comes_after_a_rejection_of_some_accepts_the_others() -> None:
    request = after(receive("r-1", "TEE", "TEE"), reject("TEE"))
    late = said(Word.ACCEPTED, items={"TEE": 2})
    assert [event.fact for event in events(request, late)] == [UnitsAccepted((1,))]


@pytest.mark.parametrize("items", [None, {"TEE": 1}, {"TEE": 2}])
def test_an_acceptance_of_what_was_rejected_wakes_nobody_until_it_ships(items: dict[str, int] | None) -> None:
    request = after(receive("r-1", "TEE", "TEE"), said(Word.REJECTED, items={"TEE": 2}, reason=NO_STOCK))
    accepted = after(said(Word.ACCEPTED, items=items), start=request)
    assert (accepted.units, accepted.failure) == (request.units, None)
    assert after(said(Word.SHIPPED, items={"TEE": 1}), start=accepted).failure == "callback_refused"


def test_a_shipment_takes_the_accepted_units_first() -> None:
    request = after(receive("r-1", "TEE", "TEE"), said(Word.ACCEPTED, items={"TEE": 1}), reject("TEE"))
    assert [unit.said for unit in request.units] == [Said.OPEN, Said.REJECTED]
    one_accepted = after(receive("r-1", "TEE", "TEE"), said(Word.ACCEPTED, items={"TEE": 1}))
    assert [event.fact for event in events(one_accepted, ship(TEE=1))] == [UnitsShipped((0,), PARCEL)]
    accepted_second = after(receive("r-1", "TEE", "TEE"), reject("TEE"), said(Word.ACCEPTED, items={"TEE": 1}))
    assert [event.fact for event in events(accepted_second, ship(TEE=1))] == [UnitsShipped((1,), PARCEL)]


def test_a_shipment_accepts_only_what_was_not_accepted_before() -> None:
    request = after(receive(), said(Word.ACCEPTED, items={"TEE": 1}))
    assert [event.fact for event in events(request, ship())] == [UnitsAccepted((1,)), UnitsShipped((0, 1), PARCEL)]


def test_newstore_is_not_told_of_an_acceptance_where_everything_is_rejected() -> None:
    assert operations(after(receive(), reject("TEE", "CAP"))) == [Operation.CREATE, Operation.REJECT]


def test_a_rejection_keeps_its_reason_and_a_provider_cancellation_never_empties_the_stock() -> None:
    assert events(after(receive()), reject("TEE"))[0].fact == UnitsRejected((0,), RejectionReason.NO_INVENTORY)
    cancelled = said(Word.CANCELLED, on_cancel=OnProviderCancel.REJECT)
    assert events(after(receive()), cancelled)[0].fact == UnitsRejected((0, 1), RejectionReason.CANNOT_FULFILL)


def test_a_cancellation_taken_as_a_rejection_still_needs_the_proof_of_withdrawal() -> None:
    cancelled = said(Word.CANCELLED, on_cancel=OnProviderCancel.REJECT, is_proof=False)
    request = after(receive(), cancelled)
    assert Operation.REJECT not in operations(request)
    assert request.is_rejected


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        (said(Word.REJECTED), "unknown_reason"),
        (said(Word.SHIPPED, parcel=None), "no_parcel"),
        (said(Word.CANCELLED), "provider_cancelled"),
    ],
)
def test_what_a_message_leaves_out_is_never_guessed(message: Command, reason: str) -> None:
    request = after(receive())
    fact = events(request, message)[0].fact
    assert isinstance(fact, CallbackQuarantined)
    assert fact.reason == reason
    quarantined = after(message, start=request)
    assert quarantined.units == request.units
    assert quarantined.quarantined == 1


def test_a_callback_by_another_provider_owes_nothing_and_keeps_the_units() -> None:
    request = after(receive())
    stranger = after(said(Word.SHIPPED, provider="former"), start=request)
    assert (stranger.units, stranger.owed, stranger.status) == (request.units, request.owed, Status.DISPATCHED)


def test_nobody_is_the_provider_of_an_unroutable_request() -> None:
    assert refusal(receive(provider=None), said(Word.SHIPPED)) == "other_provider"


def test_a_message_for_a_request_that_nobody_has_is_an_error() -> None:
    with pytest.raises(LookupError, match="only Receive begins one"):
        events(None, said(Word.SHIPPED))


def test_a_message_that_changes_nothing_does_not_restart_the_clock_of_who_is_awaited() -> None:
    request = after(receive(), said(Word.ACCEPTED))
    later = AT + timedelta(days=2)
    waits = waiting_for(after(replace(said(Word.ACCEPTED, event="again"), at=later), start=request))
    assert waits is not None
    assert (waits.who, waits.since) == ("gateway", AT)


def test_a_refused_callback_that_a_person_must_see_starts_the_clock_of_that_person() -> None:
    first, second = (AT + timedelta(days=days) for days in (2, 3))
    request = after(receive(), replace(said(Word.SHIPPED, provider="former"), at=first))
    request = after(replace(said(Word.SHIPPED, event="2", provider="former"), at=second), start=request)
    waits = waiting_for(request)
    assert waits is not None
    assert (waits.who, waits.since) == ("operations", first)


def test_everything_that_contradicts_itself_is_counted_on_the_request() -> None:
    other_place = receive(location="DC02")
    other_body = receive(fingerprint="other")
    other_content = said(Word.ACCEPTED, fingerprint="other")
    assert after(receive(), said(Word.ACCEPTED), other_place, other_body, other_content).conflicts == 3


def test_the_provider_chosen_on_receipt_is_assignment_one() -> None:
    assert after(receive()).assignment == 1
    assert after(receive(provider=None)).assignment == 0
