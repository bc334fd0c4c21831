"""What persons had done, beside calls that they have made once more."""

from dataclasses import dataclass, replace

from gateway.domain.deliveries import Delivery
from gateway.domain.requests import Request
from gateway.domain.units import Said, say

from .event import Event, Fact, UnitsFact


@dataclass(frozen=True, slots=True)
class UnitsReopened(UnitsFact):
    """A person takes back what was said of units, before NewStore was told; `reports` are not owed any more."""

    kind = "units_reopened"

    units: tuple[int, ...]
    reports: tuple[int, ...]
    who: str
    reason: str

    def apply(self, request: Request, event: Event) -> Request:
        """The provider has spoken of the order, so it has it, even where nothing of what it said still counts."""
        after = request.with_each(self.units, lambda unit: say(unit, Said.OPEN, 0))
        return replace(after, submitted_at=request.submitted_at or (event.at if request.provider else None))

    def settles(self, delivery: Delivery) -> bool:
        return delivery.seq in self.reports


@dataclass(frozen=True, slots=True)
class Closed(Fact):
    kind = "closed"

    who: str
    reason: str

    def apply(self, request: Request, _: Event) -> Request:
        return replace(request, closed=True, dead=(), conflicts=0, refused=(), withdrawal=None)

    def settles(self, _: Delivery) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Noted(Fact):
    kind = "noted"
    begins_wait = False

    who: str
    text: str

    def apply(self, request: Request, _: Event) -> Request:
        """It answers all that needed an answer: what contradicted, what was refused, what is late."""
        answered = tuple(replace(each, answered=True) for each in request.missed)
        return replace(request, conflicts=0, refused=(), missed=answered)


@dataclass(frozen=True, slots=True)
class TakenOver(Fact):
    kind = "taken_over"
    begins_wait = False

    who: str

    def apply(self, request: Request, _: Event) -> Request:
        return replace(request, taken_by=self.who)


@dataclass(frozen=True, slots=True)
class Declined(Fact):
    """What a person commanded can't be done; `why` says what to do instead."""

    kind = "declined"
    begins_wait = False

    who: str
    action: str
    why: str
