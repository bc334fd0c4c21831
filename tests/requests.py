"""Commands for tests, with everything that a test does not care about filled in."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from gateway.domain.commands import Deadline, Overdue, ProviderSaid, Receive, SameParcel, Word
from gateway.domain.deliveries import Parcel

AT = datetime(2026, 11, 3, 9, 0, tzinfo=UTC)
PARCEL = Parcel("UPS", "1Z999AA10123456784")


def receive(request_id: str = "r-1", *products: str, **changes: Any) -> Receive:
    facts: dict[str, Any] = {
        "location": "DC01",
        "provider": "acme",
        "order_id": "SO-1",
        "service_level": "GROUND",
        "products": products or ("TEE", "CAP"),
        "fingerprint": sha256(request_id.encode()).hexdigest(),
    }
    return Receive(request_id=request_id, at=AT, **facts | changes)


def said(word: Word, request_id: str = "r-1", event: str | None = None, **changes: Any) -> ProviderSaid:
    facts: dict[str, Any] = {
        "provider": "acme",
        "cause": f"acme:{event or word}",
        "fingerprint": f"{event or word}",
        "parcel": PARCEL if word is Word.SHIPPED else None,
        "same_parcel": SameParcel.ANOTHER_PIECE,
    }
    return ProviderSaid(request_id=request_id, at=AT, word=word, **facts | changes)


def hint(number: int, request_id: str = "r-1", provider: str = "acme") -> ProviderSaid:
    """Only say that something of the order has changed."""
    cause, at = f"{provider}:hint-{number}", AT
    return ProviderSaid(
        request_id=request_id, at=at, provider=provider, cause=cause, fingerprint=cause, word=None, is_hint=True
    )


def overdue(
    provider: str = "acme",
    assignment: int = 1,
    *,
    deadline: Deadline = Deadline.ACCEPT,
    can_read: bool = False,
    at: datetime = AT,
) -> Overdue:
    """Tell that the provider has missed a deadline by now: as a rule, to accept the request."""
    return Overdue(
        request_id="r-1", at=at, deadline=deadline, provider=provider, assignment=assignment, since=at, seconds=3600.0,
        can_read=can_read,
    )  # fmt: skip
