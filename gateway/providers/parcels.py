"""A parcel as NewStore is told of it: its carrier by the settings' word, and the provider's own beside it."""

from collections.abc import Mapping

from gateway.domain.deliveries import Parcel, normal

_LONGEST_LINK = 2_000  # characters; a longer one is left out, as nobody needs it to know of the shipment


def named(carriers: Mapping[str, str], carrier: str, tracking_code: str, link: str | None = None) -> Parcel:
    """Name a parcel; `carriers` are those of the settings. Blanks around the words are left out."""
    said, code = carrier.strip(), tracking_code.strip()
    told = carriers.get(normal(said), said)
    return Parcel(told, code, link if len(link or "") <= _LONGEST_LINK else None, None if told == said else said)
