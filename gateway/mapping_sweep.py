"""Bring up to date what providers call things, and let go on what waited for a word that is mapped by now."""

from collections.abc import Mapping

import asyncpg

from gateway.domain.commands import Words
from gateway.ledger import audit, mappings, quarantine
from gateway.ledger.codec import outcome
from gateway.ledger.queue.holds import BRAKE
from gateway.ledger.write.queued import Unstorable
from gateway.ledger.write.writer import Writer
from gateway.providers.port import Adapter, Malformed
from gateway.settings import Settings
from gateway.web.reading_again import SeveralRequests, read_again

_WHY = "what its words mean was said"


async def refresh(pool: asyncpg.Pool, adapters: Mapping[str, Adapter]) -> None:
    """Learn what people have said since this process last looked."""
    version = await mappings.version(pool)
    behind = {id(each.known): each.known for each in adapters.values() if each.known.version != version}
    if behind:
        said = await mappings.current(pool)
        for known in behind.values():
            known.take(version, said)


async def let_go_on(pool: asyncpg.Pool, writer: Writer, settings: Settings, adapters: Mapping[str, Adapter]) -> bool:
    """Let orders and messages go on that waited for a word; tell whether there are calls to make."""
    freed = False
    for provider, words, stored, _ in await mappings.creates(pool):
        if provider in adapters and _any_is_sent(adapters[provider], words):
            freed |= await mappings.free(pool, provider, stored)
    for quarantine_id, source, said in await mappings.messages(pool):
        if source in adapters and all(adapters[source].mappings.hears(*each) for each in said.unmapped):
            await _replay(pool, writer, settings, adapters[source], quarantine_id)
    return freed


def _any_is_sent(adapter: Adapter, words: Words) -> bool:
    """Tell whether to look again: then it says which of its words are left."""
    return any(adapter.mappings.sends(*each) for each in words)


async def _replay(pool: asyncpg.Pool, writer: Writer, settings: Settings, adapter: Adapter, quarantine_id: int) -> None:
    """Apply a message again, as a person would; what can't be stays for one."""
    kept = await quarantine.find(pool, quarantine_id)
    if kept is None or kept["resolved_at"] is not None:
        return
    try:
        command = await read_again(pool, settings, adapter, kept, who=BRAKE)
        applied = await writer.apply(command, kept["body"])
    except (Malformed, SeveralRequests, Unstorable):
        return
    if applied.request is not None and applied.events:
        subject = f"quarantine {quarantine_id}"
        await audit.write(
            pool, who=BRAKE, action="replay", subject=subject, reason=_WHY, outcome=outcome(applied.events)
        )
