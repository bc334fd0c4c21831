"""What NewStore adds to the ways a call can fail (see `gateway/call_errors.py`), and what its error codes mean.

CallError
├── NotSent
│   ├── NotReached      a read that went first, after a block or many failures, was in vain: nothing else was sent
│   └── Throttled
│       └── Blocked     403 without JSON, and for a read too: this address is blocked for five minutes
├── Disliked            403 without JSON, while a read passes: NewStore's firewall dislikes this one call
├── Retired             410: NewStore has this operation no more
├── Unauthorized        the credentials or the token endpoint are wrong: mend the settings, then try again
├── Unreadable          a read-back of a shape that we do not know
└── Refused             with NewStore's `error_code`
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from gateway import call_errors
from gateway.call_errors import as_code
from gateway.domain.deliveries import Operation

READABLE = frozenset(
    {
        "error_code", "error", "failed_shipments.error_code", "failed_shipments.product_id", "failed_items.error_code",
        "failed_items.product_id",
    }
)  # fmt: skip
"""What of an answer is shown to everybody who may look."""


class NotReached(call_errors.NotSent):
    pass


class Blocked(call_errors.Throttled):
    pass


class Disliked(call_errors.CallError):
    pass


class Retired(call_errors.CallError):
    """`is_whole`: the operation is gone for every request, and not only for this one."""

    def __init__(self, status: int, body: bytes, *, is_whole: bool) -> None:
        gone = "it has this operation no more" if is_whole else "it takes it from others, and not for this request"
        super().__init__(f"NewStore answered {status}: {gone}", status, body)
        self.is_whole = is_whole


class Unauthorized(call_errors.CallError):
    pass


class Unreadable(call_errors.CallError):
    pass


class Refused(call_errors.Refused):
    """`code` is NewStore's `error_code`, empty where it gave none that is one."""

    def __init__(self, detail: str, status: int, body: bytes, code: str) -> None:
        super().__init__(detail, status, body)
        self.code = code


@dataclass(frozen=True, slots=True)
class Code:
    """One error code: what it means, what it counts as for the operation `of`, and how certain that is.

    "done" after a doubt: an earlier try arrived, which the read-back still has to prove. "done_always": nothing is left
    to do, whoever did it. "no": a refusal.
    """

    code: str
    of: Operation | None
    means: str
    counts_as: Literal["done", "done_always", "no"]
    source: str


_GUIDE, _CLIENT = "documented", "seen in client code"
_NEWER = "documented for the newer API by item id"
_LIKE = "inferred from its siblings"


def _both(code: str, of: Operation, means: str, source: str) -> Iterator[Code]:
    """Give the rows of a code that the newer API says of an item, and its siblings of several."""
    yield Code(code, of, means, "done", source)
    yield Code(f"item_{code}", of, means, "done", _NEWER)
    yield Code(f"items_{code}", of, means, "done", _LIKE)


_CODES = (
    Code("already_acknowledged", Operation.ACKNOWLEDGE, "the request is accepted", "done_always", _LIKE),
    Code("already_accepted", Operation.ACKNOWLEDGE, "the request is accepted", "done_always", _LIKE),
    Code("already_shipped", Operation.ACKNOWLEDGE, "it ships, so it needs no acceptance", "done_always", _GUIDE),
    *_both("already_shipped", Operation.SHIP, "the units are shipped", _CLIENT),
    *_both("already_rejected", Operation.REJECT, "the units are rejected", _CLIENT),
    *_both("already_canceled", Operation.CANCEL, "the units are cancelled", _LIKE),
    *_both("already_cancelled", Operation.CANCEL, "the units are cancelled", _LIKE),
    Code("fulfillment_request_invalid", None, "the request can't take this", "no", _NEWER),
    Code("conflicting_items", None, "a unit is named twice, or is something else by now", "no", _NEWER),
    Code("invalid_item", None, "the request has no such unit", "no", _NEWER),
    Code("shipment_notification_conversion_failed", None, "the shipment can't be read", "no", _NEWER),
    Code("resource_not_found", None, "there is no such request, or not yet", "no", _CLIENT),
)
CODES: dict[tuple[str, Operation | None], Code] = {(each.code, each.of): each for each in _CODES}
"""All codes that are known, by what they are and the operation that they say is done; any other is a refusal."""


def is_done(code: str, operation: Operation, *, doubt: bool) -> bool:
    """Tell whether a refusal by this code says that the operation was done before."""
    known = CODES.get((code.lower(), operation))
    return known is not None and (known.counts_as == "done_always" or (known.counts_as == "done" and doubt))


def read_json(body: bytes) -> Any:
    """Read an answer; None where it is no JSON."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def code_of(body: bytes) -> str:
    """Find the error code in a body of any of the shapes that NewStore's APIs have; its texts stay in the body."""
    told = read_json(body)
    return as_code(told.get("error_code") or told.get("error")) if isinstance(told, dict) else ""


def says_no(told: Any) -> bool:
    """Tell whether an answer says that nothing came of it, whatever its status."""
    return isinstance(told, dict) and str(told.get("success", True)).lower() in {"false", "0"}
