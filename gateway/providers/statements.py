"""What an adapter has read, as the command that the domain decides."""

from collections.abc import Sequence
from hashlib import sha256

import msgspec

from gateway.domain.commands import ProviderSaid
from gateway.telemetry.logs import log

from .port import Adapter, Look, Malformed, Message, Reading, Statement


class AdapterBroke(Malformed):
    """The adapter has a fault: its message is kept until that is mended."""


def readings_of(adapter: Adapter, message: Message) -> Sequence[Reading]:
    """Read a message. Raises `Malformed` where nothing of it can be read, `AdapterBroke` where that is no sender's."""
    try:
        return adapter.read(message)
    except Malformed:
        raise
    except Exception as error:  # an adapter may be anybody's, and nothing that was sent is lost
        log("adapter.broke", error, provider=adapter.provider.name)
        mend = "mend it, then replay the message; the gateway's log says where"
        raise AdapterBroke("$", f"the adapter broke when it read this: {mend}") from error


def command(adapter: Adapter, message: Message, said: Statement, request_id: str) -> ProviderSaid:
    """Make the command of a statement about a request, in our words; an empty id is one that is yet to be found."""
    provider = adapter.provider
    told = ProviderSaid(
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
    return adapter.mappings.of_message(told)


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
