"""What a location has decided about its provider's words."""

from dataclasses import replace

import asyncpg

from gateway.domain.commands import ProviderSaid, Word
from gateway.ledger.read import request_reads
from gateway.settings import Settings


async def with_location_rule(pool: asyncpg.Pool, settings: Settings, said: ProviderSaid) -> ProviderSaid:
    """Give a provider's "cancelled" and "backordered" the meaning that the request's location chose for it."""
    if said.word not in {Word.CANCELLED, Word.BACKORDERED}:
        return said
    location = settings.locations.get(await request_reads.location_of(pool, said.request_id) or "")
    if location is None:
        return said
    return replace(said, on_cancel=location.on_provider_cancel, on_backorder=location.backorder)
