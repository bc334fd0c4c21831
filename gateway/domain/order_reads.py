"""A provider hints at news, or is silent for too long: how the order stands is read there, once for many hints."""

from .commands import AfterGrace, Deadline, Overdue, RejectionReason
from .deliveries import Operation
from .events.calls import AcceptanceOverdue, AcknowledgementOverdue, BackorderOverdue, OrderReadAsked
from .events.event import Fact, OverdueFact
from .events.messages import CallbackRefused
from .requests import Request
from .withdrawal import reject_unpromised


def hinted(request: Request, provider: str) -> list[Fact]:
    """A provider hints at news of an order that it has, or had: one that was taken from it may yet be shipped."""
    if request.assignment_of(provider):
        return ask(request, provider)
    detail = f"{provider} is not the provider of this request: it may ship twice"
    return [CallbackRefused("hint", "other_provider", detail)]


def ask(request: Request, provider: str) -> list[Fact]:
    """Owe a read, unless one is owed that has not begun: one that has may be older than the news."""
    waits = any(
        owed.operation is Operation.READ_ORDER and owed.destination == provider and not owed.in_flight
        for owed in request.owed
    )
    return [] if waits else [OrderReadAsked(provider)]


def overdue(request: Request, told: Overdue) -> list[Fact]:
    """Its provider has missed a deadline, unless that has changed since somebody looked."""
    is_theirs = (request.provider, request.assignment) == (told.provider, told.assignment)
    is_told = any(each.deadline is told.deadline for each in request.missed)
    is_leaving = request.withdrawn or request.withdrawal
    if not is_theirs or not request.is_due(told.deadline) or is_told or is_leaving:
        return []
    facts: list[Fact] = [_OVERDUE[told.deadline](told.provider, told.seconds)]
    if told.after is AfterGrace.REJECT:
        why, reason = "its back order has waited for as long as it may", RejectionReason.NO_INVENTORY
        units, can_withdraw = request.backordered, told.can_withdraw
        return [*facts, *reject_unpromised(request, units, reason, why, can_withdraw=can_withdraw)]
    is_there = told.deadline is not Deadline.ACKNOWLEDGE
    return facts + (ask(request, told.provider) if told.can_read and is_there else [])


_OVERDUE: dict[Deadline, type[OverdueFact]] = {
    Deadline.ACKNOWLEDGE: AcknowledgementOverdue,
    Deadline.ACCEPT: AcceptanceOverdue,
    Deadline.BACKORDER: BackorderOverdue,
}
