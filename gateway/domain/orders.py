"""What a provider is asked to fulfill, in nobody's JSON."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a parcel goes, or the bill; whatever NewStore left out is empty."""

    first_name: str = ""
    last_name: str = ""
    company: str = ""
    lines: tuple[str, ...] = ()
    city: str = ""
    state: str = ""  # or province
    zip_code: str = ""
    country: str = ""  # ISO 3166-1 alpha-2 where it can be told, else as it came
    phone: str = ""
    email: str = ""

    @property
    def name(self) -> str:
        return " ".join(filter(None, (self.first_name, self.last_name)))


@dataclass(frozen=True, slots=True)
class OrderLine:
    """Pieces of one product that are alike in all that is asked of them."""

    product: str
    units: tuple[int, ...]  # which of the request's, counted from 0
    attributes: tuple[tuple[str, str], ...] = ()  # name and value, as (("engraving", "AR"),)
    sku: str = ""  # what the provider calls it

    @property
    def count(self) -> int:
        return len(self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """What NewStore's body says beyond what the gateway needs itself."""

    ship_to: Address = Address()
    bill_to: Address = Address()
    carrier: str = ""  # that the customer's shipping option names
    attributes: tuple[tuple[str, str], ...] = ()
    unit_attributes: Sequence[tuple[tuple[str, str], ...]] = ()  # of each unit, in the request's order


def _nothing(_: bytes) -> Details:
    return Details()


@dataclass(frozen=True, kw_only=True)
class Order:
    """One request as one assignment of it goes to a provider.

    `reference` is ours: at most 20 upper-case letters, digits and a hyphen, another one for each assignment. The
    idempotency key is the same in each repetition of one call. `body` is NewStore's own JSON, for those who pass it on.
    What the provider calls service levels and products is in `shipping_methods` and `skus`.
    """

    request_id: str
    reference: str
    assignment: int = 1
    idempotency_key: str = ""
    location: str = ""
    order_id: str = ""  # NewStore's, which several requests may share
    service_level: str = ""
    shipping_methods: Mapping[str, str] = field(default_factory=dict)
    skus: Mapping[str, str] = field(default_factory=dict)
    products: tuple[str, ...] = ()  # one entry for each unit
    provider_order: str = ""  # the provider's own id, once it has told one
    body: bytes = b""
    read_details: Callable[[bytes], Details] = _nothing

    @cached_property
    def details(self) -> Details:
        """Read the body only for those who need it."""
        return self.read_details(self.body)

    @property
    def shipping_method(self) -> str:
        """What the provider calls the service level."""
        return self.shipping_methods.get(self.service_level, self.service_level)

    @property
    def ship_to(self) -> Address:
        return self.details.ship_to

    @property
    def bill_to(self) -> Address:
        return self.details.bill_to

    @cached_property
    def lines(self) -> tuple[OrderLine, ...]:
        """Count the units by product; those of which something of their own is asked stay apart."""
        found: dict[tuple[str, tuple[tuple[str, str], ...]], list[int]] = {}
        attributes = self.details.unit_attributes
        for index, product in enumerate(self.products):
            asked = attributes[index] if index < len(attributes) else ()
            found.setdefault((product, asked), []).append(index)
        return tuple(
            OrderLine(product, tuple(units), asked, self.skus.get(product, product))
            for (product, asked), units in found.items()
        )
