"""One command, from decision to new state: what the ledger stores in one commit."""

from .commands import Command
from .decide import decide
from .events import ConflictingCallback, Event
from .evolve import evolve
from .requests import Request


def handle(request: Request | None, command: Command) -> tuple[Request | None, list[Event]]:
    """Decide a command and fold what follows; an empty list means that the state is unchanged."""
    events: list[Event] = []
    for fact in decide(request, command):
        cause = command.cause
        if isinstance(fact, ConflictingCallback):
            cause = conflict_cause(command)
            if request is not None and cause in request.causes:
                break
        version = request.version + 1 if request else 1
        event = Event(version, command.at, cause, command.fingerprint, fact)
        request = evolve(command.request_id, request, event)
        events.append(event)
    return request, events


def conflict_cause(command: Command) -> str:
    """Name a message that repeats an id with other content, so that it too is stored once."""
    return f"{command.cause}!{command.fingerprint[:16]}"
