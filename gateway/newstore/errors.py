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

READABLE = frozenset({"error_code"})
"""What of an answer is shown to everybody who may look."""


class Blocked(calls.Throttled):
    pass


class Unauthorized(calls.CallError):
    pass


class Unreadable(calls.CallError):
    pass


class Refused(calls.Refused):
    """`code` is NewStore's `error_code`, empty where it gave none."""

    def __init__(self, detail: str, status: int, body: bytes, code: str) -> None:
        super().__init__(detail, status, body)
        self.code = code


def explain(body: bytes) -> tuple[str, str]:
    """Find code and text in an error body of any of the shapes that NewStore's APIs have."""
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        return "", ""
    if not isinstance(told, dict):
        return "", ""
    messages = told.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    texts = (told.get("error_description"), told.get("message"), told.get("detail"), first)
    text = next((each for each in texts if isinstance(each, str)), "")
    code = told.get("error_code") or told.get("error")
    return (code if isinstance(code, str) else "").replace("\0", "")[:100], text.replace("\0", "")[:300]
