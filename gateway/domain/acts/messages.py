"""What a person does about a message in quarantine; it is offered there, and not as an act on its request."""

from dataclasses import dataclass

from gateway.domain.events.event import Fact
from gateway.domain.events.messages import QuarantineLeft
from gateway.domain.requests import Request

from .act import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Discard(Act):
    """Take a message out of quarantine without applying it; `message` is its cause."""

    action = "discard"

    message: str

    @property
    def cause(self) -> str:
        return f"discard:{self.message}"

    def decide(self, _: Request) -> list[Fact]:
        return [QuarantineLeft("discarded", self.message, self.who, self.reason)]
