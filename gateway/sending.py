"""How calls leave: a session for each destination, where it may lead, and the last look before the bytes go out."""

import socket
import ssl
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.connector import Connection

from gateway import tls
from gateway.addresses import Forbidden, refuse
from gateway.call_errors import NotSent, Unknown

may_leave: ContextVar[Callable[[], bool]] = ContextVar("may_leave", default=lambda: True)
"""Set by whoever makes a call, for the task that makes it."""

# X509_V_ERR_… of OpenSSL
_EXPIRED = 10
_ANOTHER_NAME = {62, 64}
_UNKNOWN_ISSUER = {2, 18, 19, 20, 21}

_MISSES_OURS = "TLSV13_ALERT_CERTIFICATE_REQUIRED"  # before TLS 1.3 the alert is any failed handshake's


class NotDispatched(Exception):
    """Whoever makes the call may not do so any more, and has not begun to."""


class FencedRequest(aiohttp.ClientRequest):
    """A request that looks once more when its connection stands, with nothing to wait for before its bytes go out."""

    async def send(self, conn: Connection) -> aiohttp.ClientResponse:
        if not may_leave.get()():
            raise NotDispatched("this process stops, or may have lost the call, before it left")
        return await super().send(conn)


class Resolver(aiohttp.ThreadedResolver):
    """Finds the addresses of a name, if a destination can be at all of them."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        found = await super().resolve(host, port, family)
        refuse(each["host"] for each in found)
        return found


class Destination(Protocol):
    """What the settings say of how a destination is known, and how we are known there."""

    @property
    def ca(self) -> Path | None: ...

    @property
    def client_certificate(self) -> Path | None: ...

    @property
    def client_key(self) -> Path | None: ...


def session(to: Destination) -> aiohttp.ClientSession:
    """Make what all calls to one destination go through; to be closed by its owner."""
    of_its_own = to.ca or to.client_certificate
    context = tls.context(to.ca, to.client_certificate, to.client_key) if of_its_own else True  # the library's
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=context, resolver=Resolver()),
        request_class=FencedRequest,
        trust_env=False,
        middlewares=(_named,),
    )


async def _named(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """Say what a person can mend, which no caller could tell from a network that is away."""
    try:
        return await send(request)
    except Forbidden as error:
        raise NotSent(f"{request.url.host} {error}") from error
    except aiohttp.ClientConnectorCertificateError as error:
        raise NotSent(_wrong_certificate(error)) from error
    except aiohttp.ClientConnectorSSLError as error:
        raise NotSent(_turned_away(request, error.os_error)) from error
    except aiohttp.ClientOSError as error:
        if isinstance(error.__cause__, ssl.SSLError):  # a server may judge our certificate when it has our request
            raise Unknown(_turned_away(request, error.__cause__)) from error
        raise


def _wrong_certificate(error: aiohttp.ClientConnectorCertificateError) -> str:
    found = error.certificate_error
    code = found.verify_code if isinstance(found, ssl.SSLCertVerificationError) else 0
    said = found.verify_message if isinstance(found, ssl.SSLCertVerificationError) else type(found).__name__
    if code == _EXPIRED:
        why = "has expired: whoever runs it must renew it"
    elif code in _ANOTHER_NAME:
        why = "is for another name: correct the URL, or have that name put into the certificate"
    elif code in _UNKNOWN_ISSUER:
        why = f"is of an issuer unknown here ({said}): name its CA in the settings as ca"
    else:
        why = f"is not good ({said}): have it mended"
    return f"the certificate of {error.host}:{error.port} {why}"


def _turned_away(request: aiohttp.ClientRequest, error: OSError) -> str:
    reason = (isinstance(error, ssl.SSLError) and error.reason) or type(error).__name__
    if reason == _MISSES_OURS:
        return f"{request.url.host} wants to see a certificate of ours: name one as client_certificate and client_key"
    return f"no TLS with {request.url.host} ({reason}): check the URL, client_certificate and client_key"
