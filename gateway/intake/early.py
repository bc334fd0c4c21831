"""Apply what providers said of a request before what it names had been stored: the request, or its order there."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from operator import itemgetter

import asyncpg

from gateway.domain.commands import ProviderSaid
from gateway.ledger import quarantine
from gateway.ledger.read import naming
from gateway.ledger.write.queued import Unstorable
from gateway.ledger.write.writer import Writer
from gateway.providers.port import Names
from gateway.settings import Settings
from gateway.web.location_rules import with_location_rule


async def apply_early_callbacks(
    pool: asyncpg.Pool, writer: Writer, settings: Settings, request_ids: Sequence[str] | None = None
) -> None:
    """Apply, in arrival order, the quarantined messages whose request is here by now; None looks at all."""
    async for quarantine_id, said, body in quarantine.joinable(pool, request_ids):
        await _apply(pool, writer, settings, (quarantine_id, said, body))
    if request_ids is None:
        await _apply_named(pool, writer, settings)


async def _apply_named(pool: asyncpg.Pool, writer: Writer, settings: Settings) -> None:
    async for page in quarantine.named(pool):
        for source, rows in groupby(page, itemgetter(1)):
            waiting = list(rows)
            found = await naming.named(pool, source, [Names(**names) for _, _, names, _, _ in waiting])
            for (quarantine_id, _, _, said, body), ids in zip(waiting, found, strict=True):
                if len(ids) == 1:
                    about = replace(said, request_id=ids[0])
                    await _apply(pool, writer, settings, (quarantine_id, about, body))


async def _apply(
    pool: asyncpg.Pool, writer: Writer, settings: Settings, waiting: tuple[int, ProviderSaid, bytes]
) -> None:
    quarantine_id, said, body = waiting
    command = await with_location_rule(pool, settings, said)
    try:
        applied = await writer.apply(command, body)
    except Unstorable:
        return  # it stays in quarantine, where a person sees it; the others go on
    if applied.request is not None:
        await quarantine.resolve(pool, quarantine_id)
