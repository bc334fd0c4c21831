"""What NewStore's read-back proves, and what it can't decide."""

from dataclasses import replace

import pytest

from gateway.domain.acts.again import Recheck
from gateway.domain.commands import End
from gateway.domain.deliveries import Operation, Parcel, normal
from gateway.domain.events.calls import Rechecked
from gateway.domain.events.newstore import SurplusShown, UnitsProved, UnitsRefused, UnitsUnverifiable, UnitsUnverified
from gateway.domain.proof import Unclear, compare, missing
from gateway.domain.requests import Request
from gateway.domain.units import Confirmed
from tests.requests import AT, PARCEL, receive

from .steps import after, ended, names, parcel_of, reject, ship, shown, taken

OTHER = Parcel("UPS", "1Z999AA10123456785")


def two_shipments_of_a() -> Request:
    """Acknowledged; both reports are owed and carry the same parcel."""
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", A=1))
    return taken(request, Operation.ACKNOWLEDGE)


def both_sent() -> Request:
    return taken(taken(two_shipments_of_a(), Operation.SHIP), Operation.SHIP)


def test_a_unit_refused_is_told_with_newstores_reason() -> None:
    request = both_sent()
    facts = compare(request, shown(request, {parcel_of("A"): 1}, {parcel_of("A"): (1, "already_cancelled")}))
    assert facts == [
        UnitsProved(Operation.SHIP, (0,)),
        UnitsRefused(Operation.SHIP, (1,), "already_cancelled"),
    ]


def test_a_parcel_proves_only_the_units_that_were_sent_with_it() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1), ship("s-2", parcel=OTHER, A=1))
    request = taken(taken(request, Operation.SHIP), Operation.SHIP)
    parcels = {request.units[0].reported_by: PARCEL, request.units[1].reported_by: OTHER}
    read = replace(shown(request, {("A", normal(OTHER.carrier), normal(OTHER.tracking_code)): 1}), parcels=parcels)
    assert compare(request, read) == [UnitsProved(Operation.SHIP, (1,))]


@pytest.mark.parametrize(
    ("sent", "shown_as"),
    [
        (" 1z 999 aa1 ", "1Z999AA1"), ("1Z\N{NO-BREAK SPACE}999", "1z999"), ("N/A", ""), ("n/a", None), ("", "N/A"),
        ("STRASSE 1", "straße1"),
    ],
)  # fmt: skip
def test_a_code_is_the_same_in_other_letters_with_blanks_and_where_it_says_that_there_is_none(
    sent: str, shown_as: str | None
) -> None:
    assert normal(sent) == normal(shown_as)


@pytest.mark.parametrize(("sent", "other"), [("1Z1", "1Z2"), ("1Z1", None), ("1-1", "11"), ("N/A 1", "1")])
def test_other_codes_stay_others(sent: str, other: str | None) -> None:
    assert normal(sent) != normal(other)


def test_a_parcel_that_newstore_writes_in_another_way_proves_its_units() -> None:
    parcel = Parcel("ups", " 1z 999 aa1 ")
    request = after(receive("r-1", "A"), ship("s-1", parcel=parcel, A=1))
    request = taken(taken(request, Operation.ACKNOWLEDGE), Operation.SHIP)
    read = replace(shown(request, {("A", "ups", "1z999aa1"): 1}), parcels={request.units[0].reported_by: parcel})
    assert compare(request, read) == [UnitsProved(Operation.SHIP, (0,))]


def test_a_rejection_is_counted_by_product_alone() -> None:
    request = taken(after(receive(), reject("TEE")), Operation.REJECT)
    read = shown(request, {("TEE", None, None): 1}, operation=Operation.REJECT)
    assert compare(request, read) == [UnitsProved(Operation.REJECT, (0,))]


def test_only_units_in_time_out_are_unverified_and_only_once() -> None:
    request = both_sent()
    late = shown(request, {parcel_of("A"): 1}, overdue=True)
    assert compare(request, late) == [UnitsProved(Operation.SHIP, (0,)), UnitsUnverified(Operation.SHIP, (1,))]
    again = after(late, start=request)
    assert compare(again, shown(again, {parcel_of("A"): 1}, overdue=True)) == []


def test_an_unverified_unit_can_still_be_refused() -> None:
    request = both_sent()
    request = after(shown(request, {}, overdue=True), start=request)
    request = after(shown(request, {}, {parcel_of("A"): (2, "no")}), start=request)
    assert [unit.confirmed for unit in request.units] == [Confirmed.REFUSED, Confirmed.REFUSED]


def test_a_read_back_that_failed_for_good_needs_no_parcels_to_be_overdue() -> None:
    request = both_sent()
    failed = replace(shown(request, {}, overdue=True), parcels={})
    assert compare(request, failed) == [UnitsUnverified(Operation.SHIP, (0, 1))]


def test_a_report_in_flight_is_no_surplus() -> None:
    request = taken(two_shipments_of_a(), Operation.SHIP)
    assert compare(request, shown(request, {parcel_of("A"): 2})) == [UnitsProved(Operation.SHIP, (0,))]


def test_a_report_that_was_refused_and_is_shown_all_the_same_is_no_surplus() -> None:
    request = ended(two_shipments_of_a(), Operation.SHIP, End.REFUSED)
    request = taken(request, Operation.SHIP)
    assert compare(request, shown(request, {parcel_of("A"): 2})) == [UnitsProved(Operation.SHIP, (1,))]


def test_a_unit_that_nobody_sent_is_a_surplus_told_once() -> None:
    request = both_sent()
    read = shown(request, {parcel_of("A"): 3})
    assert compare(request, read) == [UnitsProved(Operation.SHIP, (0, 1)), SurplusShown(Operation.SHIP, "A", 1)]
    told = after(read, start=request)
    assert compare(told, shown(told, {parcel_of("A"): 3})) == []


def test_an_unverifiable_unit_lends_its_proof_to_no_other() -> None:
    request = taken(two_shipments_of_a(), Operation.SHIP, verifiable=False)
    request = taken(request, Operation.SHIP)
    assert compare(request, shown(request, {parcel_of("A"): 1})) == []
    assert compare(request, shown(request, {parcel_of("A"): 2})) == [UnitsProved(Operation.SHIP, (1,))]


def test_a_second_read_back_of_a_kind_is_not_taken_for_the_first() -> None:
    request = after(receive("r-1", "A", "A"), ship("s-1", A=1))
    request = taken(request, Operation.SHIP)
    request = after(shown(request, {parcel_of("A"): 1}), start=request)
    request = taken(after(ship("s-2", A=1), start=request), Operation.SHIP)
    assert names(request, shown(request, {parcel_of("A"): 2})) == ["UnitsProved"]


def test_of_two_equal_units_only_the_one_that_never_arrived_is_sent_again() -> None:
    request = after(receive("r-1", "A", "A"), ship(A=1))
    seq = request.units[0].reported_by
    assert missing(request, seq, shown(request, {})) == (0,)
    assert missing(request, seq, shown(request, {parcel_of("A"): 1})) == ()
    assert missing(request, seq, shown(request, {}, {parcel_of("A"): (1, "no")})) == ()
    assert missing(request, seq, shown(request, {parcel_of("A"): 2})) is Unclear.NEVER


def test_a_unit_shown_in_a_parcel_that_nobody_sent_may_be_ours_under_another_spelling() -> None:
    request = after(receive("r-1", "A", "A", "B"), ship(A=1))
    seq = request.units[0].reported_by
    other = shown(request, {("A", "unitedparcel", normal(PARCEL.tracking_code)): 1})
    assert missing(request, seq, other) is Unclear.NEVER
    assert missing(request, seq, shown(request, {parcel_of("B"): 1})) == (0,)


def test_a_report_that_arrived_in_part_is_sent_again_in_part() -> None:
    request = after(receive("r-1", "A", "A", "B"), ship())
    seq = request.units[0].reported_by
    assert missing(request, seq, shown(request, {parcel_of("A"): 1, parcel_of("B"): 1})) == (1,)


def test_a_list_that_lacks_what_it_proved_before_decides_nothing() -> None:
    request = taken(two_shipments_of_a(), Operation.SHIP)
    request = after(shown(request, {parcel_of("A"): 1}), start=request)
    assert missing(request, request.units[1].reported_by, shown(request, {})) is Unclear.NEVER


def test_units_of_an_earlier_report_refused_by_its_answer_do_not_hide_what_arrived() -> None:
    request = ended(two_shipments_of_a(), Operation.SHIP, End.REFUSED)
    seq = request.units[1].reported_by
    assert missing(request, seq, shown(request, {parcel_of("A"): 1})) == ()
    assert missing(request, seq, shown(request, {})) == (1,)


def test_a_refusal_that_may_be_of_this_report_or_of_an_earlier_one_decides_nothing() -> None:
    request = ended(two_shipments_of_a(), Operation.SHIP, End.REFUSED)
    assert (
        missing(request, request.units[1].reported_by, shown(request, {}, {parcel_of("A"): (1, "no")})) is Unclear.NEVER
    )


def test_a_refusal_already_counted_refuses_no_other_unit() -> None:
    request = taken(two_shipments_of_a(), Operation.SHIP)
    request = after(shown(request, {}, {parcel_of("A"): (1, "no")}), start=request)
    request = taken(request, Operation.SHIP)
    assert compare(request, shown(request, {}, {parcel_of("A"): (1, "no")})) == []
    assert compare(request, shown(request, {}, {parcel_of("A"): (2, "no")})) == [
        UnitsRefused(Operation.SHIP, (1,), "no")
    ]


def test_what_is_shown_nowhere_is_unverifiable_and_its_request_settled() -> None:
    request = both_sent()
    nowhere = replace(shown(request, {}), exists=False)
    assert compare(request, nowhere) == [UnitsUnverifiable(Operation.SHIP, (0, 1))]
    settled = after(nowhere, start=request)
    assert (settled.is_pending, settled.failure, any(each.is_read for each in settled.owed)) == (False, None, False)
    assert compare(settled, nowhere) == []


def test_what_was_unverified_before_that_was_known_needs_nobody_any_more() -> None:
    request = both_sent()
    late = after(shown(request, {}, overdue=True), start=request)
    known = after(replace(shown(late, {}), exists=False), start=late)
    assert {unit.confirmed for unit in known.units} == {Confirmed.UNVERIFIABLE}
    assert (late.failure, known.failure) == ("unverified", None)


def test_what_was_proved_or_never_sent_stays_so_when_reports_are_shown_nowhere() -> None:
    request = taken(two_shipments_of_a(), Operation.SHIP)
    request = after(shown(request, {parcel_of("A"): 1}), start=request)
    assert compare(request, replace(shown(request, {}), exists=False)) == []


def test_a_recheck_of_what_is_shown_nowhere_says_so() -> None:
    request = both_sent()
    late = after(shown(request, {}, overdue=True), start=request)
    asked = after(Recheck(request_id="r-1", at=AT, who="ada", action_id="a", can_look_up=True), start=late)
    (owed,) = (each for each in asked.owed if each.is_read and each.seq)
    told = compare(asked, replace(shown(asked, {}), seq=owed.seq, exists=False))
    assert [type(fact) for fact in told] == [UnitsUnverifiable, Rechecked]
    assert told[-1] == Rechecked(owed.operation, owed.seq, "NewStore shows such reports nowhere")
