"""How an order stands at its provider is read there, once for many hints."""

from .deliveries import Operation
from .events.calls import OrderReadAsked
from .events.event import Fact
from .events.messages import CallbackRefused
from .requests import Request


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
