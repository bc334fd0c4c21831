"""One command, from decision to new state: what the ledger stores in one commit."""

from .decide import Command, decide
from .events.event import Event, Fact
from .events.messages import TURNED_AWAY, CallbackRefused, ConflictingCallback
from .evolve import evolve
from .requests import Request


def handle(request: Request | None, command: Command) -> tuple[Request | None, list[Event]]:
    """Decide a command and fold what follows; an empty list means that the state is unchanged."""
    events: list[Event] = []
    for fact in decide(request, command):
        cause = command.cause
        if _leaves_the_id_free(fact):
            cause = conflict_cause(command)
            if request is not None and cause in request.causes:
                continue
        version = request.version + 1 if request else 1
        event = Event(version, command.at, cause, command.fingerprint, fact)
        request = evolve(command.request_id, request, event)
        events.append(event)
    return request, events


def _leaves_the_id_free(fact: Fact) -> bool:
    """Tell whether a message did not take its id: what repeats it is stored once, and other content is decided anew."""
    return isinstance(fact, ConflictingCallback) or (isinstance(fact, CallbackRefused) and fact.reason in TURNED_AWAY)


def conflict_cause(command: Command) -> str:
    """Name a message by its id and its content."""
    return f"{command.cause}!{command.fingerprint[:16]}"
