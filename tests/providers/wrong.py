"""Adapters with one thing wrong: for each case of the suite one that must not pass it."""

import json
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from typing import ClassVar

from gateway.call_errors import Inconclusive, NotSent, Refused, Throttled, Unknown
from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.domain.orders import Order
from gateway.providers.example import acme
from gateway.providers.example.acme import Acme
from gateway.providers.port import Adapter, Malformed, Message, Names, Proof, Reading, Statement, Taken, Unreadable
from gateway.providers.transports.http import Answer
from tests.providers.plugins.zenith import Zenith


class SendsNothing(Acme):
    async def create(self, order: Order, body: bytes) -> Taken:
        return Taken(201, "A-1")


class CallsItHarmless(Zenith):
    can = replace(Zenith.can, idempotent=True)


class NeverFinds(Acme):
    async def look_up(self, order: Order) -> Taken | None:
        return None


class AlwaysFinds(Acme):
    async def look_up(self, order: Order) -> Taken | None:
        return Taken(200, "A-1")


class TakesTheFirst(Acme):
    async def look_up(self, order: Order) -> Taken | None:
        _, answer = await self._call("GET", f"/orders?ref={order.reference}")
        found = json.loads(answer)["orders"]
        return Taken(200, found[0]["number"]) if found else None


class FindsItOdd(Acme):
    async def look_up(self, order: Order) -> Taken | None:
        found = await super().look_up(order)
        if found is None:
            raise Inconclusive("an empty list")
        return found


class HopesOn(Acme):
    async def create(self, order: Order, body: bytes) -> Taken:
        try:
            return await super().create(order, body)
        except Refused as refused:
            raise Unknown("perhaps later") from refused


class WaitsAsItLikes(Acme):
    async def create(self, order: Order, body: bytes) -> Taken:
        try:
            return await super().create(order, body)
        except Throttled as told:
            raise Throttled(5.0, 429) from told


class KeepsItsToken(Zenith):
    async def _call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        return await self._once(method, path, body, {"Authorization": f"Bearer {await self._bearer()}"})


class GivesUp(Acme):
    """Says of an answer that it does not understand that nothing was done."""

    async def create(self, order: Order, body: bytes) -> Taken:
        try:
            return await super().create(order, body)
        except Unknown as unknown:
            raise NotSent("no good answer") from unknown


class Trusts(Acme):
    """Reads an answer without a look whether it is one."""

    async def create(self, order: Order, body: bytes) -> Taken:
        status, answer = await self._call("POST", "/orders", body)
        return Taken(status, json.loads(answer or b"{}")["number"])


class ReadsOn(Acme):
    async def create(self, order: Order, body: bytes) -> Taken:
        headers = {"X-Api-Key": self.provider.api_key.reveal()}
        async with self.session.post(f"{self._url}/orders", data=body, headers=headers) as answer:
            await answer.read()
        raise Unknown("no good answer")


class BelievesAPage(Acme):
    async def create(self, order: Order, body: bytes) -> Taken:
        status, _ = await self._call("POST", "/orders", body)
        return Taken(status)


class SaysThatItStopped(Acme):
    async def withdraw(self, order: Order) -> str | None:
        return "surely"


class BelievesTheStatus(Acme):
    async def withdraw(self, order: Order) -> str | None:
        status, _ = await self._call("POST", f"/orders/{order.reference}/cancel")
        return None if status == 404 else f"answered {status}"


class WritesAnew(Acme):
    _numbers: ClassVar = count()

    def compose(self, order: Order) -> bytes:
        return json.dumps({**json.loads(super().compose(order)), "message": next(self._numbers)}).encode()


class TriesAnOrder(Acme):
    async def check(self) -> None:
        nobodys = Order(request_id="", reference="NS-CHECK-CONFIG")
        await self.create(nobodys, self.compose(nobodys))


class Retold(Acme):
    """Says something else of each event than it should."""

    def read(self, message: Message) -> list[Reading]:  # type: ignore[override]
        return [self.retold(message, each) if isinstance(each, Statement) else each for each in super().read(message)]

    def retold(self, message: Message, said: Statement) -> Statement:
        raise NotImplementedError


class AlwaysOutOfStock(Retold):
    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, reason=said.reason and RejectionReason.NO_INVENTORY)


class KnowsItsOwnCarriers(Retold):
    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(
            said, parcel=said.parcel and Parcel(said.parcel.carrier_said or "UPS", said.parcel.tracking_code)
        )


class ReadsOneLine(Retold):
    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, items=dict(list((said.items or {}).items())[:1]))


class RejectsAll(Retold):
    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, items=None) if said.word is Word.REJECTED else said


class KnowsNoRepetition(Retold):
    _numbers: ClassVar = count()

    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, event_id=f"{next(self._numbers)}")


class NamesByTheClock(Retold):
    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, event_id=f"{said.event_id}-{message.at.isoformat()}")


class DropsTheOlder(Retold):
    """Thinks that events come in the order of their numbers."""

    last = 0

    def retold(self, message: Message, said: Statement) -> Statement:
        number = int(said.event_id.removeprefix("e-"))
        is_older, self.last = number < self.last, max(self.last, number)
        return replace(said, items={}, names=Names(reference="nobody")) if is_older else said


class NamesByTheParcel(Retold):
    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, event_id=said.parcel.tracking_code if said.parcel else said.event_id)


class LetsInWhoeverSigns(Acme):
    def authentic(self, message: Message) -> Proof | None:
        return Proof(1) if message.headers.get(acme.SIGNATURE) else None


class NamesWhatComes(Retold):
    def authentic(self, message: Message) -> Proof | None:
        return super().authentic(message) and Proof(1, f"{message.at.timestamp()}")

    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, event_id=message.name or said.event_id)


class NamesByTheHead(Retold):
    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, event_id=f"{said.event_id}-{len(message.headers)}")


class Guesses(Retold):
    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, word=said.word or Word.ACCEPTED, problem="")


class NamesNobody(Retold):
    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, names=Names())


class AllOrNothing(Acme):
    def read(self, message: Message) -> list[Statement | Unreadable]:
        readings = super().read(message)
        if any(isinstance(each, Unreadable) for each in readings):
            raise Malformed("$", "one of them is bad")
        return readings


class KeepsTooLittle(Retold):
    def retold(self, message: Message, said: Statement) -> Statement:
        return replace(said, part=(said.part or b"")[len(b'{"events":[') : -2])


class PromisesForOthers(Zenith):
    def read(self, message: Message) -> list[Reading]:
        return [replace(each, is_proof=True) if isinstance(each, Statement) else each for each in super().read(message)]


class Remembers(Retold):
    seen = 0

    def retold(self, message: Message, said: Statement) -> Statement:
        self.seen += 1
        return replace(said, fingerprint=f"{said.fingerprint}-{self.seen}")


class ThinksItIsFine(Acme):
    def read(self, message: Message) -> list[Statement | Unreadable]:
        return [self._read(place, each) for place, each in enumerate(json.loads(message.body)["events"])]


WRONG: Mapping[str, type[Adapter]] = {
    "an order is taken once": SendsNothing,
    "a doubled create makes one order": CallsItHarmless,
    "a lost answer is unknown and then found": NeverFinds,
    "a lost call is unknown and then not found": AlwaysFinds,
    "a look up that finds another order finds nothing": TakesTheFirst,
    "an unknown order is not found": FindsItOdd,
    "an order that is refused is refused": HopesOn,
    "a provider that is asked too often is left alone until its date": WaitsAsItLikes,
    "a token that expires mid call is renewed": KeepsItsToken,
    "an empty answer proves nothing": GivesUp,
    "an answer that breaks off proves nothing": GivesUp,
    "an answer of another shape proves nothing": Trusts,
    "an answer without end is cut off": ReadsOn,
    "a web page is not the providers word": BelievesAPage,
    "an order that is withdrawn stops": SaysThatItStopped,
    "an order that was picked is not withdrawn": BelievesTheStatus,
    "what is sent is written the same each time": WritesAnew,
    "a check reaches the provider and changes nothing": TriesAnOrder,
    "every word that the provider has is read": AlwaysOutOfStock,
    "a carrier is told by the settings word for it": KnowsItsOwnCarriers,
    "an order ships in parts": ReadsOneLine,
    "what is short is rejected beside what ships": RejectsAll,
    "a doubled message changes nothing": KnowsNoRepetition,
    "a late message is known again": NamesByTheClock,
    "messages in another order end the same": DropsTheOlder,
    "more of one parcel adds up": NamesByTheParcel,
    "a message with a bad signature is nobodys": LetsInWhoeverSigns,
    "a message that is replayed changes nothing": NamesWhatComes,
    "a message that is kept reads the same again": NamesByTheHead,
    "an unknown word is left to a person": Guesses,
    "a message about an unknown order names it": NamesNobody,
    "one bad line keeps the rest": AllOrNothing,
    "the parts of a message say the same alone": KeepsTooLittle,
    "a rejection that is no promise is none": PromisesForOthers,
    "reading is pure": Remembers,
    "whatever bytes come are read or malformed": ThinksItIsFine,
}
"""Case -> an adapter that fails it."""
