"""A parcel as a provider names it."""

from gateway.domain.deliveries import Parcel

_LONGEST_LINK = 2_000  # characters; a longer one is left out, as nobody needs it to know of the shipment


def named(carrier: str, tracking_code: str, link: str | None = None) -> Parcel:
    """Name a parcel without the blanks around its words; what NewStore calls its carrier is found later."""
    return Parcel(carrier.strip(), tracking_code.strip(), link if len(link or "") <= _LONGEST_LINK else None)
