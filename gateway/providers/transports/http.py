"""One call over HTTP, and what can be told of it whatever the provider is."""

from collections.abc import Mapping
from typing import NamedTuple, TypeVar

import aiohttp
import msgspec

from gateway import sending
from gateway.call_errors import CallError, NotSent, Redirected, Refused, Throttled, Unknown, read_at_most, retry_after
from gateway.providers import answers
from gateway.settings import Certificates, ProviderSettings
from gateway.telemetry import trace

Shape = TypeVar("Shape")
NOT_TAKEN = {401, 403, 404, 405, 408, 425}
"""What says that a write was set up wrongly, or comes at a bad time: nothing was done, and mending it helps."""
_THROTTLED = {429, 503}
_LONGEST_ANSWER = 4 * 1_048_576  # bytes; of one that fails as many are kept as of any


def session_to(provider: ProviderSettings) -> aiohttp.ClientSession:
    """Make what all calls to a provider go through, with its certificates; to be closed by its owner."""
    return sending.session(provider if isinstance(provider, Certificates) else Certificates())


class Answer(NamedTuple):
    """What came back; of its headers some providers need one, as `Location` or `ETag`."""

    status: int
    body: bytes
    headers: Mapping[str, str]


async def call(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    seconds: float,
) -> tuple[int, bytes]:
    """Make a call and give the status and body of its answer. Raises as `ask` does."""
    answer = await ask(session, method, url, headers, body, seconds=seconds)
    return answer.status, answer.body


async def ask(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes | None = None,
    *,
    seconds: float,
) -> Answer:
    """Make a call and give its answer. Raises a `CallError` where there is none to judge.

    That is `NotSent` where nothing has left, `Unknown` where it may have arrived, `Throttled`, and `Redirected`.
    """
    try:
        async with session.request(
            method,
            url,
            headers={**headers, **trace.headers()},
            data=body,
            timeout=aiohttp.ClientTimeout(total=seconds),
            allow_redirects=False,
        ) as answer:
            answered = await read_at_most(answer.content, _LONGEST_ANSWER)
    except aiohttp.ClientConnectorError as error:
        raise NotSent(
            f"can't be reached ({type(error).__name__}): check the URL of the provider, and that it runs"
        ) from error
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Unknown(f"no answer ({type(error).__name__})") from error
    if answer.status in _THROTTLED and (answer.status == 429 or "Retry-After" in answer.headers):
        raise Throttled(retry_after(answer.headers.get("Retry-After", "")), answer.status, answered)
    if 300 <= answer.status < 400:
        raise Redirected(answer.status, answered)
    return Answer(answer.status, answered, answer.headers)


def believed(status: int, body: bytes) -> object:
    """Read an answer to a write. Raises `Unknown` for what is no JSON: something before the provider may say it."""
    try:
        return answers.decoded(body)
    except ValueError as error:
        raise Unknown(f"answered {status} and no JSON: that is not the provider's word", status, body) from error


def answered(status: int, body: bytes, shape: type[Shape]) -> Shape:
    """Read an answer of this shape. Raises `Unknown` for any other, as `believed` does for what is no JSON."""
    try:
        return msgspec.json.decode(body, type=shape)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise Unknown(f"answered {status} and nothing of a known shape ({error})", status, body) from error


def failed(status: int, body: bytes) -> CallError:
    """Name a status that is no yes by what to do about it: find out, try again, or leave it to a person."""
    if status >= 500 or status < 400:
        return Unknown(f"answered {status}: it may have done it", status, body)
    if status in NOT_TAKEN:
        return NotSent(f"answered {status}: check the URL and the key of the provider", status, body)
    return Refused(f"answered {status}: it will not do this", status, body)
