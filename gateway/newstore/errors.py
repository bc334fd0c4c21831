"""What NewStore adds to the ways a call can fail (see `gateway/calls.py`).

CallError
├── NotSent
│   └── Throttled
│       └── Blocked     403 without JSON: this address is blocked for five minutes
├── Unauthorized        the credentials or the token endpoint are wrong: mend the settings, then try again
├── Unreadable          a read-back of a shape that we do not know
└── Refused             with NewStore's `error_code`
"""

import orjson

from gateway import calls
from gateway.calls import as_code

READABLE = frozenset(
    {
        "error_code", "error", "failed_shipments.error_code", "failed_shipments.product_id", "failed_items.error_code",
        "failed_items.product_id",
    }
)  # fmt: skip
"""What of an answer is shown to everybody who may look."""


class Blocked(calls.Throttled):
    pass


class Unauthorized(calls.CallError):
    pass


class Unreadable(calls.CallError):
    pass


class Refused(calls.Refused):
    """`code` is NewStore's `error_code`, empty where it gave none that is one."""

    def __init__(self, detail: str, status: int, body: bytes, code: str) -> None:
        super().__init__(detail, status, body)
        self.code = code


def code_of(body: bytes) -> str:
    """Find the error code in a body of any of the shapes that NewStore's APIs have; its texts stay in the body."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return as_code(told.get("error_code") or told.get("error")) if isinstance(told, dict) else ""
