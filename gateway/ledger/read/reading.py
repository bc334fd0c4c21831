"""Reads for people: each ends by itself, and is planned for what it asks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncpg import Pool

from gateway.ledger.database.connections import Connection

# A plan for any filter can't use the partial index of the one that is asked for.
_BOUNDS = """
SET LOCAL statement_timeout = 3000;
SET LOCAL plan_cache_mode = force_custom_plan;
SET LOCAL jit = off;
"""


@asynccontextmanager
async def reading(pool: Pool) -> AsyncIterator[Connection]:
    """Give a connection that reads one state of the database; a statement of three seconds is cancelled."""
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_BOUNDS)
        yield connection
