"""What the webhook and the callbacks need, and how they turn away what is not a message."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

import asyncpg
from aiohttp import web

from gateway.ledger import quarantine
from gateway.ledger.quarantine import Kept
from gateway.ledger.write.writer import Writer
from gateway.settings import Settings
from gateway.web.answers import Problem
from gateway.web.bodies import Unproved
from gateway.web.guessing import Guesses, address_of
from gateway.web.keys import Door
from gateway.web.timeouts import within

from .hearing import Hearing

STORE_SECONDS = 4.5
_MOST_UNPROVED = 16 * 1_048_576  # bytes


@dataclass(frozen=True, slots=True)
class IntakeContext:
    """What both routes of the public listener work with."""

    settings: Settings
    writer: Writer
    pool: asyncpg.Pool
    hearing: Hearing
    body_seconds: float
    draining: asyncio.Event
    guesses: Guesses
    unproved: Unproved = field(default_factory=lambda: Unproved(_MOST_UNPROVED))


CONTEXT = web.AppKey("context", IntakeContext)


async def failed(context: IntakeContext, request: web.Request, door: Door, name: str) -> None:
    await context.guesses.failed(door, address_of(request, context.settings.trusted_proxies), name)


async def kept_malformed(
    context: IntakeContext, source: str, body: bytes, *, at: datetime, reason: str, error: Exception
) -> Problem:
    """Keep the raw bytes of what can't be read, and give the 400 that says why."""
    detail = str(error).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    fingerprint = sha256(body).hexdigest()
    kept = Kept(source, fingerprint, fingerprint, None, reason, detail, at, body)
    await within(STORE_SECONDS, quarantine.keep(context.pool, kept))
    return Problem(400, detail)
