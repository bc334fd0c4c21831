"""Providers' callbacks. A 2xx means: committed."""

import time
from datetime import UTC, datetime

from aiohttp import web

from gateway.api_shapes import CallbackReceipt
from gateway.domain.commands import ProviderSaid
from gateway.ledger import quarantine
from gateway.ledger.quarantine import Kept
from gateway.ledger.read import request_reads
from gateway.ledger.write.queued import Unstorable
from gateway.providers import CALLBACKS, contract
from gateway.providers.signatures import is_in_time, signed_id, signed_with
from gateway.settings import ProviderSettings
from gateway.telemetry import trace
from gateway.web.answers import ECHO, Problem, answer, json_answer
from gateway.web.bodies import read_body
from gateway.web.keys import bearer, count_use, key_among
from gateway.web.location_rules import with_location_rule
from gateway.web.receipts import callback_receipt, repeated_receipt
from gateway.web.timeouts import within

from .context import CONTEXT, STORE_SECONDS, IntakeContext, Message, failed, kept_malformed


async def call_back(request: web.Request) -> web.Response:
    """Store a provider's message and say what came of it."""
    context = request.app[CONTEXT]
    provider = context.settings.providers.get(request.match_info["provider"])
    if provider is None:
        raise Problem(404, f"{request.path[:ECHO]} names no provider of this gateway; correct the callback URL")
    body = await _proved_body(context, provider, request)
    came = Message(provider.name, body, datetime.now(UTC), signed_id(provider, request.headers))
    return await within(STORE_SECONDS, _hear(context, provider, came))


async def _proved_body(context: IntakeContext, provider: ProviderSettings, request: web.Request) -> bytes:
    """Read what the provider says, once its key is right; a signature is told by the body alone."""
    used = key_among(provider.callback_keys, bearer(request))
    if not (used or (provider.callback_secrets and is_in_time(request.headers, time.time()))):
        if bearer(request) or "webhook-signature" in request.headers:
            await failed(context, request, "providers", provider.name)
        raise _not_theirs()
    unproved = None if used else context.unproved
    body = await read_body(request, context.settings.body_limit, context.body_seconds, unproved)
    used = used or signed_with(provider.callback_secrets, request.headers, body, time.time())
    if not used:
        await failed(context, request, "providers", provider.name)
        raise _not_theirs()
    count_use("providers", provider.name, used)
    return body


def _not_theirs() -> Problem:
    return Problem(401, "the key or signature is not this provider's; check it and the clock")


async def _hear(context: IntakeContext, provider: ProviderSettings, came: Message) -> web.Response:
    try:
        said = CALLBACKS[provider.adapter](came.body, provider, came.at, came.name)
        trace.about(said.request_id, provider=provider.name)
        said = await with_location_rule(context.pool, context.settings, said)
        applied = await context.writer.apply(said, came.body)
    except contract.Malformed as error:
        raise await kept_malformed(context, came, "malformed", error) from error
    except Unstorable as error:
        raise await kept_malformed(context, came, "unstorable", error) from error
    trace.link(applied.trace)
    if applied.request is None:
        return await _keep_for_later(context, said, came.body)
    if applied.events:
        status, told = callback_receipt(said.request_id, applied.events)
    else:
        before = await request_reads.caused_by(context.pool, applied.request, said)
        status, told = repeated_receipt(said.request_id, before)
    if status >= 400:
        return answer(Problem(status, told.detail), result=told.result, reason=told.reason)
    return json_answer(told, status)


async def _keep_for_later(context: IntakeContext, said: ProviderSaid, body: bytes) -> web.Response:
    """Keep, commit, *then* look: the request may have been stored meanwhile, and its side looked before we kept."""
    detail = "nobody has this request yet; it is applied as soon as the request arrives"
    await quarantine.keep(
        context.pool,
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
    await context.apply_early_callbacks([said.request_id])
    return json_answer(CallbackReceipt("quarantined", said.request_id, "unknown_request", detail), 202)
