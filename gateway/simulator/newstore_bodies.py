"""The bodies NewStore takes, read into units: (product id, what was said of it), one entry per unit."""

from collections.abc import Callable

from gateway.simulator.served import JSON

Units = list[tuple[str, JSON]]
REASONS = {"no_inventory", "cannot_fulfill"}


class Malformed(ValueError):
    """A body NewStore would not take."""


def _products(of: object) -> list[str]:
    if not isinstance(of, list) or not of or not all(isinstance(product_id, str) for product_id in of):
        raise Malformed("product_ids must be a list of strings, one per unit")
    return of


def _entries(body: JSON, key: str) -> list[JSON]:
    entries = body.get(key)
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise Malformed(f"{key} must be a list of objects")
    return entries


def _shipment(body: JSON) -> Units:
    units: Units = []
    for parcel in _entries(body, "line_items"):
        shipment = parcel.get("shipment")
        if not isinstance(shipment, dict):
            raise Malformed("shipment is missing")
        said = {key: shipment.get(key) for key in ("carrier", "tracking_code")}
        if not all(isinstance(value, str) for value in said.values()):
            raise Malformed("carrier and tracking_code must be strings")
        units += [(product_id, said) for product_id in _products(parcel.get("product_ids"))]
    return units


def _reject_items(body: JSON) -> Units:
    units: Units = []
    for missing in _entries(body, "missing_items"):
        if missing.get("reason") not in REASONS:
            raise Malformed(f"reason must be one of {sorted(REASONS)}")
        units += [(product_id, {"reason": missing["reason"]}) for product_id in _products(missing.get("product_ids"))]
    return units


def _canceled_items(body: JSON) -> Units:
    return [(product_id, {}) for product_id in _products(body.get("product_ids"))]


def units_of(operation: str, body: object) -> Units:
    """What a body says of each unit it names; Malformed when NewStore would not take it."""
    if not isinstance(body, dict):
        raise Malformed("the body must be an object")
    return _READ[operation](body)


_READ: dict[str, Callable[[JSON], Units]] = {
    "shipment": _shipment,
    "reject_items": _reject_items,
    "canceled_items": _canceled_items,
}
