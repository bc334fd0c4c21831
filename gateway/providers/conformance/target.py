"""What the suite needs of an adapter's author: a provider to be tried against, which does what a case asks of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.domain.orders import Order
from gateway.providers.port import Message


class Switch(StrEnum):
    """What is to go wrong with the next call."""

    LOSE_BEFORE = "a call that it never hears, and an answer that never comes"
    LOSE_AFTER = "a call that it follows, and an answer that never comes"
    REFUSE = "an order that it will not take"
    THROTTLE = "a 429 that names a date"
    EXPIRE = "a token that expires"
    ANOTHER = "a look-up that is answered with another order"
    EMPTY = "an empty answer"
    MALFORMED = "an answer that breaks off"
    OTHER_SHAPE = "an answer of another shape"
    OVERSIZED = "an answer that does not end"
    WEB_PAGE = "a web page in the place of its answer, with status 200"


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """Something happens to units of an order at the provider; of a spoilt one nobody can read how many."""

    order: Order
    word: Word
    items: Mapping[str, int]
    reason: RejectionReason | None = None
    parcel: Parcel | None = None
    is_spoilt: bool = False


@dataclass(eq=False)
class Target:
    """A simulated provider. One is made for each case, started, and stopped.

    `Target` is for any transport; `HttpTarget` has done most of it for a provider with an HTTP API.
    """

    settings: ClassVar[str] = ""
    """The text below `[providers.NAME]`, but for its adapter; `{url}` is where it runs, `{folder}` a folder of its own.

    Its calls should time out soon: a case waits for that.
    """
    environ: ClassVar[Mapping[str, str]] = {}
    """The secrets that the settings name as `env:NAME`."""
    files: ClassVar[Mapping[str, str]] = {}
    """Files that lie beside the settings, and what is in them."""
    switches: ClassVar[frozenset[Switch]] = frozenset()
    """What it can let go wrong. Cases that need more are not applicable, and say so."""
    words: ClassVar[frozenset[Word]] = frozenset(Word)
    """What this provider has words for."""
    reasons: ClassVar[frozenset[RejectionReason]] = frozenset(RejectionReason)
    is_promise: ClassVar[bool] = True
    """Whether what it rejects will never be shipped by it, as it says itself."""
    accepts_whole: ClassVar[bool] = False
    """Whether what it accepts is always all of an order."""
    says_several: ClassVar[bool] = False
    """Whether one of its messages may be about several orders."""

    url: str = ""
    folder: str = ""
    orders: list[str] = field(default_factory=list)
    """The references of the orders that it has; of one that it has made twice, twice."""
    stopped: set[str] = field(default_factory=set)
    """The references of those that were withdrawn."""

    async def start(self) -> None:
        """Begin to run."""

    async def stop(self) -> None:
        """End; nothing may be left."""

    def switch(self, what: Switch) -> None:
        """Let this go wrong with the next call."""
        raise NotImplementedError

    def happen(self, *what: Happening) -> Sequence[Message]:
        """Let this happen, and give the messages that are sent of it, as they arrive here.

        Several things at once are told in one message where the provider does that. Where it tells nothing by itself,
        it gives none: then it is polled.
        """
        raise NotImplementedError

    def unknown_word(self, order: Order) -> Sequence[Message]:
        """Say something of an order that is in no documentation, as a later version of the provider might."""
        raise NotImplementedError

    def pick(self, order: Order) -> None:
        """Let an order go so far that it can no longer be stopped."""
        raise NotImplementedError(f"write `pick` of {type(self).__name__}, as its adapter can withdraw")
