"""What providers call: messages, questions and tokens. A 2xx to a message means: committed."""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial

from aiohttp import web

from gateway.api_shapes import CallbackReceipt
from gateway.providers.port import Adapter, Admission, Heard, Message, Place, Reply, Use
from gateway.web.answers import ECHO, WORDING, Problem, Wording, answer, json_answer
from gateway.web.bodies import read_body
from gateway.web.keys import count_use
from gateway.web.timeouts import within

from .context import CONTEXT, STORE_SECONDS, IntakeContext, failed
from .reported import reported

_LONGEST_SIGN_IN = 16_384  # bytes


class _NotTheirs(Problem):
    """The key is not the provider's; `shown` where there was one."""

    def __init__(self, *, shown: bool) -> None:
        super().__init__(401, "the key or signature is not this provider's; check it and the clock")
        self.shown = shown


async def call_back(request: web.Request) -> web.Response:
    """Store what a provider says and tell what came of it, or answer what it asks."""
    context, name = request.app[CONTEXT], request.match_info["provider"]
    adapter = context.hearing.adapters.get(name)
    if adapter is None:
        raise Problem(404, f"{request.path[:ECHO]} names no provider of this gateway; correct the callback URL")
    _word_as(request, adapter, None)
    path = request.rel_url.raw_path.split("/", 3)[3]
    place = _place(adapter, request, path)
    _word_as(request, adapter, place)
    match place.use:
        case Use.GREETS:
            return web.Response()
        case Use.SIGNS_IN:
            return await _signed_in(context, name, adapter, request)
        case Use.ASKS:
            message = await _proved(context, name, adapter, request, path)
            told = await within(STORE_SECONDS, reported(context.pool, name, adapter.asks(message)))
            return _written(adapter.tell(message, told))
        case Use.SAYS:
            message = await _proved(context, name, adapter, request, path)
            heard = await within(STORE_SECONDS, context.hearing.hear(name, message))
            reply = adapter.answer(message, heard)
            return _written(reply) if reply else _answered(heard)


def _place(adapter: Adapter, request: web.Request, path: str) -> Place:
    """Find what is called."""
    here = {each.method: each for each in adapter.places if each.parts(path) is not None}
    if request.method in here:
        return here[request.method]
    shown = request.path[:ECHO]
    if here:
        allowed = ", ".join(sorted(here))
        raise Problem(405, f"{request.method[:ECHO]} is not for {shown}; use {allowed}", Allow=allowed)
    raise Problem(404, f"nothing is served at {shown}; compare the URL with /openapi.json of the internal listener")


async def _signed_in(context: IntakeContext, name: str, adapter: Adapter, request: web.Request) -> web.Response:
    """Give a token; a wrong guess is answered ever more slowly."""
    limit = min(_LONGEST_SIGN_IN, context.settings.body_limit)
    body = await read_body(request, limit, context.body_seconds, context.unproved)
    reply = adapter.sign_in(Message(body, datetime.now(UTC), headers=request.headers))
    if reply is None:
        await failed(context, request, "providers", name)
        raise _NotTheirs(shown=True)
    return _written(reply)


async def _proved(context: IntakeContext, name: str, adapter: Adapter, request: web.Request, path: str) -> Message:
    """Read what the provider says, once its key is right; a signature is told by the body alone."""
    shown = any(header in request.headers for header in adapter.credentials)
    admission = adapter.admit(request.headers, time.time())
    if admission is Admission.EXPIRED:
        raise _NotTheirs(shown=shown)
    if admission is Admission.REFUSED:
        if shown:
            await failed(context, request, "providers", name)
        raise _NotTheirs(shown=shown)
    unproved = None if admission is Admission.PROVED else context.unproved
    body = await read_body(request, context.settings.body_limit, context.body_seconds, unproved)
    message = Message(body, datetime.now(UTC), "", request.headers, request.method, path)
    proof = adapter.authentic(message)
    if proof is None:
        await failed(context, request, "providers", name)
        raise _NotTheirs(shown=shown)
    count_use("providers", name, proof.key)
    return Message(body, message.at, proof.name, request.headers, request.method, path)


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


def _word_as(request: web.Request, adapter: Adapter, place: Place | None) -> None:
    """Have whatever goes wrong from here on told in the adapter's words."""
    wording: Wording = partial(_worded, adapter, place)
    request[WORDING] = wording


def _worded(adapter: Adapter, place: Place | None, problem: Problem) -> web.Response:
    """Tell in the adapter's words, where it has some, why a call was turned away."""
    status = 403 if isinstance(problem, _NotTheirs) and problem.shown else problem.status
    reply = adapter.refusal(place, status, str(problem))
    if reply is None:
        return answer(problem)
    response = _written(reply)
    response.headers.update(problem.headers)
    if problem.closes:
        response.force_close()
    return response


def _written(reply: Reply) -> web.Response:
    return web.Response(body=reply.body, status=reply.status, headers=reply.headers, content_type=reply.content_type)
