"""Read a body that may be too large, too slow, or broken."""

import asyncio

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from .problems import Problem, answer


async def read_body(request: web.Request, limit: int, seconds: float) -> bytes:
    """Read a whole body of at most `limit` bytes, decompressed, within `seconds`."""
    too_large = Problem(413, f"the body is larger than {limit} bytes; send less in one message", closes=True)
    if (request.content_length or 0) > limit:
        raise too_large
    try:
        if request.content.is_eof():  # the usual case, and a timer for it costs more than the reading
            return await request.read()
        async with asyncio.timeout(seconds):
            return await request.read()
    except TimeoutError:
        await _hang_up(request, seconds)
        raise Problem(408, "the body came too slowly", closes=True) from None
    except web.HTTPRequestEntityTooLarge:
        raise too_large from None
    except (OSError, aiohttp.ClientError, web.RequestPayloadError, HttpProcessingError):
        raise Problem(400, "the body is broken off or badly encoded; send it again whole", closes=True) from None


async def _hang_up(request: web.Request, seconds: float) -> None:
    """Answer and close at once: aiohttp would go on listening to the sender for a while."""
    response = answer(Problem(408, f"the body took longer than {seconds:g} s; send it again, faster", closes=True))
    await response.prepare(request)
    await response.write_eof()
    if request.protocol is not None:
        request.protocol.force_close()
