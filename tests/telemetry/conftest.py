from collections.abc import AsyncIterator

import asyncpg
import pytest

from tests.served import Served, serve


@pytest.fixture
async def gateway(database: str, pool: asyncpg.Pool) -> AsyncIterator[Served]:
    async with serve(pool, lambda: asyncpg.connect(database)) as served:
        yield served
