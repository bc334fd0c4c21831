"""What a provider may post in NewStore's dialect, and what it is answered."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from gateway.domain.commands import RejectionReason, Word

WORDS: Mapping[str, Word] = {
    "acknowledgement": Word.ACCEPTED,
    "rejection": Word.REJECTED,
    "reject_items": Word.REJECTED,
    "canceled_items": Word.CANCELLED,
    "shipment": Word.SHIPPED,
}
"""The calls, by the end of their path."""
REASONS: Mapping[str, RejectionReason] = {
    "no_inventory": RejectionReason.NO_INVENTORY,
    "cannot_fulfill": RejectionReason.CANNOT_FULFILL,
}

_Product = Annotated[str, msgspec.Meta(min_length=1, max_length=10_000)]  # as NewStore's
Products = Annotated[list[_Product], msgspec.Meta(min_length=1)]
_Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=500, extra_json_schema={"enum": list(REASONS)})]
_Text = Annotated[str, msgspec.Meta(max_length=500)]


class Acknowledgement(msgspec.Struct):
    """The request is accepted. The call may also have no body."""


class Rejection(msgspec.Struct):
    """All that is open of the request is rejected; with `no_inventory` the products that are missing are named."""

    rejection_reason: _Reason
    missing_product_ids: list[_Product] = []


class MissingItems(msgspec.Struct):
    """Units that are rejected for one reason: an entry for each."""

    reason: _Reason
    product_ids: Products


class RejectItems(msgspec.Struct):
    """Some units are rejected."""

    missing_items: Annotated[list[MissingItems], msgspec.Meta(min_length=1)]


class CanceledItems(msgspec.Struct):
    """Some units are cancelled: an entry for each."""

    product_ids: Products


class ShipmentOfItems(msgspec.Struct):
    """One parcel."""

    tracking_code: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    carrier: _Text = ""
    tracking_url: str | None = None


class LineItem(msgspec.Struct):
    """What is in one parcel: an entry for each unit."""

    product_ids: Products
    shipment: ShipmentOfItems


class ShipItems(msgspec.Struct):
    """Some units are shipped."""

    line_items: Annotated[list[LineItem], msgspec.Meta(min_length=1)]


BODIES: Mapping[str, Any] = {
    "acknowledgement": Acknowledgement,
    "rejection": Rejection,
    "reject_items": RejectItems,
    "canceled_items": CanceledItems,
    "shipment": ShipItems,
}


class Stored(msgspec.Struct, omit_defaults=True):
    """The call is stored; it says `kept` and why where a person is to decide first."""

    result: str = ""
    detail: str = ""


class ErrorAnswer(msgspec.Struct):
    """Why a call was turned away, by one of NewStore's codes."""

    error_code: str
    error_description: str


class ShippedUnit(msgspec.Struct):
    """A unit that the provider has shipped."""

    product_id: str
    carrier: str
    tracking_code: str
    received_at: str
    accepted_at: str


class Shipments(msgspec.Struct):
    """What the provider has shipped of a request, by unit."""

    successful_shipments: list[ShippedUnit]
    failed_shipments: list[ShippedUnit] = []


class RejectedUnit(msgspec.Struct, omit_defaults=True):
    """A unit that the provider has rejected."""

    product_id: str
    received_at: str
    accepted_at: str
    reason: str = ""


class Rejections(msgspec.Struct):
    """What the provider has rejected of a request, by unit."""

    rejected_items: list[RejectedUnit]
    failed_items: list[RejectedUnit] = []


class CanceledUnit(msgspec.Struct):
    """A unit that the provider has cancelled."""

    product_id: str
    received_at: str
    accepted_at: str


class Cancellations(msgspec.Struct):
    """What the provider has cancelled of a request, by unit."""

    canceled_items: list[CanceledUnit]
    failed_items: list[CanceledUnit] = []


class TokenCall(msgspec.Struct):
    """The client shows its secret here, or as a user and password in the header (HTTP Basic).

    `grant_type` is `client_credentials`, or `password` with `username` and `password` in the place of the client's.
    """

    grant_type: str
    client_id: str = ""
    client_secret: str = ""
    username: str = ""
    password: str = ""
    scope: str = ""


class TokenAnswer(msgspec.Struct):
    """A token, to be shown as `Authorization: Bearer`."""

    access_token: str
    expires_in: int
    scope: str = ""
    token_type: str = "Bearer"  # noqa: S105 - how it is shown


class TokenError(msgspec.Struct):
    """Why there is no token, as OAuth has it."""

    error: str
    error_description: str
