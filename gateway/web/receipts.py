"""What a committed command is answered with: the one table for callbacks, and NewStore's results."""

from collections.abc import Sequence

from gateway.api_shapes import CallbackReceipt, CallbackResult, Receipt, Result
from gateway.domain.commands import Receive
from gateway.domain.events.assignment import RequestReceived
from gateway.domain.events.event import Event, Verdict
from gateway.domain.requests import Request


def receipt(command: Receive, request: Request, events: Sequence[Event]) -> Receipt:
    return Receipt(_result(command, request, events), request.id, request.reference)


def _result(command: Receive, request: Request, events: Sequence[Event]) -> Result:
    if any(isinstance(event.fact, RequestReceived) for event in events):
        return "received" if request.provider else "unroutable"
    if command.location != request.location:  # also when the conflict itself comes again
        return "conflicting_location"
    return "duplicate" if command.fingerprint == request.fingerprint else "conflicting_body"


def callback_receipt(request_id: str, events: Sequence[Event]) -> tuple[int, CallbackReceipt]:
    """Find status and body for what a callback led to."""
    answer = events[-1].fact.answer
    status, result = CALLBACKS[answer.verdict]
    return status, CallbackReceipt(result, request_id, answer.reason, answer.detail)


def repeated_receipt(request_id: str, before: Sequence[Event]) -> tuple[int, CallbackReceipt]:
    """Answer a message that came before as it was then; what was applied is a duplicate now."""
    status, told = callback_receipt(request_id, before) if before else (200, CallbackReceipt("duplicate", request_id))
    return (200, CallbackReceipt("duplicate", request_id)) if told.result == "applied" else (status, told)


CALLBACKS: dict[Verdict, tuple[int, CallbackResult]] = {
    Verdict.APPLIED: (200, "applied"),
    Verdict.DUPLICATE: (200, "duplicate"),
    Verdict.QUARANTINED: (202, "quarantined"),
    Verdict.CONFLICTING: (202, "conflicting_callback"),
    Verdict.REFUSED: (202, "callback_refused"),
    Verdict.IMPOSSIBLE: (422, "callback_refused"),
    Verdict.FORBIDDEN: (403, "callback_refused"),
}
