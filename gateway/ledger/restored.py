"""A start after a restore from backup, when the ledger is older than the world."""

import asyncpg

from . import holds

WHO = "serve --paused"
_REASON = "started paused: compare with the providers and NewStore, then release this hold to send again"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('gateway.restored'))"
_DOUBT = "UPDATE deliveries SET doubt = true WHERE NOT is_read AND NOT doubt"
_MARK = "UPDATE requests SET restored = true WHERE pending AND NOT restored"
_PATIENCE = 600.0  # seconds: there may be many


async def pause(pool: asyncpg.Pool) -> None:
    """Hold back all calls until a person releases them, and let each write be looked up before it is sent.

    That goes for what is owed now, for what open requests will owe, and for requests that come before the release:
    the log may have known them.
    """
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute(_LOCK)
        for statement in (_DOUBT, _MARK):
            await connection.execute(statement, timeout=_PATIENCE)
        if not any(hold.who == WHO for hold in await holds.active(connection)):
            await holds.place(connection, "everything", "", reason=_REASON, who=WHO)
