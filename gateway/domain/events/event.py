"""One entry of a request's log: a fact, with all that follows from it, and when and by which message it came."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import Enum, StrEnum, auto
from typing import ClassVar

from gateway.domain.commands import Deadline
from gateway.domain.deliveries import Delivery, Operation
from gateway.domain.requests import Missed, Request
from gateway.domain.units import Said


class Party(StrEnum):
    """Who may have to move."""

    GATEWAY = "gateway"
    PROVIDER = "provider"
    NEWSTORE = "newstore"
    OPERATIONS = "operations"


class Verdict(Enum):
    """What became of a callback, as its sender is told."""

    APPLIED = auto()
    DUPLICATE = auto()
    QUARANTINED = auto()
    CONFLICTING = auto()  # its id was another message's
    REFUSED = auto()
    IMPOSSIBLE = auto()  # refused: whatever else happens, it can't be right for this request
    FORBIDDEN = auto()  # refused: somebody else has the request


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender of a callback is told; `reason` and `detail` where it was not applied."""

    verdict: Verdict
    reason: str = ""
    detail: str = ""


class Fact:
    """What has happened to a request, and what follows from it: nothing, but for what a kind of fact declares."""

    __slots__ = ()

    kind: ClassVar[str]
    """What it is stored as, for ever."""
    hands_to: ClassVar[Party | None] = None
    """Who has to move then; None where it stays with whoever had to."""
    begins_wait: ClassVar[bool] = True
    """Whoever has to move now has waited since then."""
    calls: ClassVar[Operation | None] = None
    """The call that it owes."""
    final: ClassVar[Said | None] = None
    """What is said of its units for good; the brake counts that."""
    counts: ClassVar[str] = ""
    """The counter that it adds to."""
    counted_as: ClassVar[str] = ""
    """The `kind` by which that counter tells it apart."""

    def apply(self, request: Request, _: "Event") -> Request:
        """Change the state."""
        return request

    def owes(self, _: Request | None, request: Request, event: "Event") -> Delivery | None:
        """Say which call follows from the state before and after it."""
        return request.delivery(self.calls, event.version) if self.calls else None

    def settles(self, _: Delivery) -> bool:
        """Tell whether an owed call is not owed any more."""
        return False

    def counted(self, _: Request) -> int:
        """Say how much it adds to its counter."""
        return 1

    @property
    def answer(self) -> Answer:
        """What the sender of a callback is told that ended in it."""
        return _APPLIED

    @property
    def search_keys(self) -> tuple[tuple[str, str], ...]:
        """The names by which its request can be found from now on, each with what kind of name it is."""
        return ()


_APPLIED = Answer(Verdict.APPLIED)


class UnitsFact(Fact):
    """A fact about some units of the request; they are counted one by one."""

    __slots__ = ()

    units: tuple[int, ...]

    def counted(self, _: Request) -> int:
        return len(self.units)


@dataclass(frozen=True, slots=True)
class OverdueFact(Fact):
    """A fact about a deadline that the provider has missed: the seconds that it has for something are over."""

    hands_to = Party.OPERATIONS
    counts = "overdue"
    deadline: ClassVar[Deadline]

    provider: str
    seconds: float

    def apply(self, request: Request, _: "Event") -> Request:
        return replace(request, missed=(*request.missed, Missed(self.deadline)))


@dataclass(frozen=True, slots=True)
class Event:
    """`cause` names the message that it came from, `fingerprint` that message's content."""

    version: int
    at: datetime
    cause: str
    fingerprint: str
    fact: Fact
