import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from gateway.ledger.write.writer import Writer


@asynccontextmanager
async def writing(dsn: str) -> AsyncIterator[Writer]:
    """A writer at work, as one process has it."""
    writer = Writer(lambda: asyncpg.connect(dsn))
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def writer(database: str, pool: "asyncpg.Pool[asyncpg.Record]") -> AsyncIterator[Writer]:
    async with writing(database) as writer:
        yield writer


@pytest.fixture
async def other(database: str, writer: Writer) -> AsyncIterator[Writer]:
    """The writer of a second process."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(writing(database))
