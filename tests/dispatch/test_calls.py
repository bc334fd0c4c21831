"""What is asked of a provider and of NewStore before anything that can't be taken back."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway.call_errors import Disputed, Inconclusive, NotSent, NotYet, Refused
from gateway.dispatch.calls import OutboundClients, make
from gateway.dispatch.outcomes import FAILURES, Undecidable, after, outcome_of
from gateway.domain.acts.again import Recheck, Redrive
from gateway.domain.acts.leaving import Reroute
from gateway.domain.commands import CallEnded, CallTaken, End, Word
from gateway.domain.decide import Command
from gateway.domain.deliveries import Operation
from gateway.domain.events.calls import Rechecked
from gateway.domain.events.people import Declined
from gateway.domain.units import Confirmed
from gateway.ledger.queue import holds, restored
from gateway.ledger.queue.claims import Claim
from gateway.ledger.read.request_reads import delivery_contexts
from gateway.ledger.write.queued import Attempt, Reschedule
from gateway.ledger.write.writer import Writer
from gateway.newstore.client import Client
from gateway.providers.http import Http
from gateway.providers.http_settings import HttpSettings
from gateway.providers.port import Message
from gateway.settings import NewStore, Secret
from tests.ledger.conftest import writing
from tests.ledger.test_writer import claimed, taken
from tests.requests import AT, PARCEL, receive, said

Pool = asyncpg.Pool
TRY = Attempt(AT, 0.1, "done", 200, "")


class World:
    """One server that stands for the provider and for NewStore; it answers what a test lays out."""

    def __init__(self) -> None:
        self.answers: dict[str, int] = {"DELETE": 204, "GET": 404, "POST": 201}
        self.shown: list[str] = []
        self.calls: Counter[str] = Counter()
        self.keys: list[str | None] = []
        self.sent: list[str] = []
        self.refusal: str | None = None
        self.read_back = {"shipment": "endpoint", "rejection": "endpoint", "cancellation": "endpoint"}

    async def answer(self, request: web.Request) -> web.Response:
        if request.path == "/token":
            return web.json_response({"access_token": "t", "expires_in": 600})
        self.calls[request.method] += 1
        self.keys.append(request.headers.get("Idempotency-Key"))
        if request.path.endswith("/shipment"):
            return await self._shipment(request)
        return web.Response(status=self.answers[request.method])

    async def _shipment(self, request: web.Request) -> web.Response:
        if request.method == "POST" and self.refusal:
            return web.json_response({"error_code": self.refusal}, status=400)
        if request.method == "POST":
            (line,) = (await request.json())["line_items"]
            self.sent += line["product_ids"]
            return web.json_response({}, status=201)
        parcel = {"carrier": PARCEL.carrier, "tracking_code": PARCEL.tracking_code}
        return web.json_response({"successful_shipments": [{"product_id": each, **parcel} for each in self.shown]})


@pytest.fixture
async def writer(database: str, pool: Pool) -> AsyncIterator[Writer]:
    async with writing(database) as writer:
        yield writer


@pytest.fixture
async def outside() -> World:
    return World()


async def unheard(_: str, __: Message) -> None:
    raise AssertionError("no provider here is asked how an order stands")


@pytest.fixture
async def clients(outside: World, pool: Pool) -> AsyncIterator[OutboundClients]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", outside.answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{server.port}"
        provider = HttpSettings("acme", "http", f"{url}/orders", Secret("a" * 20), (Secret("k" * 20),), withdraw=True)
        newstore = NewStore(url, f"{url}/token", "gateway", Secret("s" * 20), read_back=outside.read_back)
        yield OutboundClients(Client(session, newstore), {"acme": Http(provider, session)}, unheard)


async def made(clients: OutboundClients, pool: Pool, call: Claim) -> Command:
    """Make a call as dispatch does, with what it must know of its request."""
    async with pool.acquire() as connection:
        return await make(clients, call, (await delivery_contexts(connection, [call]))[call.request_id])


async def ask_to_withdraw(writer: Writer, pool: Pool, *, created: bool) -> Claim:
    """The withdrawal of an order that the provider took, or of one of which that is not known."""
    await writer.apply(receive())
    call = await claimed(pool)
    dead = CallEnded(
        request_id="r-1", at=AT, operation=Operation.CREATE, seq=1, attempt=1, end=End.UNDECIDABLE, detail="no answer"
    )
    await writer.settle(call, TRY, taken(call) if created else dead)
    await writer.apply(Reroute(request_id="r-1", at=AT, who="ada", action_id="a", to="beta", can_withdraw=True))
    return await claimed(pool)


async def test_a_withdrawn_order_is_taken_with_the_providers_proof(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    command = await made(clients, pool, await ask_to_withdraw(writer, pool, created=True))
    assert isinstance(command, CallTaken)
    assert command.proof == "acme: answered 204"


async def test_an_order_that_never_arrived_has_nothing_to_withdraw(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    outside.answers["DELETE"] = 404
    command = await made(clients, pool, await ask_to_withdraw(writer, pool, created=False))
    assert isinstance(command, CallTaken)
    assert command.proof == "acme never had it"


async def test_an_order_that_was_taken_and_is_not_known_any_more_may_have_shipped(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    outside.answers["DELETE"] = 404
    call = await ask_to_withdraw(writer, pool, created=True)
    with pytest.raises(Undecidable):
        await made(clients, pool, call)


async def test_of_a_restored_request_nobody_knows_that_its_provider_never_had_the_order(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    outside.answers["DELETE"] = 404
    call = await ask_to_withdraw(writer, pool, created=False)
    await pool.execute("UPDATE requests SET restored = true")
    with pytest.raises(Undecidable):
        await made(clients, pool, call)


async def test_a_provider_that_ships_refuses_and_one_without_an_answer_is_asked_again(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    call = await ask_to_withdraw(writer, pool, created=True)
    outside.answers["DELETE"] = 409
    with pytest.raises(Refused):
        await made(clients, pool, call)
    outside.answers["DELETE"] = 500
    with pytest.raises(Exception, match="500") as unknown:
        await made(clients, pool, call)
    then = after(unknown.value, call, AT, 10.0)
    assert isinstance(then, Reschedule)
    assert not then.doubt


async def test_a_redriven_order_goes_out_under_a_key_of_its_own(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive(), b"{}")
    call = await claimed(pool)
    await made(clients, pool, call)
    ended = CallEnded(
        request_id="r-1", at=AT, operation=Operation.CREATE, seq=1, attempt=1, end=End.REFUSED, detail="422"
    )
    await writer.settle(call, TRY, ended)
    await writer.apply(Redrive(request_id="r-1", at=AT, who="ada", action_id="a"))
    again = await claimed(pool)
    await made(clients, pool, again)
    await made(clients, pool, again)

    first, second, third = outside.keys
    assert first != second == third


async def test_an_order_that_may_be_there_is_not_called_refused_because_its_repeat_was(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive(), b"{}")
    call = await claimed(pool)
    await writer.settle(call, TRY, Reschedule(0.0, doubt=True, counts=True))
    call = await claimed(pool)
    outside.answers["POST"] = 422
    clients.adapters["acme"].can = replace(clients.adapters["acme"].can, look_up=False)
    with pytest.raises(Undecidable) as unclear:
        await made(clients, pool, call)

    ended = after(unclear.value, call, AT, 10.0)
    assert isinstance(ended, CallEnded)
    await writer.settle(call, TRY, ended)
    reroute = Reroute(request_id="r-1", at=AT, who="ada", action_id="a", to="beta", can_withdraw=False)
    (declined,) = (await writer.apply(reroute)).events
    assert isinstance(declined.fact, Declined)


async def dead_shipment(writer: Writer, pool: Pool) -> None:
    """A shipment whose outcome nobody knows, redriven."""
    await writer.apply(receive())
    await writer.apply(said(Word.SHIPPED))
    call = await claimed(pool, "newstore")
    await writer.settle(call, TRY, taken(call))
    call = await claimed(pool, "newstore")
    lost = CallEnded(
        request_id="r-1", at=AT, operation=call.operation, seq=call.seq, attempt=1, end=End.UNDECIDABLE, detail="?"
    )
    await writer.settle(call, TRY, lost)
    await writer.apply(Redrive(request_id="r-1", at=AT, who="ada", action_id="a"))


async def test_a_redriven_shipment_in_doubt_sends_only_what_newstore_does_not_show(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await dead_shipment(writer, pool)
    outside.shown = ["TEE"]
    await made(clients, pool, await claimed(pool, "newstore"))
    assert outside.sent == ["CAP"]


async def test_more_shown_than_was_sent_is_sent_no_more(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await dead_shipment(writer, pool)
    outside.shown = ["TEE", "TEE"]
    with pytest.raises(Undecidable):
        await made(clients, pool, await claimed(pool, "newstore"))
    assert outside.sent == []


async def test_a_shipment_in_doubt_that_cannot_be_read_back_waits_for_a_person(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await dead_shipment(writer, pool)
    outside.read_back["shipment"] = "off"
    with pytest.raises(Undecidable):
        await made(clients, pool, await claimed(pool, "newstore"))
    assert outside.sent == []


async def test_an_order_in_doubt_at_a_provider_that_can_neither_be_asked_nor_told_twice_is_not_sent(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive(), b"{}")
    await writer.settle(await claimed(pool), TRY, Reschedule(0.0, doubt=True, counts=True))
    acme = clients.adapters["acme"]
    acme.can = replace(acme.can, look_up=False, idempotent=False)
    with pytest.raises(Undecidable):
        await made(clients, pool, await claimed(pool))
    assert outside.calls == {}


async def test_a_redriven_shipment_that_is_shown_whole_is_not_sent(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await dead_shipment(writer, pool)
    outside.shown = ["TEE", "CAP"]
    command = await made(clients, pool, await claimed(pool, "newstore"))
    assert isinstance(command, CallTaken)
    assert command.found
    assert outside.sent == []


async def test_a_repeat_refused_as_done_already_is_read_back_once_more(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    """The read-back lags: it does not show what arrived the first time."""
    await dead_shipment(writer, pool)
    outside.refusal = "already_shipped"
    call = await claimed(pool, "newstore")
    command = await made(clients, pool, call)
    assert isinstance(command, CallTaken)
    assert command.found
    state = (await writer.settle(call, TRY, command)).request
    assert state is not None
    assert {unit.confirmed for unit in state.units} == {Confirmed.SENT}


async def test_a_repeat_refused_because_something_else_was_done_is_refused(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await dead_shipment(writer, pool)
    outside.refusal = "already_rejected"
    with pytest.raises(Refused):
        await made(clients, pool, await claimed(pool, "newstore"))


async def test_a_report_waits_while_an_earlier_one_of_the_same_units_is_not_shown(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive("r-1", "A", "A"))
    await writer.apply(said(Word.SHIPPED, items={"A": 1}, event="one"))
    await writer.apply(said(Word.SHIPPED, items={"A": 1}, event="two"))
    for _ in range(2):
        call = await claimed(pool, "newstore")
        await writer.settle(call, TRY, taken(call))
    await pool.execute("UPDATE deliveries SET ready = false WHERE is_read")  # only the second report is claimed below
    call = await claimed(pool, "newstore")
    await writer.settle(call, TRY, Reschedule(0.0, doubt=True, counts=True))
    call = await claimed(pool, "newstore")

    with pytest.raises(NotSent) as not_yet:
        await made(clients, pool, call)
    then = after(not_yet.value, call, AT, 10.0)
    assert isinstance(then, Reschedule)
    assert (then.doubt, then.counts) == (True, False)
    assert outcome_of(not_yet.value).name not in FAILURES
    assert outside.sent == []


async def test_an_order_that_is_not_in_what_the_look_up_shows_is_sent_again_only_where_twice_is_harmless(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive(), b"{}")
    await writer.settle(await claimed(pool), TRY, Reschedule(0.0, doubt=True, counts=True))
    call = await claimed(pool)
    outside.answers["GET"] = 200  # and nothing that names the order
    acme = clients.adapters["acme"]
    acme.can = replace(acme.can, idempotent=False)
    with pytest.raises(Undecidable, match="does not name the order"):
        await made(clients, pool, call)
    acme.can = replace(acme.can, idempotent=True)
    assert isinstance(await made(clients, pool, call), CallTaken)


async def test_an_order_that_its_provider_claims_to_have_and_does_not_find_is_not_given_to_another(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive(), b"{}")
    call = await claimed(pool)
    outside.answers |= {"POST": 409, "GET": 404}
    with pytest.raises(Disputed) as disputed:
        await made(clients, pool, call)

    ended = after(disputed.value, call, AT, 10.0)
    assert isinstance(ended, CallEnded)
    request = (await writer.settle(call, TRY, ended)).request
    assert request is not None
    assert request.failure == "dead_create"
    reroute = Reroute(request_id="r-1", at=AT, who="ada", action_id="a", to="beta", can_withdraw=False)
    (declined,) = (await writer.apply(reroute)).events
    assert isinstance(declined.fact, Declined)


async def test_a_look_up_that_a_person_asked_for_and_that_tells_nothing_is_over_at_once(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive(), b"{}")
    call = await claimed(pool)
    lost = CallEnded(
        request_id="r-1", at=AT, operation=call.operation, seq=call.seq, attempt=1, end=End.UNDECIDABLE, detail="?"
    )
    await writer.settle(call, TRY, lost)
    await writer.apply(Recheck(request_id="r-1", at=AT, who="ada", action_id="a", can_look_up=True))
    call = await claimed(pool)
    outside.answers["GET"] = 200
    with pytest.raises(Inconclusive) as told:
        await made(clients, pool, call)
    ended = after(told.value, call, AT, 10.0)
    assert isinstance(ended, CallEnded)
    (event,) = (await writer.settle(call, TRY, ended)).events
    assert isinstance(event.fact, Rechecked)
    assert event.fact.outcome.startswith("no answer: the look-up answered 200")


async def restore(pool: Pool) -> None:
    """Restore, and release the hold; nobody has asked NewStore yet."""
    await restored.pause(pool)
    for hold in await holds.active(pool):
        await holds.release(pool, hold.id, "kim", "compared")


async def test_an_order_in_doubt_is_neither_looked_up_nor_sent_before_newstore_was_asked(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive(), b"{}")
    await restore(pool)
    call = await claimed(pool)
    with pytest.raises(NotYet):
        await made(clients, pool, call)
    assert not outside.calls

    await pool.execute("UPDATE requests SET compared = (SELECT max(id) FROM holds)")
    assert isinstance(await made(clients, pool, call), CallTaken)
    assert outside.calls == {"GET": 1, "POST": 1}


async def test_a_shipment_that_only_a_person_could_decide_on_waits_until_newstore_was_asked(
    clients: OutboundClients, outside: World, writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive("r-1", "TEE", "TEE"), b"{}")
    await writer.settle(call := await claimed(pool), TRY, taken(call))
    await restore(pool)
    other = replace(PARCEL, tracking_code="1Z2")
    await writer.apply(said(Word.SHIPPED, items={"TEE": 1}, parcel=other))
    await writer.settle(call := await claimed(pool, "newstore"), TRY, taken(call))
    outside.shown = ["TEE"]
    call = await claimed(pool, "newstore")
    with pytest.raises(NotYet):
        await made(clients, pool, call)

    await pool.execute("UPDATE requests SET compared = (SELECT max(id) FROM holds)")
    with pytest.raises(Undecidable):
        await made(clients, pool, call)
