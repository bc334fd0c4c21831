"""NewStore's fulfillment request, as little of it as the gateway must understand. The bytes go on unchanged."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
import pycountry

from gateway import canonical
from gateway.domain.commands import Receive
from gateway.domain.orders import Address, Details

READABLE = frozenset(
    {"id", "order_id", "created_at", "items.product_id", "shipping_options.carrier", "shipping_options.service_level"}
)
"""What of a body is shown to everybody who may look: the rest may be personal data."""

LONGEST = 10_000
"""Characters of a product's id: NewStore names no limit, and whatever is longer is none."""

_ONE = (1, "1", None)
_Id = Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
_One = Annotated[msgspec.Raw, msgspec.Meta(extra_json_schema={"enum": list(_ONE)})]
_OrderId = Annotated[
    msgspec.Raw, msgspec.Meta(description="A text or a number; anything else is kept and tells no order")
]
_ShippingOptions = Annotated[
    msgspec.Raw, msgspec.Meta(description="Its service_level decides what is urgent; anything else is kept")
]


class Malformed(Exception):
    """A body that can't be a fulfillment request; `path` says where."""

    def __init__(self, path: str, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


class FulfillmentItem(msgspec.Struct):
    """One unit of one product: NewStore sends an entry for each."""

    product_id: Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST)]
    quantity: _One = msgspec.field(default_factory=lambda: msgspec.Raw(b"1"))


class FulfillmentRequest(msgspec.Struct):
    """NewStore's request, as far as the gateway must understand it; all else in it is kept and passed on."""

    id: _Id
    items: Annotated[list[FulfillmentItem], msgspec.Meta(min_length=1)]
    order_id: _OrderId = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))
    shipping_options: _ShippingOptions = msgspec.field(default_factory=lambda: msgspec.Raw(b"null"))


def receive(body: bytes, at: datetime, location: str, provider: str | None) -> Receive:
    """Make the command of a webhook's body. Raises `Malformed`; whatever else is odd about it is accepted and kept."""
    read = _read(body)
    options = _loosely(read.shipping_options)
    level = options.get("service_level") if isinstance(options, dict) else None
    return Receive(
        request_id=read.id,
        at=at,
        location=location,
        provider=provider,
        order_id=_text(_loosely(read.order_id)),
        service_level=_text(level),
        products=tuple(item.product_id for item in read.items),
        fingerprint=_fingerprint(body),
    )


def _read(body: bytes) -> FulfillmentRequest:
    try:
        read = msgspec.json.decode(body.removeprefix(canonical.BYTE_ORDER_MARK), type=FulfillmentRequest)
        _check_text("$.id", read.id)
        if read.id in {".", ".."}:
            raise Malformed("$.id", "can't be part of a URL: send another id")
        for number, item in enumerate(read.items):
            _check_text(f"$.items[{number}].product_id", item.product_id)
            if bytes(item.quantity) != b"1" and _loosely(item.quantity) not in _ONE:
                raise Malformed(f"$.items[{number}].quantity", "is not 1, and an entry is one unit: send one for each")
    except msgspec.MsgspecError as error:
        what, _, path = str(error).partition(" - at `")
        raise Malformed(path.rstrip("`") or "$", what) from error
    except UnicodeDecodeError as error:
        raise Malformed("$", "not UTF-8: send JSON encoded as UTF-8") from error
    except RecursionError as error:
        raise Malformed("$", "nested too deeply to be read") from error
    return read


class _Address(msgspec.Struct):
    first_name: Any = ""
    second_name: Any = ""
    last_name: Any = ""
    company: Any = ""
    address_line_1: Any = ""
    address_line_2: Any = ""
    zip_code: Any = ""
    city: Any = ""
    state: Any = ""
    province: Any = ""
    country_code: Any = ""
    phone: Any = ""
    email: Any = ""


class _Detailed(msgspec.Struct):
    shipping_address: Any = None
    billing_address: Any = None
    shipping_options: Any = None
    extended_attributes: Any = None
    items: Any = None


def details(body: bytes) -> Details:
    """Read what a stored body asks for beyond its units; what is not as documented is left out."""
    read = msgspec.json.decode(body.removeprefix(canonical.BYTE_ORDER_MARK), type=_Detailed)
    options = read.shipping_options if isinstance(read.shipping_options, dict) else {}
    items = read.items if isinstance(read.items, list) else []
    return Details(
        ship_to=_address(read.shipping_address),
        bill_to=_address(read.billing_address),
        carrier=_text(options.get("carrier")) or "",
        attributes=_attributes(read.extended_attributes),
        unit_attributes=[_attributes(item.get("extended_attributes")) for item in items],
    )


def _address(said: object) -> Address:
    read = msgspec.convert(said, _Address) if isinstance(said, dict) else _Address()
    told = {name: (_text(getattr(read, name)) or "").strip() for name in read.__struct_fields__}
    first = f"{told['first_name']} {told['second_name']}".strip()
    return Address(
        first_name=first,
        last_name=told["last_name"],
        company=told["company"],
        lines=tuple(filter(None, (told["address_line_1"], told["address_line_2"]))),
        city=told["city"],
        state=told["state"] or told["province"],
        zip_code=told["zip_code"],
        country=_country(told["country_code"]),
        phone=told["phone"],
        email=told["email"],
    )


def _country(code: str) -> str:
    """NewStore writes two letters in one place and three in another."""
    if len(code) == 2:
        return code.upper()
    found = pycountry.countries.get(alpha_3=code.upper()) if len(code) == 3 else None
    return found.alpha_2 if found else code


def _attributes(said: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(said, list):
        return ()
    pairs = [(_text(each.get("name")), _text(each.get("value"))) for each in said if isinstance(each, dict)]
    return tuple((name, value or "") for name, value in pairs if name)


def _fingerprint(body: bytes) -> str:
    """Name what the whole body says; of one whose every field can't be read, how it is spelled.

    Raises `Malformed` for one in which a key says two things: the provider, who gets it unchanged, may read the other.
    """
    try:
        spelled = canonical.spell(canonical.decode(body))
        ambiguous = canonical.ambiguous_keys(body, spelled)
    except (ValueError, RecursionError):
        return canonical.fingerprint(body)
    if ambiguous:
        keys = ", ".join(map(repr, sorted(ambiguous)))[:200]
        raise Malformed("$", f"{keys} stands twice in one object and says two things: send each key once")
    return canonical.fingerprint(spelled)


def _check_text(path: str, text: str) -> None:
    if "\0" in text:
        raise Malformed(path, "contains a NUL character: send an id without one")
    if not _is_storable(text):
        raise Malformed(path, "contains half a surrogate pair: send valid Unicode")


def _is_storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _loosely(raw: msgspec.Raw) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _text(value: object) -> str | None:
    if value is None or isinstance(value, dict | list):
        return None
    text = str(value)
    if len(text) > LONGEST:
        return None
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
