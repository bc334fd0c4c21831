"""A refused callback is seen, until it is put right or answered."""

import pytest

from gateway.domain.acts.ending import Close
from gateway.domain.acts.leaving import Reroute
from gateway.domain.acts.story import Note
from gateway.domain.commands import OnProviderCancel, Word
from gateway.domain.decide import Command
from gateway.domain.deliveries import Operation
from gateway.domain.events.messages import TURNED_AWAY
from gateway.domain.requests import Request
from gateway.domain.waiting import waiting_for
from gateway.web.receipts import CALLBACKS
from tests.requests import AT, receive, said

from .steps import NO_STOCK, after, events, names, reject, ship, shown, taken
from .steps import parcel_of as proved


def refused() -> Request:
    """Its provider shipped what nobody asked for."""
    return after(receive("r-1", "A", "B"), ship("s-1", KIT=1))


@pytest.mark.parametrize(
    ("late", "says"),
    [
        (ship("late", KIT=1), "'KIT' is not in the request"),
        (ship("late", a=1), "'a' is not in the request"),
        (ship("late", A=2), "2 of 'A', and 1 were ever asked for"),
        (reject("HAT", event="late"), "'HAT' is not in the request"),
        (reject("B", event="late"), "it was shipped, and now rejected"),
        (ship("late", C=1), "it was rejected or cancelled, and now shipped: it may ship twice"),
    ],
)
def test_a_refused_callback_fails_the_request_in_our_words(late: Command, says: str) -> None:
    start = after(receive("r-1", "A", "B", "C"), ship("s-1", B=1), reject("C"))
    request = after(late, start=start)
    assert request.failure == "callback_refused"
    waiting = waiting_for(request)
    assert waiting is not None
    assert (waiting.who, says in waiting.next) == ("operations", True)


def test_more_than_is_open_of_what_was_asked_for_is_seen_too() -> None:
    start = after(receive("r-1", "A", "A"), ship("s-1", A=1))
    both = said(Word.ACCEPTED, event="late", items={"A": 2})
    assert after(both, start=start).failure is None  # both were accepted, or are now
    rejected = said(Word.REJECTED, event="late", items={"A": 2}, reason=NO_STOCK)
    assert after(rejected, start=start).failure == "callback_refused"


@pytest.mark.parametrize(
    "end",
    [
        Note(request_id="r-1", at=AT, who="ada", action_id="1", reason="asked acme"),
        Close(request_id="r-1", at=AT, who="ada", action_id="2"),
        said(Word.SHIPPED, event="s-1", fingerprint="corrected", items={"A": 1}),
    ],
)
def test_a_note_a_close_or_the_correction_under_the_same_id_ends_it(end: Command) -> None:
    request = refused()
    assert request.failure == "callback_refused"
    assert after(end, start=request).failure is None


def test_another_message_does_not_end_it() -> None:
    request = after(ship("s-2", A=1, B=1), start=refused())
    assert request.failure == "callback_refused"


def test_a_correction_that_is_refused_too_takes_the_place_of_the_first() -> None:
    request = after(said(Word.SHIPPED, event="s-1", fingerprint="2", items={"HAT": 1}), start=refused())
    assert [each.detail for each in request.refused] == ["'HAT' is not in the request"]


def test_what_was_turned_away_is_applied_when_it_comes_corrected_under_its_id() -> None:
    request = refused()
    corrected = said(Word.SHIPPED, event="s-1", fingerprint="corrected", items={"A": 1})
    assert names(request, corrected) == ["UnitsAccepted", "UnitsShipped"]
    applied = after(corrected, start=request)
    assert events(applied, corrected) == []
    assert events(applied, ship("s-1", KIT=1)) == []  # the first version once more
    third = said(Word.SHIPPED, event="s-1", fingerprint="3", items={"B": 1})
    assert names(applied, third) == ["ConflictingCallback"]


def test_what_was_turned_away_is_stored_once_however_often_it_comes() -> None:
    assert events(refused(), ship("s-1", KIT=1)) == []


def test_what_took_its_id_is_not_corrected_under_it() -> None:
    request = after(receive("r-1", "A", "B"), reject("A"), ship("late", A=1))
    assert names(request, said(Word.SHIPPED, event="late", fingerprint="2", items={"B": 1})) == ["ConflictingCallback"]


def test_what_is_answered_with_4xx_leaves_its_id_free() -> None:
    answered = {verdict for verdict, (status, _) in CALLBACKS.items() if status >= 400}
    assert answered == set(TURNED_AWAY.values())


def test_more_refused_callbacks_than_are_told_apart_need_a_note() -> None:
    request = after(receive(), *(ship(f"s-{n}", KIT=1) for n in range(12)))
    assert (len(request.refused), request.conflicts) == (10, 2)


def rerouted() -> Request:
    act = Reroute(
        request_id="r-1",
        at=AT,
        who="ada",
        action_id="1",
        to="beta",
        can_withdraw=False,
        provider_stopped="Kim, by phone",
    )
    return after(receive("r-1", "A"), act)


def late(word: Word) -> Command:
    return said(word, event="late", items={"A": 1}, reason=NO_STOCK)


@pytest.mark.parametrize(
    ("word", "open_failure", "proved_failure"),
    [
        (Word.ACCEPTED, "conflict", None), (Word.SHIPPED, "conflict", "conflict"), (Word.REJECTED, None, None),
        (Word.CANCELLED, None, None),
    ],
)  # fmt: skip
def test_a_former_providers_shipment_always_alarms_and_its_acceptance_until_all_is_proved(
    word: Word, open_failure: str | None, proved_failure: str | None
) -> None:
    request = rerouted()
    assert after(late(word), start=request).failure == open_failure
    shipped = after(said(Word.SHIPPED, event="b-1", provider="beta", items={"A": 1}), start=request)
    settled = after(shown(sent := taken(shipped, Operation.SHIP), {proved("A"): 1}), start=sent)
    assert not settled.is_pending
    assert after(late(word), start=settled).failure == proved_failure


@pytest.mark.parametrize("on_cancel", list(OnProviderCancel))
@pytest.mark.parametrize("items", [None, {"A": 1}, {"A": 2}])
def test_the_cancellation_of_what_was_rejected_says_the_same(
    on_cancel: OnProviderCancel, items: dict[str, int] | None
) -> None:
    rejected = said(Word.REJECTED, items={"A": 2}, reason=NO_STOCK)
    cancelled = said(Word.CANCELLED, items=items, on_cancel=on_cancel)
    assert names(after(receive("r-1", "A", "A"), rejected), cancelled) == ["CallbackWithoutEffect"]
