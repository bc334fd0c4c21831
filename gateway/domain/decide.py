"""Decide what happens: a request and a command in, facts out. A refusal is a fact too, so nothing said is lost."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from .commands import (
    Assign,
    CallEnded,
    CallTaken,
    Command,
    End,
    OnProviderCancel,
    ProviderSaid,
    ReadBack,
    Receive,
    RejectionReason,
    Word,
)
from .deliveries import READS, Operation
from .events import (
    Acknowledged,
    CallbackQuarantined,
    CallbackRefused,
    CallbackWithoutEffect,
    ConflictingBody,
    ConflictingCallback,
    ConflictingLocation,
    DeliveryDied,
    Fact,
    ProviderAssigned,
    Reported,
    ReportRefused,
    RequestReceived,
    Submitted,
    UnitsAccepted,
    UnitsCancelled,
    UnitsRejected,
    UnitsShipped,
    UnitsWithdrawn,
)
from .proof import compare
from .requests import Request
from .routing import reference
from .units import Said


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
    return [ProviderAssigned(command.provider, 1)] if request.provider is None else []


def _provider_said(request: Request, said: ProviderSaid) -> list[Fact]:
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
            return CallbackRefused(said.word or "", "unknown_product", f"{product!r} is not in the request")
        if quantity < 0:
            return CallbackRefused(said.word or "", "negative_quantity", f"{quantity} of {product!r}")
        if quantity > asked[product]:
            detail = f"{quantity} of {product!r}, and {asked[product]} were ever asked for"
            return CallbackRefused(said.word or "", "too_many_units", detail)
    return None


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
    """NewStore has no word for why a provider cancels: the location decides what it means."""
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
    if short := _shortage(request, said, units):
        return _not_open(said, next(iter(short)))
    return None if units else _nothing_new(said, is_so=any(unit.said is meant for unit in request.units))


def _nothing_new(said: ProviderSaid, *, is_so: bool) -> CallbackRefused | CallbackWithoutEffect:
    """A repetition, or a contradiction: "all of it shipped" of what was rejected means two parcels."""
    if said.items is None and not is_so:
        return CallbackRefused(said.word or "", "units_not_open", "every unit is final already, and in another way")
    return CallbackWithoutEffect(said.word or "")


def _not_open(said: ProviderSaid, product: str) -> CallbackRefused:
    return CallbackRefused(said.word or "", "units_not_open", f"not enough units of {product!r} are still open")


def _call_taken(request: Request, call: CallTaken) -> list[Fact]:
    if call.operation in READS or not _is_owed(request, call.operation, call.seq):
        return []
    if call.operation is Operation.CREATE:
        return [Submitted(call.seq, call.provider_order, call.found)]
    if call.operation is Operation.ACKNOWLEDGE:
        return [Acknowledged(call.seq)]
    return [Reported(call.operation, call.seq, call.found, call.verifiable)]


def _call_ended(request: Request, call: CallEnded) -> list[Fact]:
    if not _is_owed(request, call.operation, call.seq):
        return []
    is_report = call.operation in {Operation.SHIP, Operation.REJECT, Operation.CANCEL}
    if is_report and call.end is End.REFUSED:
        return [ReportRefused(call.operation, call.seq, call.detail)]
    return [DeliveryDied(call.operation, call.seq, call.end, call.detail)]


def _is_owed(request: Request, operation: Operation, seq: int) -> bool:
    return any(owed.operation is operation and owed.seq == seq for owed in request.owed)


_SAY: dict[Word, Callable[[Request, ProviderSaid], list[Fact]]] = {
    Word.ACCEPTED: _accept,
    Word.REJECTED: _rejected,
    Word.CANCELLED: _cancelled,
    Word.SHIPPED: _ship,
}
_DECIDE: dict[type[Any], Callable[[Request, Any], list[Fact]]] = {
    Assign: _assign,
    ProviderSaid: _provider_said,
    CallTaken: _call_taken,
    CallEnded: _call_ended,
    ReadBack: compare,
}
