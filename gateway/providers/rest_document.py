"""What a mapping's expressions see of an order that goes out: one plain document."""

from typing import Any

import msgspec

from gateway.domain.orders import Address, Details, Order

_MOST_LINES = 3  # of an address, that have a name of their own


def document(order: Order) -> dict[str, Any]:
    """Give all of an order that a body may be made of; what NewStore left out is an empty text."""
    return {
        "reference": order.reference,
        "idempotency_key": order.idempotency_key,
        "request_id": order.request_id,
        "order_id": order.order_id,
        "location": order.location,
        "service_level": order.service_level,
        "shipping_method": order.shipping_method,
        "carrier": order.details.carrier,
        "ship_to": _address(order.ship_to),
        "bill_to": _address(order.bill_to),
        "lines": [
            {"product": line.product, "sku": line.sku, "count": line.count, "attributes": dict(line.attributes)}
            for line in order.lines
        ],
        "attributes": dict(order.details.attributes),
        "provider_order": order.provider_order,
        "newstore": msgspec.json.decode(order.body) if order.body else {},
    }


def _address(address: Address) -> dict[str, Any]:
    lines = (*address.lines, *[""] * _MOST_LINES)[: max(_MOST_LINES, len(address.lines))]
    return {
        "name": address.name,
        "first_name": address.first_name,
        "last_name": address.last_name,
        "company": address.company,
        "lines": list(address.lines),
        **{f"line_{number}": line for number, line in enumerate(lines, start=1)},
        "zip_code": address.zip_code,
        "city": address.city,
        "state": address.state,
        "country": address.country,
        "phone": address.phone,
        "email": address.email,
    }


def _ada(_: bytes) -> Details:
    ada = Address(
        first_name="Ada", last_name="Lovelace", lines=("12 Elm St",), city="Austin", state="TX", zip_code="78701",
        country="US", phone="+15125550142", email="ada@example.com",
    )  # fmt: skip
    return Details(ship_to=ada, bill_to=ada, carrier="UPS")


SAMPLE = document(
    Order(
        request_id="b7a0c1de-52f4-4d0e-9a51-0c3f6c1e7d42",
        reference="NS0000000000000A",
        idempotency_key="NS0000000000000A-1-create-1",
        location="DC01",
        order_id="SO-1",
        service_level="GROUND",
        products=("TEE", "TEE", "CAP"),
        provider_order="17",
        read_details=_ada,
    )
)
"""An order of which nothing is missing: an expression that finds nothing in it is misspelled."""
