"""Apply what providers said of a request before NewStore's own message had been stored."""

from collections.abc import Sequence
from dataclasses import replace

import asyncpg

from gateway.domain.commands import ProviderSaid, Word
from gateway.ledger import quarantine
from gateway.ledger.read import stories
from gateway.ledger.write.entries import Unstorable
from gateway.ledger.write.writer import Writer
from gateway.settings import Settings


async def rejoin(
    pool: asyncpg.Pool, writer: Writer, settings: Settings, request_ids: Sequence[str] | None = None
) -> None:
    """Apply, in arrival order, the quarantined messages whose request is here by now; None looks at all."""
    async for quarantine_id, said, body in quarantine.joinable(pool, request_ids):
        command = await with_location_rule(pool, settings, said)
        try:
            applied = await writer.apply(command, body)
        except Unstorable:
            continue  # it stays in quarantine, where a person sees it; the others go on
        if applied.request is not None:
            await quarantine.resolve(pool, quarantine_id)


async def with_location_rule(pool: asyncpg.Pool, settings: Settings, said: ProviderSaid) -> ProviderSaid:
    """Give a provider's "cancelled" the meaning that the request's location chose for it."""
    if said.word is not Word.CANCELLED:
        return said
    location = settings.locations.get(await stories.location_of(pool, said.request_id) or "")
    return replace(said, on_cancel=location.on_provider_cancel) if location else said
