"""Holds: keep calls from going out, see what is kept, let it go."""

from aiohttp import web
from asyncpg import Pool

from gateway.api_shapes import HoldRequest
from gateway.domain.deliveries import NEWSTORE, WRITES
from gateway.ledger.queue import comparison, holds
from gateway.ledger.read import request_reads
from gateway.telemetry import trace
from gateway.web.answers import ECHO, Problem, json_answer

from .access import OPERATOR
from .context import CONTEXT
from .queries import check_named, number_of, read_as, reason_in

_LONGEST = 60 * 24 * 365.0


async def list_holds(request: web.Request) -> web.Response:
    """List what is held back now, and how far the comparison is that the release of a paused start begins."""
    pool = request.app[CONTEXT].pool
    active = [shown(each) for each in await holds.active(pool)]
    return json_answer({"holds": active, "comparison": await comparison.progress(pool)})


async def place_hold(request: web.Request) -> web.Response:
    """Hold something back; intake goes on under every hold."""
    order = read_as(HoldRequest, await request.read())
    context = request.app[CONTEXT]
    scope, name = _scope(order.scope, order.name)
    if order.scope == "provider":
        check_named("provider", name, context.settings.providers)
    if scope in {"location", "rejections"}:
        check_named("location", name, context.settings.locations)
    if scope == "operation" and name not in WRITES:
        raise Problem(400, f"no operation {name[:ECHO]!r} at NewStore; choose one of {', '.join(WRITES)}")
    if not order.reason.strip():
        raise Problem(400, "a hold needs a reason; whoever comes next reads it")
    if order.minutes is not None and not 0 < order.minutes <= _LONGEST:
        raise Problem(400, f"minutes must be above 0 and at most {_LONGEST:g}; leave it out to hold until released")
    seconds = order.minutes * 60 if order.minutes else None
    with trace.act("hold") as span:
        placed = await holds.place(
            context.pool, scope, name, reason=order.reason, who=request[OPERATOR].name, seconds=seconds
        )  # fmt: skip
        await _tell(span, context.pool, placed)
    return json_answer(shown(placed), 201)


async def release_hold(request: web.Request) -> web.Response:
    """Release one hold; others on the same thing stay."""
    reason = reason_in(await request.read(), "a release")
    hold_id = number_of("id", request.match_info["id"])
    pool = request.app[CONTEXT].pool
    with trace.act("release") as span:
        released = await holds.release(pool, hold_id or 0, request[OPERATOR].name, reason)
        if released is None:
            raise Problem(404, "no hold of this id is active; GET /v1/holds lists those that are")
        await _tell(span, pool, released)
    return json_answer(shown(released))


async def _tell(span: trace.Span, pool: Pool, hold: holds.Hold) -> None:
    """Say in the trace what it is about; as the id of a request somebody may have typed anything."""
    span.facts["scope"] = hold.scope
    if hold.scope != "request":
        span.facts["name"] = hold.name
    elif (began := await request_reads.began(pool, hold.name)) is not None:
        span.facts["request_id"] = hold.name
        span.link(began)


def _scope(word: str, name: str) -> tuple[str, str]:
    """Turn the words of people into ours: NewStore and a provider are both destinations."""
    scopes = {
        "everything": ("everything", ""),
        "newstore": ("destination", NEWSTORE),
        "provider": ("destination", name),
        **{same: (same, name) for same in ("location", "request", "rejections", "operation")},
    }
    if word not in scopes:
        raise Problem(400, f"no scope {word[:ECHO]!r}; choose one of {', '.join(scopes)}")
    if (word in {"everything", "newstore"}) == bool(name):
        raise Problem(400, f"scope {word!r} goes {'without a' if name else 'with a'} name; correct one of the two")
    return scopes[word]


def shown(hold: holds.Hold) -> dict[str, object]:
    """Show a hold in the words of people."""
    scope, name = hold.scope, hold.name
    if scope == "destination":
        scope, name = ("newstore", "") if name == NEWSTORE else ("provider", name)
    return {
        "id": hold.id,
        "scope": scope,
        "name": name,
        "reason": hold.reason,
        "who": hold.who,
        "at": hold.at,
        "expires_at": hold.expires_at,
    }
