"""Who answers like a Postgres, asks for the password in clear, and remembers what it was told."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from .proxies import listening

NETWORK = "127.1"
"""This machine by a name that is not known for a loopback address, as any host of a network."""
_SSL_REQUEST = b"\x04\xd2\x16\x2f"
_PASSWORD_IN_CLEAR = b"R\0\0\0\x08\0\0\0\x03"


@dataclass
class FalseServer:
    """Without a context it has no TLS."""

    context: ssl.SSLContext | None = None
    port: int = 0
    asked: int = 0
    told: bytes = b""

    @asynccontextmanager
    async def running(self) -> AsyncIterator["FalseServer"]:
        async with listening(self._serve) as self.port:
            yield self

    def dsn(self, host: str = NETWORK, query: str = "") -> str:
        return f"postgresql://gateway:hunter2@{host}:{self.port}/gateway{query}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            first = await _message(reader)
            if first == _SSL_REQUEST:
                self.asked += 1
                writer.write(b"S" if self.context else b"N")
                if self.context:
                    await writer.start_tls(self.context)
                first = await _message(reader)
            self.told += first
            writer.write(_PASSWORD_IN_CLEAR)
            self.told += await reader.readexactly(1) + await _message(reader)
        except (asyncio.IncompleteReadError, ssl.SSLError):
            return


async def _message(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(4), "big")
    return await reader.readexactly(size - 4)
