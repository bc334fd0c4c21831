"""What a person tells whoever comes next."""

from dataclasses import dataclass

from gateway.domain.events.event import Fact
from gateway.domain.events.people import Noted, TakenOver
from gateway.domain.requests import Request

from .act import Act


@dataclass(frozen=True, slots=True, kw_only=True)
class Take(Act):
    """Say who sees to the request."""

    action = "take"
    label = "Take"
    help = "Say that you see to a request."
    default_reason = "taken"

    def decide(self, _: Request) -> list[Fact]:
        return [TakenOver(self.who)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Note(Act):
    """Write something into the story, which also answers its conflicts."""

    action = "note"
    label = "Note"
    help = "Write something into a request's story; it also answers a conflict or a refused callback."
    content = "The note"

    def decide(self, _: Request) -> list[Fact]:
        return [Noted(self.who, self.reason)]
