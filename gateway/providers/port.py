"""The port: what every adapter plugs into. One class for a kind of provider, one object of it for each provider.

An adapter owns its settings, says what it can do, makes the calls out, and reads the messages that come in. Its calls
fail as `gateway/call_errors.py` says; its reading is pure, and decides nothing about a request.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from functools import cache
from typing import Any, ClassVar, Literal
from urllib.parse import unquote

import aiohttp

from gateway.api_shapes import CallbackReceipt
from gateway.call_errors import Inconclusive, Refused
from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.domain.mappings import Mappings
from gateway.domain.orders import Order
from gateway.settings import ProviderSettings

from .mappings import KnownMappings

Kind = Literal["id", "link", "word", "plain"]
"""What a readable text of a provider is. Viewers read ids that look like some, known words, and of links the place."""


Origin = Literal["webhook", "read", "poll"]
Call = Literal["create", "look_up", "withdraw"]
"""What a message is: a callback, the answer to a read, or a page that was polled."""


class Malformed(Exception):
    """A message of which nothing can be read; `path` says where."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a provider can do, as its settings have it.

    After an unknown outcome a create is repeated only when a look-up finds nothing, or the provider is idempotent.
    """

    create: bool = True  # it is told of orders; where it is not, somebody else tells it and they are looked up
    look_up: bool = False  # it can be asked whether it has our reference
    idempotent: bool = False  # its contract makes a repeated create harmless
    withdraw: bool = False  # it can be told to stop; telling it twice is harmless
    read: bool = False  # it can be asked how an order stands, and its answer is a message
    poll: bool = False  # it is asked for news
    callbacks: bool = True  # it calls us


@dataclass(frozen=True, slots=True)
class Taken:
    """The provider has the order; it may have told us its own id. `status` is that of an answer over HTTP."""

    status: int | None = None
    provider_order: str | None = None


class Use(Enum):
    """What a place is for."""

    SAYS = auto()  # a message: proved, stored, read, and then answered
    ASKS = auto()  # a question about a request, which the ledger answers
    SIGNS_IN = auto()  # whoever shows the right credentials gets a token
    GREETS = auto()  # whoever asks whether something is here hears yes


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One thing that a provider can call, below `/providers/NAME/`; `{word}` in its path stands for one part.

    The rest describes it in the OpenAPI document: the types of its body, which is JSON or a form, and of its answers.
    Where nothing is said of these, they are those of a callback.
    """

    path: str = "callbacks"
    method: str = "POST"
    use: Use = Use.SAYS
    summary: str = "A provider says what became of units"
    takes: tuple[Any, ...] = ()
    is_form: bool = False
    answers: Mapping[int, type | None] = field(default_factory=dict)

    def parts(self, path: str) -> dict[str, str] | None:
        """Give the words of a path that is this one; None for any other."""
        found = _pattern(self.path).fullmatch(path)
        return {name: unquote(part) for name, part in found.groupdict().items()} if found else None


@cache
def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(path)))


@dataclass(frozen=True, slots=True)
class Message:
    """What a provider sent, as a callback, a page that was polled, the answer to a read, or a file.

    `name` is what its sender or its place calls it: the id that its signature vouches for, the path of a file. It is
    empty where there is none. Method, path and headers are those of a callback; the path is what stands below
    `/providers/NAME/`, as it came. A message that is kept for a person and read again has its body and its name alone:
    an adapter that reads something from the path puts that into the name, too.
    """

    body: bytes
    at: datetime
    name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    path: str = "callbacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer in the adapter's own words."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Heard:
    """What came of one thing that was said: the status that tells it to a sender over HTTP, and the receipt.

    200: it is so, now or before. 202: kept, for a person or until its request is here. 400: it can't be read, and is
    kept. 403: another provider has the request. 422: it can never be right for this request.
    """

    status: int
    receipt: CallbackReceipt


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """What this provider has said of one unit, and is so: `event_id` is what the adapter called the message."""

    product: str
    word: Word
    event_id: str
    at: datetime
    reason: RejectionReason | None = None
    parcel: Parcel | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """By what a message names its request; what is empty is not given.

    `order` is NewStore's: it names a request while that order has only one that is open at this provider.
    """

    request: str = ""  # NewStore's id of it
    reference: str = ""  # ours
    provider_order: str = ""  # the provider's own
    order: str = ""

    def __bool__(self) -> bool:
        return bool(self.request or self.reference or self.provider_order or self.order)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a message says of the units of one request.

    An increment says what happened, once: `event_id` is its sender's name for it, by which a repetition is known; where
    there is none, `fingerprint` is. A snapshot (`is_total`) says how many there are by now: of an acceptance, rejection
    or cancellation of each product, of a shipment of each product in this parcel. Repeated or out of order it changes
    nothing. `as_of` is when it was true, by the provider's clock.

    `items` counts units by product; None means every unit that is still open. `uncounted` are lines by product that
    give no count. `word` is None for a word that the adapter does not know, and `problem` says which that was. `unread`
    names what of the message was not understood and may change what it means. Both leave it to a person.

    `is_proof` tells of a rejection or cancellation that it is the provider's promise not to ship these units; where it
    is none, the order is stopped there before NewStore is told.

    `part` is what of the message says this, kept with the request: a message of the same form that says nothing else.
    None is the whole of it.
    """

    names: Names
    word: Word | None
    fingerprint: str
    event_id: str = ""
    items: Mapping[str, int] | None = None
    uncounted: Mapping[str, int] = field(default_factory=dict)
    reason: RejectionReason | None = None
    parcel: Parcel | None = None
    problem: str = ""
    unread: str = ""
    is_total: bool = False
    as_of: datetime | None = None
    is_proof: bool = True
    part: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The message is a hint: how this order stands is to be read now. Many hints are one read."""

    names: Names
    event_id: str = ""
    fingerprint: str = ""
    part: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """A part of a message that can't be read; `place` says where it stands, `what` what is wrong with it.

    The rest of the message is read all the same. `names` is what it names, as far as that can be told.
    """

    place: str
    what: str
    fingerprint: str
    names: Names = field(default_factory=Names)
    event_id: str = ""
    part: bytes | None = None


Reading = Statement | Look | Unreadable


@dataclass(frozen=True, slots=True)
class Page:
    """What a poll brought. `cursor` is where the next one begins; it is kept once the messages are.

    The next page is asked for at once where `more` says so. `receipt` is the adapter's own, for `acknowledge`.
    """

    messages: Sequence[Message]
    cursor: str
    more: bool = False
    receipt: Any = None


class Admission(Enum):
    """Whether the head of a callback lets its body be read."""

    REFUSED = auto()
    EXPIRED = auto()  # it was right: no guess, and not counted as one
    TO_BE_PROVED = auto()  # by its body, of which no more is read at once than strangers may send
    PROVED = auto()


@dataclass(frozen=True, slots=True)
class Proof:
    """A callback is its provider's: by which key, counted from 1, and the name that its signature vouches for."""

    key: int
    name: str = ""


class Adapter:
    """One provider of one kind. What a provider can't do is left as it is here."""

    settings: ClassVar[type[ProviderSettings]] = ProviderSettings
    """What the settings say of such a provider: the keys of all of them, and its own."""
    readable: ClassVar[Mapping[str, Kind]] = {}
    """What of its messages and answers is shown to everybody who may look, and as what: the rest may be personal data.

    Paths in JSON, as `items.product_id`.
    """
    understood: ClassVar[Any] = None
    """The type of all messages that it understands, for the OpenAPI document; None where that has none."""
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    """A message of each kind, by the name of the kind."""

    places: ClassVar[tuple[Place, ...]] = (Place(),)
    """What a provider can call; anything else is 404, and another method 405."""
    credentials: tuple[str, ...] = ("Authorization", "webhook-signature")
    """The headers with which a callback shows whose it is: wrong ones are guesses, and counted."""

    can: Capabilities
    known: KnownMappings
    """What people have said that providers call things: all adapters of a process share one."""

    def __init__(self, provider: ProviderSettings, session: aiohttp.ClientSession) -> None:
        """`session` goes only where a provider may be, and times out by itself where the adapter sets nothing."""
        self.provider = provider
        self.session = session
        self.known = KnownMappings()

    @property
    def mappings(self) -> Mappings:
        """What this provider calls things."""
        return self.known.of(self.provider)

    # Calls out. Each raises a `CallError`.

    def compose(self, order: Order) -> bytes:
        """Write what `create` sends, the same each time."""
        raise NotImplementedError

    async def create(self, order: Order, body: bytes) -> Taken:
        """Send what was composed."""
        raise Refused("this adapter sends no orders")

    async def look_up(self, order: Order) -> Taken | None:
        """Ask by our reference whether the provider has the order; None where it has not.

        Raises `Inconclusive` for an answer that tells nothing.
        """
        raise Refused("this adapter looks no order up")

    async def withdraw(self, order: Order) -> str | None:
        """Have it stop, for good, and say how it said so; None where it has no such order.

        Raises `Refused` when it will ship, or when it does not do that.
        """
        raise Refused("this adapter withdraws no order: have the provider stop it, and say how you know")

    async def read_order(self, order: Order) -> Message:
        """Ask how the order stands; the answer is read as any message is."""
        raise Refused("this adapter reads no order")

    async def poll(self, cursor: str) -> Page:
        """Ask for news since the cursor, which is empty at first and reaches back a little each time."""
        raise Refused("this adapter does not poll")

    async def acknowledge(self, page: Page) -> None:
        """Do what is to be done once all messages of a page are kept: put files aside, say that they were got."""

    async def check(self) -> None:
        """Reach the provider without changing anything."""

    # Messages in: pure, and fast enough to be done while a sender waits.

    def admit(self, headers: Mapping[str, str], now: float) -> Admission:
        """Judge the head of a callback; `now` is in seconds since 1970."""
        return Admission.REFUSED

    def authentic(self, message: Message) -> Proof | None:
        """Tell whether a callback is this provider's."""
        return None

    def kept(self, kind: Origin, body: bytes) -> bytes:
        """Give what somebody has saved as a message of this kind, where the adapter reads one kind unlike others."""
        return body

    def read(self, message: Message) -> Sequence[Reading]:
        """Read what a message says. Raises `Malformed` where nothing of it can be read."""
        raise NotImplementedError

    # For who tries an adapter that reads what the settings say: pure.

    def shown(self, order: Order) -> str:
        """Show the call that `create` makes, but for its body, with secrets masked; empty where that tells nothing."""
        return ""

    def judged(self, call: Call, answer: bytes) -> str:
        """Say what an answer with status 200 to a call comes to. Raises a `CallError`."""
        raise Inconclusive("this adapter does not tell what an answer comes to")

    def words(self, message: Message) -> Mapping[str, str]:
        """Give the provider's words in a message, each with ours, or nothing where it is not known."""
        return {}

    # Answers: pure. Where a method gives None, the gateway answers in its own words.

    def answer(self, message: Message, heard: Sequence[Heard]) -> Reply | None:
        """Word what came of a message, once all of it is stored."""
        return None

    def refusal(self, place: Place | None, status: int, why: str) -> Reply | None:
        """Word why a call was turned away unread.

        401: it shows no key; 403: a wrong one; 404, where `place` is None: nothing is here; and 405, 408, 413, 415,
        500, 503.
        """
        return None

    def asks(self, message: Message) -> Names:
        """Say which request a question is about; an empty name is nobody's."""
        raise NotImplementedError

    def tell(self, message: Message, reported: Sequence[Reported] | None) -> Reply:
        """Answer a question from what the provider has reported; None where it has and had no such request."""
        raise NotImplementedError

    def sign_in(self, message: Message) -> Reply | None:
        """Give a token to whoever shows the right credentials, or say what is wrong with the call.

        None for wrong credentials: they are guesses, and counted.
        """
        return None
