"""What is handed to the writer, and what comes back."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from gateway.domain.decide import Command
from gateway.domain.events.event import Event
from gateway.domain.requests import Request
from gateway.ledger.queue.claims import Claim


class LedgerUnavailable(Exception):
    """The database can't take a command now; the sender should try again."""


class Unstorable(Exception):
    """The database will never take this command, whatever its neighbours do."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """How one try went, for the request's story.

    `sent` is the hash of what an adapter wrote for it, and `new_body` that itself, unless it is kept already.
    """

    at: datetime
    seconds: float
    outcome: str
    status: int | None
    detail: str
    response: bytes | None = None
    trace_id: str | None = None  # of the trace that shows it
    sent: str | None = None
    new_body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Reschedule:
    """Try a claimed delivery again later; `counts` when it uses up a step of the schedule.

    `blocked`: it was turned away, and other calls may pass. `unsure_for`: seconds in which it may yet be done, so that
    its absence proves nothing.
    """

    delay: float
    doubt: bool
    counts: bool
    blocked: bool = False
    unsure_for: float = 0.0


@dataclass(frozen=True, slots=True)
class CommitResult:
    """What became of a command: the state after it and its events; no request means that none has this id."""

    request: Request | None
    events: tuple[Event, ...]
    trace: str | None = None
    """Where the request's trace began."""


@dataclass(slots=True, eq=False)
class QueuedCommand:
    """A command (or a mere rescheduling) that waits for its commit."""

    request_id: str
    command: Command | None
    body: bytes | None = None
    claim: Claim | None = None
    attempt: Attempt | None = None
    reschedule: Reschedule | None = None
    trace: str | None = None  # of the work that this came from
    optimistic: bool = False  # written without a read, and read when that conflicts: a new id, or `known`
    next_look: float = 0.0  # seconds until a read-back that has not seen everything looks again
    known: Request | None = None  # the state when the call was claimed, most likely still the state
    since: float = field(default_factory=lambda: asyncio.get_running_loop().time())
    done: asyncio.Future[CommitResult] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    @property
    def size(self) -> int:
        kept = (self.body, *((self.attempt.response, self.attempt.new_body) if self.attempt else ()))
        return 1024 + sum(len(body) for body in kept if body)
