"""What a location has decided about its provider's words."""

from dataclasses import replace

import asyncpg

from gateway.domain.commands import ProviderSaid, Word
from gateway.ledger.read import request_reads
from gateway.settings import Settings


async def with_location_rule(pool: asyncpg.Pool, settings: Settings, said: ProviderSaid) -> ProviderSaid:
    """Give a provider's "cancelled" the meaning that the request's location chose for it."""
    if said.word is not Word.CANCELLED:
        return said
    location = settings.locations.get(await request_reads.location_of(pool, said.request_id) or "")
    return replace(said, on_cancel=location.on_provider_cancel) if location else said
