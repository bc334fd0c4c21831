"""What a committed command is answered with: the one table for callbacks, and NewStore's results."""

from collections.abc import Sequence

from gateway.api_shapes import CallbackReceipt, CallbackResult, Receipt, Result
from gateway.domain.commands import Receive
from gateway.domain.events import (
    CallbackQuarantined,
    CallbackRefused,
    CallbackWithoutEffect,
    ConflictingCallback,
    Event,
    Fact,
    OrderWithdrawn,
    ProviderAssigned,
    RequestReceived,
    UnitsAccepted,
    UnitsCancelled,
    UnitsRejected,
    UnitsShipped,
    UnitsWithdrawn,
)
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
    fact = events[-1].fact
    reason = fact.reason if isinstance(fact, CallbackRefused | CallbackQuarantined) else ""
    detail = fact.detail if isinstance(fact, CallbackRefused | CallbackQuarantined) else ""
    status, result = CALLBACKS.get((type(fact), reason)) or CALLBACKS[type(fact), ""]
    return status, CallbackReceipt(result, request_id, reason, detail)


def repeated_receipt(request_id: str, before: Sequence[Event]) -> tuple[int, CallbackReceipt]:
    """Answer a message that came before as it was then; what was applied is a duplicate now."""
    status, told = callback_receipt(request_id, before) if before else (200, CallbackReceipt("duplicate", request_id))
    return (200, CallbackReceipt("duplicate", request_id)) if told.result == "applied" else (status, told)


CALLBACKS: dict[tuple[type[Fact], str], tuple[int, CallbackResult]] = {
    (UnitsAccepted, ""): (200, "applied"),
    (UnitsShipped, ""): (200, "applied"),
    (UnitsRejected, ""): (200, "applied"),
    (UnitsWithdrawn, ""): (200, "applied"),
    (UnitsCancelled, ""): (200, "applied"),
    (OrderWithdrawn, ""): (200, "applied"),
    (ProviderAssigned, ""): (200, "applied"),
    (CallbackWithoutEffect, ""): (200, "duplicate"),
    (CallbackQuarantined, ""): (202, "quarantined"),
    (ConflictingCallback, ""): (202, "conflicting_callback"),
    (CallbackRefused, ""): (202, "callback_refused"),
    (CallbackRefused, "unknown_product"): (422, "callback_refused"),
    (CallbackRefused, "too_many_units"): (422, "callback_refused"),
    (CallbackRefused, "other_provider"): (403, "callback_refused"),
}
