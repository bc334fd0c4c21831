"""The last look before a call leaves: whether this process may still make it."""

from collections.abc import Callable
from contextvars import ContextVar

import aiohttp
from aiohttp.connector import Connection

may_leave: ContextVar[Callable[[], bool]] = ContextVar("may_leave", default=lambda: True)
"""Set by whoever makes a call, for the task that makes it."""


class NotLeft(Exception):
    """Whoever makes the call may not do so any more, and has not begun to."""


class Checked(aiohttp.ClientRequest):
    """A request that looks once more when its connection stands, with nothing to wait for before its bytes go out."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if not may_leave.get()():
            raise NotLeft("this process stops, or may have lost the call, before it left")
        return await super().send(conn)
