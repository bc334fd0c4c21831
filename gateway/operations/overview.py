"""What the dashboard's first screens ask: who am I, what is open and why, how fast it goes, where calls go."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any

from aiohttp import web

from gateway.domain.deliveries import NEWSTORE
from gateway.ledger.queue import holds
from gateway.ledger.read import overview
from gateway.ledger.read.overview import Queue
from gateway.providers.port import Adapter
from gateway.settings import Settings
from gateway.web.answers import json_answer

from .access import OPERATOR
from .context import CONTEXT
from .holds import shown
from .queries import moment_of

_SHIFT = timedelta(hours=8)


async def show_me(request: web.Request) -> web.Response:
    """Tell whose token it is."""
    operator = request[OPERATOR]
    return json_answer({"name": operator.name, "role": operator.role})


async def summarize(request: web.Request) -> web.Response:
    """Count what is open, and name what else may need a person."""
    asked = request.query.get("since")
    since = moment_of("since", asked) if asked else datetime.now(UTC) - _SHIFT
    counts, held = await overview.summary(request.app[CONTEXT].pool, since)
    return json_answer({**counts, "since": since, "holds": [shown(hold) for hold in held]})


async def list_failures(request: web.Request) -> web.Response:
    """Group what failed by its cause."""
    return json_answer({"failures": await overview.causes(request.app[CONTEXT].pool)})


async def show_trends(request: web.Request) -> web.Response:
    """Tell how fast the newest requests went."""
    return json_answer(await overview.trends(request.app[CONTEXT].pool))


async def list_locations(request: web.Request) -> web.Response:
    """List the DCs of the settings, and what is held back at each."""
    context = request.app[CONTEXT]
    active = [shown(hold) for hold in await holds.active(context.pool)]
    providers = context.settings.providers
    found = [
        {
            "id": each.id,
            "provider": each.provider,
            "adapter": providers[each.provider].adapter if each.provider else None,
            "time_zone": each.time_zone,
            "accept_when": each.accept_when,
            "on_provider_cancel": each.on_provider_cancel,
            "backorder": each.backorder,
            "backorder_grace": each.backorder_grace,
            "after_backorder_grace": each.after_backorder_grace,
            "holds": [hold for hold in active if _touches(hold, each.id, each.provider)],
        }
        for each in context.settings.locations.values()
    ]
    return json_answer({"locations": found})


async def list_destinations(request: web.Request) -> web.Response:
    """List NewStore and the providers: breaker, budget, and what waits."""
    context = request.app[CONTEXT]
    limits = _limits(context.settings, context.adapters)
    queues = await overview.queues(context.pool, limits)
    return json_answer({"destinations": [_destination(name, limits[name], queues[name]) for name in limits]})


def _touches(hold: Mapping[str, object], location: str, provider: str | None) -> bool:
    things = {("everything", ""), ("newstore", ""), ("location", location), ("rejections", location)}
    return hold["scope"] == "operation" or (hold["scope"], hold["name"]) in things | {("provider", provider)}


def _limits(settings: Settings, adapters: Mapping[str, Adapter]) -> dict[str, dict[str, Any]]:
    newstore = settings.newstore
    return {
        NEWSTORE: {
            "adapter": None,
            "can": [],
            "concurrency": newstore.concurrency,
            "calls_per_second": newstore.calls_per_second,
            "calls_per_five_minutes": newstore.calls_per_five_minutes,
        }
    } | {
        each.name: {
            "adapter": each.adapter,
            "can": [name for name, so in asdict(adapters[each.name].can).items() if so],
            "concurrency": each.concurrency,
            "calls_per_second": each.calls_per_second,
            "calls_per_five_minutes": None,
        }
        for each in settings.providers.values()
    }


def _destination(name: str, limits: Mapping[str, Any], queue: Queue) -> dict[str, Any]:
    told = asdict(queue)
    state, in_flight = told.pop("state") or {}, told.pop("in_flight")
    return {
        "name": name,
        **limits,
        **told,
        "flying": in_flight,
        "breaker": "open" if state.get("opened_at") else "closed",
        "shut_at": state.get("opened_at"),
        "probe_at": state.get("half_open_at"),
        "not_before": state.get("not_before"),
        "calls": state.get("calls", 0),
        "failures": state.get("failures", 0),
        "calls_left": max(0, int(state["five_minute_tokens"])) if state else None,
    }
