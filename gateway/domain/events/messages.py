"""What became of a message that was not applied as it came: refused, quarantined, repeated, or a contradiction."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from gateway.domain.commands import Word
from gateway.domain.requests import Refusal, Request

from .event import Answer, Event, Fact, Party, Verdict

TURNED_AWAY: Final[Mapping[str, Verdict]] = {
    "unknown_product": Verdict.IMPOSSIBLE,
    "negative_quantity": Verdict.IMPOSSIBLE,
    "too_many_units": Verdict.IMPOSSIBLE,
    "other_provider": Verdict.FORBIDDEN,
}
"""Why a callback is turned away: its sender may correct it, under the same id."""

_MAY_SHIP_TWICE = frozenset({"other_provider", "withdrawn", "another_parcel", "closed"})
_MOST_REFUSED = 10  # that are told apart; more of them only a person's note answers


@dataclass(frozen=True, slots=True)
class ConflictingBody(Fact):
    """The same id came again with another body; it is kept and not delivered."""

    kind = "conflicting_body"
    counts = "conflicts"
    counted_as = "body"

    fingerprint: str

    def apply(self, request: Request, _: Event) -> Request:
        return request.with_conflict()


@dataclass(frozen=True, slots=True)
class ConflictingLocation(Fact):
    """The same id came again for another DC; it is kept and not delivered."""

    kind = "conflicting_location"
    counts = "conflicts"
    counted_as = "location"

    location: str
    fingerprint: str

    def apply(self, request: Request, _: Event) -> Request:
        return request.with_conflict()


@dataclass(frozen=True, slots=True)
class ConflictingCallback(Fact):
    """A message came again under the same id with other content."""

    kind = "conflicting_callback"
    hands_to = Party.OPERATIONS
    counts = "conflicts"
    counted_as = "callback"

    repeated: str

    def apply(self, request: Request, _: Event) -> Request:
        return request.with_conflict()

    @property
    def answer(self) -> Answer:
        return Answer(Verdict.CONFLICTING)


@dataclass(frozen=True, slots=True)
class CallbackRefused(Fact):
    """`message` is the cause of what was refused: the same id with other content may put it right."""

    kind = "callback_refused"
    hands_to = Party.OPERATIONS
    begins_wait = False
    counts = "callbacks_refused"

    word: str
    reason: str
    detail: str
    message: str = ""

    def apply(self, request: Request, _: Event) -> Request:
        """One by somebody who should have nothing to say any more counts as a conflict; all are seen by a person."""
        if self._is_welcome(request):
            return request
        if self.reason in _MAY_SHIP_TWICE or len(request.refused) == _MOST_REFUSED:
            return request.with_conflict()
        return replace(request, refused=(*request.refused, Refusal(self.message, self.word, self.detail)))

    def counted(self, request: Request) -> int:
        return not self._is_welcome(request)

    @property
    def answer(self) -> Answer:
        return Answer(TURNED_AWAY.get(self.reason, Verdict.REFUSED), self.reason, self.detail)

    def _is_welcome(self, request: Request) -> bool:
        """Tell whether nobody needs to look: what changes nothing is late, or a former provider will not ship."""
        if self.word in {Word.ACCEPTED, Word.BACKORDERED}:
            return self.reason == "units_not_open" or (self.reason == "other_provider" and not request.is_pending)
        return self.reason == "other_provider" and self.word in {Word.REJECTED, Word.CANCELLED}


@dataclass(frozen=True, slots=True)
class CallbackWithoutEffect(Fact):
    """The provider said again, in another message, what was already so.

    `units` are those that NewStore had shown before the provider told them, after a restore.
    """

    kind = "callback_without_effect"
    begins_wait = False

    word: str
    units: tuple[int, ...] = ()
    detail: str = ""

    def apply(self, request: Request, _: Event) -> Request:
        return replace(request, untold=tuple(unit for unit in request.untold if unit not in self.units))

    @property
    def answer(self) -> Answer:
        return Answer(Verdict.DUPLICATE)


@dataclass(frozen=True, slots=True)
class CallbackQuarantined(Fact):
    kind = "callback_quarantined"
    hands_to = Party.OPERATIONS

    reason: str
    detail: str

    def apply(self, request: Request, _: Event) -> Request:
        return replace(request, quarantined=request.quarantined + 1)

    @property
    def answer(self) -> Answer:
        return Answer(Verdict.QUARANTINED, self.reason, self.detail)


@dataclass(frozen=True, slots=True)
class QuarantineLeft(Fact):
    """A message left quarantine: `outcome` is "replayed" or "discarded", `message` its cause."""

    kind = "quarantine_left"

    outcome: str
    message: str
    who: str
    reason: str

    def apply(self, request: Request, _: Event) -> Request:
        return replace(request, quarantined=max(0, request.quarantined - 1))
