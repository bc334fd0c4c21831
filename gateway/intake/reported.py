"""What a provider has reported of a request, for its own questions: the ledger answers these, and nobody is called."""

from collections.abc import Sequence

import asyncpg

from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.domain.events.event import Event
from gateway.domain.events.messages import CallbackWithoutEffect
from gateway.domain.events.provider import UnitsCancelled, UnitsRejected, UnitsShipped
from gateway.domain.requests import Request
from gateway.domain.units import Said
from gateway.ledger.read import naming, request_reads
from gateway.providers.port import Names, Reported

_WORDS = {Said.SHIPPED: Word.SHIPPED, Said.REJECTED: Word.REJECTED, Said.CANCELLED: Word.CANCELLED}


async def reported(pool: asyncpg.Pool, provider: str, names: Names) -> Sequence[Reported] | None:
    """Find what of a request is so because this provider said it; None where it has and had no such request."""
    [ids] = await naming.named(pool, provider, [names])
    request = await request_reads.request(pool, ids[0]) if len(ids) == 1 else None
    if request is None or not request.assignment_of(provider):
        return None
    found: dict[int, Reported] = {}
    for event in await request_reads.events(pool, request):
        found |= _of(request, event, f"{provider}:")
    return list(found.values())


def _of(request: Request, event: Event, ours: str) -> dict[int, Reported]:
    """Give the units of an event that this provider caused, as far as what it says of them is still so."""
    fact = event.fact
    if not event.cause.startswith(ours):
        return {}
    if isinstance(fact, CallbackWithoutEffect):
        return {unit: _unit(request, event, ours, unit, request.parcels.get(unit)) for unit in fact.units}
    if isinstance(fact, UnitsShipped):
        return {unit: _unit(request, event, ours, unit, fact.parcel) for unit in fact.units}
    if isinstance(fact, UnitsRejected | UnitsCancelled):
        reason = fact.reason if isinstance(fact, UnitsRejected) else None
        still = (unit for unit in fact.units if request.units[unit].said is fact.final)
        return {unit: _unit(request, event, ours, unit, reason=reason) for unit in still}
    return {}


def _unit(
    request: Request,
    event: Event,
    ours: str,
    unit: int,
    parcel: Parcel | None = None,
    *,
    reason: RejectionReason | None = None,
) -> Reported:
    return Reported(
        product=request.units[unit].product,
        word=_WORDS[request.units[unit].said],
        event_id=event.cause.removeprefix(ours),
        at=event.at,
        reason=reason,
        parcel=parcel,
    )
