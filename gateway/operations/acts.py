"""What people have done about requests: one at a time, or many by a filter, counted first by a dry run."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.api_shapes import MOST_AT_ONCE, ActRequest, ActResult, BulkActRequest, BulkResult
from gateway.domain.commands import (
    Close,
    Command,
    DiscardReports,
    Note,
    Recheck,
    Redrive,
    RejectByHand,
    RejectionReason,
    Reroute,
    Take,
)
from gateway.domain.decide import decide
from gateway.domain.events.event import Event
from gateway.domain.events.people import Declined
from gateway.domain.requests import Request
from gateway.ledger import codec
from gateway.ledger.read import listing, request_reads
from gateway.newstore.read_backs import offered
from gateway.telemetry import trace
from gateway.web.answers import Problem, json_answer

from .access import OPERATOR
from .context import CONTEXT, OperationsContext
from .queries import check_named, filters_of, id_of, no_such_request, place_of, read_as

_PER_SECOND = 100

CONSEQUENCES = {
    ("reject", RejectionReason.NO_INVENTORY): "NewStore reroutes the units and sets this DC's stock of them to zero",
    ("reject", RejectionReason.CANNOT_FULFILL): "NewStore reroutes the units and excludes this DC for this order only",
    ("reroute", None): "the request goes to another provider under a new reference; NewStore learns nothing of it",
    ("close", None): "nothing is sent or checked for these requests any more",
    ("redrive", None): "what failed is sent again, after a look wherever it may have happened",
    ("discard", None): "the units are open again and their provider may ship them; NewStore never learns of it",
    ("recheck", None): "NewStore and the provider are asked what became of it; nothing is sent",
}
"""What an act does, in words that every dialog and dry run shows."""


async def act_on_one(request: web.Request) -> web.Response:
    """Do something about one request."""
    order = read_as(ActRequest, await request.read())
    action = request.match_info["action"]
    result = await _act(request.app[CONTEXT], request[OPERATOR].name, action, id_of(request), order)
    if result is None:
        raise no_such_request()
    return json_answer(result, 200 if result.done or order.dry_run else 409)


def act_on_many(action: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Do something about every request that a filter finds."""

    async def handler(request: web.Request) -> web.Response:
        order = read_as(BulkActRequest, await request.read())
        if not order.filter:
            raise Problem(400, "the filter is empty; name a status, a location, a provider or a time window")
        if order.carrier or order.tracking_code:
            raise Problem(400, "a carrier or tracking code corrects one request; name it by its id")
        filters = filters_of(order.filter)
        place_of(order.after)
        context, who = request.app[CONTEXT], request[OPERATOR].name
        limit = max(1, min(order.limit, MOST_AT_ONCE))
        page, next_page = await listing.requests(context.pool, filters, order.after, limit)
        matching = await listing.count(context.pool, filters, order.after)
        results = await _at_bounded_speed(context, who, action, [row["id"] for row in page], order)
        done = sum(result.done for result in results)
        told = _consequence(action, order)
        return json_answer(BulkResult(order.dry_run, matching, done, results, told, next_page))

    return handler


async def _at_bounded_speed(
    context: OperationsContext, who: str, action: str, ids: list[str], order: ActRequest
) -> list[ActResult]:
    """Act on many, no more of them each second than what follows can bear."""
    results: list[ActResult] = []
    for start in range(0, len(ids), _PER_SECOND):
        if start and not order.dry_run:
            await asyncio.sleep(1)
        work = (_act(context, who, action, request_id, order) for request_id in ids[start : start + _PER_SECOND])
        results += [result for result in await asyncio.gather(*work) if result]
    return results


async def _act(
    context: OperationsContext, who: str, action: str, request_id: str, order: ActRequest
) -> ActResult | None:
    if not order.reason.strip():
        raise Problem(400, "an act needs a reason; it goes into the audit")
    before = await request_reads.request(context.pool, request_id)
    if before is None:
        return None
    command = _command(context, who, action, before, order)
    if order.dry_run:
        events = [Event(0, command.at, command.cause, "", fact) for fact in decide(before, command)]
    else:
        with trace.act(action, request_id=before.id) as span:
            applied = await context.writer.apply(command)
            span.link(applied.trace)
        events = list(applied.events)
    done = bool(events) and not any(isinstance(event.fact, Declined) for event in events)
    outcome = codec.outcome(events) or "nothing: it was done before"
    return ActResult(request_id, done, outcome, _consequence(action, order) if done else "")


def _consequence(action: str, order: ActRequest) -> str:
    return CONSEQUENCES.get((action, order.rejection_reason if action == "reject" else None), "")


def _command(context: OperationsContext, who: str, action: str, before: Request, order: ActRequest) -> Command:
    given = {
        "request_id": before.id,
        "at": datetime.now(UTC),
        "who": who,
        "action_id": order.action_id or secrets.token_hex(8),
        "reason": order.reason.strip(),
    }
    return _COMMANDS[action](context, before, order, given)


def _redrive(context: OperationsContext, before: Request, order: ActRequest, given: Mapping[str, Any]) -> Command:
    provider = context.settings.providers.get(before.provider or "")
    return Redrive(
        **given,
        carriers=provider.carriers if provider else {},
        carrier=order.carrier.strip(),
        tracking_code=order.tracking_code.strip(),
    )


def _recheck(context: OperationsContext, before: Request, _: ActRequest, given: Mapping[str, Any]) -> Command:
    adapter = context.adapters.get(before.provider or "")
    can_look_up = adapter is not None and adapter.can.look_up
    return Recheck(**given, can_look_up=can_look_up, read_backs=offered(context.settings.newstore.read_back))


def _reroute(context: OperationsContext, before: Request, order: ActRequest, given: Mapping[str, Any]) -> Command:
    check_named("provider", order.to, context.settings.providers)
    return Reroute(**given, to=order.to, can_withdraw=_can_withdraw(context, before), stopped=order.provider_stopped)


def _reject(context: OperationsContext, before: Request, order: ActRequest, given: Mapping[str, Any]) -> Command:
    if order.rejection_reason is None:
        raise Problem(400, "rejection_reason is missing; say no_inventory (empties the DC's stock) or cannot_fulfill")
    return RejectByHand(
        **given,
        rejection_reason=order.rejection_reason,
        can_withdraw=_can_withdraw(context, before),
        stopped=order.provider_stopped,
    )


def _can_withdraw(context: OperationsContext, before: Request) -> bool:
    adapter = context.adapters.get(before.provider or "")
    return adapter is not None and adapter.can.withdraw


_COMMANDS: dict[str, Callable[[OperationsContext, Request, ActRequest, Mapping[str, Any]], Command]] = {
    "redrive": _redrive,
    "recheck": _recheck,
    "discard": lambda _desk, _before, _order, given: DiscardReports(**given),
    "close": lambda _desk, _before, _order, given: Close(**given),
    "note": lambda _desk, _before, order, given: Note(**given, text=order.reason),
    "take": lambda _desk, _before, _order, given: Take(**given),
    "reroute": _reroute,
    "reject": _reject,
}
ACTIONS = tuple(_COMMANDS)
