"""Quarantine: what could not be applied, and its two ways out."""

import secrets
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from aiohttp import web

from gateway.api_shapes import QuarantineResult, Replay
from gateway.domain.acts.messages import Discard
from gateway.domain.commands import ProviderSaid, Receive
from gateway.domain.events.event import Event
from gateway.domain.events.messages import QuarantineLeft
from gateway.domain.requests import Request
from gateway.ledger import audit, codec, quarantine
from gateway.ledger.read import request_reads
from gateway.ledger.read.bodies import Body
from gateway.ledger.write.queued import CommitResult
from gateway.newstore import webhook
from gateway.providers.port import Malformed
from gateway.telemetry import trace
from gateway.web.answers import Problem, json_answer
from gateway.web.reading_again import OUTSIDE, SeveralRequests, read_again
from gateway.web.receipts import callback_receipt, receipt, repeated_receipt

from .access import OPERATOR
from .bodies import revealed, unkept, without_people
from .context import CONTEXT, OperationsContext
from .queries import given, limit_of, number_of, read_as, reason_in

_WITHOUT_EFFECT = {
    "quarantined": "it is in quarantine again",
    "callback_refused": "it left quarantine, and was refused",
    "conflicting_callback": "it left quarantine: its id came before with other content, and the request tells both",
    "conflicting_body": "it left quarantine: the request came before with another body, and tells both",
    "conflicting_location": "it left quarantine: the request came before for another DC, and tells both",
}
_SHOWN = ("id", "source", "event_id", "request_id", "reason", "detail", "at", "resolved_at")


async def list_quarantine(request: web.Request) -> web.Response:
    """List what waits for a decision, oldest first."""
    limit = limit_of(request.query.get("limit", "50"))
    after = number_of("after", request.query.get("after"))
    rows = await quarantine.page(request.app[CONTEXT].pool, after=after, limit=limit + 1)
    next_page = str(rows[limit - 1]["id"]) if len(rows) > limit else None
    return json_answer({"quarantine": rows[:limit], "next_page": next_page})


async def show_quarantine(request: web.Request) -> web.Response:
    """Show one message in our words, and its body without what it says of a person."""
    kept = await _find(request)
    said: ProviderSaid | None = kept["command"]
    words = msgspec.to_builtins(said) if said else None
    shown = {name: kept[name] for name in _SHOWN}
    text = without_people(_body(kept), request.app[CONTEXT].adapters, request[OPERATOR])
    return unkept({**shown, "bytes": len(kept["body"]), "said": words, "text": text})


async def reveal_quarantined(request: web.Request) -> web.Response:
    """Show the body of a message as it came, once that is in the audit."""
    kept = await _find(request)
    return await revealed(request, f"quarantine {kept['id']}", [_body(kept)])


async def replay(request: web.Request) -> web.Response:
    """Read a message again, as the settings and adapters are now, and apply it."""
    decision = read_as(Replay, await request.read())
    reason = given(decision, "a decision")
    context, who, kept = request.app[CONTEXT], request[OPERATOR].name, await _find(request)
    if kept["resolved_at"] is not None:
        raise Problem(409, "it has left quarantine already; the audit says how")
    try:
        with trace.act("replay", source=kept["source"]) as span:
            command = await _read(context, who, kept, decision.request)
            applied = await context.writer.apply(command, kept["body"])
            _tell(span, applied)
    except (Malformed, webhook.Malformed) as error:
        raise Problem(409, f"it still can't be read: {error}; discard it, or mend the adapter first") from error
    if applied.request is None:
        raise Problem(409, "nobody has its request yet; it is applied by itself when the request arrives")
    outcome = codec.outcome(applied.events) or "nothing new"
    result, why = await _became(context, command, applied.request, applied.events)
    told = {"who": who, "action": "replay", "reason": reason, "outcome": outcome}
    # Where the request itself had quarantined it, its own commit has taken it off the list. What is quarantined
    # again under its old id, as its request was unknown before, must stay there.
    if result == "quarantined" or not await quarantine.settle(context.pool, kept["id"], **told):
        await audit.write(context.pool, subject=f"quarantine {kept['id']}", **told)
    return json_answer(QuarantineResult(kept["id"], applied.request.id, outcome, result, not why, why))


async def discard(request: web.Request) -> web.Response:
    """Take a message out of quarantine without applying it; its bytes are kept."""
    reason = reason_in(await request.read(), "a decision")
    context, who, kept = request.app[CONTEXT], request[OPERATOR].name, await _find(request)
    if kept["resolved_at"] is not None:
        raise Problem(409, "it has left quarantine already; the audit says how")
    said: ProviderSaid | None = kept["command"]
    told = {"who": who, "action": "discard", "reason": reason, "outcome": "discarded"}
    with trace.act("discard", source=kept["source"]) as span:
        if said is not None and kept["reason"] not in OUTSIDE:
            applied = await context.writer.apply(
                Discard(
                    request_id=said.request_id,
                    at=datetime.now(UTC),
                    who=who,
                    action_id=secrets.token_hex(8),
                    reason=reason,
                    message=said.cause,
                )
            )
            _tell(span, applied)
        await quarantine.settle(context.pool, kept["id"], **told)
    return json_answer(QuarantineResult(kept["id"], kept["request_id"], "discarded", "discarded", done=True, why=""))


def _body(kept: Mapping[str, Any]) -> Body:
    sender, _, location = str(kept["source"]).partition(":")
    return Body(kept["at"], kept["body"], sender if location else kept["source"], is_answer=False, about=kept["reason"])


def _tell(span: trace.Span, applied: CommitResult | None) -> None:
    """Say in the trace which request it is about."""
    if applied is not None and applied.request is not None:
        span.facts["request_id"] = applied.request.id
        span.link(applied.trace)


async def _find(request: web.Request) -> dict[str, Any]:
    number = number_of("id", request.match_info["id"])
    kept = await quarantine.find(request.app[CONTEXT].pool, number or 0)
    if kept is None:
        raise Problem(404, "nothing of this id was ever quarantined; GET /v1/quarantine lists what waits")
    return kept


async def _read(
    context: OperationsContext, who: str, kept: Mapping[str, Any], request_id: str
) -> Receive | ProviderSaid:
    """Read a message as the settings and adapters are now; a person may say which request it is about."""
    source, now = str(kept["source"]), datetime.now(UTC)
    if source.startswith("newstore:"):
        return _receive(context, source.removeprefix("newstore:"), kept["body"], now)
    if source not in context.adapters:
        raise Problem(409, f"the settings name no provider {source}; add it again, or discard the message")
    try:
        adapter = context.adapters[source]
        return await read_again(context.pool, context.settings, adapter, kept, who=who, request_id=request_id)
    except SeveralRequests as several:
        raise Problem(409, f"it may be about {', '.join(several.ids[:3])}; say which as `request`") from several


async def _became(
    context: OperationsContext, command: Receive | ProviderSaid, request: Request, events: Sequence[Event]
) -> tuple[str, str]:
    """Tell what became of a message, in the words that its sender would hear, and why it has no effect if so."""
    if isinstance(command, Receive):
        result: str = receipt(command, request, events).result
        return result, _WITHOUT_EFFECT.get(result, "")
    heard = _answers(events)
    if heard:
        _, told = callback_receipt(request.id, heard)
    else:
        _, told = repeated_receipt(request.id, _answers(await request_reads.caused_by(context.pool, request, command)))
    if told.result not in _WITHOUT_EFFECT:
        return told.result, ""
    return told.result, _WITHOUT_EFFECT[told.result] + (f": {told.detail}" if told.detail else "")


def _answers(events: Sequence[Event]) -> list[Event]:
    """Leave out that the message left quarantine: it says nothing of what it led to."""
    return [event for event in events if not isinstance(event.fact, QuarantineLeft)]


def _receive(context: OperationsContext, location_id: str, body: bytes, now: datetime) -> Receive:
    location = context.settings.locations.get(location_id)
    if location is None:
        raise Problem(409, f"the settings name no location {location_id}; add it again, or discard the message")
    return webhook.receive(body, now, location.id, location.provider)
