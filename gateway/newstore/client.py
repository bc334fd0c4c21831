"""The client of NewStore's fulfillment provider API. Its writes go by product id, one entry per unit."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from gateway.call_errors import (
    MOST_BYTES,
    CallError,
    NotSent,
    Redirected,
    Throttled,
    Unknown,
    read_at_most,
    retry_after,
)
from gateway.domain.deliveries import Operation, Parcel
from gateway.settings import NewStore
from gateway.telemetry import metrics, trace

from .deprecations import Deprecations
from .errors import (
    Blocked,
    Disliked,
    NotReached,
    Refused,
    Retired,
    Unauthorized,
    Unreadable,
    code_of,
    is_done,
    read_json,
    says_no,
)
from .read_backs import NOWHERE, READ_BACKS, ReadBackPath, Shown, Taught, read_shown

_BLOCKED_SECONDS = 300.0
_PASSED_SECONDS = 5.0  # for which a probe stands for all others
_NEXT_TOKEN = 30.0  # seconds after a fresh token was refused too: a missing scope gets no better by asking again
_MOST_SHOWN = 16 * 1_048_576  # bytes of a read-back: 1,600 for each of 10,000 units, and one seen has 190
_NO_SUCH_PLACE = {405, 410, 501}
_NOBODY = "00000000-0000-4000-8000-000000000000"
"""The id of no request: what is read of it tells whether NewStore answers us, and nothing else."""
_PROBE = "probe"

_CREDENTIALS = "newstore.client_id and newstore.client_secret"
_TOKEN_URL = "newstore.token_url, which names the tenant (its realm)"  # noqa: S105 - a setting's name
_SUSPECTS = dict.fromkeys((400, 401, 403), _CREDENTIALS)


class Client:
    """Calls one tenant. `calls` counts every request made, by operation."""

    def __init__(self, session: aiohttp.ClientSession, settings: NewStore) -> None:
        self._session = session
        self._settings = settings
        self._timeout = aiohttp.ClientTimeout(total=settings.timeout)
        self._token: str | None = None
        self._token_ends = 0.0
        self._next_token_at = 0.0  # for the same refusal
        self._refreshing = asyncio.Lock()
        self._probing = asyncio.Lock()
        self._blocked_at = self._passed_at = float("-inf")
        self._deprecations = Deprecations()
        self._retired: dict[str, tuple[bool, float]] = {}
        self.taught = Taught()
        self.calls: Counter[str] = Counter()

    def is_verifiable(self, operation: Operation) -> bool:
        """Tell whether this tenant has a read-back for the operation, as far as is known."""
        is_off = self._settings.read_back[READ_BACKS[operation].setting] == "off"
        return not is_off and not self.taught.is_nowhere(operation)

    async def check(self) -> None:
        """Get a token, and read what can't be there. Raises `CallError` where what answers is not NewStore's API."""
        await self._bearer(None, self._ends())
        try:
            status, body = await self._call("GET", _PROBE, _NOBODY, "shipment", None)
        except Blocked as blocked:
            said = "newstore.url answered 403 without JSON: NewStore blocks this address, or that is not its API"
            raise NotSent(said, 403, blocked.body) from blocked
        except Unknown as error:
            raise NotSent(
                f"newstore.url gives no answer that is one: {error.detail}", error.status, error.body
            ) from error
        if status >= 500:
            raise NotSent(f"newstore.url answered {status}: NewStore's API is not there, or not well", status, body)
        if 200 <= status < 300 or _is_web_page(body):
            what = "a web page" if _is_web_page(body) else f"{status} for a request that can't be there"
            raise NotSent(f"newstore.url answered {what}: it is not NewStore's API", status, body)

    async def look(self) -> None:
        """Read what concerns no request, before anything is sent to a NewStore that was not well.

        Raises `NotReached`, `Blocked` or `Throttled`: then nothing else should be sent.
        """
        ends = self._ends()
        token = await self._bearer(None, ends)
        try:
            status, body = await self._probe(token, ends)
        except Throttled as throttled:
            throttled.doubt = False  # it was a read
            raise
        except CallError as error:
            raise NotReached(f"a read that went first: {error.detail}", error.status, error.body) from error
        if status >= 500:
            raise NotReached(f"a read that went first was answered {status}", status, body)

    async def acknowledge(self, request_id: str) -> int:
        """Accept the request. One that is accepted or has shipped already needs no acceptance any more."""
        try:
            return await self._write("acknowledge", request_id, "acknowledgement", {})
        except Refused as refused:
            if is_done(refused.code, Operation.ACKNOWLEDGE, doubt=False):
                return refused.status or 400
            raise

    async def ship(self, request_id: str, products: Sequence[str], parcel: Parcel) -> int:
        """Ship units in one parcel. Not idempotent: repeating it ships further units of the same product."""
        shipment = {"carrier": parcel.carrier, "tracking_code": parcel.tracking_code}
        if parcel.link:
            shipment["tracking_url"] = parcel.link
        line = {"product_ids": list(products), "shipment": shipment}
        return await self._write("ship", request_id, "shipment", {"line_items": [line]})

    async def reject(self, request_id: str, products: Sequence[str], reason: str) -> int:
        """Reject units, which NewStore reroutes; `no_inventory` also sets the DC's stock of them to zero."""
        missing = {"reason": str(reason), "product_ids": list(products)}
        return await self._write("reject", request_id, "reject_items", {"missing_items": [missing]})

    async def cancel(self, request_id: str, products: Sequence[str]) -> int:
        """Cancel units, which NewStore never reroutes."""
        return await self._write("cancel", request_id, "canceled_items", {"product_ids": list(products)})

    async def read_back(
        self, operation: Operation, request_id: str, *, overdue: bool = False, everywhere: bool = False
    ) -> Shown | None:
        """Read what NewStore made of the reports of one kind; None while it shows nothing.

        `overdue`: it should show something by now. Then, and where something depends on it, all paths are read.
        Gives `NOWHERE` where this tenant seems to show such reports at no path.
        """
        taught, unread, is_there, is_absent = self.taught, None, False, False
        paths = list(taught.paths(operation))
        if overdue or everywhere:
            paths += [each for each in READ_BACKS[operation].paths if each not in paths]
        for path in paths:
            try:
                shown = await self._shown_at(path, operation, request_id)
            except Unreadable as unreadable:
                unread = unreadable
                continue
            if shown is NOWHERE:
                taught.gone(operation)
                paths += [each for each in taught.paths(operation) if each not in paths]
            elif shown is None:
                is_absent = True
            elif not shown.is_empty:
                taught.found(operation, path.path)
                return shown
            else:
                is_there = True
        if unread:
            raise unread
        if is_there or (is_absent and not (overdue and taught.may_be_nowhere(operation))):
            return None
        taught.nowhere(operation, request_id)
        return NOWHERE

    async def _shown_at(self, path: ReadBackPath, operation: Operation, request_id: str) -> Shown | None:
        """Read one path: None is a 404 there, `NOWHERE` means that there is no such path."""
        status, body = await self._call("GET", f"read_{operation}", request_id, path.path, None)
        if status == 404:
            return None
        if status in _NO_SUCH_PLACE:
            return NOWHERE
        if len(body) > _MOST_SHOWN:
            said = f"the read-back of {operation} is longer than {_MOST_SHOWN:,} bytes, and was not read to its end"
            raise Unreadable(said, status, body[:MOST_BYTES])
        if 400 <= status < 500 and status != 408:
            raise Unreadable(f"the read-back of {operation} answered {status}", status, body)
        _raise_for(status, body)
        return read_shown(operation, path, status, body)

    async def _write(self, name: str, request_id: str, resource: str, document: Mapping[str, Any]) -> int:
        status, body = await self._call("POST", name, request_id, resource, orjson.dumps(document))
        if status == 410:
            raise Retired(status, body, is_whole=await self._is_retired(name, resource))
        if 200 <= status < 300 and says_no(read_json(body)):
            code = code_of(body)
            raise Refused(f"{status}, and success is false: {code}".rstrip(": "), status, body, code)
        if 200 <= status < 300 and _is_web_page(body):
            raise Unknown(f"answered {status} with a web page", status, body)
        _raise_for(status, body)
        return status

    async def _call(
        self, method: str, name: str, request_id: str, resource: str, body: bytes | None
    ) -> tuple[int, bytes]:
        url = self._url(request_id, resource)
        # The claim of a delivery outlives one call's time-out, with whatever tokens that call needs.
        ends = self._ends()
        token = await self._bearer(None, ends)
        status, answer = await self._send(method, name, url, token, body, ends=ends)
        if _is_auth_failure(status, answer):
            fresh = await self._bearer(token, ends)
            if fresh != token:
                status, answer = await self._send(method, name, url, fresh, body, ends=ends)
            if _is_auth_failure(status, answer):
                now = asyncio.get_running_loop().time()
                self._next_token_at = now + _NEXT_TOKEN if now >= self._next_token_at else self._next_token_at
                raise Unauthorized("NewStore refuses the token: check the API client and its scopes", status, answer)
        return status, answer

    async def _is_retired(self, name: str, resource: str) -> bool:
        """Tell whether an operation is gone for every request: then so it is for one that can't be there.

        Nothing can come of that: it names no request, and its body no unit.
        """
        async with self._probing:
            was, at = self._retired.get(name, (False, float("-inf")))
            if asyncio.get_running_loop().time() < at + _PASSED_SECONDS:
                return was
            try:
                status, _ = await self._call("POST", _PROBE, _NOBODY, resource, b"{}")
            except CallError:
                return False
            self._retired[name] = (status == 410, asyncio.get_running_loop().time())
            return status == 410

    def _url(self, request_id: str, resource: str) -> str:
        return f"{self._settings.url.rstrip('/')}/v0/d/fulfillment_requests/{quote(request_id, safe='')}/{resource}"

    def _ends(self) -> float:
        return asyncio.get_running_loop().time() + self._settings.timeout

    async def _send(
        self, method: str, name: str, url: str, token: str, body: bytes | None, *, ends: float
    ) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json", **trace.headers()}
        try:
            async with asyncio.timeout_at(ends):
                return await self._request(method, name, url, headers=headers, data=body)
        except TimeoutError as error:
            raise Unknown("no answer in time") from error
        except Blocked as blocked:
            if name == _PROBE or await self._is_blocked(token, ends):
                raise
            said = "NewStore's firewall turned this call away, while others pass"
            raise Disliked(f"{said}: show NewStore its body, then redrive it", 403, blocked.body) from blocked

    async def _is_blocked(self, token: str, ends: float) -> bool:
        """Tell whether NewStore turns a read away as well; many that ask at once are told by one."""
        try:
            async with asyncio.timeout_at(ends), self._probing:
                now = asyncio.get_running_loop().time()
                if now < max(self._blocked_at + _BLOCKED_SECONDS, self._passed_at + _PASSED_SECONDS):
                    return self._blocked_at > self._passed_at
                status, _ = await self._probe(token, ends)
        except (CallError, TimeoutError):
            return True
        return status >= 500

    async def _probe(self, token: str, ends: float) -> tuple[int, bytes]:
        loop = asyncio.get_running_loop()
        try:
            answer = await self._send("GET", _PROBE, self._url(_NOBODY, "shipment"), token, None, ends=ends)
        except Blocked:
            self._blocked_at = loop.time()
            raise
        if answer[0] < 500:
            self._passed_at = loop.time()
        return answer

    async def _request(self, method: str, name: str, url: str, **content: Any) -> tuple[int, bytes]:
        self.calls[name] += 1
        metrics.of(metrics.NEWSTORE_CALLS, name).inc()
        try:
            # encoded=True: an opaque id keeps its percent-encoding
            async with self._session.request(
                method, URL(url, encoded=True), timeout=self._timeout, allow_redirects=False, **content
            ) as answer:
                body = await read_at_most(answer.content, _MOST_SHOWN + 1 if method == "GET" else MOST_BYTES)
        except aiohttp.ClientConnectorError as error:
            why = f"NewStore can't be reached ({type(error).__name__})"
            raise NotSent(f"{why}: check newstore.url and newstore.token_url") from error
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unknown(f"no answer ({type(error).__name__})") from error
        if name != _PROBE:
            self._deprecations.notice(name, answer.headers)
        if answer.status == 429 or (answer.status == 503 and "Retry-After" in answer.headers):
            wait = retry_after(answer.headers.get("Retry-After", ""))
            raise Throttled(wait, answer.status, body, doubt=answer.status == 503)
        if answer.status == 403 and not _is_json(body):
            raise Blocked(_BLOCKED_SECONDS, 403, body)
        if 300 <= answer.status < 400:
            raise Redirected(answer.status, body)
        return answer.status, body

    async def _bearer(self, stale: str | None, ends: float) -> str:
        """Give a token that is good for a while, and not `stale`, which NewStore has just refused."""
        try:
            async with asyncio.timeout_at(ends):
                return await self._fresh(stale)
        except TimeoutError as error:
            raise NotSent("no token in time") from error

    async def _fresh(self, stale: str | None) -> str:
        async with self._refreshing:
            now = asyncio.get_running_loop().time()
            is_stale = self._token == stale and now >= self._next_token_at
            if self._token is None or is_stale or now >= self._token_ends:
                self._token, lifetime = await self._new_token()
                self._token_ends = now + max(lifetime - 60.0, lifetime / 2)
                metrics.TOKEN_EXPIRES.set(time.time() + lifetime)
            return self._token

    async def _new_token(self) -> tuple[str, float]:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._settings.client_id,
            "client_secret": self._settings.client_secret.reveal(),
        }
        try:
            status, body = await self._request("POST", "token", self._settings.token_url, data=form)
        except Unknown as error:
            raise NotSent(f"no token: {error.detail}") from error  # asking for a token changes nothing
        except Throttled as throttled:
            throttled.doubt = False
            raise
        if status >= 500:
            raise NotSent(f"no token: the token endpoint answered {status}", status, body)
        if status != 200:
            said = f"{status} {code_of(body)}".rstrip()
            raise Unauthorized(f"no token: {said}: check {_SUSPECTS.get(status, _TOKEN_URL)}", status, body)
        try:
            told = orjson.loads(body)
            token, lifetime = str(told["access_token"]), float(told["expires_in"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            said = f"the token endpoint answered something else than a token: check {_TOKEN_URL}"
            raise Unauthorized(said, status) from error
        if not (token.isascii() and token.isprintable()):
            raise Unauthorized("the token endpoint gave a token that no header can carry", status)
        return token, lifetime


def _raise_for(status: int, body: bytes) -> None:
    if 200 <= status < 300:
        return
    code = code_of(body)
    detail = f"{status} {code}".rstrip()
    if status >= 500 or status == 408:
        raise Unknown(detail, status, body)
    raise Refused(detail, status, body, code)


def _is_web_page(body: bytes) -> bool:
    return body.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")


def _is_json(body: bytes) -> bool:
    return body.lstrip()[:1] in {b"{", b"["}


def _is_auth_failure(status: int, body: bytes) -> bool:
    return status == 401 or (status == 403 and _is_json(body))
