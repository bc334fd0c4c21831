"""The rules of a fulfillment request, one test each."""

from dataclasses import replace

import pytest

from gateway.dispatch.retry import PROVIDER, delay
from gateway.domain.commands import Assign, CallEnded, End, OnProviderCancel, ReadBack, Word
from gateway.domain.deliveries import NEWSTORE, READ_BACK, READS, Operation
from gateway.domain.events.messages import CallbackQuarantined, CallbackRefused
from gateway.domain.events.provider import UnitsShipped
from gateway.domain.handle import handle
from gateway.domain.proof import Unclear, missing
from gateway.domain.references import provider_reference, reference
from gateway.domain.requests import Status
from gateway.domain.units import Confirmed, Said
from gateway.domain.waiting import waiting_for
from tests.requests import AT, receive, said

from .steps import NO_STOCK, after, events, names, parcel_of, reject, ship, shown, taken


def test_a_request_is_owed_to_its_provider_once_received() -> None:
    request = after(receive())
    assert [(each.destination, each.operation) for each in request.owed] == [("acme", Operation.CREATE)]
    assert request.status is Status.DISPATCHED


def test_a_request_without_a_provider_is_parked_and_owed_once_assigned() -> None:
    parked = after(receive(provider=None))
    assert parked.owed == ()
    waiting = waiting_for(parked)
    assert waiting is not None
    assert waiting.who == "operations"
    routed = after(receive(provider=None), Assign(request_id="r-1", at=AT, provider="acme"))
    assert [each.destination for each in routed.owed] == ["acme"]
    assert routed.assignment == 1


def test_the_same_id_again_changes_nothing_and_another_body_or_place_is_flagged() -> None:
    request = after(receive())
    assert events(request, receive()) == []
    assert names(request, receive(fingerprint="other")) == ["ConflictingBody"]
    assert names(request, receive(location="DC02")) == ["ConflictingLocation"]
    flagged = after(receive(), receive(fingerprint="other"))
    assert events(flagged, receive(fingerprint="other")) == []
    assert flagged.owed == request.owed


def test_reject_is_allowed_after_accept() -> None:
    request = after(receive(), said(Word.ACCEPTED))
    assert names(request, reject("TEE")) == ["UnitsRejected", "RejectionProven"]


def test_reject_is_never_allowed_after_shipped() -> None:
    request = after(receive(), ship(TEE=1))
    assert names(request, reject("TEE")) == ["CallbackRefused"]


@pytest.mark.parametrize(
    ("word", "fact"), [(Word.SHIPPED, "CallbackRefused"), (Word.CANCELLED, "CallbackWithoutEffect")]
)
def test_a_rejected_unit_can_be_neither_shipped_nor_cancelled(word: Word, fact: str) -> None:
    request = after(receive(), reject("TEE"))
    late = said(word, items={"TEE": 1}, on_cancel=OnProviderCancel.CANCEL)
    assert names(request, late) == [fact]


def test_the_same_callback_twice_changes_nothing() -> None:
    request = after(receive(), ship(TEE=1))
    assert events(request, ship(TEE=1)) == []


def test_the_same_callback_id_with_other_content_is_a_conflict_once() -> None:
    other = said(Word.ACCEPTED, fingerprint="other")
    request = after(receive(), said(Word.ACCEPTED))
    assert names(request, other) == ["ConflictingCallback"]
    assert events(after(receive(), said(Word.ACCEPTED), other), other) == []


def test_ship_before_accept_implies_accept_and_newstore_is_acknowledged_once() -> None:
    request = after(receive(), ship("s-1", TEE=1), ship("s-2", CAP=1), said(Word.ACCEPTED))
    assert all(unit.accepted for unit in request.units)
    assert [each.operation for each in request.owed if each.destination == NEWSTORE] == [
        Operation.ACKNOWLEDGE,
        Operation.SHIP,
        Operation.SHIP,
    ]


def test_an_acceptance_that_says_nothing_new_is_kept_without_effect() -> None:
    request = after(receive(), ship())
    assert names(request, said(Word.ACCEPTED)) == ["CallbackWithoutEffect"]


def test_accepted_is_kept_per_unit() -> None:
    request = after(receive(), said(Word.ACCEPTED, event="a", items={"CAP": 1}))
    assert [bool(unit.accepted) for unit in request.units] == [False, True]


def test_a_message_is_applied_whole_or_not_at_all() -> None:
    request = after(receive("r-1", "TEE", "TEE"), ship("s-1", TEE=1))
    assert names(request, ship("s-2", TEE=2)) == ["CallbackRefused"]


@pytest.mark.parametrize(("items", "reason"), [({"HAT": 1}, "unknown_product"), ({"TEE": 2}, "too_many_units")])
def test_what_can_never_be_right_is_refused_with_its_reason(items: dict[str, int], reason: str) -> None:
    fact = events(after(receive()), said(Word.SHIPPED, items=items))[0].fact
    assert isinstance(fact, CallbackRefused)
    assert fact.reason == reason


def test_an_unknown_word_is_quarantined_and_never_mapped() -> None:
    request = after(receive())
    fact = events(request, replace(said(Word.ACCEPTED), word=None, problem="type 'backordered'"))[0].fact
    assert fact == CallbackQuarantined("unknown_word", "type 'backordered'")


@pytest.mark.parametrize(
    ("policy", "facts"),
    [
        (OnProviderCancel.QUARANTINE, ["CallbackQuarantined"]),
        (OnProviderCancel.REJECT, ["UnitsRejected", "RejectionProven"]),
        (OnProviderCancel.CANCEL, ["UnitsCancelled"]),
    ],
)
def test_a_providers_own_cancellation_follows_the_location(policy: OnProviderCancel, facts: list[str]) -> None:
    assert names(after(receive()), said(Word.CANCELLED, on_cancel=policy)) == facts


def test_newstore_is_told_of_a_rejection_only_when_the_withdrawal_is_proved() -> None:
    unproved = said(Word.REJECTED, items={"TEE": 1}, reason=NO_STOCK, is_proof=False)
    assert [each.operation for each in after(receive(), unproved).owed] == [Operation.CREATE]
    assert Operation.REJECT in [each.operation for each in after(receive(), reject("TEE")).owed]


def test_a_callback_by_another_provider_changes_nothing() -> None:
    request = after(receive())
    fact = events(request, said(Word.SHIPPED, provider="former"))[0].fact
    assert isinstance(fact, CallbackRefused)
    assert fact.reason == "other_provider"


def test_only_the_first_write_to_newstore_is_ready() -> None:
    request = after(receive(), ship())
    assert [each.operation for each in request.ready] == [Operation.CREATE, Operation.ACKNOWLEDGE]
    assert [each.operation for each in taken(request, Operation.ACKNOWLEDGE).ready] == [
        Operation.CREATE,
        Operation.SHIP,
    ]


def test_a_shipment_counts_only_once_the_read_back_proves_it() -> None:
    sent = taken(after(receive(), ship()), Operation.SHIP)
    assert sent.is_pending
    assert not sent.has_settled(Said.SHIPPED)
    assert READ_BACK[Operation.SHIP] in {each.operation for each in sent.owed}
    proved, _ = handle(sent, shown(sent, {parcel_of("TEE"): 1, parcel_of("CAP"): 1}))
    assert proved is not None
    assert proved.has_settled(Said.SHIPPED)
    assert not proved.is_pending
    assert not READS & {each.operation for each in proved.owed}


def test_a_read_back_that_shows_nothing_changes_nothing_until_its_time_is_over() -> None:
    sent = taken(after(receive(), ship()), Operation.SHIP)
    assert events(sent, shown(sent, {})) == []
    late, _ = handle(sent, shown(sent, {}, overdue=True))
    assert late is not None
    assert late.failure == "unverified"
    recovered, _ = handle(late, shown(late, {parcel_of("TEE"): 1, parcel_of("CAP"): 1}))
    assert recovered is not None
    assert recovered.failure is None


def test_a_unit_in_failed_shipments_makes_the_request_failed() -> None:
    sent = taken(after(receive(), ship()), Operation.SHIP)
    refused, _ = handle(sent, shown(sent, {parcel_of("CAP"): 1}, {parcel_of("TEE"): (1, "already_cancelled")}))
    assert refused is not None
    assert [unit.confirmed for unit in refused.units] == [Confirmed.REFUSED, Confirmed.PROVED]
    assert refused.failure == "refused"
    waiting = waiting_for(refused)
    assert waiting is not None
    assert waiting.who == "operations"


def test_counts_are_cumulative_over_reports_with_the_same_parcel() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", A=1))
    both = taken(taken(request, Operation.SHIP), Operation.SHIP)
    one, _ = handle(both, shown(both, {parcel_of("A"): 1}))
    assert one is not None
    assert [unit.confirmed for unit in one.units] == [Confirmed.PROVED, Confirmed.SENT]
    assert events(one, shown(one, {parcel_of("A"): 1})) == []
    two, _ = handle(one, shown(one, {parcel_of("A"): 2}))
    assert two is not None
    assert not two.is_pending


def test_more_shown_than_was_sent_waits_for_a_person() -> None:
    sent = taken(after(receive(), ship(TEE=1)), Operation.SHIP)
    surplus, _ = handle(sent, shown(sent, {parcel_of("TEE"): 2}))
    assert surplus is not None
    assert surplus.failure == "surplus"


def test_after_an_unknown_shipment_only_what_is_missing_is_sent_again() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", A=1))
    first = taken(request, Operation.SHIP)
    seq = first.units[1].reported_by
    assert missing(first, seq, shown(first, {parcel_of("A"): 2})) == ()
    assert missing(first, seq, shown(first, {parcel_of("A"): 3})) is Unclear.NEVER
    proved = after(shown(first, {parcel_of("A"): 1}), start=first)
    assert missing(proved, seq, shown(proved, {parcel_of("A"): 1})) == (1,)


def test_a_dead_create_is_forgotten_when_the_provider_speaks_of_the_request() -> None:
    request = after(receive())
    dead = CallEnded(
        request_id="r-1", at=AT, operation=Operation.CREATE, seq=1, attempt=9, end=End.EXHAUSTED, detail="503"
    )
    assert after(receive(), dead).failure == "dead_create"
    assert after(receive(), dead, said(Word.ACCEPTED)).failure is None
    assert request.failure is None


def test_a_rejected_request_is_listed_until_its_siblings_are_final() -> None:
    request = taken(after(receive(), reject("TEE")), Operation.REJECT)
    proof = ReadBack(
        request_id="r-1",
        at=AT,
        operation=Operation.REJECT,
        attempt=1,
        taken={("TEE", None, None): 1},
        refused={},
        parcels={},
        overdue=False,
    )
    proved, _ = handle(request, proof)
    assert proved is not None
    assert proved.is_rejected
    shipped, _ = handle(proved, ship(CAP=1))
    assert shipped is not None
    assert not shipped.is_rejected
    assert any(isinstance(event.fact, UnitsShipped) for event in events(proved, ship(CAP=1)))


def test_a_reference_is_short_upper_case_and_always_the_same() -> None:
    name = reference("b7a0c1de-52f4-4d0e-9a51-0c3f6c1e7d42")
    assert name == reference("b7a0c1de-52f4-4d0e-9a51-0c3f6c1e7d42")
    assert name.isalnum()
    assert name.isupper()
    assert len(provider_reference(name, 99)) <= 20
    assert provider_reference(name, 1) == name


def test_the_retry_schedule_ends_for_writes_and_never_for_read_backs() -> None:
    assert delay("acme", Operation.CREATE, 1, 0.5) == PROVIDER[0] / 2
    assert delay("acme", Operation.CREATE, len(PROVIDER) + 1, 0.0) is None
    assert delay(NEWSTORE, Operation.READ_SHIPMENT, 10_000, 0.0) is not None
