"""A provider that takes NewStore's own JSON and calls back with one event endpoint.

It is idempotent on NewStore's `id` by contract, and is the authority on its own rejections: what it rejects, it
will not ship. Orders go to the provider's URL; `GET {url}/{reference}` looks one up, `DELETE` stops it: 200 or 204
promises that nothing more of it ships, 404 that there is no such order, 409 says that it is shipping.
"""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

import aiohttp
import msgspec
from msgspec import UNSET, UnsetType

from gateway import canonical
from gateway.bearer import bearer, key_among
from gateway.call_errors import Disputed, Inconclusive, NotSent, Refused, Unknown
from gateway.domain.commands import RejectionReason, Word
from gateway.domain.deliveries import Parcel
from gateway.domain.orders import Order

from . import answers, meaning, parcels, signatures
from .confirming import confirmed
from .http_settings import HttpSettings
from .port import Adapter, Admission, Capabilities, Kind, Malformed, Message, Names, Proof, Statement, Taken
from .transports.authentication import call
from .transports.http import NOT_TAKEN, believed

WORDS = {
    "accepted": Word.ACCEPTED,
    "rejected": Word.REJECTED,
    "cancelled": Word.CANCELLED,
    "shipped": Word.SHIPPED,
}
REASONS = {
    "no_inventory": RejectionReason.NO_INVENTORY,
    "cannot_fulfill": RejectionReason.CANNOT_FULFILL,
}


def _json(body: bytes) -> object:
    """Read an answer; None also for what is no JSON."""
    try:
        return answers.decoded(body)
    except ValueError:
        return None


def _id_in(document: object) -> str | None:
    """Find the provider's own id of an order."""
    return answers.id_of(document.get("id")) if isinstance(document, dict) else None


_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]


class Line(msgspec.Struct):
    """Pieces of one product; without a quantity it is one piece, where no more are open."""

    product_id: Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]  # as NewStore's
    quantity: Annotated[int, msgspec.Meta(ge=1, le=100_000)] | UnsetType = UNSET


class Shipment(msgspec.Struct):
    """One parcel; blanks around its carrier and number are left out."""

    carrier: _Text
    tracking_number: _Text | int
    tracking_url: str | None = None


class _Said(msgspec.Struct, kw_only=True):
    fulfillment_request_id: _Id
    event_id: _Id | None = None


class _Callback(_Said, kw_only=True):
    """All that is read of a message, whatever its type is."""

    type: _Text
    items: list[Line] | UnsetType | None = UNSET
    reason: Annotated[str, msgspec.Meta(max_length=500)] | None = None
    shipment: Shipment | None = None


_Lines = Annotated[list[Line], msgspec.Meta(min_length=1)]


class Accepted(_Said, kw_only=True, tag_field="type", tag="accepted"):
    """These units will be shipped; without `items` all that are open."""

    items: _Lines | UnsetType = UNSET


class Rejected(_Said, kw_only=True, tag_field="type", tag="rejected"):
    """These units will never be shipped; without `items` all that are open."""

    reason: Annotated[str, msgspec.Meta(extra_json_schema={"enum": list(REASONS)})]
    items: _Lines | UnsetType = UNSET


class Cancelled(_Said, kw_only=True, tag_field="type", tag="cancelled"):
    """These units were cancelled; without `items` all that are open."""

    items: _Lines | UnsetType = UNSET


class Shipped(_Said, kw_only=True, tag_field="type", tag="shipped"):
    """These units are on their way in one parcel."""

    items: _Lines
    shipment: Shipment


Event = Accepted | Rejected | Cancelled | Shipped
"""What a provider can say and is understood; whatever else can be read is kept for a person."""
_FIELDS = frozenset(_Callback.__struct_fields__)
_LINE_FIELDS = frozenset(Line.__struct_fields__)
_READ = _FIELDS | _LINE_FIELDS | frozenset(Shipment.__struct_fields__)


def _decoded(body: bytes) -> tuple[dict[str, Any], _Callback, bytes]:
    """Give the whole document, what of it is read, and how it is spelled to be compared."""
    try:
        document = canonical.decode(body)
        said = msgspec.convert(document, type=_Callback)
        _storable(said)
        spelled = canonical.spell(document)
        ambiguous = canonical.ambiguous_keys(body, spelled) & _READ
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        what, _, path = str(error).partition(" - at `")
        raise Malformed(path.rstrip("`") or "$", what) from error
    except (UnicodeError, RecursionError) as error:
        raise Malformed("$", "not JSON that can be stored: send UTF-8 without NUL, not nested this deep") from error
    if ambiguous:
        raise Malformed("$", f"{', '.join(sorted(ambiguous))} stands twice and says two things: send each key once")
    if said.type in WORDS and said.items == []:
        raise Malformed("$.items", "names no unit; name those that are meant, or leave it out to mean all of them")
    if WORDS.get(said.type) is Word.SHIPPED and not said.items:
        raise Malformed("$.items", "a shipment needs its items, with product_id and quantity")
    return document, said, spelled


def _count(items: Iterable[Line]) -> tuple[dict[str, int], dict[str, int]]:
    """Add up the units by product, and the lines that give no count."""
    counted, uncounted = dict[str, int](), dict[str, int]()
    for item in items:
        if isinstance(item.quantity, int):
            counted[item.product_id] = counted.get(item.product_id, 0) + item.quantity
        else:
            uncounted[item.product_id] = uncounted.get(item.product_id, 0) + 1
    return counted, uncounted


def _parcel(shipment: Shipment, carriers: Mapping[str, str]) -> Parcel:
    """Name a parcel without the blanks around its words, and its carrier as NewStore calls it."""
    carrier, tracking_number = shipment.carrier.strip(), str(shipment.tracking_number).strip()
    for field, word in (("carrier", carrier), ("tracking_number", tracking_number)):
        if not word:
            raise Malformed(f"$.shipment.{field}", "is blank: send it, or the shipment once it is known")
    return parcels.named(carriers, carrier, tracking_number, shipment.tracking_url)


def _storable(said: _Callback) -> None:
    """Find what no text column takes (NUL, lone surrogates) before it reaches the writer."""
    if b"\\u0000" in msgspec.json.encode(said).replace(rb"\\", b""):  # an escaped backslash escapes nothing more
        raise UnicodeError("NUL")


class Http(Adapter):
    """Calls one provider of this kind, and reads what it says."""

    settings = HttpSettings
    provider: HttpSettings
    readable: ClassVar[Mapping[str, Kind]] = {
        "id": "id",
        "type": "word",
        "event_id": "id",
        "occurred_at": "id",
        "fulfillment_request_id": "id",
        "items.product_id": "id",
        "items.quantity": "id",
        "shipment.carrier": "plain",
        "shipment.tracking_number": "plain",
        "shipment.tracking_url": "link",
    }
    understood: ClassVar[Any] = Event
    examples: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "accepted": {"type": "accepted", "event_id": "1", "fulfillment_request_id": "…"},
        "rejected": {
            "type": "rejected", "event_id": "2", "fulfillment_request_id": "…", "reason": "no_inventory",
            "items": [{"product_id": "A", "quantity": 1}],
        },
        "cancelled": {
            "type": "cancelled", "event_id": "3", "fulfillment_request_id": "…",
            "items": [{"product_id": "B", "quantity": 1}],
        },
        "shipped": {
            "type": "shipped", "event_id": "4", "fulfillment_request_id": "…",
            "items": [{"product_id": "C", "quantity": 2}], "shipment": {"carrier": "UPS", "tracking_number": "1Z…"},
        },
    }  # fmt: skip

    def __init__(self, provider: HttpSettings, session: aiohttp.ClientSession) -> None:
        super().__init__(provider, session)
        self._shown_by = provider.shown_by(session)
        self.can = Capabilities(look_up=provider.look_up, idempotent=True, withdraw=provider.withdraw)

    def compose(self, order: Order) -> bytes:
        """Give the body as NewStore sent it."""
        return order.body

    async def create(self, order: Order, body: bytes) -> Taken:
        """Post an order. 409 says that the provider has it already, which a look-up confirms."""
        status, answer = await self._call("POST", self.provider.url, order, body)
        if status == 409:
            return await self._confirmed(order, status, answer)
        if 200 <= status < 300:
            document = believed(status, answer)
            if answers.says_no(document):
                return await self._confirmed(order, status, answer)
            return Taken(status, _id_in(document))
        if status >= 500:
            raise Unknown(f"answered {status}: it may have taken the order", status, answer)
        if status in NOT_TAKEN:
            raise NotSent(f"answered {status}: check the URL and the key of the provider", status, answer)
        raise Refused(f"answered {status}: it will not take this order", status, answer)

    async def _confirmed(self, order: Order, status: int, body: bytes) -> Taken:
        """Find out whether the provider has an order of which it said "already here", or no with a 2xx."""
        if self.can.look_up:
            return await confirmed(self.look_up, order, status, body, exists=status == 409)
        if status == 409:
            return Taken(status, _id_in(_json(body)))
        raise Disputed(f"answered {status} and says no: ask it whether it has the order", status, body)

    async def look_up(self, order: Order) -> Taken | None:
        """Ask by our reference whether the provider has the order: it has where it repeats that, or NewStore's id.

        Raises `Inconclusive` for any other 2xx: an empty list, another order, a web page.
        """
        status, body = await self._call("GET", self._url_of(order), order)
        if status == 404:
            return None
        if 200 <= status < 300:
            document = _json(body)
            found = answers.object_naming(document, (order.reference, order.request_id))
            if found is not None and not answers.says_no(document):
                return Taken(status, _id_in(found))
            told = "does not name the order: an order that is not there answers 404"
            raise Inconclusive(f"the look-up answered {status} and {told}", status, body)
        hint = ": check the URL and the key of the provider" if status in NOT_TAKEN else ""
        raise NotSent(f"the look-up answered {status}{hint}", status, body)

    async def withdraw(self, order: Order) -> str | None:
        """Delete the order. Only 200 and 204 say that it has stopped: 202 means that it may yet."""
        status, body = await self._call("DELETE", self._url_of(order), order)
        if status in {200, 204}:
            if answers.says_no(believed(status, body)):
                raise Refused(f"answered {status} and says no: it goes on with the order", status, body)
            return f"answered {status}"
        if status == 404:
            return None
        if status >= 500 and status != 501:
            raise Unknown(f"answered {status}: it may have stopped", status, body)
        if status == 202 or status in NOT_TAKEN - {405}:
            raise NotSent(f"answered {status}: it has not stopped yet", status, body)
        why = "it can't withdraw an order" if status in {405, 501} else "it goes on with the order"
        raise Refused(f"answered {status}: {why}", status, body)

    def _url_of(self, order: Order) -> str:
        return f"{self.provider.url.rstrip('/')}/{quote(order.reference, safe='')}"

    async def check(self) -> None:
        """Reach the provider by a look-up that finds nothing. Raises `CallError`, also where it finds something."""
        nobodys = Order(request_id="", reference="NS-CHECK-CONFIG")
        if found := await self.look_up(nobodys):
            raise Inconclusive(
                f"the look-up answered {found.status} for an order that can't be there: it must answer 404"
            )

    async def _call(self, method: str, url: str, order: Order, body: bytes | None = None) -> tuple[int, bytes]:
        headers = {"X-Gateway-Reference": order.reference}
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": order.idempotency_key}
        return await call(
            self.session, self._shown_by, method, url, headers=headers, body=body, seconds=self.provider.timeout
        )

    def admit(self, headers: Mapping[str, str], now: float) -> Admission:
        """Let in whoever shows the key; a signature is told by the body alone, and only while it is young."""
        if key_among(self.provider.callback_keys, bearer(headers)):
            return Admission.PROVED
        is_young = self.provider.callback_secrets and signatures.is_in_time(headers, now)
        return Admission.TO_BE_PROVED if is_young else Admission.REFUSED

    def authentic(self, message: Message) -> Proof | None:
        """Find the key that was shown, or the secret that signed."""
        keys, secrets, headers = self.provider.callback_keys, self.provider.callback_secrets, message.headers
        used = key_among(keys, bearer(headers)) or signatures.signed_with(
            secrets, headers, message.body, message.at.timestamp()
        )
        return Proof(used, signatures.signed_id(headers) if secrets else "") if used else None

    def read(self, message: Message) -> list[Statement]:
        """Read one event. Raises `Malformed` with the JSON path of what is wrong.

        A word or reason that is not in the tables above has none of ours: the domain quarantines it, and so it does
        with what was read over and may change the meaning.
        """
        document, said, spelled = _decoded(message.body)
        word, reason = WORDS.get(said.type), REASONS.get(said.reason or "")
        problem = "" if word else meaning.unknown("type", said.type, WORDS)
        if word is Word.REJECTED and reason is None:
            problem = meaning.unknown("reason", said.reason, REASONS)
        unread = meaning.unread(document, word, _FIELDS, _LINE_FIELDS)
        items, uncounted = _count(said.items or ())
        parcel = _parcel(said.shipment, self.provider.carriers) if said.shipment else None
        name = said.event_id or message.name
        words = [parcel.carrier_said or parcel.carrier, parcel.tracking_code, parcel.tracking_url] if parcel else None
        understood = [name, said.fulfillment_request_id, said.type, said.reason, items, uncounted, words]
        return [
            Statement(
                names=Names(request=said.fulfillment_request_id),
                word=word,
                event_id=name,
                fingerprint=canonical.fingerprint(spelled if unread or problem else canonical.spell(understood)),
                items=items or None,
                uncounted=uncounted,
                unread=unread,
                reason=reason,
                parcel=parcel,
                problem=problem,
            )
        ]
