"""Apply what providers said of a request before NewStore's own message had been stored."""

from collections.abc import Sequence

import asyncpg

from gateway.ledger import quarantine
from gateway.ledger.write.queued import Unstorable
from gateway.ledger.write.writer import Writer
from gateway.settings import Settings
from gateway.web.location_rules import with_location_rule


async def apply_early_callbacks(
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
