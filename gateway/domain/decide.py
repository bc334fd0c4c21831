"""Decide what happens: a request and a command in, facts out. A refusal is a fact too, so nothing said is lost."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from .acts.act import Act
from .beyond import ask
from .commands import (
    Assign,
    CallEnded,
    CallTaken,
    Compare,
    OnBackorder,
    OnProviderCancel,
    Overdue,
    ProviderSaid,
    ReadBack,
    Receive,
    RejectionReason,
    SameParcel,
    Word,
)
from .events.assignment import ProviderAssigned, RequestReceived
from .events.event import Fact
from .events.messages import (
    CallbackQuarantined,
    CallbackRefused,
    CallbackWithoutEffect,
    ConflictingBody,
    ConflictingCallback,
    ConflictingLocation,
    QuarantineLeft,
)
from .events.provider import (
    RejectionProven,
    UnitsAccepted,
    UnitsBackordered,
    UnitsCancelled,
    UnitsRejected,
    UnitsShipped,
)
from .mappings import not_mapped
from .order_reads import hinted, overdue
from .outcomes import ended, taken
from .proof import compare
from .references import reference
from .requests import Request
from .retold import SAYS_THE_SAME, shown_before, told_of
from .units import Said
from .withdrawal import leave, reject_unpromised

Command = Receive | Assign | ProviderSaid | CallTaken | CallEnded | ReadBack | Compare | Overdue | Act
"""All that can happen to a request: what is told of it, and what people command."""


def decide(request: Request | None, command: Command) -> list[Fact]:
    """Say what follows from a command; no facts means that it changes nothing (a repeat, or it came too late)."""
    if isinstance(command, Receive):
        return _receive(request, command)
    if request is None:
        raise LookupError(f"no request {command.request_id!r}: only Receive begins one")
    if command.cause in request.causes:
        same = request.causes[command.cause] == command.fingerprint
        return [] if same else [ConflictingCallback(command.cause)]
    if isinstance(command, Act):
        return command.decide(request)
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
    heard = hinted(request, said.provider) if said.is_hint else _heard(request, said)
    facts = [_named(fact, said) for fact in heard]
    return [*facts, QuarantineLeft("replayed", said.replays, said.replayed_by, "")] if said.replays else facts


def _named(fact: Fact, said: ProviderSaid) -> Fact:
    return replace(fact, message=said.replays or said.cause) if isinstance(fact, CallbackRefused) else fact


def _heard(request: Request, said: ProviderSaid) -> list[Fact]:
    if request.closed:
        detail = "the request is closed: see whether this fits what was settled by hand"
        return [CallbackRefused(said.word or said.problem, "closed", detail)]
    if said.provider != request.provider:
        detail = f"{said.provider} is not the provider of this request: it may ship twice"
        return [CallbackRefused(said.word or said.problem, "other_provider", detail)]
    if said.word is None or said.unread or said.unmapped:
        return [_unclear(said)]
    if refusal := _impossible(request, said):
        return [refusal]
    meant = _since(request, said) if said.is_total else _counted(request, said)
    return _beside_shown(request, meant, said.word) if isinstance(meant, ProviderSaid) else [meant]


def _unclear(said: ProviderSaid) -> CallbackQuarantined:
    """Say what of a message nobody can be sure to understand."""
    if said.word is None:
        return CallbackQuarantined("unknown_word", said.problem)
    if said.unread:
        return CallbackQuarantined("not_understood", said.unread)
    return CallbackQuarantined("unmapped", not_mapped(said.provider, said.unmapped))


def _beside_shown(request: Request, said: ProviderSaid, word: Word) -> list[Fact]:
    """Take a message first for what NewStore showed before the provider told it; only the rest is about open units."""
    known = shown_before(request, said)
    if not known:
        return _say(request, said, word)
    repeated = CallbackWithoutEffect(word, known, f"NewStore had shown {len(known)} of these units before")
    left = _shortage(request, said, known)
    if not (left if said.items is not None else request.open_units):
        return [repeated]
    facts = _say(request, said if said.items is None else replace(said, items=left), word)
    if isinstance(facts[0], CallbackRefused):
        return _SAY[word](request, said)  # applied whole or not at all, and judged as a whole
    if isinstance(facts[0], CallbackWithoutEffect):
        return [repeated]
    return facts if isinstance(facts[0], CallbackQuarantined) else [repeated, *facts]


def _say(request: Request, said: ProviderSaid, word: Word) -> list[Fact]:
    is_again = word is Word.SHIPPED and said.items and said.parcel and not said.is_total
    meant = _told_again(request, said) if is_again else said
    return _SAY[word](request, meant) if isinstance(meant, ProviderSaid) else [meant]


def _impossible(request: Request, said: ProviderSaid) -> CallbackRefused | None:
    """What can never be right for this request, whatever else happens."""
    asked = Counter(unit.product for unit in request.units)
    for product, quantity in _named_units(said).items():
        if product not in asked:
            return CallbackRefused(said.word or "", "unknown_product", f"{_cut(product)!r} is not in the request")
        if quantity < 0:
            return CallbackRefused(said.word or "", "negative_quantity", f"{quantity} of {_cut(product)!r}")
        if quantity > asked[product]:
            detail = f"{quantity} of {_cut(product)!r}, and {asked[product]} were ever asked for"
            return CallbackRefused(said.word or "", "too_many_units", detail)
    return None


def _named_units(said: ProviderSaid) -> Mapping[str, int]:
    """Count what is named at the least: a line without a count is one unit or more."""
    if not said.uncounted:
        return said.items or {}
    products = dict.fromkeys((*(said.items or {}), *said.uncounted))
    return {each: (said.items or {}).get(each, 0) + said.uncounted.get(each, 0) for each in products}


def _cut(product: str) -> str:
    """Name a product in a sentence: an id may be as long as a book's page."""
    return product[:200]


def _since(request: Request, said: ProviderSaid) -> ProviderSaid | Fact:
    """Find what has come to a total since it was told last; one that falls is a contradiction, unless it is old."""
    told = _told(request, said)
    named = _named_units(said)
    fallen = [product for product, count in named.items() if count < told[product]]
    if fallen and (said.word in _NOT_FINAL or (said.as_of and said.as_of < request.changed_at)):
        return CallbackWithoutEffect(said.word or "", detail="less than is known: it tells of an earlier time")
    if fallen:
        counts = ", ".join(f"{named[each]} of {_cut(each)!r} (before: {told[each]})" for each in fallen)
        return CallbackRefused(said.word or "", "falling_total", f"the total so far has become less: {counts}")
    new = {product: count - told[product] for product, count in named.items() if count > told[product]}
    # It is no second message about the same parcel: what is said of that counts from what was said before.
    meant = replace(said, items=new, uncounted={}, same_parcel=SameParcel.ANOTHER_PIECE)
    return meant if new else CallbackWithoutEffect(said.word or "")


def _told(request: Request, said: ProviderSaid) -> Counter[str]:
    """Count what was told of a parcel, or else of the units of which the same is so."""
    if said.word is Word.SHIPPED:
        return told_of(request, said.parcel) if said.parcel else Counter()
    if said.word is Word.ACCEPTED:
        return Counter(unit.product for unit in request.units if unit.accepted)
    if said.word is Word.BACKORDERED:
        return Counter(request.units[index].product for index in request.backordered)
    never = SAYS_THE_SAME[Said.REJECTED]
    told = (index for index, unit in enumerate(request.units) if unit.said in never and index not in request.untold)
    return Counter(request.units[index].product for index in told)


def _counted(request: Request, said: ProviderSaid) -> ProviderSaid | Fact:
    """Find the counts that a message means, or leave it to a person where it may mean several."""
    if not said.uncounted:
        return said
    named = _named_units(said)
    still_open = Counter(request.units[index].product for index in _candidates(request, said))
    shown = Counter(request.units[index].product for index in shown_before(request, replace(said, items=None)))
    for product in said.uncounted:
        if still_open[product] and still_open[product] + shown[product] > named[product]:
            detail = f"a line of {_cut(product)!r} gives no quantity, and {still_open[product]} are open"
            return CallbackQuarantined("not_understood", detail)
    return replace(said, items=named, uncounted={})


def _told_again(request: Request, said: ProviderSaid) -> ProviderSaid | Fact:
    """Find how many more pieces a second message about the same parcel and product means; the settings say it."""
    items, parcel = said.items or {}, said.parcel
    told = told_of(request, parcel) if parcel else Counter()
    if not any(told[product] for product in items):
        return said
    still_open = {request.units[index].product for index in request.open_units}
    more = {
        product: _more(said.same_parcel, count, told[product], is_open=product in still_open)
        for product, count in items.items()
    }
    unclear = [product for product, pieces in more.items() if pieces is None]
    if unclear:
        counts = ", ".join(f"{items[each]} of {_cut(each)!r} (before: {told[each]})" for each in unclear)
        return CallbackQuarantined("same_parcel", f"the same parcel again with {counts}: more of it, or a repetition?")
    new = {product: pieces for product, pieces in more.items() if pieces}
    return replace(said, items=new) if new else CallbackWithoutEffect(said.word or "")


def _more(means: SameParcel, count: int, told: int, *, is_open: bool) -> int | None:
    """Say how many pieces of a product come to those told of a parcel before; None where that can't be known."""
    if not told:
        return count
    if means is SameParcel.TOTAL:
        return count - told if count >= told else None
    if not is_open and count <= told:
        return 0  # nothing is left that it could be, but a repetition
    if means is SameParcel.ANOTHER_PIECE:
        return count
    return 0 if means is SameParcel.REPETITION and count == told else None


def _accept(request: Request, said: ProviderSaid) -> list[Fact]:
    if free := _pick(request, said, prefer_accepted=False):
        return [UnitsAccepted(free)]  # of others that it names more may have been said since: it comes late
    # What was accepted before may be said again: a provider repeats itself, and a shipment implies acceptance.
    return _said_before(request, said, Counter(unit.product for unit in request.units if unit.accepted))


def _backordered(request: Request, said: ProviderSaid) -> list[Fact]:
    if said.on_backorder is OnBackorder.REJECT:
        return _reject(request, replace(said, is_proof=False), RejectionReason.NO_INVENTORY)
    if free := _pick(request, said, prefer_accepted=False):
        return [UnitsBackordered(free)]
    return _said_before(request, said, Counter(request.units[index].product for index in request.backordered))


def _said_before(request: Request, said: ProviderSaid, known: Counter[str]) -> list[Fact]:
    """Judge a message that is about no unit any more: it repeats what is known, or names units that are not open."""
    for product, missing in _shortage(request, said, ()).items():
        if known[product] < missing:
            return [_not_open(said, product)]
    return [_nothing_new(said, is_so=bool(known))]


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
    if said.is_proof:
        return [UnitsRejected(units, reason), RejectionProven(units, reason, "provider_said")]
    why = "its rejection is no promise not to ship"
    return reject_unpromised(request, units, reason, why, can_withdraw=said.can_withdraw)


def _cancelled(request: Request, said: ProviderSaid) -> list[Fact]:
    """NewStore has no word for why a provider cancels: the location decides, unless we asked for it."""
    if request.withdrawn:
        return [CallbackWithoutEffect(said.word or "")]
    units = _pick(request, said, prefer_accepted=False)
    if request.withdrawal and units == request.open_units:
        return leave(request, 0, f"{said.provider} said so: {said.cause}")
    not_applicable = _not_applicable(request, said, units, Said.CANCELLED)
    if isinstance(not_applicable, CallbackWithoutEffect):
        return [not_applicable]
    if said.on_cancel is OnProviderCancel.QUARANTINE:
        detail = "the location leaves a provider's cancellation to a person"
        return [CallbackQuarantined("provider_cancelled", detail)]
    if said.on_cancel is OnProviderCancel.REJECT:
        return _reject(request, said, RejectionReason.CANNOT_FULFILL)
    return [not_applicable or UnitsCancelled(units)]


def _candidates(request: Request, said: ProviderSaid) -> list[int]:
    """The units that a message may be about: open ones, and of those the ones of which it says something new."""
    units, lacking = request.open_units, request.backordered
    if said.word is Word.ACCEPTED:
        return [index for index in units if not request.units[index].accepted or index in lacking]
    if said.word is Word.BACKORDERED and said.on_backorder is OnBackorder.WAIT:
        return [index for index in units if index not in lacking]
    return list(units)


def _pick(request: Request, said: ProviderSaid, *, prefer_accepted: bool) -> tuple[int, ...]:
    """Choose which open units a message by product means: for a shipment accepted ones first, else the others."""
    candidates = _candidates(request, said)
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
        twice = ": it may ship twice" if meant is Said.SHIPPED else ""
        return CallbackRefused(said.word or "", "contradiction", f"{detail}, and now {meant}{twice}")
    so = Counter(unit.product for unit in request.units if unit.said in SAYS_THE_SAME[meant])
    if short and not units and meant is not Said.SHIPPED and not Counter(said.items) - so:
        return CallbackWithoutEffect(said.word or "")
    if short:
        return _not_open(said, next(iter(short)))
    return None if units else _nothing_new(said, is_so=bool(so))


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
    if not (is_shipped and said.parcel) or any(said.parcel.is_same(known) for known in request.parcels.values()):
        return ""
    return said.parcel.tracking_code


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
    Word.BACKORDERED: _backordered,
}
_NOT_FINAL = frozenset({Word.ACCEPTED, Word.BACKORDERED})
_DECIDE: dict[type[Any], Callable[[Request, Any], list[Fact]]] = {
    Assign: _assign,
    ProviderSaid: _provider_said,
    CallTaken: taken,
    CallEnded: ended,
    ReadBack: compare,
    Compare: ask,
    Overdue: overdue,
}
