"""What a provider tells after a restore, where NewStore had shown it first."""

from collections import Counter

from .commands import OnProviderCancel, ProviderSaid, SameParcel, Word
from .deliveries import Parcel
from .requests import Request
from .units import Said

SAYS_THE_SAME = {
    Said.SHIPPED: {Said.SHIPPED},
    Said.REJECTED: {Said.REJECTED, Said.CANCELLED},
    Said.CANCELLED: {Said.REJECTED, Said.CANCELLED},
}
"""What is said of units that will not be shipped may be said in either word."""

_FINAL = {Word.SHIPPED: {Said.SHIPPED}, Word.REJECTED: {Said.REJECTED}}
_CANCELLED = {
    OnProviderCancel.REJECT: {Said.REJECTED},
    OnProviderCancel.CANCEL: {Said.CANCELLED},
    OnProviderCancel.QUARANTINE: {Said.REJECTED, Said.CANCELLED},
}
"""What NewStore was told where a provider said "cancelled"."""


def shown_before(request: Request, said: ProviderSaid) -> tuple[int, ...]:
    """Find the units of a message that NewStore showed before it, and of which the provider has told nothing yet."""
    if not request.untold or said.word is None:
        return ()
    same = _CANCELLED[said.on_cancel] if said.word is Word.CANCELLED else _FINAL.get(said.word, set())
    candidates = [unit for unit in request.untold if request.units[unit].said in same and _fits(request, unit, said)]
    if said.items is None:
        return tuple(candidates)
    wanted = Counter(said.items)
    if said.same_parcel is SameParcel.TOTAL and said.word is Word.SHIPPED and said.parcel:
        wanted -= told_of(request, said.parcel)
    chosen = []
    for unit in candidates:
        product = request.units[unit].product
        if wanted[product] > 0:
            wanted[product] -= 1
            chosen.append(unit)
    return tuple(chosen)


def told_of(request: Request, parcel: Parcel) -> Counter[str]:
    """Count what the provider has told of a parcel, by product."""
    return Counter(
        request.units[unit].product
        for unit, known in request.parcels.items()
        if known.is_same(parcel) and unit not in request.untold
    )


def _fits(request: Request, unit: int, said: ProviderSaid) -> bool:
    if said.word is not Word.SHIPPED:
        return True
    parcel = request.parcels.get(unit)
    return said.parcel is not None and parcel is not None and parcel.is_same(said.parcel)
