"""What a provider is answered in NewStore's dialect."""

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from gateway.domain.commands import Word

from .newstore_bodies import (
    CanceledUnit,
    Cancellations,
    ErrorAnswer,
    RejectedUnit,
    Rejections,
    Shipments,
    ShippedUnit,
    Stored,
    TokenAnswer,
    TokenError,
)
from .port import Heard, Reply, Reported

_CODES: Mapping[str, str] = {
    "unknown_product": "invalid_item",
    "too_many_units": "invalid_item",
    "another_parcel": "already_shipped",
}
"""Why a call was refused -> NewStore's code for it."""
_BY_CALL: Mapping[str, Mapping[str, str]] = {
    "units_not_open": {"shipment": "already_shipped", "canceled_items": "already_canceled"},
    "contradiction": dict.fromkeys(("rejection", "reject_items", "canceled_items"), "already_shipped"),
}
"""Likewise, where it depends on the call; any other is `already_rejected`."""
_BY_STATUS = {
    400: "invalid_request",
    401: "unauthorized",
    403: "forbidden",
    404: "resource_not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    413: "request_too_large",
    415: "unsupported_media_type",
    503: "service_unavailable",
}
_UNKNOWN = frozenset({"unknown_word", "unknown_reason"})


_UNCACHED = {"Cache-Control": "no-store"}


def written(document: object, status: int = 200) -> Reply:
    return Reply(status=status, body=msgspec.json.encode(document))


def error(status: int, why: str, code: str = "") -> Reply:
    return written(ErrorAnswer(code or _BY_STATUS.get(status, "internal_error"), why), status)


def token(given: str, seconds: int, scope: str) -> Reply:
    return Reply(status=200, body=msgspec.json.encode(TokenAnswer(given, seconds, scope)), headers=_UNCACHED)


def no_token(status: int, code: str, why: str) -> Reply:
    return Reply(status=status, body=msgspec.json.encode(TokenError(code, why)), headers=_UNCACHED)


def answer(call: str, heard: Sequence[Heard]) -> Reply:
    """Answer a call: 201 once all of it is stored and so, or left to a person; else why the first of it is not."""
    refused = [(number, told) for number, each in enumerate(heard, 1) if (told := _refusal(call, each))]
    if refused:
        number, (status, code) = refused[0]
        why = heard[number - 1].receipt.detail or "its request can't take this"
        if len(heard) > 1:
            others = f"{len(heard) - len(refused)} of {len(heard)} entries are stored"
            why = f"entry {number}: {why}; {others}"
        return error(status, why, code)
    kept = next((each.receipt for each in heard if each.status != 200), None)
    return written(Stored("kept", kept.detail or kept.reason) if kept else Stored(), 201)


def _refusal(call: str, heard: Heard) -> tuple[int, str] | None:
    """Name status and code of what was not followed; None of what is so, or is kept for a person's decision."""
    told = heard.receipt
    if told.reason == "unknown_request":
        return 404, _BY_STATUS[404]
    if heard.status == 400 or told.reason in _UNKNOWN:
        return 400, _BY_STATUS[400]
    if told.result == "conflicting_callback":
        return 409, "conflicting_call"
    if told.result == "callback_refused":
        return 400, _code(call, told.reason)
    return None


def _code(call: str, reason: str) -> str:
    if reason in _BY_CALL:
        return _BY_CALL[reason].get(call, "already_rejected")
    return _CODES.get(reason, "fulfillment_request_invalid")


def tell(call: str, reported: Sequence[Reported] | None) -> Reply:
    """Show what the provider has reported by a kind of call; 404 while that is nothing."""
    if reported is None:
        return error(404, "this provider has no such fulfillment request")
    units = [each for each in reported if _kind(each) == _SHOWN[call]]
    if not units:
        return error(404, f"no {call} yet")
    if call == "shipment":
        return written(Shipments([_shipped(each) for each in units]))
    if call == "canceled_items":
        return written(Cancellations([CanceledUnit(each.product, *_times(each)) for each in units]))
    return written(Rejections([RejectedUnit(each.product, *_times(each), str(each.reason or "")) for each in units]))


_SHOWN = {"shipment": "shipped", "canceled_items": "cancelled", "rejection": "rejected", "reject_items": "rejected"}


def _kind(reported: Reported) -> str:
    """Say as what it was reported: a location may make a rejection of a cancellation."""
    if reported.word is Word.SHIPPED:
        return "shipped"
    return "cancelled" if reported.event_id.startswith("canceled_items/") else "rejected"


def _shipped(reported: Reported) -> ShippedUnit:
    parcel = reported.parcel
    carrier = (parcel.carrier_said or parcel.carrier) if parcel else ""
    return ShippedUnit(reported.product, carrier, parcel.tracking_code if parcel else "", *_times(reported))


def _times(reported: Reported) -> tuple[str, str]:
    """Tell when it was received and when it held: one commit does both."""
    at = _written(reported.at)
    return at, at


def _written(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
