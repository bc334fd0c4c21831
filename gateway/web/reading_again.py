"""Read a message that was kept, as the settings and adapters are now."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import asyncpg

from gateway.domain.commands import ProviderSaid, replayed
from gateway.ledger.read import naming
from gateway.providers.port import Adapter, Look, Malformed, Message, Reading, Statement, Unreadable
from gateway.providers.statements import command as command_of
from gateway.providers.statements import hint, readings_of
from gateway.settings import Settings

from .location_rules import with_location_rule

OUTSIDE = frozenset({"unknown_request", "ambiguous_request"})
"""Why a message waits that is a part of no request's story yet."""


class SeveralRequests(Exception):  # a person says which
    """It may be about any of these."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__(", ".join(ids))
        self.ids = ids


async def read_again(
    pool: asyncpg.Pool,
    settings: Settings,
    adapter: Adapter,
    kept: Mapping[str, Any],
    *,
    who: str,
    request_id: str = "",
) -> ProviderSaid:
    """Make its command; a person may say which request it is about. Raises `Malformed` and `SeveralRequests`."""
    source, now = adapter.provider.name, datetime.now(UTC)
    name, first = str(kept["event_id"]).removeprefix(f"{source}:"), kept["command"]
    is_named = name != kept["fingerprint"]  # by its sender, or by its place in what was sent
    message = Message(kept["body"], now, name if is_named else "")
    reading = _understood(adapter, readings_of(adapter, message))
    about = request_id or await _about(pool, source, reading)
    said = (
        hint(adapter, message, reading, about)
        if isinstance(reading, Look)
        else command_of(adapter, message, reading, about)
    )
    said = await with_location_rule(pool, settings, said)
    if first is None:
        return replace(said, cause=f"{source}:{name}") if is_named else said
    said = replace(said, cause=first.cause)
    return said if kept["reason"] in OUTSIDE else replayed(said, now, who)


def _understood(adapter: Adapter, readings: Sequence[Reading]) -> Statement | Look:
    """Give the one thing that a kept message says. Raises `Malformed` where that still can't be read."""
    match readings:
        case [Statement() as said]:
            return said
        case [Look() as look] if adapter.can.read:
            return look
        case [Look()]:
            raise Malformed("$", "it only hints that an order has changed, and this provider can't be asked")
        case [Unreadable() as still, *_]:
            raise Malformed(still.place, still.what)
    raise Malformed("$", "says something else than it did")


async def _about(pool: asyncpg.Pool, source: str, said: Statement | Look) -> str:
    """Find whom it is about."""
    [ids] = await naming.named(pool, source, [said.names])
    if len(ids) > 1:
        raise SeveralRequests(ids)
    return ids[0] if ids else ""
