"""What a provider calls things: its words for what it is told, and ours for what it tells."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from functools import cached_property

from .commands import ProviderSaid, Words
from .deliveries import normal
from .orders import Order


class MappedKind(StrEnum):
    """What a provider may call otherwise."""

    SERVICE_LEVEL = "service_level"  # it has a shipping method for it
    PRODUCT = "product"  # it has a SKU for it
    CARRIER = "carrier"  # NewStore has another word for its


@dataclass(frozen=True, slots=True)
class Mapped:
    """What a person said: one word and what the provider calls it. `word` is that by which it is found."""

    id: int
    at: datetime
    provider: str
    kind: str
    word: str
    ours: str
    theirs: str
    who: str


@dataclass(frozen=True, kw_only=True)
class Mappings:
    """What one provider calls things. What is in no table, and of no kind in `must`, goes as it is.

    `carriers` has its words as they are compared. `version` is that of the last change by a person.
    """

    version: int = 0
    shipping_methods: Mapping[str, str] = field(default_factory=dict)
    skus: Mapping[str, str] = field(default_factory=dict)
    carriers: Mapping[str, str] = field(default_factory=dict)
    must: Collection[MappedKind] = ()

    @cached_property
    def products(self) -> Mapping[str, str]:
        """Give our product of each SKU; one that stands for several products stands for none."""
        found: dict[str, set[str]] = {}
        for product, sku in self.skus.items():
            found.setdefault(sku, set()).add(product)
        return {sku: next(iter(products)) for sku, products in found.items() if len(products) == 1}

    def sends(self, kind: str, word: str) -> bool:
        """Tell whether the provider may be told this word of ours."""
        if kind == MappedKind.SERVICE_LEVEL:
            return word in self.shipping_methods or MappedKind.SERVICE_LEVEL not in self.must
        return word in self.skus or (MappedKind.PRODUCT not in self.must and not self._is_taken(word))

    def hears(self, kind: str, word: str) -> bool:
        """Tell whether it is known what this word of the provider's means."""
        if kind == MappedKind.CARRIER:
            return normal(word) in self.carriers or MappedKind.CARRIER not in self.must
        return word in self.products or (MappedKind.PRODUCT not in self.must and not self._is_taken(word))

    def _is_taken(self, word: str) -> bool:
        """Tell whether it would be taken for another product: one side calls something else so."""
        return word in self.skus or word in self.skus.values()

    def of_order(self, order: Order) -> Order:
        """Give an order with the provider's words."""
        return replace(order, shipping_methods=self.shipping_methods, skus=self.skus)

    def unsent(self, order: Order) -> Words:
        """Find the words of an order that the provider may not be told."""
        level = [(MappedKind.SERVICE_LEVEL, order.service_level)] if order.service_level else []
        words = (*level, *((MappedKind.PRODUCT, product) for product in dict.fromkeys(order.products)))
        return tuple((kind, word) for kind, word in words if not self.sends(kind, word))

    def of_message(self, said: ProviderSaid) -> ProviderSaid:
        """Give a message with our products and NewStore's carrier, and name what of it is not known."""
        unmapped = tuple((kind, word) for kind, word in _words(said) if not self.hears(kind, word))
        items = None if said.items is None else self._counted(said.items)
        parcel = said.parcel
        if parcel and (carrier := self.carriers.get(normal(parcel.carrier), parcel.carrier)) != parcel.carrier:
            parcel = replace(parcel, carrier=carrier, carrier_said=parcel.carrier)
        return replace(said, items=items, uncounted=self._counted(said.uncounted), parcel=parcel, unmapped=unmapped)

    def _counted(self, skus: Mapping[str, int]) -> dict[str, int]:
        return {self.products.get(sku, sku): count for sku, count in skus.items()}


def _words(said: ProviderSaid) -> Iterator[tuple[MappedKind, str]]:
    for sku in dict.fromkeys((*(said.items or ()), *said.uncounted)):
        yield MappedKind.PRODUCT, sku
    if said.parcel:
        yield MappedKind.CARRIER, said.parcel.carrier


def not_mapped(provider: str, unmapped: Iterable[tuple[str, str]]) -> str:
    """Say which word is not mapped, how many more there are, and how one is."""
    (kind, word), *others = unmapped
    more = f" (and {len(others)} more)" if others else ""
    return (
        f"{kind.replace('_', ' ')} {word[:200]!r} is not mapped for {provider}{more}: "
        f"`gateway mappings add {provider} {kind} OURS THEIRS`"
    )
