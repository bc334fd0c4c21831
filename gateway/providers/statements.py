"""What an adapter has read, as the command that the domain decides."""

from hashlib import sha256

import msgspec

from gateway.domain.commands import ProviderSaid

from .port import Adapter, Look, Message, Reading, Statement


def command(adapter: Adapter, message: Message, said: Statement, request_id: str) -> ProviderSaid:
    """Make the command of a statement about a request; an empty id is one that is yet to be found."""
    provider = adapter.provider
    return ProviderSaid(
        request_id=request_id,
        at=message.at,
        provider=provider.name,
        cause=f"{provider.name}:{said.event_id or said.fingerprint}",
        fingerprint=said.fingerprint,
        word=said.word,
        items=said.items,
        uncounted=said.uncounted,
        unread=said.unread,
        reason=said.reason,
        parcel=said.parcel,
        same_parcel=provider.same_parcel,
        problem=said.problem,
        is_proof=said.is_proof,
        can_withdraw=adapter.can.withdraw,
        is_total=said.is_total,
        as_of=said.as_of,
    )


def hint(adapter: Adapter, message: Message, look: Look, request_id: str) -> ProviderSaid:
    """Make the command of a hint. One without a name of its own is another each time: it tells of what is new now."""
    provider = adapter.provider.name
    fingerprint = fingerprint_of(look)
    name = look.event_id or f"{fingerprint[:16]}@{message.at.isoformat()}"
    return ProviderSaid(
        request_id=request_id,
        at=message.at,
        provider=provider,
        cause=f"{provider}:{name}",
        fingerprint=fingerprint,
        word=None,
        is_hint=True,
    )


def fingerprint_of(reading: Reading) -> str:
    """Give what tells a reading from another: of a hint whose adapter gives nothing, whom it names."""
    return reading.fingerprint or sha256(msgspec.json.encode((reading.event_id, reading.names))).hexdigest()
