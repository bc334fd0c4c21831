"""How a call to the outside can fail, named by what to do about it; who is called adds what only it knows.

CallError
├── NotSent          it never left, or was answered with "not now": try again
│   ├── Throttled    … not before `retry_after` seconds
│   └── NotYet       … not before what went before it is shown
│       ├── NotThere … or not before somebody else has done it, who may take hours
│       └── Unmapped … or not before a person has said what the provider calls something
├── Unknown          it may have happened: find out before anything else
│   └── Redirected   … the answer sends us elsewhere: never followed
├── Inconclusive     the answer is none to what was asked: it tells nothing
└── Refused          the answer is no, for good: a person must look
    └── Disputed     … or what else was said makes that doubtful
"""

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp

MOST_BYTES = 65_536
"""Of an answer whose status says it all; what comes after them is not read."""

# In capitals only with an underscore: a name alone may be written so, as ADA.
_CODE = re.compile("(?=.{1,60}$)([a-z][a-z0-9_.-]*|[A-Z][A-Z0-9]*(_[A-Z0-9]+)+)")
_SECONDS = 5.0  # where a 429 does not say how long
_NUMBER = re.compile(r"\d{1,12}(\.\d{1,12})?", re.ASCII)

LONGEST_WAIT = 86_400.0
"""Seconds for which a destination is left alone because it said so; beyond them a person is asked."""


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
    """`doubt`: the answer does not say that nothing was done."""

    def __init__(self, retry_after: float, status: int, body: bytes | None = None, *, doubt: bool = False) -> None:
        super().__init__(f"not before {retry_after:g} s from now", status, body)
        self.retry_after = retry_after
        self.doubt = doubt


class NotYet(NotSent):
    pass


class NotThere(NotYet):
    pass


class Unmapped(NotYet):
    """`words` are those that nobody has mapped."""

    def __init__(self, detail: str, words: tuple[tuple[str, str], ...]) -> None:
        super().__init__(detail)
        self.words = words


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
    """Read a `Retry-After` header, which gives seconds or a date: for how long to wait, at least a second."""
    seconds = _seconds(text.strip())
    return _SECONDS if seconds is None else max(seconds, 1.0)


def _seconds(text: str) -> float | None:
    if _NUMBER.fullmatch(text):
        return float(text)
    moment = moment_of(text)
    return (moment - datetime.now(UTC)).total_seconds() if moment else None


def moment_of(text: str) -> datetime | None:
    """Read the date of a header, as HTTP writes it or ISO 8601 does; None where it is none."""
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            moment = read(text)
        except (ValueError, OverflowError):
            continue
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return None
