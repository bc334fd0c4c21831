"""What a query may run on."""

from collections.abc import Awaitable, Callable

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection = asyncpg.Connection | PoolConnectionProxy
Connect = Callable[[], Awaitable[asyncpg.Connection]]
"""Opens a connection of one's own, outside the pool."""
