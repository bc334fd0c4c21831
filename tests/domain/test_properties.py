"""Random lives of a request, held against what must always be true."""

from collections import Counter
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.domain.commands import (
    CallEnded,
    CallTaken,
    Command,
    End,
    Key,
    OnProviderCancel,
    ProviderSaid,
    ReadBack,
    RejectionReason,
    Word,
)
from gateway.domain.deliveries import READ_BACK, Operation, Parcel
from gateway.domain.events import Event, UnitsShipped
from gateway.domain.evolve import evolve
from gateway.domain.handle import handle
from gateway.domain.requests import Request
from gateway.domain.units import CONFIRMED_NEXT, SAID_NEXT, from_text, to_text
from tests.requests import AT, receive

PRODUCTS = ("A", "B", "C")
PARCELS = (Parcel("UPS", "1Z1"), Parcel("UPS", "1Z2"))
REPORTS = {read: report for report, read in READ_BACK.items()}


@st.composite
def messages(draw: st.DrawFn, number: int) -> ProviderSaid:
    counted = st.dictionaries(st.sampled_from((*PRODUCTS, "X")), st.integers(1, 3), min_size=1)
    cause = draw(st.sampled_from([f"acme:{number}", f"acme:{number // 2}"]))
    return ProviderSaid(
        request_id="r-1",
        at=AT + timedelta(seconds=number),
        provider=draw(st.sampled_from(["acme", "acme", "acme", "former"])),
        cause=cause,
        fingerprint=draw(st.sampled_from([cause, "other"])),
        word=draw(st.sampled_from([*Word, None])),
        items=draw(st.none() | counted),
        reason=draw(st.sampled_from([*RejectionReason, None])),
        parcel=draw(st.sampled_from([*PARCELS, None])),
        is_proof=draw(st.booleans()),
        on_cancel=draw(st.sampled_from(OnProviderCancel)),
    )


@st.composite
def settlements(draw: st.DrawFn, request: Request, story: list[Event], number: int) -> Command:
    """How one of the calls that may go out now went."""
    owed = draw(st.sampled_from(request.ready))
    at = AT + timedelta(seconds=number)
    if owed.operation in REPORTS:
        parcels = {e.version: e.fact.parcel for e in story if isinstance(e.fact, UnitsShipped)}
        keys: list[Key] = (
            [(product, parcel.carrier, parcel.tracking_code) for product in PRODUCTS for parcel in PARCELS]
            if owed.operation is Operation.READ_SHIPMENT
            else [(product, None, None) for product in PRODUCTS]
        )
        counts = st.dictionaries(st.sampled_from(keys), st.integers(1, 3))
        return ReadBack(
            request_id="r-1",
            at=at,
            operation=REPORTS[owed.operation],
            attempt=number,
            taken=draw(counts),
            refused={key: (count, "no") for key, count in draw(counts).items()},
            parcels=parcels,
            overdue=draw(st.booleans()),
        )
    if draw(st.integers(0, 4)):
        return CallTaken(
            request_id="r-1",
            at=at,
            operation=owed.operation,
            seq=owed.seq,
            attempt=number,
            verifiable=draw(st.booleans()),
        )
    return CallEnded(
        request_id="r-1",
        at=at,
        operation=owed.operation,
        seq=owed.seq,
        attempt=number,
        end=draw(st.sampled_from(End)),
        detail="",
    )


def check_step(before: Request, after: Request) -> None:
    for was, now in zip(before.units, after.units, strict=True):
        assert was.product == now.product
        assert was.said is now.said or now.said in SAID_NEXT[was.said]
        allowed, reached = {was.confirmed}, CONFIRMED_NEXT[was.confirmed]
        assert now.confirmed in allowed | reached
        assert not (was.accepted and was.accepted != now.accepted)
    assert Counter(unit.product for unit in after.units) == Counter(unit.product for unit in before.units)
    assert before.settled_at is None or after.settled_at == before.settled_at
    reads = [owed.operation for owed in after.owed if owed.is_read]
    assert len(reads) == len(set(reads))
    writes = Counter(owed.destination for owed in after.ready if not owed.is_read)
    assert all(count == 1 for count in writes.values())


@given(st.data())
def test_whatever_happens_the_state_is_the_fold_of_legal_moves(data: st.DataObject) -> None:
    products = data.draw(st.lists(st.sampled_from(PRODUCTS), min_size=1, max_size=5))
    request, story = handle(None, receive("r-1", *products))
    assert request is not None
    acknowledged = 0
    for number in range(data.draw(st.integers(1, 25))):
        command: Command
        settles: bool = bool(request.ready) and data.draw(st.booleans())
        command = data.draw(settlements(request, story, number)) if settles else data.draw(messages(number))
        after, events = handle(request, command)
        assert after is not None
        check_step(request, after)
        assert handle(after, command)[1] == []
        acknowledged += sum(owed.operation is Operation.ACKNOWLEDGE for owed in set(after.owed) - set(request.owed))
        story += events
        request = after
    assert acknowledged <= 1
    assert from_text(products, to_text(request.units)) == request.units
    folded: Request | None = None
    for event in story:
        folded = evolve("r-1", folded, event)
    assert folded == request
