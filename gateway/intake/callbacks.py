"""Providers' callbacks. A 2xx means: committed."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime

from aiohttp import web

from gateway.api_shapes import CallbackReceipt
from gateway.providers.port import Adapter, Admission, Message
from gateway.web.answers import ECHO, Problem, answer, json_answer
from gateway.web.bodies import read_body
from gateway.web.keys import count_use
from gateway.web.timeouts import within

from .context import CONTEXT, STORE_SECONDS, IntakeContext, failed
from .hearing import Heard


async def call_back(request: web.Request) -> web.Response:
    """Store what a provider says, and say what came of it."""
    context, name = request.app[CONTEXT], request.match_info["provider"]
    adapter = context.hearing.adapters.get(name)
    if adapter is None:
        raise Problem(404, f"{request.path[:ECHO]} names no provider of this gateway; correct the callback URL")
    message = await _proved(context, name, adapter, request)
    return _answered(await within(STORE_SECONDS, context.hearing.hear(name, message)))


async def _proved(context: IntakeContext, name: str, adapter: Adapter, request: web.Request) -> Message:
    """Read what the provider says, once its key is right; a signature is told by the body alone."""
    admission = adapter.admit(request.headers, time.time())
    if admission is Admission.REFUSED:
        if any(header in request.headers for header in adapter.credentials):
            await failed(context, request, "providers", name)
        raise _not_theirs()
    unproved = None if admission is Admission.PROVED else context.unproved
    body = await read_body(request, context.settings.body_limit, context.body_seconds, unproved)
    message = Message(body, datetime.now(UTC), "", request.headers)
    proof = adapter.authentic(message)
    if proof is None:
        await failed(context, request, "providers", name)
        raise _not_theirs()
    count_use("providers", name, proof.key)
    return Message(body, message.at, proof.name, request.headers)


def _not_theirs() -> Problem:
    return Problem(401, "the key or signature is not this provider's; check it and the clock")


def _answered(heard: Sequence[Heard]) -> web.Response:
    """Tell what came of a message: of one that says one thing that thing, else all of them in their order."""
    if len(heard) != 1:
        is_done = all(each.status == 200 for each in heard)
        return json_answer(
            CallbackReceipt("several", "", results=[each.receipt for each in heard]), 200 if is_done else 202
        )
    status, told = heard[0].status, heard[0].receipt
    if status == 400:
        raise Problem(400, told.detail)
    if status > 400:
        return answer(Problem(status, told.detail), result=told.result, reason=told.reason)
    return json_answer(told, status)
