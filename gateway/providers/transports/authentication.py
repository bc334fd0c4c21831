"""How a call to a provider shows whose it is: a key, a name and password, a token that is got first, or a signature."""

import asyncio
import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote_plus, urlencode

import aiohttp

from gateway.call_errors import NotSent, Unknown
from gateway.providers import answers
from gateway.settings import Secret
from gateway.settings.secret import MASK

from . import http

_TOKEN_SECONDS = 300.0  # that a token lasts whose endpoint does not say it
_RENEWED_BEFORE = 60.0  # seconds before its end, or half of its life


class Authentication(Protocol):
    """What all calls to one provider are shown by."""

    async def headers(self, body: bytes) -> Mapping[str, str]:
        """Give the headers for a call with this body, which is empty where it has none. Raises `NotSent`."""

    @property
    def masked(self) -> Mapping[str, str]:
        """Show these headers to a person, without what is secret."""

    def renew(self) -> bool:
        """Forget what was refused with 401; tells whether another try would show something else."""


@dataclass(frozen=True, slots=True)
class Key:
    """The same header each time: a bearer token, or whatever the provider calls its key."""

    secret: Secret
    header: str = "Authorization"
    scheme: str = "Bearer"

    async def headers(self, _: bytes) -> Mapping[str, str]:
        return {self.header: behind(self.scheme, self.secret.reveal())}

    @property
    def masked(self) -> Mapping[str, str]:
        return {self.header: behind(self.scheme, MASK)}

    def renew(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Basic:
    """A name and a password, as UTF-8."""

    user: str
    secret: Secret

    async def headers(self, _: bytes) -> Mapping[str, str]:
        pair = f"{self.user}:{self.secret.reveal()}".encode()
        return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}

    @property
    def masked(self) -> Mapping[str, str]:
        return {"Authorization": f"Basic {MASK}"}

    def renew(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Signature:
    """An HMAC of the body under a secret that both have."""

    secret: Secret
    header: str
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""

    async def headers(self, body: bytes) -> Mapping[str, str]:
        return {self.header: sign(self.secret, body, self.algorithm, self.encoding, self.prefix)}

    @property
    def masked(self) -> Mapping[str, str]:
        return {self.header: behind(self.prefix, MASK)}

    def renew(self) -> bool:
        return False


def sign(secret: Secret, body: bytes, algorithm: str, encoding: str, prefix: str = "") -> str:
    """Write the HMAC of a body, in hex or base64 and behind a prefix."""
    digest = hmac.digest(secret.reveal().encode(), body, algorithm)
    return behind(prefix, digest.hex() if encoding == "hex" else base64.b64encode(digest).decode())


def behind(prefix: str, shown: str) -> str:
    """Write what is shown behind a prefix: a blank follows one that ends as a word does, as `Token`, not `sha256=`."""
    return f"{prefix} {shown}" if prefix[-1:].isalnum() else prefix + shown


class ClientCredentials:
    """An OAuth 2.0 token that this client gets for itself, and anew shortly before its end (RFC 6749, 4.4)."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        url: str,
        client_id: str,
        secret: Secret,
        *,
        scope: str = "",
        in_body: bool = False,
        seconds: float = 15.0,
    ) -> None:
        """Most endpoints want the client's id and secret as Basic; some only in the form (`in_body`)."""
        self._session = session
        self._url = url
        self._client_id = client_id
        self._secret = secret
        self._scope = scope
        self._in_body = in_body
        self._seconds = seconds
        self._token = ""
        self._ends = 0.0
        self._refreshing = asyncio.Lock()

    async def headers(self, _: bytes) -> Mapping[str, str]:
        async with self._refreshing:  # many calls that need one wait for the same
            now = asyncio.get_running_loop().time()
            if not self._token or now >= self._ends:
                self._token, lifetime = await self._new()
                self._ends = now + max(lifetime - _RENEWED_BEFORE, lifetime / 2)
            return {"Authorization": f"Bearer {self._token}"}

    @property
    def masked(self) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {MASK}"}

    def renew(self) -> bool:
        had, self._token = self._token, ""
        return bool(had)

    async def _new(self) -> tuple[str, float]:
        form = {"grant_type": "client_credentials"}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        if self._scope:
            form["scope"] = self._scope
        if self._in_body:
            form |= {"client_id": self._client_id, "client_secret": self._secret.reveal()}
        else:
            headers |= await Basic(quote_plus(self._client_id), self._secret).headers(b"")
        body = urlencode(form).encode()
        try:
            status, answer = await http.call(self._session, "POST", self._url, headers, body, seconds=self._seconds)
        except Unknown as error:
            raise NotSent(f"no token: {error.detail}") from error  # asking for one changes nothing
        if status != 200:
            raise NotSent(f"no token: the token endpoint answered {status}: check token_url, client_id and its secret")
        return _token_in(answer)


def _token_in(answer: bytes) -> tuple[str, float]:
    try:
        told: Any = answers.decoded(answer)
        token, lifetime = str(told["access_token"]), float(told.get("expires_in") or _TOKEN_SECONDS)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NotSent("no token: the token endpoint answered something else: check token_url") from error
    if not (token and token.isascii() and token.isprintable()):
        raise NotSent("no token: the token endpoint gave one that no header can carry")
    return token, lifetime


async def call(
    session: aiohttp.ClientSession,
    shown_by: Authentication,
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes | None = None,
    seconds: float,
) -> tuple[int, bytes]:
    """Make a call as `http.call` does; a 401 to a token is tried once more with a fresh one, as it did nothing."""
    deadline = asyncio.get_running_loop().time() + seconds
    for is_first in (True, False):
        shown = {**headers, **await shown_by.headers(body or b"")}
        left = max(deadline - asyncio.get_running_loop().time(), 0.001)
        status, answer = await http.call(session, method, url, shown, body, seconds=left)
        if status != 401 or not (is_first and shown_by.renew()):
            break
    return status, answer
