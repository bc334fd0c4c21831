"""Decide what happens: a request and a command in, facts out. A refusal is a fact too, so nothing said is lost."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from .commands import (
    Assign,
    CallEnded,
    CallTaken,
    Close,
    Command,
    Discard,
    DiscardReports,
    Note,
    OnProviderCancel,
    ProviderSaid,
    ReadBack,
    Receive,
    Recheck,
    Redrive,
    RejectByHand,
    RejectionReason,
    Reroute,
    Take,
    Word,
)
from .events import (
    CallbackQuarantined,
    CallbackRefused,
    CallbackWithoutEffect,
    ConflictingBody,
    ConflictingCallback,
    ConflictingLocation,
    Fact,
    ProviderAssigned,
    QuarantineLeft,
    RequestReceived,
    UnitsAccepted,
    UnitsCancelled,
    UnitsRejected,
    UnitsShipped,
    UnitsWithdrawn,
)
from .exits import close, discard, discard_reports, note, recheck, redrive, take
from .outcomes import ended, taken
from .proof import compare
from .requests import Request
from .routing import reference
from .units import Said
from .withdrawal import leave, reject, reroute


def decide(request: Request | None, command: Command) -> list[Fact]:
    """Say what follows from a command; no facts means that it changes nothing (a repeat, or it came too late)."""
    if isinstance(command, Receive):
        return _receive(request, command)
    if request is None:
        raise LookupError(f"no request {command.request_id!r}: only Receive begins one")
    if command.cause in request.causes:
        same = request.causes[command.cause] == command.fingerprint
        return [] if same else [ConflictingCallback(command.cause)]
    return _DECIDE[type(command)](request, command)


def _receive(request: Request | None, command: Receive) -> list[Fact]:
    if request is None:
        return [
            RequestReceived(
                location=command.location,
                order_id=command.order_id,
                service_level=command.service_level,
                reference=reference(command.request_id),
                provider=command.provider,
                products=command.products,
                fingerprint=command.fingerprint,
            )
        ]
    if command.cause in request.causes:
        return []
    if command.location != request.location:
        return [ConflictingLocation(command.location, command.fingerprint)]
    if command.fingerprint != request.fingerprint:
        return [ConflictingBody(command.fingerprint)]
    return []


def _assign(request: Request, command: Assign) -> list[Fact]:
    is_parked = request.provider is None and request.open_units and not request.closed
    return [ProviderAssigned(command.provider, 1)] if is_parked else []


def _provider_said(request: Request, said: ProviderSaid) -> list[Fact]:
    facts = _heard(request, said)
    return [*facts, QuarantineLeft("replayed", said.replays, said.replayed_by, "")] if said.replays else facts


def _heard(request: Request, said: ProviderSaid) -> list[Fact]:
    if request.closed:
        detail = "the request is closed: see whether this fits what was settled by hand"
        return [CallbackRefused(said.word or said.problem, "closed", detail)]
    if said.provider != request.provider:
        detail = f"{said.provider} is not the provider of this request: it may ship twice"
        return [CallbackRefused(said.word or said.problem, "other_provider", detail)]
    if said.word is None:
        return [CallbackQuarantined("unknown_word", said.problem)]
    if refusal := _impossible(request, said):
        return [refusal]
    return _SAY[said.word](request, said)


def _impossible(request: Request, said: ProviderSaid) -> CallbackRefused | None:
    """What can never be right for this request, whatever else happens."""
    asked = Counter(unit.product for unit in request.units)
    for product, quantity in (said.items or {}).items():
        if product not in asked:
            return CallbackRefused(said.word or "", "unknown_product", f"{_cut(product)!r} is not in the request")
        if quantity < 0:
            return CallbackRefused(said.word or "", "negative_quantity", f"{quantity} of {_cut(product)!r}")
        if quantity > asked[product]:
            detail = f"{quantity} of {_cut(product)!r}, and {asked[product]} were ever asked for"
            return CallbackRefused(said.word or "", "too_many_units", detail)
    return None


def _cut(product: str) -> str:
    """Name a product in a sentence: an id may be as long as a book's page."""
    return product[:200]


def _accept(request: Request, said: ProviderSaid) -> list[Fact]:
    free = _pick(request, said, prefer_accepted=False, only_new=True)
    short = _shortage(request, said, free)
    # What was accepted before may be said again: a provider repeats itself, and a shipment implies acceptance.
    known = Counter(unit.product for unit in request.units if unit.accepted)
    for product, missing in short.items():
        if known[product] < missing:
            return [_not_open(said, product)]
    return [UnitsAccepted(free)] if free else [_nothing_new(said, is_so=bool(known))]


def _ship(request: Request, said: ProviderSaid) -> list[Fact]:
    units = _pick(request, said, prefer_accepted=True)
    if fact := _not_applicable(request, said, units, Said.SHIPPED):
        if request.withdrawn and isinstance(fact, CallbackRefused):
            return [replace(fact, reason="withdrawn", detail="it was withdrawn there: it may ship twice")]
        if another := _another_parcel(request, said):
            detail = f"units were shipped before, and now in another parcel: {another}"
            return [CallbackRefused(said.word or "", "another_parcel", detail)]
        return [fact]
    if said.parcel is None:
        return [CallbackQuarantined("no_parcel", "shipped without a carrier and tracking number")]
    unaccepted = tuple(index for index in units if not request.units[index].accepted)
    implied: list[Fact] = [UnitsAccepted(unaccepted)] if unaccepted else []
    return [*implied, UnitsShipped(units, said.parcel)]


def _rejected(request: Request, said: ProviderSaid) -> list[Fact]:
    if said.reason is None:
        return [CallbackQuarantined("unknown_reason", said.problem or "a rejection without a reason")]
    return _reject(request, said, said.reason)


def _reject(request: Request, said: ProviderSaid, reason: RejectionReason) -> list[Fact]:
    units = _pick(request, said, prefer_accepted=False)
    if fact := _not_applicable(request, said, units, Said.REJECTED):
        return [fact]
    rejected = UnitsRejected(units, reason)
    return [rejected, UnitsWithdrawn(units, reason, "provider_said")] if said.is_proof else [rejected]


def _cancelled(request: Request, said: ProviderSaid) -> list[Fact]:
    """NewStore has no word for why a provider cancels: the location decides, unless we asked for it."""
    if request.withdrawn:
        return [CallbackWithoutEffect(said.word or "")]
    if request.withdrawal and _pick(request, said, prefer_accepted=False) == request.open_units:
        return leave(request, 0, f"{said.provider} said so: {said.cause}")
    if said.on_cancel is OnProviderCancel.QUARANTINE:
        detail = "the location leaves a provider's cancellation to a person"
        return [CallbackQuarantined("provider_cancelled", detail)]
    if said.on_cancel is OnProviderCancel.REJECT:
        return _reject(request, said, RejectionReason.CANNOT_FULFILL)
    units = _pick(request, said, prefer_accepted=False)
    return [_not_applicable(request, said, units, Said.CANCELLED) or UnitsCancelled(units)]


def _pick(request: Request, said: ProviderSaid, *, prefer_accepted: bool, only_new: bool = False) -> tuple[int, ...]:
    """Choose which open units a message by product means: for a shipment accepted ones first, else the others."""
    candidates = [
        index for index, unit in enumerate(request.units) if unit.said is Said.OPEN and not (only_new and unit.accepted)
    ]
    if said.items is None:
        return tuple(candidates)
    candidates.sort(key=lambda index: bool(request.units[index].accepted) is not prefer_accepted)
    wanted = Counter(said.items)
    chosen = []
    for index in candidates:
        product = request.units[index].product
        if wanted[product] > 0:
            wanted[product] -= 1
            chosen.append(index)
    return tuple(sorted(chosen))


def _shortage(request: Request, said: ProviderSaid, units: Iterable[int]) -> Counter[str]:
    return Counter(said.items or {}) - Counter(request.units[index].product for index in units)


def _not_applicable(
    request: Request, said: ProviderSaid, units: tuple[int, ...], meant: Said
) -> CallbackRefused | CallbackWithoutEffect | None:
    short = _shortage(request, said, units)
    if (short or not units) and _contradicts(request, said, meant):
        detail = "it was rejected or cancelled" if meant is Said.SHIPPED else "it was shipped"
        return CallbackRefused(said.word or "", "contradiction", f"{detail}, and now {meant}")
    if short:
        return _not_open(said, next(iter(short)))
    return None if units else _nothing_new(said, is_so=any(unit.said is meant for unit in request.units))


def _contradicts(request: Request, said: ProviderSaid, meant: Said) -> bool:
    """Tell whether a message can't be the repetition of one before: a parcel too many, or one that never comes."""
    other = {Said.REJECTED, Said.CANCELLED} if meant is Said.SHIPPED else {Said.SHIPPED}
    if said.items is None:
        return {unit.said for unit in request.units} <= other
    return bool(Counter(said.items) - Counter(unit.product for unit in request.units if unit.said not in other))


def _another_parcel(request: Request, said: ProviderSaid) -> str:
    """Name the parcel of a shipment for which no units are left, where it can't be the repetition of one before."""
    named = said.items or {unit.product for unit in request.units}
    is_shipped = any(unit.said is Said.SHIPPED and unit.product in named for unit in request.units)
    code = said.parcel.tracking_code if said.parcel and is_shipped else ""
    return "" if code in request.tracking_codes else code


def _nothing_new(said: ProviderSaid, *, is_so: bool) -> CallbackRefused | CallbackWithoutEffect:
    """A repetition, or a contradiction: "all of it shipped" of what was rejected means two parcels."""
    if said.items is None and not is_so:
        return CallbackRefused(said.word or "", "units_not_open", "every unit is final already, and in another way")
    return CallbackWithoutEffect(said.word or "")


def _not_open(said: ProviderSaid, product: str) -> CallbackRefused:
    return CallbackRefused(said.word or "", "units_not_open", f"not enough units of {_cut(product)!r} are still open")


_SAY: dict[Word, Callable[[Request, ProviderSaid], list[Fact]]] = {
    Word.ACCEPTED: _accept,
    Word.REJECTED: _rejected,
    Word.CANCELLED: _cancelled,
    Word.SHIPPED: _ship,
}
_DECIDE: dict[type[Any], Callable[[Request, Any], list[Fact]]] = {
    Assign: _assign,
    ProviderSaid: _provider_said,
    CallTaken: taken,
    CallEnded: ended,
    ReadBack: compare,
    Redrive: redrive,
    Recheck: recheck,
    Close: close,
    Note: note,
    Take: take,
    Reroute: reroute,
    RejectByHand: reject,
    DiscardReports: discard_reports,
    Discard: discard,
}
