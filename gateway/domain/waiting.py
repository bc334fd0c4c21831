"""Who has to move next on a request, since when, and what they should do: one plain sentence."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime

from .deliveries import AT_PROVIDER, NEWSTORE, READ_BACKS, REVERSALS, Delivery
from .mappings import not_mapped
from .requests import Request
from .units import Confirmed, Said

_LOOK_THERE = "`gateway recheck ID` looks whether it is, then `gateway redrive ID` sends what is missing"
_FAILED = {
    "refused": "NewStore refused what the provider did: mend the cause there, then `gateway redrive ID`, "
    "or settle it by hand and `gateway close ID`",
    "unverified": "NewStore took the report and never showed it: `gateway recheck ID` looks once more, "
    "`gateway redrive ID` sends what is still missing",
    "surplus": "NewStore shows more units than the gateway sent: find out who else reported them, "
    "then `gateway close ID` once the rest is settled",
    "conflict": "somebody contradicts what was settled, and it may ship twice: read the story, act on it, "
    "then write down how with `gateway note ID`",
    "callback_refused": "read what it says, and act on it: a correction under the same id ends this, else settle it "
    "and write down how with `gateway note ID`",
    "withdrawn": "the provider stopped, and some units are neither shipped nor rejected: `gateway reject ID` "
    "lets NewStore reroute them, `gateway close ID` ends it",
    "overdue_acknowledge": "the provider has not taken the request in time: mend the cause named in its last "
    "attempt, or `gateway reroute ID --to PROVIDER`",
    "overdue_accept": "the provider has not accepted the request in time: ask it whether it works on it, then write "
    "down its answer with `gateway note ID`, or `gateway reroute ID --to PROVIDER`",
    "overdue_backorder": "the provider lacks units for longer than their back order may wait: ask it when they come, "
    "then write down its answer with `gateway note ID`, or `gateway reject ID` lets NewStore reroute them",
    "dead_create": "the provider may not have the request: mend the cause named in its last attempt, then "
    "`gateway redrive ID`, or `gateway reroute ID --to PROVIDER`",
    "dead_withdraw": "the provider did not say whether it stopped: `gateway redrive ID` asks again, or ask it yourself "
    "and repeat the reroute or reject with --provider-stopped",
    "dead_read_order": "how the order stands at the provider can't be read there: mend the cause named in the last "
    "attempt, then `gateway redrive ID` reads it again",
    "dead_acknowledge": "NewStore was never told of the acceptance: mend the cause named in its last attempt, then "
    "`gateway redrive ID`",
    "dead_ship": f"the shipment may not be at NewStore: {_LOOK_THERE}",
    "dead_reject": f"the rejection may not be at NewStore: {_LOOK_THERE}",
    "dead_cancel": f"the cancellation may not be at NewStore: {_LOOK_THERE}",
    "dead_read_shipment": "NewStore's list of shipments can't be read: `gateway redrive ID` reads it again, "
    "`gateway close ID` where you saw them there",
    "dead_read_rejection": "NewStore's list of rejections can't be read: `gateway redrive ID` reads it again, "
    "`gateway close ID` where you saw them there",
    "dead_read_cancellation": "NewStore's list of cancellations can't be read: `gateway redrive ID` reads it again, "
    "`gateway close ID` where you saw them there",
}

_CANT_PLACE = (
    "its log comes from a backup, and NewStore shows more than it can place: its story says what; find out with the "
    "provider and at NewStore what happened, then `gateway close ID` once the rest is settled"
)

FAILURES = tuple(_FAILED)
"""Every word that a failure can be."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Who must move, since when, and what comes next."""

    who: str
    since: datetime
    next: str


def waiting_for(request: Request, providers: Collection[str] | None = None) -> Waiting | None:
    """Say what a request waits for, or None when nothing is left to do; `providers` are those of the settings."""
    who, sentence = _who_and_what(request, providers)
    return Waiting(who, request.changed_at, sentence) if who else None


def _who_and_what(request: Request, providers: Collection[str] | None) -> tuple[str, str]:
    if request.failure:
        return "operations", _failed(request, request.failure)
    if not request.is_pending:
        return "", ""
    if request.provider is None:
        missing = f"no provider serves {request.location}: name one in the settings of the location"
        return "operations", f"{missing}, or `gateway reroute ID --to PROVIDER`"
    if providers is not None and request.provider not in providers and _needs_provider(request):
        missing = f"its provider {request.provider} is missing from the settings, so nobody calls it or hears it"
        return "operations", f"{missing}: put it back there, or `gateway reroute ID --to PROVIDER`"
    if request.quarantined:
        lie = f"{request.quarantined} message(s) of {request.provider} lie in quarantine"
        return "operations", f"{lie}: replay or discard them"
    return _asking(request) or _owed(request) or _outside(request, request.provider)


def _failed(request: Request, failure: str) -> str:
    if failure == "surplus" and request.restored:
        return _CANT_PLACE
    if failure == "overdue_acknowledge" and (owed := _owed(request)):
        return f"the provider has not taken the request in time: {owed[1]}"
    said = f"{_refused(request)}: " if failure == "callback_refused" else ""
    return said + _FAILED[failure]


def _refused(request: Request) -> str:
    """Name the newest callback that was not followed, in our own words, and how many there are."""
    last, others = request.refused[-1], len(request.refused) - 1
    more = f" (and {others} more)" if others else ""
    return f"{request.provider} said {last.word or 'something'}, which was refused: {last.detail}{more}"


def _needs_provider(request: Request) -> bool:
    return bool(request.open_units) or any(owed.operation in AT_PROVIDER for owed in request.owed)


def _asking(request: Request) -> tuple[str, str] | None:
    """After a restore nothing else counts until NewStore has said what it shows beyond the log."""
    asked = next((owed for owed in request.owed if owed.operation in READ_BACKS and owed.seq), None)
    if asked is None or not request.is_cut_off:
        return None
    if asked.hold:
        return "operations", f"hold {asked.hold} keeps the gateway from asking NewStore what a restore has lost of it"
    return "gateway", "the gateway has to ask NewStore what it shows of the request that its restored log lacks"


def _owed(request: Request) -> tuple[str, str] | None:
    """The gateway has to move, unless all that it has to do is held back."""
    writes = [owed for owed in request.owed if not owed.is_read]
    free = next((owed for owed in writes if not owed.hold), None)
    if free and free.unmapped:
        return "operations", not_mapped(free.destination, free.unmapped)
    held = next((f"hold {owed.hold} keeps back its {_word(owed)}" for owed in writes if owed.hold), "")
    if free:
        does = f"the gateway has to {_word(free)} the request at {free.destination}"
        if free.not_before:
            does += f", which asked to wait until {free.not_before.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
        return "gateway", f"{does}; {held}" if held else does
    if not held:
        return None
    does = "release the hold once you have looked into it"
    if all(owed.operation in REVERSALS and owed.is_unsent for owed in writes) and not request.withdrawn:
        does += ", or `gateway discard ID` opens the units again"
    return "operations", f"{held} at {writes[0].destination}: {does}"


def _word(owed: Delivery) -> str:
    return owed.operation.replace("_", " ")


def _outside(request: Request, provider: str) -> tuple[str, str]:
    """Nothing is owed by the gateway: the provider or NewStore has to move, or a person must ask the provider."""
    if unproved := len(request.unproved_rejections):
        confirm = f"confirm with {provider} that it will not ship {unproved} rejected unit(s)"
        return "operations", f"{confirm}, then `gateway reject ID --provider-stopped WHO_AND_HOW`"
    said = [unit.said for unit in request.units]
    still_open = said.count(Said.OPEN)
    lost = f"; what it told after the backup is lost, so {provider} has to tell it again" if request.restored else ""
    if lacking := len(request.backordered):
        since = f" since {request.backordered_at.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if request.backordered_at else ""
        return provider, f"{provider} lacks {lacking} of {len(said)} units{since} and may get them{lost}"
    if still_open == len(said) and not request.is_known_to_provider:
        return provider, f"{provider} has not accepted the request yet{lost}"
    if still_open:
        waits = " (rejected units wait for them at NewStore)" if Said.REJECTED in said else ""
        return provider, f"{provider} has {still_open} of {len(said)} units to ship or reject{waits}{lost}"
    sent = sum(unit.confirmed is Confirmed.SENT for unit in request.units)
    return NEWSTORE, f"NewStore has not shown {sent} of {len(said)} reported units yet"
