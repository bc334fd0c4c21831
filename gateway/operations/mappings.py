"""Mappings: see what providers call things, and what waits because nobody has said it; say it, or take it back."""

from collections import Counter
from collections.abc import Iterator

from aiohttp import web

from gateway import mapping_sweep
from gateway.api_shapes import MappingList, MappingRequest, MappingStory, UnmappedStory
from gateway.domain.deliveries import normal
from gateway.domain.mappings import Mapped, MappedKind
from gateway.ledger import mappings
from gateway.providers.mappings import found_by
from gateway.settings.kinds import InvalidValue, text
from gateway.settings.shapes import MAPPED_IN
from gateway.telemetry import trace
from gateway.web.answers import ECHO, Problem, json_answer

from .access import OPERATOR
from .context import CONTEXT, OperationsContext
from .queries import check_named, given, number_of, read_as, reason_in


async def list_mappings(request: web.Request) -> web.Response:
    """List what providers call things, by people and by the file, and what waits."""
    context = request.app[CONTEXT]
    said = await mappings.current(context.pool)
    found = [*map(_shown, said), *_of_the_file(context, {(each.provider, each.kind, each.word) for each in said})]
    version = await mappings.version(context.pool)
    return json_answer(MappingList(version, found, await _waiting(context)))


async def add_mapping(request: web.Request) -> web.Response:
    """Say what a provider calls something; what waited for it goes on."""
    order, context, who = read_as(MappingRequest, await request.read()), request.app[CONTEXT], request[OPERATOR].name
    reason = given(order, "a mapping")
    kind, ours, theirs = _checked(context, order)
    words = (order.provider, kind, found_by(kind, ours, theirs), ours, theirs)
    with trace.act("map", provider=order.provider):
        added = await mappings.add(context.pool, words, who=who, reason=reason)
        await _go_on(context)
    return json_answer(_shown(added), 201)


async def remove_mapping(request: web.Request) -> web.Response:
    """Take back what a person said; what the file says counts again."""
    context, who = request.app[CONTEXT], request[OPERATOR].name
    reason = reason_in(await request.read(), "a removal")
    number = number_of("id", request.match_info["id"])
    with trace.act("unmap"):
        removed = await mappings.remove(context.pool, number or 0, who=who, reason=reason)
        if removed is None:
            raise Problem(404, "no mapping of this id counts; GET /v1/mappings lists those that do")
        await _go_on(context)
    return json_answer(_shown(removed))


async def _go_on(context: OperationsContext) -> None:
    """Bring this process up to date at once, and let go on what waited; the others follow within seconds."""
    await mapping_sweep.refresh(context.pool, context.adapters)
    if await mapping_sweep.let_go_on(context.pool, context.writer, context.settings, context.adapters):
        context.writer.on_ready()


def _checked(context: OperationsContext, order: MappingRequest) -> tuple[MappedKind, str, str]:
    check_named("provider", order.provider, context.settings.providers)
    provider = context.settings.providers[order.provider]
    if order.kind not in provider.maps:
        may = ", ".join(kind for kind in MappedKind if kind in provider.maps)
        raise Problem(400, f"{order.provider} maps no {order.kind[:ECHO]!r}; choose one of {may}")
    try:
        kind, ours, theirs = MappedKind(order.kind), text(order.ours), text(order.theirs)
    except InvalidValue as error:
        raise Problem(400, f"ours or theirs {error}") from error
    if kind is MappedKind.CARRIER and not normal(theirs):
        raise Problem(400, "theirs stands for no carrier at all; write the provider's word for one")
    taken = context.adapters[order.provider].mappings.skus if kind is MappedKind.PRODUCT else {}
    if others := [product for product, sku in taken.items() if sku == theirs and product != ours]:
        raise Problem(
            400, f"{theirs[:ECHO]!r} is the SKU of {others[0][:ECHO]!r} already; a SKU stands for one product"
        )
    return kind, ours, theirs


def _shown(each: Mapped) -> MappingStory:
    return MappingStory(each.id, each.provider, each.kind, each.ours, each.theirs, each.who, each.at)


def _of_the_file(context: OperationsContext, said: set[tuple[str, str, str]]) -> Iterator[MappingStory]:
    for provider in context.settings.providers.values():
        for kind, table in MAPPED_IN.items():
            for word, means in getattr(provider, table).items():
                if (provider.name, kind, word) not in said:
                    ours, theirs = (means, word) if kind is MappedKind.CARRIER else (word, means)
                    yield MappingStory(None, provider.name, kind, ours, theirs, None, None)


async def _waiting(context: OperationsContext) -> list[UnmappedStory]:
    """Count what waits for each word: one request or message may wait for several."""
    orders, messages = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
    for provider, words, _, count in await mappings.creates(context.pool):
        for kind, word in words:
            orders[provider, kind, word] += count
    for _, provider, said in await mappings.messages(context.pool):
        messages.update((provider, kind, word) for kind, word in said.unmapped)
    ours = [UnmappedStory(*each, "ours", count, 0) for each, count in orders.items()]
    theirs = [UnmappedStory(*each, "theirs", 0, count) for each, count in messages.items()]
    return sorted([*ours, *theirs], key=lambda each: -(each.orders + each.messages))
