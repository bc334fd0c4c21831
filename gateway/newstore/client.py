"""The client of NewStore's fulfillment provider API. Its writes go by product id, one entry per unit."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from gateway.calls import MOST_BYTES, NotSent, Redirected, Throttled, Unknown, as_code, read_at_most, retry_after
from gateway.domain.commands import Key
from gateway.domain.deliveries import Operation, Parcel, normal
from gateway.settings import NewStore
from gateway.telemetry import metrics, trace

from .errors import Blocked, Refused, Unauthorized, Unreadable, code_of

_BLOCKED_SECONDS = 300.0
_NEXT_TOKEN = 30.0  # seconds after a fresh token was refused too: a missing scope gets no better by asking again
_MOST_SHOWN = 16 * 1_048_576  # bytes of a read-back: 1,600 for each of 10,000 units, and one seen has 190


@dataclass(frozen=True, slots=True)
class ReadBack:
    """One read-back resource, and how certain NewStore's documents make us of it."""

    setting: str
    path: str
    taken: str
    refused: str
    certainty: str


# All that is assumed of the read-backs, in one place. Where a tenant has none, its settings say "off".
READ_BACKS: dict[Operation, ReadBack] = {
    Operation.SHIP: ReadBack("shipment", "shipment", "successful_shipments", "failed_shipments", "seen in client code"),
    Operation.CANCEL: ReadBack(
        "cancellation", "canceled_items", "canceled_items", "failed_items", "method documented, path inferred"
    ),
    Operation.REJECT: ReadBack("rejection", "reject_items", "rejected_items", "failed_items", "assumed"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What a read-back shows: units taken and units refused with the reason, by what NewStore counts them by.

    `refusals` is all that was said of the refused ones.
    """

    taken: Counter[Key] = field(default_factory=Counter)
    refused: dict[Key, tuple[int, str]] = field(default_factory=dict)
    refusals: bytes = b""


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
        self.calls: Counter[str] = Counter()

    def is_verifiable(self, operation: Operation) -> bool:
        """Tell whether this tenant has a read-back for the operation."""
        return self._settings.read_back[READ_BACKS[operation].setting] != "off"

    async def check(self) -> None:
        """Get a token, to see that the credentials are right."""
        await self._bearer(None, self._ends())

    async def acknowledge(self, request_id: str) -> int:
        """Accept the request. One that has shipped already needs no acceptance any more."""
        try:
            return await self._write("acknowledge", request_id, "acknowledgement", {})
        except Refused as refused:
            if refused.code == "already_shipped":
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

    async def read_back(self, operation: Operation, request_id: str) -> Shown | None:
        """Read what NewStore made of the reports of one kind; None while it shows nothing (404)."""
        resource = READ_BACKS[operation]
        status, body = await self._call("GET", f"read_{operation}", request_id, resource.path, None)
        if status == 404:
            return None
        if len(body) > _MOST_SHOWN:
            said = f"the read-back of {operation} is longer than {_MOST_SHOWN:,} bytes, and was not read to its end"
            raise Unreadable(said, status, body[:MOST_BYTES])
        if 400 <= status < 500 and status != 408:
            raise Unreadable(f"the read-back of {operation} answered {status}", status, body)
        _raise_for(status, body)
        try:
            told = orjson.loads(body)
            refused = told.get(resource.refused, [])
            return Shown(
                Counter(_key(entry, operation) for entry in told[resource.taken]),
                _refused(refused, operation),
                orjson.dumps({resource.refused: refused})[:MOST_BYTES] if refused else b"",
            )
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
            raise Unreadable(f"the read-back of {operation} has a shape we do not know", status, body) from error

    async def _write(self, name: str, request_id: str, resource: str, document: Mapping[str, Any]) -> int:
        status, body = await self._call("POST", name, request_id, resource, orjson.dumps(document))
        _raise_for(status, body)
        return status

    async def _call(
        self, method: str, name: str, request_id: str, resource: str, body: bytes | None
    ) -> tuple[int, bytes]:
        url = f"{self._settings.url.rstrip('/')}/v0/d/fulfillment_requests/{quote(request_id, safe='')}/{resource}"
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
        if answer.status == 429:
            raise Throttled(retry_after(answer.headers.get("Retry-After", "")), 429, body)
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
        if status >= 500:
            raise NotSent(f"no token: the token endpoint answered {status}", status, body)
        if status != 200:
            said = f"{status} {code_of(body)}".rstrip()
            raise Unauthorized(f"no token: {said}: check newstore.client_id and newstore.client_secret", status, body)
        try:
            told = orjson.loads(body)
            token, lifetime = str(told["access_token"]), float(told["expires_in"])
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            raise Unauthorized("the token endpoint answered something else than a token", status) from error
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


def _is_json(body: bytes) -> bool:
    return body.lstrip()[:1] in {b"{", b"["}


def _is_auth_failure(status: int, body: bytes) -> bool:
    return status == 401 or (status == 403 and _is_json(body))


def _key(entry: Mapping[str, Any], operation: Operation) -> Key:
    product = entry["product_id"]
    if not isinstance(product, str) or "\0" in product:
        raise TypeError("a product id is text that can be stored")
    if operation is Operation.SHIP:
        return (product, normal(entry.get("carrier")), normal(entry.get("tracking_code")))
    return (product, None, None)


def _refused(entries: Sequence[Mapping[str, Any]], operation: Operation) -> dict[Key, tuple[int, str]]:
    counted: dict[Key, tuple[int, str]] = {}
    for entry in entries:
        key = _key(entry, operation)
        reason = as_code(entry.get("error_code")) or "failed"
        counted[key] = (counted.get(key, (0, ""))[0] + 1, reason)
    return counted
