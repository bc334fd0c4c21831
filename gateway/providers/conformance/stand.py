"""An adapter beside the provider that it is tried against, and what its orders come to by the gateway's own rules."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count

from gateway.domain.commands import CallTaken, Command, ProviderSaid, Receive, RejectionReason
from gateway.domain.events.messages import CallbackQuarantined, CallbackRefused, ConflictingCallback
from gateway.domain.events.provider import UnitsRejected
from gateway.domain.handle import handle
from gateway.domain.orders import Order
from gateway.domain.requests import Request
from gateway.domain.units import Said
from gateway.providers.port import Adapter, Look, Message, Names, Reading, Statement, Taken, Unreadable
from gateway.providers.statements import command

from .orders import sample
from .target import Happening, Target


class NotApplicable(Exception):
    """A case that asks for what this provider does not do, or its simulator can't."""


class Failed(Exception):
    """An adapter that does not do what it must."""


def expect(so: object, told: str) -> None:
    """Say what is wrong, for whoever writes the adapter."""
    if not so:
        raise Failed(told)


@dataclass(frozen=True, slots=True)
class End:
    """What an order has come to; two roads to the same end compare equal."""

    units: tuple[tuple[str, str, str], ...]
    """Each unit's product, what is so of it, and in which parcel or why."""
    unclear: int = 0
    """What was left to a person."""

    def __str__(self) -> str:
        units = ", ".join(" ".join(filter(None, each)) for each in self.units)
        return units + (f"; and {self.unclear} left to a person" if self.unclear else "")


@dataclass(slots=True)
class Stand:
    """One adapter, its provider, and the orders that were sent."""

    adapter: Adapter
    target: Target
    taken: dict[str, Taken] = field(default_factory=dict)
    now: datetime = datetime(2026, 1, 1, tzinfo=UTC)
    _numbers: "count[int]" = field(default_factory=lambda: count(1))
    _cursor: str = ""

    def order(self, *products: str, name: str = "") -> Order:
        """Make an order of NewStore's; nobody has it yet."""
        return sample(name or f"b7a0c1de-52f4-4d0e-9a51-{next(self._numbers):012}", *products)

    async def sent(self, *products: str) -> Order:
        """Give an order that the provider has."""
        order = self.order(*products)
        self.taken[order.reference] = await self.create(order)
        return self.known(order)

    async def create(self, order: Order) -> Taken:
        return await self.adapter.create(order, self.adapter.compose(order))

    def known(self, order: Order) -> Order:
        """Give an order as it is once the provider has told its own id of it."""
        return replace(order, provider_order=self.taken[order.reference].provider_order or "")

    async def told(self, *what: Happening) -> list[Message]:
        """Let this happen, and give the messages that come of it, also those that must be asked for."""
        for each in what:
            if each.word not in self.target.words or (each.reason and each.reason not in self.target.reasons):
                said = f"{each.word} ({each.reason})" if each.reason else each.word
                raise NotApplicable(f"the provider has no word for: {said}")
        messages = list(self.target.happen(*what))
        return messages + await self._polled() if self.adapter.can.poll else messages

    async def _polled(self) -> list[Message]:
        found: list[Message] = []
        more = True
        while more:
            page = await self.adapter.poll(self._cursor)
            found += page.messages
            self._cursor, more = page.cursor, page.more
            await self.adapter.acknowledge(page)
        return found

    async def end(self, order: Order, messages: Iterable[Message]) -> End:
        """Hear messages in this order, and say what the order comes to."""
        life = _Life(self.adapter, order)
        for message in messages:
            for reading in await self.readings(order, message):
                life.hear(message, reading)
        return life.end()

    async def readings(self, order: Order, message: Message) -> list[Reading]:
        """Read what a message says of an order; a hint is followed."""
        found: list[Reading] = []
        for reading in self.adapter.read(message):
            if not names(reading.names, self.known(order) if order.reference in self.taken else order):
                continue
            if isinstance(reading, Look):
                found += self.adapter.read(await self.adapter.read_order(order))
            else:
                found.append(reading)
        return found


def names(said: Names, order: Order) -> bool:
    """Tell whether this names the order; the first of what is given decides."""
    if said.request:
        return said.request == order.request_id
    if said.reference:
        return said.reference == order.reference
    if said.provider_order:
        return said.provider_order == order.provider_order
    return bool(said.order) and said.order == order.order_id


@dataclass(slots=True)
class _Life:
    """One order by the rules of the domain: what the provider says is decided as it is in a gateway."""

    adapter: Adapter
    order: Order
    request: Request | None = None
    reasons: dict[int, RejectionReason] = field(default_factory=dict)
    unclear: int = 0

    def __post_init__(self) -> None:
        provider, at = self.adapter.provider.name, datetime(2026, 1, 1, tzinfo=UTC)
        self._do(
            Receive(
                request_id=self.order.request_id,
                at=at,
                location=self.order.location,
                provider=provider,
                order_id=self.order.order_id,
                service_level=self.order.service_level,
                products=self.order.products,
                fingerprint="received",
            )
        )
        assert self.request is not None  # noqa: S101 - it was received
        (owed,) = self.request.owed
        self._do(CallTaken(request_id=self.order.request_id, at=at, operation=owed.operation, seq=owed.seq, attempt=1))

    def _do(self, what: Command) -> None:
        self.request, events = handle(self.request, what)
        left = (CallbackQuarantined, CallbackRefused, ConflictingCallback)
        self.unclear += sum(isinstance(event.fact, left) for event in events)
        for event in events:
            if isinstance(event.fact, UnitsRejected):
                self.reasons |= dict.fromkeys(event.fact.units, event.fact.reason)

    def hear(self, message: Message, reading: Reading) -> None:
        if isinstance(reading, Unreadable):
            self.unclear += 1
        elif isinstance(reading, Statement):
            self._do(said(self.adapter, message, reading, self.order))

    def end(self) -> End:
        assert self.request is not None  # noqa: S101 - it was received
        return End(tuple(sorted(self._unit(index) for index in range(len(self.request.units)))), self.unclear)

    def _unit(self, index: int) -> tuple[str, str, str]:
        assert self.request is not None  # noqa: S101 - it was received
        unit, parcel = self.request.units[index], self.request.parcels.get(index)
        if unit.said is Said.OPEN:
            return unit.product, "accepted" if unit.accepted else "open", ""
        why = f"{parcel.carrier} {parcel.tracking_code}" if parcel else self.reasons.get(index, "")
        return unit.product, str(unit.said), why


def said(adapter: Adapter, message: Message, statement: Statement, order: Order) -> ProviderSaid:
    """Make the command that a gateway would."""
    return command(adapter, message, statement, order.request_id)


def only(readings: Sequence[Reading]) -> Reading:
    """Give the one thing that a message says."""
    expect(len(readings) == 1, f"it should say one thing, and says {len(readings)}")
    return readings[0]
