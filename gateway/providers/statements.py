"""What an adapter has read, as the command that the domain decides."""

from gateway.domain.commands import ProviderSaid

from .port import Adapter, Message, Statement


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
