"""What NewStore refused is told anew in other words, and only that."""

from dataclasses import replace

import pytest

from gateway.domain.acts.again import Redrive
from gateway.domain.commands import CallEnded, End, Word
from gateway.domain.deliveries import Operation, Parcel
from gateway.domain.events.calls import Redriven
from gateway.domain.events.people import Declined
from gateway.domain.events.provider import UnitsShipped
from gateway.domain.handle import handle
from gateway.domain.reports import parcels
from gateway.domain.requests import Request
from tests.requests import AT, PARCEL, receive, said

from .steps import after, ended, events, parcel_of, ship, shown, taken

GROUND = Parcel("ups ground", "1Z1")


def redrive(**changes: object) -> Redrive:
    facts: dict[str, object] = {"request_id": "r-1", "at": AT, "who": "ada", "action_id": "1", "reason": "typo"}
    return Redrive(**facts | changes)  # type: ignore[arg-type]


def refused(*shipments: Parcel) -> Request:
    """One unit in each parcel, each refused by the answer to its report."""
    request = after(receive("r-1", *("A" for _ in shipments)))
    for number, parcel in enumerate(shipments):
        request = after(ship(f"s-{number}", parcel, A=1), start=request)
        owed = next(each for each in request.owed if each.operation is Operation.SHIP)
        end = CallEnded(
            request_id="r-1", at=AT, operation=Operation.SHIP, seq=owed.seq, attempt=1, end=End.REFUSED, detail="400"
        )
        request = after(end, start=request)
    return request


def told(request: Request, act: Redrive) -> list[Parcel | None]:
    return [fact.parcel for event in events(request, act) if isinstance(fact := event.fact, Redriven)]


def why(request: Request, act: Redrive) -> str:
    (event,) = events(request, act)
    assert isinstance(event.fact, Declined)
    return event.fact.why


def test_a_refused_shipment_is_told_with_the_carrier_and_code_that_a_person_gives() -> None:
    assert told(refused(GROUND), redrive(carrier="UPS")) == [Parcel("UPS", "1Z1", carrier_said="ups ground")]
    both = Parcel("UPS", "1Z2", carrier_said="ups ground", code_said="1Z1")
    assert told(refused(GROUND), redrive(carrier="UPS", tracking_code="1Z2")) == [both]


def test_a_refused_shipment_is_told_with_the_carrier_that_the_settings_have_by_now() -> None:
    carriers = {"upsground": "UPS"}
    assert told(refused(GROUND), redrive(carriers=carriers)) == [Parcel("UPS", "1Z1", carrier_said="ups ground")]
    mapped = Parcel("United Parcel", "1Z1", carrier_said="ups ground")
    assert told(refused(mapped), redrive(carriers=carriers)) == [Parcel("UPS", "1Z1", carrier_said="ups ground")]


@pytest.mark.parametrize("act", [redrive(), redrive(carriers={"dhl": "DHL Express"}), redrive(carrier="ups ground")])
def test_what_needs_no_other_words_is_told_as_before(act: Redrive) -> None:
    assert told(refused(GROUND), act) == [None]


@pytest.mark.parametrize("act", [redrive(carrier="UPS"), redrive(tracking_code="1Z2")])
def test_a_shipment_that_may_be_at_newstore_is_not_corrected(act: Redrive) -> None:
    reported = taken(after(receive("r-1", "A"), ship("s-1", GROUND, A=1)), Operation.SHIP)
    unverified = after(shown(reported, {}, overdue=True), start=reported)
    undecidable = ended(after(receive("r-1", "A"), ship("s-1", GROUND, A=1)), Operation.SHIP, End.UNDECIDABLE)
    for request in (unverified, undecidable):
        assert "may have the shipment" in why(request, act)


def test_a_change_of_the_carriers_changes_nothing_that_may_be_at_newstore() -> None:
    undecidable = ended(after(receive("r-1", "A"), ship("s-1", GROUND, A=1)), Operation.SHIP, End.UNDECIDABLE)
    assert told(undecidable, redrive(carriers={"upsground": "UPS"})) == [None]


def test_one_code_is_not_given_to_two_parcels_and_one_carrier_may_be() -> None:
    request = refused(GROUND, Parcel("ups ground", "1Z2"))
    assert "2 parcels" in why(request, redrive(tracking_code="1Z3"))
    codes = [parcel.tracking_code for parcel in told(request, redrive(carrier="UPS")) if parcel]
    assert codes == ["1Z1", "1Z2"]


def test_where_no_shipment_failed_nothing_is_corrected() -> None:
    dead = ended(after(receive("r-1", "A")), Operation.CREATE, End.REFUSED)
    assert "no shipment failed" in why(dead, redrive(carrier="UPS"))


def test_a_corrected_report_is_the_one_that_is_sent_and_compared() -> None:
    request, story = None, []
    start = refused(GROUND)
    for command in (receive("r-1", "A"), ship("s-1", GROUND, A=1)):
        request, new = handle(request, command)
        story += new
    redriven, new = handle(start, redrive(carrier="UPS"))
    story += new
    assert redriven is not None
    assert parcels(story)[redriven.units[0].reported_by].carrier == "UPS"
    assert redriven.parcels[0].carrier == "UPS"


def test_a_corrected_shipment_that_newstore_refuses_again_is_seen_at_once() -> None:
    reported = taken(after(receive("r-1", "A"), ship("s-1", A=1)), Operation.SHIP)
    key = parcel_of("A")
    first = after(shown(reported, {}, {key: (1, "invalid_carrier")}), start=reported)
    assert first.failure == "refused"
    again = taken(after(redrive(carrier="DHL"), start=first), Operation.SHIP)
    sent = again.units[0].reported_by
    read = shown(again, {}, {key: (1, "invalid_carrier"), ("A", "dhl", key[2]): (1, "invalid_carrier")})
    assert after(replace(read, parcels={sent: Parcel("DHL", PARCEL.tracking_code)}), start=again).failure == "refused"


def test_the_provider_may_repeat_a_parcel_that_was_corrected_by_its_own_words() -> None:
    corrected = after(redrive(carrier="UPS", tracking_code="1Z2"), start=refused(GROUND))
    assert [type(each.fact).__name__ for each in events(corrected, ship("again", GROUND, A=1))] == [
        "CallbackWithoutEffect"
    ]


def test_an_uncorrected_story_keeps_the_parcel_of_each_shipment() -> None:
    request = after(receive("r-1", "A", "B"), ship("s-1", GROUND, A=1), ship("s-2", B=1))
    assert {unit: parcel.tracking_code for unit, parcel in request.parcels.items()} == {
        0: "1Z1", 1: "1Z999AA10123456784",
    }  # fmt: skip
    shipped = [event.fact for event in events(after(receive("r-1", "A")), said(Word.SHIPPED, items={"A": 1}))]
    assert isinstance(shipped[-1], UnitsShipped)
