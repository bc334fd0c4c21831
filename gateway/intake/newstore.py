"""NewStore's webhook: fulfillment requests. A 200 means: committed."""

from datetime import UTC, datetime

from aiohttp import web

from gateway.bearer import bearer, key_among
from gateway.ledger.write.queued import Unstorable
from gateway.newstore import webhook
from gateway.telemetry import trace
from gateway.web.answers import ECHO, Problem, json_answer
from gateway.web.bodies import read_body
from gateway.web.keys import count_use
from gateway.web.receipts import receipt

from .context import CONTEXT, failed, kept_malformed


async def receive(request: web.Request) -> web.Response:
    """Store a fulfillment request of NewStore, then say so."""
    context = request.app[CONTEXT]
    location = context.settings.locations.get(request.match_info["location"])
    if location is None:
        raise Problem(
            404, f"{request.path[:ECHO]} names no location of this gateway; correct the URL set up in NewStore"
        )
    key = bearer(request.headers)
    if not (used := key_among(location.api_keys, key)):
        if key:
            await failed(context, request, "locations", location.id)
        raise Problem(401, "the key is not one of this location; send it as Bearer", WWW_Authenticate="Bearer")
    count_use("locations", location.id, used)
    body = await read_body(request, context.settings.body_limit, context.body_seconds)
    source, at = f"newstore:{location.id}", datetime.now(UTC)
    try:
        command = webhook.receive(body, at, location.id, location.provider)
        trace.about(command.request_id, location=location.id)
        applied = await context.writer.apply(command, body)
    except webhook.Malformed as error:
        raise await kept_malformed(context, source, body, at=at, reason="malformed", error=error) from error
    except Unstorable as error:
        raise await kept_malformed(context, source, body, at=at, reason="unstorable", error=error) from error
    assert applied.request is not None  # noqa: S101 - Receive begins one
    return json_answer(receipt(command, applied.request, applied.events))
