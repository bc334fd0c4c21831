"""Who has to move next on a request, since when, and what they should do: one plain sentence."""

from dataclasses import dataclass
from datetime import datetime

from .deliveries import NEWSTORE
from .requests import Request
from .units import Confirmed, Said

_FAILED = {
    "refused": "NewStore refused what the provider did: compare both sides, then settle it by hand",
    "unverified": "NewStore took the report and never showed it: look the request up there",
    "surplus": "NewStore shows more units than the gateway sent: find out who else reported them",
    "dead_create": "the provider never took the request: mend the cause named in its last attempt",
    "dead_acknowledge": "NewStore was never told of the acceptance: mend the cause named in its last attempt",
    "dead_ship": "the shipment may not be at NewStore: look the request up there before anything is sent again",
    "dead_reject": "the rejection may not be at NewStore: look the request up there before anything is sent again",
    "dead_cancel": "the cancellation may not be at NewStore: look the request up there before anything is sent again",
    "dead_read_shipment": "NewStore's list of shipments can't be read: look there whether it took them",
    "dead_read_rejection": "NewStore's list of rejections can't be read: look there whether it took them",
    "dead_read_cancellation": "NewStore's list of cancellations can't be read: look there whether it took them",
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who must move, since when, and what comes next."""

    who: str
    since: datetime
    next: str


def waiting_for(request: Request) -> Waiting | None:
    """Say what a request waits for, or None when nothing is left to do."""
    who, sentence = _who_and_what(request)
    return Waiting(who, request.changed_at, sentence) if who else None


def _who_and_what(request: Request) -> tuple[str, str]:
    if request.failure:
        return "operations", _FAILED[request.failure]
    if not request.is_pending:
        return "", ""
    if request.provider is None:
        return "operations", f"no provider serves {request.location}: name one in the settings of the location"
    if request.quarantined:
        return "operations", f"{request.quarantined} message(s) of {request.provider} lie in quarantine: decide on them"
    for owed in request.owed:
        if not owed.is_read:
            return "gateway", f"the gateway has to {owed.operation} the request at {owed.destination}"
    return _outside(request, request.provider)


def _outside(request: Request, provider: str) -> tuple[str, str]:
    """Nothing is owed by the gateway: the provider or NewStore has to move."""
    said = [unit.said for unit in request.units]
    still_open = said.count(Said.OPEN)
    if still_open == len(said) and not request.accepted_at:
        return provider, f"{provider} has not accepted the request yet"
    if still_open:
        waits = " (rejected units wait for them at NewStore)" if Said.REJECTED in said else ""
        return provider, f"{provider} has {still_open} of {len(said)} units to ship or reject{waits}"
    sent = sum(unit.confirmed is Confirmed.SENT for unit in request.units)
    if sent:
        return NEWSTORE, f"NewStore has not shown {sent} of {len(said)} reported units yet"
    return "gateway", "a rejection waits for the proof that the provider will not ship"
