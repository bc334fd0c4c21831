"""What people have done about requests: one at a time, or many by a filter, counted first by a dry run."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from gateway.api_shapes import (
    ASKED,
    MOST_AT_ONCE,
    ActList,
    ActRequest,
    ActResult,
    ActStory,
    AsideStory,
    AskedStory,
    BulkActRequest,
    BulkResult,
    ChoiceStory,
)
from gateway.domain.acts import ACTS
from gateway.domain.acts.act import Act, Asked
from gateway.domain.decide import decide
from gateway.domain.deliveries import Operation
from gateway.domain.events.event import Event
from gateway.domain.events.people import Declined
from gateway.domain.requests import Request
from gateway.ledger import codec
from gateway.ledger.read import listing, request_reads
from gateway.newstore.read_backs import offered
from gateway.telemetry import trace
from gateway.web.answers import Problem, json_answer

from .access import MAY_ACT, OPERATOR
from .context import CONTEXT, OperationsContext
from .queries import check_named, filters_of, id_of, no_such_request, place_of, read_as

_PER_SECOND = 100


async def list_acts(_: web.Request) -> web.Response:
    """Tell what may be done about requests, by whom, and how to ask for it."""
    return json_answer(ActList([_story(act) for act in ACTS.values()], sorted(MAY_ACT)))


def _story(act: type[Act]) -> ActStory:
    return ActStory(
        act.action,
        act.label,
        act.help,
        [_asked(name, asked) for name, asked in act.asks.items()],
        act.many or None,
        act.among or None,
        act.consequence,
        act.is_final,
        act.content or None,
        act.default_reason or None,
    )


def _asked(name: str, asked: Asked) -> AskedStory:
    choices = [ChoiceStory(value, each.means, each.consequence) for value, each in asked.choices.items()]
    aside = AsideStory(asked.aside.question, asked.aside.hint) if asked.aside else None
    is_required = bool(asked.missing)
    return AskedStory(name, asked.question, asked.hint, is_required, asked.most, choices, asked.names, aside)


async def act_on_one(request: web.Request) -> web.Response:
    """Do something about one request."""
    order = read_as(ActRequest, await request.read())
    act = ACTS[request.match_info["action"]]
    result = await _act(request.app[CONTEXT], request[OPERATOR].name, act, id_of(request), order)
    if result is None:
        raise no_such_request()
    return json_answer(result, 200 if result.done or order.dry_run else 409)


def act_on_many(act: type[Act]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Do something about every request that a filter finds."""

    async def handler(request: web.Request) -> web.Response:
        order = read_as(BulkActRequest, await request.read())
        if not order.filter:
            raise Problem(400, "the filter is empty; name a status, a location, a provider or a time window")
        for name, asked in ASKED.items():
            if asked.aside and order.told(name):
                raise Problem(400, f"{asked.aside.alone}; name it by its id")
        filters = filters_of(order.filter)
        place_of(order.after)
        context, who = request.app[CONTEXT], request[OPERATOR].name
        limit = max(1, min(order.limit, MOST_AT_ONCE))
        page, next_page = await listing.requests(context.pool, filters, order.after, limit)
        matching = await listing.count(context.pool, filters, order.after)
        results = await _at_bounded_speed(context, who, act, [row["id"] for row in page], order)
        done = sum(result.done for result in results)
        consequence = _consequence(act, order)
        return json_answer(BulkResult(order.dry_run, matching, done, results, consequence, next_page))

    return handler


async def _at_bounded_speed(
    context: OperationsContext, who: str, act: type[Act], ids: list[str], order: ActRequest
) -> list[ActResult]:
    """Act on many, no more of them each second than what follows can bear."""
    results: list[ActResult] = []
    for start in range(0, len(ids), _PER_SECOND):
        if start and not order.dry_run:
            await asyncio.sleep(1)
        work = (_act(context, who, act, request_id, order) for request_id in ids[start : start + _PER_SECOND])
        results += [result for result in await asyncio.gather(*work) if result]
    return results


async def _act(
    context: OperationsContext, who: str, act: type[Act], request_id: str, order: ActRequest
) -> ActResult | None:
    if not order.reason.strip():
        raise Problem(400, "an act needs a reason; it goes into the audit")
    before = await request_reads.request(context.pool, request_id)
    if before is None:
        return None
    command = _command(context, who, act, before, order)
    if order.dry_run:
        events = [Event(0, command.at, command.cause, "", fact) for fact in decide(before, command)]
    else:
        with trace.act(act.action, request_id=before.id) as span:
            applied = await context.writer.apply(command)
            span.link(applied.trace)
        events = list(applied.events)
    done = bool(events) and not any(isinstance(event.fact, Declined) for event in events)
    outcome = codec.outcome(events) or "nothing: it was done before"
    return ActResult(request_id, done, outcome, _consequence(act, order) if done else "")


def _consequence(act: type[Act], order: ActRequest) -> str:
    return act.follows({name: order.told(name) for name in act.asks})


def _command(context: OperationsContext, who: str, act: type[Act], before: Request, order: ActRequest) -> Act:
    """Fill the fields of an act: by whom and why, what is told, and what the gateway knows."""
    told = {name: _checked(context, name, asked, order.told(name)) for name, asked in act.asks.items()}
    known = {each.name: KNOWN[each.name](context, before) for each in fields(act) if each.name in KNOWN}
    return act(
        request_id=before.id,
        at=datetime.now(UTC),
        who=who,
        action_id=order.action_id or secrets.token_hex(8),
        reason=order.reason.strip(),
        **{name: value for name, value in told.items() if value is not None},
        **known,
    )


def _checked(context: OperationsContext, name: str, asked: Asked, told: str | None) -> str | None:
    if asked.names == "provider":
        check_named(asked.names, told or "", context.settings.providers)
    if asked.missing and told is None:
        raise Problem(400, asked.missing.format(option=name))
    return told


def _carriers(context: OperationsContext, before: Request) -> Mapping[str, str]:
    adapter = context.adapters.get(before.provider or "")
    return adapter.mappings.carriers if adapter else {}


def _can_look_up(context: OperationsContext, before: Request) -> bool:
    adapter = context.adapters.get(before.provider or "")
    return adapter is not None and adapter.can.look_up


def _can_withdraw(context: OperationsContext, before: Request) -> bool:
    adapter = context.adapters.get(before.provider or "")
    return adapter is not None and adapter.can.withdraw


def _read_backs(context: OperationsContext, _: Request) -> frozenset[Operation]:
    return offered(context.settings.newstore.read_back)


KNOWN: Mapping[str, Callable[[OperationsContext, Request], Any]] = {
    "can_look_up": _can_look_up,
    "can_withdraw": _can_withdraw,
    "carriers": _carriers,
    "read_backs": _read_backs,
}
"""What the gateway knows of a request, by the fields of acts that hold it."""
