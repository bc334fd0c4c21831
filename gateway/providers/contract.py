"""What the gateway asks of a provider's adapter; its calls fail as `gateway/call_errors.py` says."""

from dataclasses import dataclass
from typing import Literal, Protocol

Kind = Literal["id", "link", "word", "plain"]
"""What a readable text of a provider is. Viewers read ids that look like some, known words, and of links the place."""


class Malformed(Exception):
    """A callback that can't be read; `path` says where."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Order:
    """One request as one assignment of it goes to a provider."""

    request_id: str
    reference: str
    idempotency_key: str
    body: bytes  # NewStore's own JSON, unchanged


@dataclass(frozen=True, slots=True)
class Taken:
    """The provider has the order; it may have told us its own id."""

    status: int
    provider_order: str | None


class Adapter(Protocol):
    """One kind of provider. After an unknown outcome `create` is repeated only when one of the two makes it safe."""

    can_look_up: bool  # it can be asked whether it has our reference
    is_idempotent: bool  # its contract makes a repeated create harmless
    can_withdraw: bool  # it can be told to stop; telling it twice is harmless

    async def create(self, order: Order) -> Taken: ...

    async def look_up(self, order: Order) -> Taken | None: ...

    async def withdraw(self, order: Order) -> str | None:
        """Have it stop, for good, and say how it said so; None where it has no such order.

        Raises `Refused` when it will ship, or when it does not do that.
        """

    async def check(self) -> None:
        """Reach the provider without changing anything. Raises `CallError`."""
