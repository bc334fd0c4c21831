"""Fulfillment requests as a retailer's customers would cause them; the same seed gives the same orders."""

import random
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from gateway.simulator.served import JSON

CATALOGUE = ("TEE-BLK-M", "TEE-BLK-L", "TEE-WHT-S", "CAP-RED", "HOODIE-GRY-M", "SOCKS-3PK", "MUG-LOGO", "TOTE-NAT")
ENGRAVED = {"MUG-LOGO"}
PEOPLE = (("Ana", "Ruiz"), ("Jonas", "Lindqvist"), ("Mei", "Tanaka"), ("Chidi", "Okafor"), ("Zoë", "O'Neill"))
PLACES = (
    ("12 Elm St", "Austin", "TX", "78701", "US"),
    ("880 Harrison St", "San Francisco", "CA", "94107", "US"),
    ("31 Spring St", "New York", "NY", "10012", "USA"),
    ("455 King St W", "Toronto", "ON", "M5V 1K4", "CA"),
    ("Torstraße 99", "Berlin", "", "10119", "DE"),
)
CARRIERS = {"GROUND": ("UPS", "USPS", "FEDEX"), "EXPRESS": ("DHL", "FEDEX")}
OPENING_DAY = datetime(2026, 3, 2, 8, tzinfo=UTC)


def orders(seed: int = 0) -> Iterator[JSON]:
    """One body after another, without end."""
    source = random.Random(seed)  # noqa: S311 - repeatable, not secret
    while True:
        yield order(source)


def order(source: random.Random, products: Sequence[str] | None = None) -> JSON:
    """A body for `NewStore.place`: these products, one unit each, or 1 to 4 units of the catalogue."""
    address = _address(source)
    service_level = source.choice(("GROUND", "GROUND", "GROUND", "EXPRESS"))
    placed = OPENING_DAY + timedelta(seconds=source.randrange(86_400))
    gift = str(source.random() < 0.1).lower()
    return {
        "id": _uuid(source),
        "order_id": _uuid(source),
        "billing_address": address if source.randrange(4) else _address(source),
        "shipping_address": address,
        "shipping_options": {"carrier": source.choice(CARRIERS[service_level]), "service_level": service_level},
        "created_at": placed.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "items": [_item(source, product_id) for product_id in products or _basket(source)],
        "extended_attributes": [{"name": "gift", "value": gift}],
    }


def _basket(source: random.Random) -> list[str]:
    kinds = source.sample(CATALOGUE, 2)
    return source.choices(kinds, k=source.randint(1, 4))


def _item(source: random.Random, product_id: str) -> JSON:
    letters = "".join(source.choices("ABCDEFGH", k=2))
    engraving = [{"name": "engraving", "value": letters}] if product_id in ENGRAVED else []
    return {"product_id": product_id, "extended_attributes": engraving}


def _address(source: random.Random) -> JSON:
    first_name, last_name = source.choice(PEOPLE)
    address_line_1, city, state, zip_code, country_code = source.choice(PLACES)
    return {
        "first_name": first_name,
        "last_name": last_name,
        "address_line_1": address_line_1,
        "city": city,
        "state": state,
        "zip_code": zip_code,
        "country_code": country_code,
        "phone": f"+1512555{source.randrange(10_000):04}",
        "email": f"{first_name.lower()}@example.com",
    }


def _uuid(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))
