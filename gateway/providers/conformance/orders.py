"""Orders to try an adapter with."""

import msgspec

from gateway.domain.deliveries import Operation
from gateway.domain.orders import Address, Details, Order
from gateway.domain.references import idempotency_key, reference

LOCATION = "DC01"
_ADA = Address(
    first_name="Ada", last_name="Lovelace", lines=("12 Elm St",), city="Austin", state="TX", zip_code="78701",
    country="US", phone="+15125550142", email="ada@example.com",
)  # fmt: skip
_TO_ADA = {
    "first_name": "Ada", "last_name": "Lovelace", "address_line_1": "12 Elm St", "city": "Austin", "state": "TX",
    "zip_code": "78701", "country_code": "US", "phone": "+15125550142", "email": "ada@example.com",
}  # fmt: skip


def sample(request_id: str, *products: str) -> Order:
    """Make an order as NewStore sends them; without products one of two."""
    products, short = products or ("TEE", "CAP"), reference(request_id)
    body = {
        "id": request_id,
        "order_id": f"SO-{request_id[-4:]}",
        "shipping_options": {"carrier": "UPS", "service_level": "GROUND"},
        "shipping_address": _TO_ADA,
        "items": [{"product_id": each, "extended_attributes": []} for each in products],
    }
    return Order(
        request_id=request_id,
        reference=short,
        idempotency_key=idempotency_key(short, 1, Operation.CREATE, 1),
        location=LOCATION,
        order_id=f"SO-{request_id[-4:]}",
        service_level="GROUND",
        products=products,
        body=msgspec.json.encode(body),
        read_details=lambda _: Details(ship_to=_ADA, bill_to=_ADA, carrier="UPS"),
    )
