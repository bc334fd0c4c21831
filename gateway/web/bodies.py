"""Read a body that may be too large, too slow, or broken."""

import asyncio

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from .answers import Problem, answer

_UNDERSTOOD = ("gzip", "deflate")


def not_understood() -> Problem:
    """Say which encodings of a body are."""
    encodings = ", ".join(_UNDERSTOOD)
    said = f"the body has a Content-Encoding that is not understood; send it plain, or as one of {encodings}"
    return Problem(415, said, closes=True, Accept_Encoding=encodings)


class Unproved:
    """The bodies of all whose signature is not checked yet: together they hold no more than so many bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._held: dict[asyncio.Timeout, int] = {}  # the oldest first

    @property
    def held(self) -> int:
        return sum(self._held.values())

    async def read(self, request: web.Request, limit: int, until: asyncio.Timeout) -> bytes:
        """Read a body part by part; where there is no room for more, the oldest of all ends."""
        parts = bytearray()
        try:
            async for part in request.content.iter_any():
                parts += part
                if len(parts) > limit:
                    raise _too_large(limit)
                self._held[until] = len(parts)
                self._make_room()
        finally:
            self._held.pop(until, None)
        return bytes(parts)

    def _make_room(self) -> None:
        """Let the oldest go: whoever means it sends a body in one go, and has long sent the whole of it."""
        while self.held > self._most:
            oldest = next(iter(self._held))
            del self._held[oldest]
            oldest.reschedule(asyncio.get_running_loop().time())


async def read_body(request: web.Request, limit: int, seconds: float, unproved: Unproved | None = None) -> bytes:
    """Read a whole body of at most `limit` bytes, decompressed, within `seconds`; `unproved` is for a signed one."""
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    if request.headers.get("Content-Encoding", "identity").lower() not in {"", "identity", *_UNDERSTOOD}:
        raise not_understood()
    try:
        if unproved is None and request.content.is_eof():  # the usual case: a timer costs more than the reading
            return await request.read()
        async with asyncio.timeout(seconds) as until:
            return await (unproved.read(request, limit, until) if unproved else request.read())
    except TimeoutError:
        await _hang_up(request, seconds)
        raise Problem(408, "the body came too slowly", closes=True) from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(limit) from None
    except (OSError, aiohttp.ClientError, web.RequestPayloadError, HttpProcessingError):
        raise Problem(400, "the body is broken off or badly encoded; send it again whole", closes=True) from None


def _too_large(limit: int) -> Problem:
    return Problem(413, f"the body is larger than {limit} bytes; send less in one message", closes=True)


async def _hang_up(request: web.Request, seconds: float) -> None:
    """Answer and close at once: aiohttp would go on listening to the sender for a while."""
    response = answer(Problem(408, f"the body took longer than {seconds:g} s; send it again, faster", closes=True))
    await response.prepare(request)
    await response.write_eof()
    if request.protocol is not None:
        request.protocol.force_close()
