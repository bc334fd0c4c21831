"""One function for each owed call. Before it sends anything that can't be taken back, it can say why that is safe."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from gateway.call_errors import Inconclusive, NotThere, NotYet, Refused, Unmapped
from gateway.domain.commands import CallTaken, ReadBack
from gateway.domain.decide import Command
from gateway.domain.deliveries import READ_BACK, Operation
from gateway.domain.events.event import Event
from gateway.domain.events.provider import RejectionProven, UnitsShipped
from gateway.domain.mappings import not_mapped
from gateway.domain.orders import Order
from gateway.domain.proof import Unclear, missing
from gateway.domain.references import idempotency_key, provider_reference
from gateway.domain.reports import parcels, reports
from gateway.domain.units import Confirmed
from gateway.ledger.queue.claims import Claim
from gateway.ledger.read.request_reads import DeliveryContext, Sent
from gateway.ledger.write.queued import LedgerUnavailable
from gateway.newstore import errors as newstore
from gateway.newstore import webhook
from gateway.newstore.client import Client
from gateway.newstore.read_backs import NOWHERE, Shown
from gateway.providers.port import Adapter, Message, Taken

from .outcomes import Undecidable

_NO_READ_BACK = "the report may be at NewStore, and there is no read-back that could tell, or it is off"
_ASKED_FIRST = "NewStore is asked first what became of it in the part of the log that a restore has lost"
_YOUNG = timedelta(minutes=5)
"""Of a request: its webhook may come before NewStore's other programs have heard of it."""
_READS = {read: report for report, read in READ_BACK.items()}


@dataclass(frozen=True, slots=True)
class OutboundClients:
    """What calls are made with, and who hears what a provider answers; that is stored when it returns."""

    newstore: Client
    adapters: Mapping[str, Adapter]
    hear: Callable[[str, Message], Awaitable[object]]
    accepts: Callable[[str], bool] = lambda _: False
    """Tells whether a location has NewStore told that what its provider has taken is accepted."""


async def make(clients: OutboundClients, claim: Claim, context: DeliveryContext) -> Command:
    """Make one claimed call and say what it settles. Raises a `CallError`, `NotDispatched` or `Undecidable`."""
    try:
        command = await _CALLS[claim.operation](clients, claim, context)
    except newstore.Refused as refused:
        if refused.status == 404 and datetime.now(UTC) - context.request.received_at < _YOUNG:
            raise NotYet("404: NewStore does not know the request yet", 404, refused.body) from refused
        raise
    if isinstance(command, CallTaken) and clients.accepts(claim.location):
        return replace(command, accepts=True)
    return command


async def _create(clients: OutboundClients, claim: Claim, context: DeliveryContext) -> Command:
    adapter = clients.adapters[claim.destination]
    order = _order(adapter, claim, context)
    if claim.doubt and context.is_comparing:
        raise NotYet(_ASKED_FIRST)
    if not adapter.can.create:
        return await _await_order(adapter, claim, order)
    if claim.doubt:
        if adapter.can.look_up and (found := await _found(adapter, order)):
            return _taken(claim, provider_order=found.provider_order, found=True)
        if not adapter.can.look_up and not adapter.can.idempotent:
            raise Undecidable("the order may be at the provider, which can neither be asked nor told twice")
        _wait_for_a_late_one(claim)
    try:
        sent = context.sent_before or _composed(adapter, order)
        context.sent.append(sent)
        taken = await adapter.create(order, sent.body)
    except Refused as refused:
        if claim.doubt and not adapter.can.look_up:
            raise Undecidable(f"an earlier try may have been taken, and this one {refused.detail}") from refused
        raise
    return _taken(claim, provider_order=taken.provider_order)


def _composed(adapter: Adapter, order: Order) -> Sent:
    """Write what is sent, once everything in it that must be called as the provider calls it is."""
    mappings, provider = adapter.mappings, adapter.provider.name
    if unmapped := mappings.unsent(order):
        raise Unmapped(not_mapped(provider, unmapped), unmapped)
    return Sent(adapter.compose(order), mappings.version)


async def _await_order(adapter: Adapter, claim: Claim, order: Order) -> Command:
    """Somebody else tells the provider of its orders: look until it has this one."""
    if not adapter.can.look_up:
        raise Undecidable(
            "somebody else tells the provider of its orders, and it can't be asked whether it has this one"
        )
    found = await adapter.look_up(order)
    if found is None:
        raise NotThere("it is not there yet: somebody else has to tell the provider of it")
    return _taken(claim, provider_order=found.provider_order, found=True)


def _wait_for_a_late_one(claim: Claim) -> None:
    """Send nothing again while an earlier call may yet arrive, or be done."""
    if claim.unsure_for > 0:
        raise NotYet("an earlier call had no answer, and what it asked for may still be done")


async def _found(adapter: Adapter, order: Order) -> Taken | None:
    """Look an order up before it is sent again; an answer that tells nothing will do where twice is harmless."""
    try:
        return await adapter.look_up(order)
    except Inconclusive as told:
        if not adapter.can.idempotent:
            raise Undecidable(told.detail) from told
        return None


async def _look_up(clients: OutboundClients, claim: Claim, context: DeliveryContext) -> Command:
    adapter = clients.adapters[claim.destination]
    found = await adapter.look_up(_order(adapter, claim, context))
    return _taken(claim, provider_order=found.provider_order if found else None, found=found is not None)


async def _withdraw(clients: OutboundClients, claim: Claim, context: DeliveryContext) -> Command:
    adapter, request = clients.adapters[claim.destination], context.request
    proof = await adapter.withdraw(_order(adapter, claim, context))
    if proof is not None:
        return _taken(claim, proof=f"{claim.destination}: {proof}")
    if request.submitted_at or request.is_known_to_provider or request.restored:
        raise Undecidable("the provider may have had the order and does not know it now: ask it whether it ships")
    return _taken(claim, proof=f"{claim.destination} never had it")


async def _read_order(clients: OutboundClients, claim: Claim, context: DeliveryContext) -> Command:
    """Read how the order stands, and have all that the answer says stored before the read counts as made."""
    adapter = clients.adapters[claim.destination]
    message = await adapter.read_order(_order(adapter, claim, context))
    try:
        await clients.hear(claim.destination, message)
    except LedgerUnavailable:
        raise NotYet("its answer could not be stored: it is read again") from None
    return _taken(claim, answer=message.body)


def _order(adapter: Adapter, claim: Claim, context: DeliveryContext) -> Order:
    """Make the order as this destination has it, which may be one that the request was taken from."""
    request = context.request
    assignment = request.assignment_of(claim.destination)
    reference = provider_reference(request.reference, assignment)
    key = idempotency_key(request.reference, assignment, claim.operation, claim.seq)
    order = Order(
        request_id=request.id,
        reference=reference,
        assignment=assignment,
        idempotency_key=key,
        location=request.location,
        order_id=request.order_id or "",
        service_level=request.service_level or "",
        products=tuple(unit.product for unit in request.units),
        provider_order=context.provider_orders.get(claim.destination, ""),
        body=context.body,
        read_details=webhook.details,
    )
    return adapter.mappings.of_order(order)


async def _acknowledge(clients: OutboundClients, claim: Claim, _: DeliveryContext) -> Command:
    await clients.newstore.acknowledge(claim.request_id)
    return _taken(claim)


async def _report(clients: OutboundClients, claim: Claim, context: DeliveryContext) -> Command:
    request, story = context.request, context.reports
    units: Sequence[int] = [
        index
        for index, unit in enumerate(request.units)
        if unit.reported_by == claim.seq and unit.confirmed is Confirmed.NOT_SENT
    ]
    verifiable = clients.newstore.is_verifiable(claim.operation)
    if claim.doubt:
        if not verifiable:
            raise Undecidable(_NO_READ_BACK)
        shown = await clients.newstore.read_back(claim.operation, request.id, everywhere=True)
        if shown is NOWHERE:
            raise Undecidable(_NO_READ_BACK)
        absent = missing(request, claim.seq, _read(claim, request.id, claim.operation, shown, story, overdue=False))
        if absent is Unclear.NOT_YET or (absent is Unclear.NEVER and context.is_comparing):
            raise NotYet(absent.value)
        if absent is Unclear.NEVER:
            raise Undecidable(absent.value)
        if not absent:
            return _taken(claim, found=True)
        _wait_for_a_late_one(claim)
        units = absent
    try:
        await _send(clients.newstore, claim, story, [request.units[index].product for index in units])
    except newstore.Refused as refused:
        if not newstore.is_done(refused.code, claim.operation, doubt=claim.doubt):
            raise
        return _taken(claim, found=True)  # it arrived before, and is not shown yet
    return _taken(claim, verifiable=verifiable)


async def _send(client: Client, claim: Claim, story: Sequence[Event], products: Sequence[str]) -> None:
    fact = reports(story)[claim.seq]
    if isinstance(fact, UnitsShipped):
        await client.ship(claim.request_id, products, fact.parcel)
    elif isinstance(fact, RejectionProven):
        await client.reject(claim.request_id, products, fact.reason)
    else:
        await client.cancel(claim.request_id, products)


async def _read_back(clients: OutboundClients, claim: Claim, context: DeliveryContext) -> Command:
    operation = _READS[claim.operation]
    is_recheck = claim.seq > 0
    shown = await clients.newstore.read_back(operation, claim.request_id, overdue=claim.overdue, everywhere=is_recheck)
    return _read(claim, claim.request_id, operation, shown, context.reports, overdue=claim.overdue)


def nothing_shown(claim: Claim) -> ReadBack:
    """Stand for a read-back that brought no answer: it proves nothing, and its time-box may have passed."""
    return _read(claim, claim.request_id, _READS[claim.operation], None, (), overdue=claim.overdue, answered=False)


def _read(
    claim: Claim,
    request_id: str,
    operation: Operation,
    shown: Shown | None,
    story: Sequence[Event],
    *,
    overdue: bool,
    answered: bool = True,
) -> ReadBack:
    return ReadBack(
        request_id=request_id,
        at=datetime.now(UTC),
        operation=operation,
        attempt=claim.attempt,
        taken=shown.taken if shown else Counter(),
        refused=shown.refused if shown else {},
        refusals=shown.refusals if shown else b"",
        spelled=shown.spelled if shown else {},
        parcels=parcels(story),
        overdue=overdue,
        seq=claim.seq if claim.operation in _READS else 0,
        answered=answered,
        exists=shown is not NOWHERE,
    )


def _taken(
    claim: Claim,
    *,
    provider_order: str | None = None,
    found: bool = False,
    verifiable: bool = True,
    proof: str = "",
    answer: bytes = b"",
) -> CallTaken:
    return CallTaken(
        request_id=claim.request_id,
        at=datetime.now(UTC),
        operation=claim.operation,
        seq=claim.seq,
        attempt=claim.attempt,
        provider_order=provider_order,
        found=found,
        verifiable=verifiable,
        proof=proof,
        answer=answer,
    )


_CALLS: dict[Operation, Callable[[OutboundClients, Claim, DeliveryContext], Awaitable[Command]]] = {
    Operation.CREATE: _create,
    Operation.LOOK_UP: _look_up,
    Operation.WITHDRAW: _withdraw,
    Operation.READ_ORDER: _read_order,
    Operation.ACKNOWLEDGE: _acknowledge,
    Operation.SHIP: _report,
    Operation.REJECT: _report,
    Operation.CANCEL: _report,
    Operation.READ_SHIPMENT: _read_back,
    Operation.READ_REJECTION: _read_back,
    Operation.READ_CANCELLATION: _read_back,
}
