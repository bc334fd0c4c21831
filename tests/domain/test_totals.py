"""Snapshots: however often and in whatever order totals are told, what is known is the highest of them."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.commands import Word
from gateway.domain.deliveries import Parcel
from gateway.domain.units import Said
from tests.requests import AT, receive, said

from .steps import NO_STOCK, after

PARCELS = [Parcel("UPS", "1Z1"), Parcel("UPS", "1Z2")]
UNITS = 4
Tellings = list[tuple[int, int, int]]
"""Parcel, total, and when it was so."""


@st.composite
def tellings(draw: st.DrawFn) -> tuple[Tellings, Counter[int]]:
    """Totals of two parcels as they grew, told in some order."""
    sizes = Counter({0: draw(st.integers(0, UNITS)), 1: 0})
    sizes[1] = draw(st.integers(0, UNITS - sizes[0]))
    grown = [(parcel, total, total) for parcel, size in sizes.items() for total in range(1, size + 1)]
    told = draw(st.permutations(grown + draw(st.lists(st.sampled_from(grown), max_size=4)) if grown else []))
    return told, +sizes


@given(tellings())
def test_totals_in_any_order_and_number_end_at_the_highest(
    told: tuple[list[tuple[int, int, int]], Counter[int]],
) -> None:
    order, sizes = told
    request = after(receive("r-1", *["TEE"] * UNITS))
    for number, (parcel, total, when) in enumerate(order):
        message = said(Word.SHIPPED, event=f"{parcel}.{total}", items={"TEE": total}, parcel=PARCELS[parcel])
        at, as_of = AT + timedelta(hours=1, seconds=number), AT + timedelta(seconds=when)
        request = after(replace(message, at=at, is_total=True, as_of=as_of), start=request)
    assert Counter(PARCELS.index(parcel) for parcel in request.parcels.values()) == sizes
    assert request.failure is None


@given(st.lists(st.integers(1, UNITS), min_size=1, max_size=6))
def test_totals_of_rejected_units_never_reject_more_than_the_highest(totals: list[int]) -> None:
    request = after(receive("r-1", *["TEE"] * UNITS))
    for number, total in enumerate(totals):
        message = said(Word.REJECTED, event=f"e{number}", items={"TEE": total}, reason=NO_STOCK)
        request = after(replace(message, is_total=True), start=request)
    assert sum(unit.said is Said.REJECTED for unit in request.units) == max(totals)
