"""How a call to NewStore can fail, named by what to do about it.

CallError
├── NotSent           it never left: try again
├── Throttled         429: try again after `retry_after` seconds
│   └── Blocked       403 without JSON: this address is blocked for five minutes
├── Unauthorized      the credentials or the token endpoint are wrong: mend the settings, then try again
├── Refused           NewStore said no, for good
├── Unreadable        a read-back of a shape that we do not know
└── Unknown           it may have happened: read back before anything else
"""

import orjson


class CallError(Exception):
    """A call that was not taken; `status` and `body` are NewStore's answer, where there was one."""

    def __init__(self, detail: str, status: int | None = None, body: bytes | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.body = body


class NotSent(CallError):
    pass


class Throttled(CallError):
    def __init__(self, retry_after: float, status: int, body: bytes | None = None) -> None:
        super().__init__(f"not before {retry_after:g} s from now", status, body)
        self.retry_after = retry_after


class Blocked(Throttled):
    pass


class Unauthorized(CallError):
    pass


class Refused(CallError):
    """`code` is NewStore's `error_code`, empty where it gave none."""

    def __init__(self, detail: str, status: int, body: bytes, code: str) -> None:
        super().__init__(detail, status, body)
        self.code = code


class Unreadable(CallError):
    pass


class Unknown(CallError):
    pass


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
    return (code if isinstance(code, str) else "")[:100], text.replace("\0", "")[:300]
