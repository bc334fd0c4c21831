"""One plain sentence for whoever has to move next."""

from dataclasses import replace

import pytest

from gateway.domain.commands import Deadline, End, OnProviderCancel, Word
from gateway.domain.deliveries import NEWSTORE, Operation
from gateway.domain.requests import Request, Status
from gateway.domain.waiting import waiting_for
from tests.requests import AT, hint, overdue, receive, said

from .steps import NO_STOCK, after, ended, parcel_of, reject, ship, shown, taken


def created() -> Request:
    return taken(after(receive()), Operation.CREATE)


def acknowledged() -> Request:
    return taken(after(said(Word.ACCEPTED), start=created()), Operation.ACKNOWLEDGE)


def sent() -> Request:
    return taken(after(ship(), start=acknowledged()), Operation.SHIP)


def rejection_at_newstore() -> Request:
    return taken(after(reject("TEE"), start=acknowledged()), Operation.REJECT)


def unproved_rejection() -> Request:
    return after(said(Word.REJECTED, reason=NO_STOCK, is_proof=False), start=created())


@pytest.mark.parametrize(
    ("request_", "who", "words"),
    [
        (after(receive(provider=None)), "operations", "no provider serves DC01"),
        (after(receive()), "gateway", "create the request at acme"),
        (created(), "acme", "acme has not accepted the request yet"),
        (after(said(Word.ACCEPTED), start=created()), "gateway", "acknowledge the request at newstore"),
        (acknowledged(), "acme", "acme has 2 of 2 units to ship or reject"),
        (rejection_at_newstore(), "acme", "1 of 2 units to ship or reject (rejected units wait for them at NewStore)"),
        (sent(), NEWSTORE, "NewStore has not shown 2 of 2 reported units yet"),
        (after(said(Word.CANCELLED), start=acknowledged()), "operations", "1 message(s) of acme lie in quarantine"),
        (unproved_rejection(), "operations", "confirm with acme that it will not ship 2 rejected unit(s)"),
        (unproved_rejection(), "operations", "then `gateway reject ID --provider-stopped WHO_AND_HOW`"),
    ],
)
def test_a_pending_request_says_who_moves_next(request_: Request, who: str, words: str) -> None:
    waiting = waiting_for(request_)
    assert waiting is not None
    assert waiting.who == who
    assert words in waiting.next
    assert waiting.since == AT


@pytest.mark.parametrize("request_", [after(receive()), created(), acknowledged(), rejection_at_newstore()])
def test_what_a_provider_has_to_do_that_the_settings_do_not_name_any_more_waits_for_operations(
    request_: Request,
) -> None:
    waiting = waiting_for(request_, ["beta"])
    assert waiting is not None
    assert waiting.who == "operations"
    assert "its provider acme is missing from the settings" in waiting.next
    assert waiting_for(request_, ["acme"]) == waiting_for(request_)


def test_what_only_newstore_has_to_do_needs_no_provider() -> None:
    assert waiting_for(sent(), ["beta"]) == waiting_for(sent())


def refused() -> Request:
    return ended(after(ship(), start=acknowledged()), Operation.SHIP, End.REFUSED)


def unverified() -> Request:
    request = sent()
    return after(shown(request, {}, overdue=True), start=request)


def surplus() -> Request:
    request = sent()
    return after(shown(request, {parcel_of("TEE"): 2}), start=request)


def cancelled() -> Request:
    return after(said(Word.CANCELLED, on_cancel=OnProviderCancel.CANCEL), start=acknowledged())


@pytest.mark.parametrize(
    ("request_", "failure"),
    [
        (refused(), "refused"),
        (unverified(), "unverified"),
        (surplus(), "surplus"),
        (after(overdue(deadline=Deadline.ACKNOWLEDGE), start=after(receive())), "overdue_acknowledge"),
        (
            after(receive(), said(Word.BACKORDERED), overdue(deadline=Deadline.BACKORDER)),
            "overdue_backorder",
        ),
        (after(overdue(), start=taken(after(receive()), Operation.CREATE)), "overdue_accept"),
        (ended(after(receive(), hint(1)), Operation.READ_ORDER, End.EXHAUSTED), "dead_read_order"),
        (ended(after(receive()), Operation.CREATE, End.EXHAUSTED), "dead_create"),
        (ended(after(receive(), said(Word.ACCEPTED)), Operation.ACKNOWLEDGE, End.EXHAUSTED), "dead_acknowledge"),
        (ended(after(ship(), start=acknowledged()), Operation.SHIP, End.UNDECIDABLE), "dead_ship"),
        (ended(after(reject("TEE"), start=acknowledged()), Operation.REJECT, End.UNDECIDABLE), "dead_reject"),
        (ended(cancelled(), Operation.CANCEL, End.UNDECIDABLE), "dead_cancel"),
        (ended(sent(), Operation.READ_SHIPMENT, End.REFUSED), "dead_read_shipment"),
        (ended(rejection_at_newstore(), Operation.READ_REJECTION, End.REFUSED), "dead_read_rejection"),
        (ended(taken(cancelled(), Operation.CANCEL), Operation.READ_CANCELLATION, End.REFUSED),
         "dead_read_cancellation"),
    ],
)  # fmt: skip
def test_every_failure_waits_for_operations_with_a_sentence(request_: Request, failure: str) -> None:
    assert request_.failure == failure
    waiting = waiting_for(request_)
    assert waiting is not None
    assert waiting.who == "operations"
    assert ": " in waiting.next


def test_a_proved_request_waits_for_nothing() -> None:
    request = sent()
    proved = after(shown(request, {parcel_of("TEE"): 1, parcel_of("CAP"): 1}), start=request)
    assert waiting_for(proved) is None
    assert proved.settled_at is not None


def test_a_status_only_moves_forward() -> None:
    steps = [after(receive()), acknowledged(), rejection_at_newstore(), sent()]
    assert [request.status for request in steps] == [
        Status.DISPATCHED,
        Status.ACKNOWLEDGED,
        Status.PARTIALLY_COMPLETED,
        Status.COMPLETED,
    ]


def test_a_destination_that_asked_to_wait_says_until_when() -> None:
    (create,) = after(receive()).owed
    waits = replace(after(receive()), owed=(replace(create, not_before=AT),))
    waiting = waiting_for(waits)
    assert waiting is not None
    until = f"{AT:%Y-%m-%d %H:%M} UTC"
    assert waiting.next == f"the gateway has to create the request at acme, which asked to wait until {until}"
