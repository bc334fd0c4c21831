"""What a second message about a parcel means, and a line that gives no count."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.domain.commands import ProviderSaid, SameParcel, Word
from gateway.domain.decide import Command
from gateway.domain.deliveries import Parcel, normal
from gateway.domain.events.messages import CallbackQuarantined
from gateway.domain.events.provider import UnitsShipped
from gateway.domain.requests import Request
from gateway.domain.units import Said
from tests.requests import PARCEL, receive, said

from .steps import NO_STOCK, after, events, names, reject

MORE, AGAIN, TOTAL, ASK = (
    SameParcel.ANOTHER_PIECE, SameParcel.REPETITION, SameParcel.TOTAL, SameParcel.ASK
)  # fmt: skip


def told(means: SameParcel, *, event: str = "again", parcel: Parcel = PARCEL, **items: int) -> ProviderSaid:
    return said(Word.SHIPPED, event=event, items=items, parcel=parcel, same_parcel=means)


def shipped(request: Request) -> int:
    return sum(unit.said is Said.SHIPPED for unit in request.units)


@pytest.mark.parametrize(
    ("means", "count", "then"),
    [
        (MORE, 1, 3), (MORE, 2, 4), (AGAIN, 2, 2), (TOTAL, 2, 2), (TOTAL, 3, 3), (TOTAL, 4, 4),
        (AGAIN, 1, None), (AGAIN, 3, None), (TOTAL, 1, None), (ASK, 1, None), (ASK, 2, None), (ASK, 3, None),
    ],
)  # fmt: skip
def test_more_of_a_parcel_is_what_the_settings_say_or_a_person_is_asked(
    means: SameParcel, count: int, then: int | None
) -> None:
    request = after(receive("r-1", "A", "A", "A", "A", "B"), told(means, event="first", A=2))
    again = told(means, A=count)
    changed = after(again, start=request)
    assert (shipped(changed), changed.quarantined) == (then or 2, 0 if then else 1)
    if then is None:
        (event,) = events(request, again)
        assert isinstance(event.fact, CallbackQuarantined)
        assert (event.fact.reason, f"{count} of 'A' (before: 2)" in event.fact.detail) == ("same_parcel", True)


@pytest.mark.parametrize("means", [MORE, AGAIN, ASK, TOTAL])
def test_a_parcel_told_again_when_nothing_of_it_is_open_is_a_repetition(means: SameParcel) -> None:
    request = after(receive("r-1", "A", "A", "B"), told(means, event="first", A=2))
    assert names(request, told(means, A=2)) == ["CallbackWithoutEffect"]


@pytest.mark.parametrize("means", [AGAIN, ASK, TOTAL])
def test_of_a_parcel_told_again_with_more_in_it_only_the_new_product_is_new(means: SameParcel) -> None:
    request = after(receive("r-1", "A", "A", "B"), told(means, event="first", A=2))
    (_, event) = events(request, told(means, A=2, B=1))
    assert event.fact == UnitsShipped((2,), PARCEL)


@pytest.mark.parametrize("means", [MORE, AGAIN, ASK, TOTAL])
@pytest.mark.parametrize("parcel", [replace(PARCEL, tracking_code="other"), PARCEL])
def test_another_parcel_or_another_product_is_no_second_message(means: SameParcel, parcel: Parcel) -> None:
    request = after(receive("r-1", "A", "A", "B"), told(means, event="first", A=1))
    product = "B" if parcel is PARCEL else "A"
    another = replace(told(means, parcel=parcel), items={product: 1})
    assert shipped(after(another, start=request)) == 2


@pytest.mark.parametrize("code", ["1z999aa10123456784", " 1Z 999 AA1 0123456784"])
def test_a_parcel_is_the_same_in_other_letters_and_blanks(code: str) -> None:
    request = after(receive("r-1", "A", "A"), told(ASK, event="first", A=1))
    assert names(request, told(ASK, parcel=replace(PARCEL, tracking_code=code), A=1)) == ["CallbackQuarantined"]


def test_a_carrier_or_code_is_normal_without_blanks_and_letter_case() -> None:
    assert {normal(each) for each in (" ups  Ground", "UPS GROUND", "UpsGround\t")} == {"upsground"}
    assert {normal(each) for each in (None, "", " ", "n/a", "N/A ")} == {""}


def line_of(word: Word, lines: int = 1, **changes: Any) -> Command:
    reason = NO_STOCK if word is Word.REJECTED else None
    return said(word, event="lines", items=None, uncounted={"A": lines}, reason=reason, **changes)


@pytest.mark.parametrize("word", [Word.ACCEPTED, Word.REJECTED, Word.SHIPPED])
def test_a_line_without_a_count_is_one_unit_only_where_no_more_are_open(word: Word) -> None:
    assert names(after(receive("r-1", "A", "A", "B")), line_of(word)) == ["CallbackQuarantined"]
    for request, lines in ((after(receive("r-1", "A", "B")), 1), (after(receive("r-1", "A", "A", "B")), 2)):
        assert "CallbackQuarantined" not in names(request, line_of(word, lines))
        assert after(line_of(word, lines), start=request).version > request.version


def test_a_line_without_a_count_means_the_last_unit_once_the_others_are_final() -> None:
    request = after(receive("r-1", "A", "A"), reject("A"))
    assert names(request, line_of(Word.SHIPPED)) == ["UnitsAccepted", "UnitsShipped"]


def test_more_lines_than_units_are_refused_whatever_they_count() -> None:
    assert names(after(receive("r-1", "A")), line_of(Word.SHIPPED, 2)) == ["CallbackRefused"]


@pytest.mark.parametrize("word", [Word.ACCEPTED, Word.REJECTED, Word.CANCELLED, Word.SHIPPED])
def test_what_was_not_understood_changes_no_unit_and_waits_for_a_person(word: Word) -> None:
    request = after(receive())
    unclear = said(word, items=None, unread="'line_items' was not understood")
    (event,) = events(request, unclear)
    assert event.fact == CallbackQuarantined("not_understood", "'line_items' was not understood")
    assert after(unclear, start=request).units == request.units
