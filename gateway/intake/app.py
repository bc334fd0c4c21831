"""What the world sends: NewStore's fulfillment requests and providers' callbacks. A 2xx means: committed."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

import asyncpg
from aiohttp import web
from aiohttp.typedefs import Handler

from gateway.domain.commands import ProviderSaid
from gateway.ledger import quarantine
from gateway.ledger.quarantine import Kept
from gateway.ledger.read import stories
from gateway.ledger.write.entries import Unstorable
from gateway.ledger.write.writer import Writer
from gateway.newstore import webhook
from gateway.operations.access import Door, bearer, count_use, key_among
from gateway.providers import CALLBACKS, contract
from gateway.providers.signatures import is_in_time, signed_id, signed_with
from gateway.settings import Provider, Settings
from gateway.telemetry import metrics, trace
from gateway.web.answers import ECHO, Problem, answer, name_no_version, problems
from gateway.web.bodies import Unproved, read_body
from gateway.web.guessing import Guesses, address_of
from gateway.web.listening import MOST
from gateway.web.timeouts import within

from .early import with_location_rule
from .receipts import CallbackReceipt, callback_receipt, json_answer, receipt, repeated_receipt

Rejoin = Callable[[list[str]], Awaitable[None]]

_STORE_SECONDS = 4.5
_MOST_UNPROVED = 16 * 1_048_576  # bytes
_NOBODYS = frozenset({401, 403, 404, 405, 413, 415})  # whoever sends these has no say in what is traced
_FAULTS = frozenset({400, 422, 500, 503})


@dataclass(frozen=True, slots=True)
class Doors:
    """What the two doors need."""

    settings: Settings
    writer: Writer
    pool: asyncpg.Pool
    rejoin: Rejoin
    body_seconds: float
    draining: asyncio.Event
    guesses: Guesses
    unproved: Unproved = field(default_factory=lambda: Unproved(_MOST_UNPROVED))


@dataclass(frozen=True, slots=True)
class _Message:
    """A body that was read whole, before anything is known of its meaning."""

    source: str
    body: bytes
    at: datetime
    name: str = ""  # that its signature gives it


DOORS = web.AppKey("doors", Doors)


def public_app(
    settings: Settings,
    writer: Writer,
    pool: asyncpg.Pool,
    rejoin: Rejoin,
    body_seconds: float = 10.0,
    *,
    draining: asyncio.Event | None = None,
) -> web.Application:
    """Build the public listener; `rejoin` is called with ids whose messages came before the request."""
    app = web.Application(middlewares=[_count, problems], client_max_size=settings.body_limit)
    app.on_response_prepare.append(name_no_version)
    draining = draining or asyncio.Event()
    guesses = Guesses(MOST["public"] // 2, draining)
    app[DOORS] = Doors(settings, writer, pool, rejoin, body_seconds, draining, guesses)
    app.add_routes(
        [
            web.post("/newstore/{location}/fulfillment_requests", receive),
            web.post("/providers/{provider}/callbacks", call_back),
            web.get("/livez", livez, allow_head=False),
        ]
    )
    return app


async def livez(_request: web.Request) -> web.Response:
    return web.Response(text="alive\n")


async def receive(request: web.Request) -> web.Response:
    """Store a fulfillment request of NewStore, then say so."""
    doors = request.app[DOORS]
    location = doors.settings.locations.get(request.match_info["location"])
    if location is None:
        raise Problem(
            404, f"{request.path[:ECHO]} names no location of this gateway; correct the URL set up in NewStore"
        )
    key = bearer(request)
    if not (used := key_among(location.api_keys, key)):
        if key:
            await _failed(doors, request, "locations", location.id)
        raise Problem(401, "the key is not one of this location; send it as Bearer", WWW_Authenticate="Bearer")
    count_use("locations", location.id, used)
    body = await read_body(request, doors.settings.body_limit, doors.body_seconds)
    came = _Message(f"newstore:{location.id}", body, datetime.now(UTC))
    try:
        command = webhook.receive(body, came.at, location.id, location.provider)
        trace.about(command.request_id, location=location.id)
        applied = await doors.writer.apply(command, body)
    except webhook.Malformed as error:
        raise await _bad(doors, came, "malformed", error) from error
    except Unstorable as error:
        raise await _bad(doors, came, "unstorable", error) from error
    assert applied.request is not None  # noqa: S101 - Receive begins one
    return json_answer(receipt(command, applied.request, applied.events))


async def call_back(request: web.Request) -> web.Response:
    """Store a provider's message and say what came of it."""
    doors = request.app[DOORS]
    provider = doors.settings.providers.get(request.match_info["provider"])
    if provider is None:
        raise Problem(404, f"{request.path[:ECHO]} names no provider of this gateway; correct the callback URL")
    body = await _proved_body(doors, provider, request)
    came = _Message(provider.name, body, datetime.now(UTC), signed_id(provider, request.headers))
    return await within(_STORE_SECONDS, _hear(doors, provider, came))


async def _proved_body(doors: Doors, provider: Provider, request: web.Request) -> bytes:
    """Read what the provider says, once its key is right; a signature is told by the body alone."""
    used = key_among(provider.callback_keys, bearer(request))
    if not (used or (provider.callback_secrets and is_in_time(request.headers, time.time()))):
        if bearer(request) or "webhook-signature" in request.headers:
            await _failed(doors, request, "providers", provider.name)
        raise _not_theirs()
    unproved = None if used else doors.unproved
    body = await read_body(request, doors.settings.body_limit, doors.body_seconds, unproved)
    used = used or signed_with(provider.callback_secrets, request.headers, body, time.time())
    if not used:
        await _failed(doors, request, "providers", provider.name)
        raise _not_theirs()
    count_use("providers", provider.name, used)
    return body


async def _failed(doors: Doors, request: web.Request, door: Door, name: str) -> None:
    await doors.guesses.failed(door, address_of(request, doors.settings.trusted_proxies), name)


def _not_theirs() -> Problem:
    return Problem(401, "the key or signature is not this provider's; check it and the clock")


async def _hear(doors: Doors, provider: Provider, came: _Message) -> web.Response:
    try:
        said = CALLBACKS[provider.adapter](came.body, provider, came.at, came.name)
        trace.about(said.request_id, provider=provider.name)
        said = await with_location_rule(doors.pool, doors.settings, said)
        applied = await doors.writer.apply(said, came.body)
    except contract.Malformed as error:
        raise await _bad(doors, came, "malformed", error) from error
    except Unstorable as error:
        raise await _bad(doors, came, "unstorable", error) from error
    trace.link(applied.trace)
    if applied.request is None:
        return await _keep_for_later(doors, said, came.body)
    if applied.events:
        status, told = callback_receipt(said.request_id, applied.events)
    else:
        before = await stories.caused_by(doors.pool, applied.request, said)
        status, told = repeated_receipt(said.request_id, before)
    if status >= 400:
        return answer(Problem(status, told.detail), result=told.result, reason=told.reason)
    return json_answer(told, status)


async def _keep_for_later(doors: Doors, said: ProviderSaid, body: bytes) -> web.Response:
    """Keep, commit, *then* look: the request may have been stored meanwhile, and its side looked before we kept."""
    detail = "nobody has this request yet; it is applied as soon as the request arrives"
    await quarantine.keep(
        doors.pool,
        Kept(
            source=said.provider,
            event_id=said.cause,
            fingerprint=said.fingerprint,
            request_id=said.request_id,
            reason="unknown_request",
            detail=detail,
            at=said.at,
            body=body,
            command=said,
        ),
    )
    await doors.rejoin([said.request_id])
    return json_answer(CallbackReceipt("quarantined", said.request_id, "unknown_request", detail), 202)


async def _bad(doors: Doors, came: _Message, reason: str, error: Exception) -> Problem:
    """Keep the raw bytes of what can't be read, and give the 400 that says why."""
    detail = str(error).encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
    fingerprint = sha256(came.body).hexdigest()
    kept = Kept(came.source, came.name or fingerprint, fingerprint, None, reason, detail, came.at, came.body)
    await within(_STORE_SECONDS, quarantine.keep(doors.pool, kept))
    return Problem(400, detail)


@web.middleware
async def _count(request: web.Request, handler: Handler) -> web.StreamResponse:
    started = time.perf_counter()
    doors, named = request.app[DOORS], request.match_info
    settings = doors.settings
    location, provider = named.get("location"), named.get("provider")
    span = None
    if location or provider:
        name: trace.Name = "request.receive" if location else "callback.receive"
        span = trace.receive(name, request.headers.get("traceparent"))
    response = await handler(request)
    if doors.draining.is_set():
        response.force_close()  # what the sender has more goes to another process
    kept = None
    if response.status not in _NOBODYS:
        kept = trace.end(span, failed=response.status in _FAULTS, status=response.status)
    if location is not None:
        label = location if location in settings.locations else metrics.UNKNOWN
        metrics.of(metrics.INGEST_ANSWERS, label, str(response.status)).inc()
        if response.status == 200:
            metrics.ACK_SECONDS.observe(time.perf_counter() - started, kept)
    elif provider is not None:
        label = provider if provider in settings.providers else metrics.UNKNOWN
        metrics.of(metrics.CALLBACK_ANSWERS, label, str(response.status)).inc()
    return response
