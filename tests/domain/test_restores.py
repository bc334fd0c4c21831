"""Any story, cut at any point and restored: NewStore is asked, the provider tells again, and nothing is told twice."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.domain.commands import (
    CallEnded,
    CallTaken,
    Compare,
    End,
    Key,
    OnProviderCancel,
    ProviderSaid,
    ReadBack,
    RejectionReason,
    SameParcel,
    Word,
)
from gateway.domain.decide import Command
from gateway.domain.deliveries import READ_BACK, REPORT, Delivery, Operation, Parcel, normal
from gateway.domain.events.event import Event
from gateway.domain.events.provider import UnitsShipped
from gateway.domain.handle import handle
from gateway.domain.proof import Unclear, missing
from gateway.domain.reports import parcels, reports
from gateway.domain.requests import Request
from gateway.domain.units import Confirmed, Said
from gateway.domain.waiting import waiting_for
from tests.requests import AT, receive

PRODUCTS = ("A", "B")
PARCELS = (Parcel("UPS", "1Z1"), Parcel("UPS", "1Z2"))
FATES = (*((Word.SHIPPED, parcel) for parcel in PARCELS), (Word.REJECTED, None), (Word.CANCELLED, None))
Fate = tuple[Word, Parcel | None]
SAID = {Word.SHIPPED: Said.SHIPPED, Word.REJECTED: Said.REJECTED, Word.CANCELLED: Said.CANCELLED}


@dataclass
class NewStore:
    """What was reported there, counted as it shows it. It refuses nothing: whatever comes twice counts twice."""

    shown: dict[Operation, Counter[Key]] = field(default_factory=lambda: {each: Counter() for each in READ_BACK})

    def take(self, operation: Operation, products: Sequence[str], parcel: Parcel | None) -> None:
        self.shown[operation].update(key_of(product, parcel) for product in products)


@dataclass
class Gateway:
    """One log and the calls that it owes, made one at a time; after a restore each write is in doubt."""

    newstore: NewStore
    request: Request
    story: list[Event]
    is_restored: bool = False
    number: int = 0

    def apply(self, command: Command) -> None:
        after, events = handle(self.request, command)
        assert after is not None
        owed = (replace(each, in_doubt=self.is_restored and not each.is_read) for each in after.owed)
        self.request = replace(after, owed=tuple(owed))
        self.story += events

    def make(self, owed: Delivery) -> None:
        """Make one call as the dispatcher does."""
        self.number += 1
        if owed.is_read:
            self.apply(
                self.read(next(report for report, each in READ_BACK.items() if each is owed.operation), owed.seq)
            )
        elif owed.operation in READ_BACK:
            self.report(owed)
        elif owed.operation is not Operation.CREATE or not self.request.is_asking:
            self.apply(self.taken(owed))

    def report(self, owed: Delivery) -> None:
        mine = tuple(
            index
            for index, unit in enumerate(self.request.units)
            if unit.reported_by == owed.seq and unit.confirmed is Confirmed.NOT_SENT
        )
        left: tuple[int, ...] | Unclear = mine
        if owed.in_doubt:
            left = missing(self.request, owed.seq, self.read(owed.operation, 0))
        if left is Unclear.NEVER and not self.request.is_asking:
            self.apply(
                CallEnded(
                    request_id="r-1", at=self.now, operation=owed.operation, seq=owed.seq, attempt=1,
                    end=End.UNDECIDABLE, detail="",
                )
            )  # fmt: skip
        if isinstance(left, Unclear):
            return
        fact = reports(self.story)[owed.seq]
        parcel = fact.parcel if isinstance(fact, UnitsShipped) else None
        self.newstore.take(owed.operation, [self.request.units[index].product for index in left], parcel)
        self.apply(self.taken(owed))

    def read(self, operation: Operation, seq: int) -> ReadBack:
        shown = Counter(self.newstore.shown[operation])
        return ReadBack(
            request_id="r-1", at=self.now, operation=operation, attempt=1, taken=shown, refused={},
            parcels=parcels(self.story), overdue=False, seq=seq,
            spelled={key_of(product, parcel): parcel for product in PRODUCTS for parcel in PARCELS},
        )  # fmt: skip

    def taken(self, owed: Delivery) -> CallTaken:
        return CallTaken(request_id="r-1", at=self.now, operation=owed.operation, seq=owed.seq, attempt=self.number)

    @property
    def now(self) -> datetime:
        return AT + timedelta(seconds=self.number)


def key_of(product: str, parcel: Parcel | None) -> Key:
    return (product, normal(parcel.carrier), normal(parcel.tracking_code)) if parcel else (product, None, None)


@st.composite
def tales(draw: st.DrawFn) -> tuple[list[str], list[ProviderSaid], dict[Operation, Counter[Key]]]:
    """A request, what its provider tells of it piece by piece, and what NewStore must show in the end."""
    units = draw(st.lists(st.tuples(st.sampled_from(PRODUCTS), st.sampled_from(FATES)), min_size=1, max_size=5))
    truth: dict[Operation, Counter[Key]] = {each: Counter() for each in READ_BACK}
    pieces: dict[tuple[Fate, int], Counter[str]] = {}
    for product, fate in units:
        truth[REPORT[SAID[fate[0]]]][key_of(product, fate[1])] += 1
        pieces.setdefault((fate, draw(st.integers(0, 2))), Counter())[product] += 1
    told = [
        ProviderSaid(
            request_id="r-1", at=AT, provider="acme", cause=f"acme:{number}", fingerprint=f"{number}", word=word,
            items=dict(items), reason=RejectionReason.CANNOT_FULFILL, parcel=parcel,
            same_parcel=SameParcel.ANOTHER_PIECE, on_cancel=OnProviderCancel.CANCEL,
        )
        for number, (((word, parcel), _), items) in enumerate(pieces.items())
    ]  # fmt: skip
    return [product for product, _ in units], told, truth


def go_on(data: st.DataObject, gateway: Gateway, told: list[ProviderSaid], steps: int) -> None:
    """Let so many things happen, messages and calls in any order."""
    for _ in range(steps):
        ready = list(gateway.request.ready)
        if not told and not ready:
            return
        chosen = data.draw(st.integers(0, len(ready) + bool(told) - 1))
        if chosen < len(ready):
            gateway.make(ready[chosen])
        else:
            gateway.apply(told.pop(0))


def finish(gateway: Gateway) -> None:
    """Make all calls that are owed, as often as one of them settles something."""
    for _ in range(50):
        for owed in gateway.request.ready:
            gateway.make(owed)
        if not gateway.request.ready:
            return


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_wherever_a_log_is_cut_newstore_is_told_everything_once_and_the_request_settles(data: st.DataObject) -> None:
    products, told, truth = data.draw(tales())
    request, story = handle(None, receive("r-1", *products))
    assert request is not None
    lost = Gateway(NewStore(), request, list(story))
    to_tell = list(told)
    go_on(data, lost, to_tell, data.draw(st.integers(0, 8)))
    backup = Gateway(lost.newstore, lost.request, list(lost.story), is_restored=True, number=100)
    go_on(data, lost, to_tell, data.draw(st.integers(0, 20)))

    backup.request = replace(backup.request, restored=True)
    for message in data.draw(st.lists(st.sampled_from(told), max_size=3)):  # some come before anybody has asked
        backup.apply(message)
    backup.apply(Compare(request_id="r-1", at=AT, hold=1))
    again = data.draw(st.permutations(told))
    go_on(data, backup, again, data.draw(st.integers(0, 30)))
    for operation, counts in backup.newstore.shown.items():
        assert counts <= truth[operation]
    for message in again:
        backup.apply(message)
    finish(backup)

    assert backup.newstore.shown == truth
    assert waiting_for(backup.request) is None
    assert (backup.request.is_pending, backup.request.untold, backup.request.owed) == (False, (), ())


@settings(deadline=None, max_examples=300)
@given(st.data())
def test_what_newstore_shows_needs_no_provider_to_tell_it_again(data: st.DataObject) -> None:
    products, told, truth = data.draw(tales())
    request, story = handle(None, receive("r-1", *products))
    assert request is not None
    lost = Gateway(NewStore(), request, list(story))
    to_tell = list(told)
    go_on(data, lost, to_tell, data.draw(st.integers(0, 8)))
    backup = Gateway(lost.newstore, lost.request, list(lost.story), is_restored=True, number=100)
    for message in to_tell:
        lost.apply(message)
    finish(lost)

    backup.request = replace(backup.request, restored=True)
    backup.apply(Compare(request_id="r-1", at=AT, hold=1))
    go_on(data, backup, [], data.draw(st.integers(0, 10)))
    finish(backup)

    assert backup.newstore.shown == truth
    assert waiting_for(backup.request) is None
    assert (backup.request.is_pending, backup.request.owed) == (False, ())
