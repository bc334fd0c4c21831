"""What a query may run on."""

from collections.abc import Awaitable, Callable

import asyncpg
from asyncpg.pool import PoolConnectionProxy

Connection = asyncpg.Connection | PoolConnectionProxy
Connect = Callable[[], Awaitable[asyncpg.Connection]]
"""Opens a connection of one's own, outside the pool."""

DATABASE_AWAY = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresSystemError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InvalidTransactionStateError,  # among them: this server only reads
    asyncpg.ObjectNotInPrerequisiteStateError,  # among them: a lock that was not to be had in time
    asyncpg.SyntaxOrAccessError,  # the statements are fixed, so it is the schema or a grant that is not there
    asyncpg.TransactionRollbackError,
)
"""What says nothing against the data: the same may be sent again."""
