"""What the operations API works with."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import asyncpg
from aiohttp import web

from gateway.api_shapes import Reloaded
from gateway.ledger.write.writer import Writer
from gateway.providers.port import Adapter
from gateway.settings import Settings
from gateway.web.guessing import Guesses

Reload = Callable[[str, str], Awaitable[Reloaded]]
"""Read the settings anew: who wants it, and why."""


@dataclass(frozen=True, slots=True)
class OperationsContext:
    """What every route of the operations API may use."""

    settings: Settings
    pool: asyncpg.Pool
    writer: Writer
    adapters: Mapping[str, Adapter]
    draining: asyncio.Event
    guesses: Guesses
    reload: Reload | None = None
    body_seconds: float = 10.0


CONTEXT = web.AppKey("context", OperationsContext)
