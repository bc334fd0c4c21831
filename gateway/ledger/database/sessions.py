"""Whether a connection keeps a session of its own, or a pooler gives it another one with each transaction.

Locks that live as long as a connection are how a process shows that it lives: in a session of somebody else they
would say so of a dead one, and not of a living one.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

import asyncpg

_ROUNDS = 3  # a pooler deals sessions from either end of its stock
# Shared, so that gateways that start together do not wait for each other.
_TAKE = "SELECT pg_advisory_lock_shared(1734440040, 1)"
_GIVE_BACK = "SELECT pg_advisory_unlock_shared(1734440040, 1)"
_HELD = """
SELECT FROM pg_locks
WHERE locktype = 'advisory' AND classid = 1734440040 AND objid = 1 AND objsubid = 2 AND pid = pg_backend_pid()
"""
_STATEMENTS_OF_OTHERS = (asyncpg.DuplicatePreparedStatementError, asyncpg.InvalidSQLStatementNameError)


class SharedSessions(Exception):  # said of the database, not of the code
    """The database is behind a pooler that shares sessions."""

    def __init__(self) -> None:
        super().__init__(
            "the database is behind a pooler that shares its sessions between transactions, in which no lock of ours "
            "would last: name Postgres itself in database.url or DATABASE_URL, or set the pooler to pool_mode = session"
        )


class Session(Protocol):
    """What of a connection is needed: a query without arguments is one message, which any pooler passes on."""

    async def execute(self, query: str, /) -> str: ...


async def refuse_shared(connect: Callable[..., Awaitable[asyncpg.Connection]]) -> None:
    """Raise `SharedSessions` unless a session lock stays with the connection that took it."""
    try:
        first = await connect(statement_cache_size=0)
        try:
            second = await connect(statement_cache_size=0)
            try:
                shared = await are_shared(first, second)
            finally:
                second.terminate()
        finally:
            first.terminate()
    except _STATEMENTS_OF_OTHERS:
        raise SharedSessions from None
    if shared:
        raise SharedSessions


async def are_shared(first: Session, second: Session) -> bool:
    """Take a lock, and see whether it stays with its taker and away from another, who has a transaction open.

    With sessions of their own both always hold. A pooler must give the other, or next the taker, the wrong one.
    """
    await first.execute(_TAKE)
    for _ in range(_ROUNDS):
        await second.execute("BEGIN")
        wrong = await _holds(second) or not await _holds(first)
        await second.execute("COMMIT")
        if wrong or not await _holds(first) or not await _holds(first):
            return True
    await first.execute(_GIVE_BACK)
    return False


async def _holds(session: Session) -> bool:
    return await session.execute(_HELD) == "SELECT 1"
