"""How a call to the outside can fail, named by what to do about it; who is called adds what only it knows.

CallError
├── NotSent          it never left, or was answered with "not now": try again
│   ├── Throttled    … not before `retry_after` seconds
│   └── NotYet       … not before what went before it is shown
├── Unknown          it may have happened: find out before anything else
│   └── Redirected   … the answer sends us elsewhere: never followed
├── Inconclusive     the answer is none to what was asked: it tells nothing
└── Refused          the answer is no, for good: a person must look
    └── Disputed     … or what else was said makes that doubtful
"""

import re

import aiohttp

MOST_BYTES = 65_536
"""Of an answer whose status says it all; what comes after them is not read."""

# In capitals only with an underscore: a name alone may be written so, as ADA.
_CODE = re.compile("(?=.{1,60}$)([a-z][a-z0-9_.-]*|[A-Z][A-Z0-9]*(_[A-Z0-9]+)+)")
_MOST_SECONDS = 600.0
_SECONDS = 5.0  # where a 429 does not say how long


class CallError(Exception):
    """A call that was not taken; `status` and `body` are the answer, where there was one."""

    def __init__(self, detail: str, status: int | None = None, body: bytes | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.status = status
        self.body = body and body[:MOST_BYTES]


class NotSent(CallError):
    pass


class Throttled(NotSent):
    def __init__(self, retry_after: float, status: int, body: bytes | None = None) -> None:
        super().__init__(f"not before {retry_after:g} s from now", status, body)
        self.retry_after = retry_after


class NotYet(NotSent):
    pass


class Unknown(CallError):
    pass


class Redirected(Unknown):
    def __init__(self, status: int, body: bytes | None = None) -> None:
        super().__init__(
            f"answered {status}: a redirect is not followed, correct the URL in the settings", status, body
        )


class Inconclusive(CallError):
    pass


class Refused(CallError):
    pass


class Disputed(Refused):
    pass


def as_code(said: object) -> str:
    """Give a code that a program says, as `already_shipped` or `OUT_OF_STOCK`; empty for what may tell of a person."""
    return said if isinstance(said, str) and _CODE.fullmatch(said) else ""


async def read_at_most(content: aiohttp.StreamReader, most: int) -> bytes:
    """Read a body; of one that is longer, that many bytes."""
    body = bytearray()
    async for chunk in content.iter_any():
        body += chunk
        if len(body) >= most:
            break
    return bytes(body[:most])


def retry_after(text: str) -> float:
    """Read a `Retry-After` header: seconds, from 1 to 600."""
    return min(max(float(text), 1.0), _MOST_SECONDS) if text.isascii() and text.isdigit() else _SECONDS
