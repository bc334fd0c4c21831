"""What persons did about a request, stored and read again."""

import asyncio
from typing import Any

import asyncpg
import pytest

from gateway.domain.commands import (
    CallEnded,
    CallTaken,
    Close,
    Discard,
    DiscardReports,
    End,
    ProviderSaid,
    Recheck,
    Redrive,
    RejectByHand,
    RejectionReason,
    Reroute,
    Take,
    Word,
    replayed,
)
from gateway.domain.deliveries import Operation
from gateway.domain.events.people import Declined
from gateway.domain.requests import Dead, Request, Withdrawal
from gateway.domain.units import Confirmed, Said
from gateway.ledger.database.seen import Position
from gateway.ledger.queue.claims import Claim, claim
from gateway.ledger.read import listing, request_reads
from gateway.ledger.write.plan import Plan
from gateway.ledger.write.queued import Attempt, CommitResult, QueuedCommand, Reschedule
from gateway.ledger.write.writer import Writer
from gateway.settings.shapes import Brake
from tests.requests import AT, receive, said

from .test_writer import claimed, folded, rows, stored

Pool = asyncpg.Pool
TRY = Attempt(AT, 0.1, "done", 200, "")


def by(action_id: str) -> dict[str, Any]:
    return {"request_id": "r-1", "at": AT, "who": "ada", "action_id": action_id, "reason": "phoned the DC"}


def end(call: Claim, how: End) -> CallEnded:
    return CallEnded(
        request_id=call.request_id, at=AT, operation=call.operation, seq=call.seq, attempt=1, end=how, detail="no"
    )


def taken(call: Claim, proof: str = "") -> CallTaken:
    return CallTaken(request_id=call.request_id, at=AT, operation=call.operation, seq=call.seq, attempt=1, proof=proof)


async def is_the_fold(pool: Pool) -> Request:
    """The state as stored, which must be the fold of its events in every field."""
    state, fold = await stored(pool), await folded(pool)
    names = {each for each in Request.__slots__ if each not in {"causes", "tracking_codes", "owed"}}
    assert set(state.owed) == set(fold.owed)
    assert {name: getattr(state, name) for name in names} == {name: getattr(fold, name) for name in names}
    return state


async def test_how_each_delivery_died_is_kept_until_it_is_redriven(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    await writer.settle(call, TRY, end(call, End.UNDECIDABLE))
    assert (await is_the_fold(pool)).dead == (Dead(Operation.CREATE, 1, End.UNDECIDABLE),)
    assert await pool.fetchval("SELECT dead FROM requests") == "create@1:undecidable"

    await writer.apply(Redrive(**by("one")))

    assert (await is_the_fold(pool)).dead == ()
    assert await pool.fetchval("SELECT count(*) FROM dead_deliveries") == 0
    again = await claimed(pool)
    assert (again.seq, again.doubt, again.attempt) == (3, True, 1)


async def test_a_redriven_report_is_stored_and_keeps_its_refusals(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await writer.apply(said(Word.SHIPPED))
    call = await claimed(pool, "newstore")
    await writer.settle(call, TRY, taken(call))
    call = await claimed(pool, "newstore")
    await writer.settle(call, TRY, end(call, End.REFUSED))
    assert (await is_the_fold(pool)).failure == "refused"

    applied = await writer.apply(Redrive(**by("one")))

    assert applied.request is not None
    state = await is_the_fold(pool)
    assert {(unit.confirmed, unit.reported_by) for unit in state.units} == {
        (Confirmed.NOT_SENT, applied.request.version)
    }
    call = await claimed(pool, "newstore")
    assert (call.operation, call.doubt) == (Operation.SHIP, False)


async def test_a_recheck_is_a_read_of_its_own_beside_the_regular_one(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await writer.apply(said(Word.SHIPPED, items={"TEE": 1}))
    for how in (End.EXHAUSTED, End.REFUSED):
        call = await claimed(pool, "newstore")
        await writer.settle(call, TRY, end(call, how))
    await writer.apply(said(Word.SHIPPED, items={"CAP": 1}, event="two"))
    call = await claimed(pool, "newstore")
    await writer.settle(call, TRY, taken(call))

    applied = await writer.apply(Recheck(**by("look"), can_look_up=True))

    assert applied.request is not None
    found = await rows(
        pool, "SELECT operation, seq, ready, due_at <= clock_timestamp() FROM deliveries WHERE is_read ORDER BY seq"
    )
    assert [each[:3] for each in found] == [
        ("read_shipment", 0, True),
        ("read_shipment", applied.request.version, True),
    ]
    assert found[1][3]
    await is_the_fold(pool)


async def test_a_closed_request_leaves_no_call_and_no_dead_delivery(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await writer.apply(said(Word.SHIPPED))
    call = await claimed(pool)
    await writer.settle(call, TRY, end(call, End.EXHAUSTED))
    await writer.apply(Take(**by("take")))

    await writer.apply(Close(**by("close")))

    state = await is_the_fold(pool)
    assert (state.closed, state.taken_by, state.is_pending) == (True, "ada", False)
    assert await pool.fetchval("SELECT count(*) FROM deliveries") == 0
    assert await pool.fetchval("SELECT count(*) FROM dead_deliveries") == 0
    assert await pool.fetchval("SELECT closed AND NOT pending AND settled_at IS NOT NULL FROM requests")


async def test_a_withdrawal_is_kept_with_what_follows_it(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    await writer.settle(call, TRY, taken(call))

    await writer.apply(RejectByHand(**by("r"), rejection_reason=RejectionReason.NO_INVENTORY, can_withdraw=True))

    asked = await is_the_fold(pool)
    assert asked.withdrawal == Withdrawal(None, RejectionReason.NO_INVENTORY, "ada", "phoned the DC")
    call = await claimed(pool)
    assert (call.destination, call.operation) == ("acme", Operation.WITHDRAW)
    await writer.settle(call, TRY, taken(call, "204"))
    rejected = await is_the_fold(pool)
    assert (rejected.withdrawal, rejected.withdrawn) == (None, True)
    assert (await claimed(pool, "newstore")).operation is Operation.REJECT


async def test_an_order_that_nobody_began_to_send_is_rerouted_and_its_call_is_gone(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())

    await writer.apply(Reroute(**by("r"), to="beta", can_withdraw=False))

    rerouted = await is_the_fold(pool)
    assert (rerouted.provider, rerouted.former) == ("beta", ("acme",))
    assert await rows(pool, "SELECT destination, operation, seq FROM deliveries") == [("beta", "create", 3)]


async def test_an_order_that_was_turned_away_counts_as_never_sent(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    await writer.settle(call, TRY, Reschedule(0.0, doubt=False, counts=True))

    assert (await stored(pool)).owed[0].is_unsent
    await writer.apply(Reroute(**by("r"), to="beta", can_withdraw=False))

    assert (await stored(pool)).provider == "beta"


@pytest.mark.parametrize("doubt", [True, False])
async def test_an_order_in_doubt_or_on_its_way_is_not_called_off(writer: Writer, pool: Pool, *, doubt: bool) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    if doubt:
        await writer.settle(call, TRY, Reschedule(60.0, doubt=True, counts=True))

    applied = await writer.apply(Reroute(**by("r"), to="beta", can_withdraw=False))

    assert isinstance(applied.events[0].fact, Declined)
    assert await rows(pool, "SELECT destination FROM deliveries") == [("acme",)]


async def test_an_order_that_is_claimed_while_it_is_called_off_stays_where_it_is(writer: Writer, pool: Pool) -> None:
    """The claim holds the call's row, so what was decided without it is not written but decided anew."""
    await writer.apply(receive())
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("INSERT INTO processes (owner, key) VALUES ('me', 1)")
        found = await claim(connection, {"acme": 1}, owner="me", seconds=15, brake=Brake())
        assert len(found) == 1
        reroute = asyncio.create_task(writer.apply(Reroute(**by("r"), to="beta", can_withdraw=False)))
        await writer.apply(receive("r-2"))
        await writer.apply(receive("r-3"))
        assert not reroute.done()
        await transaction.commit()
    applied: CommitResult = await reroute

    assert isinstance(applied.events[0].fact, Declined)
    assert await rows(pool, "SELECT destination, owner FROM deliveries WHERE request_id = 'r-1'") == [("acme", "me")]


async def test_a_rejection_that_is_claimed_while_it_is_discarded_is_told_to_newstore(
    writer: Writer, pool: Pool
) -> None:
    """The claim holds the call's row, so what was decided without it is not written but decided anew."""
    await writer.apply(receive())
    await writer.apply(said(Word.REJECTED, reason=RejectionReason.NO_INVENTORY))
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("INSERT INTO processes (owner, key) VALUES ('me', 1)")
        (call,) = await claim(connection, {"newstore": 1}, owner="me", seconds=15, brake=Brake())
        discard = asyncio.create_task(writer.apply(DiscardReports(**by("d"))))
        await writer.apply(receive("r-2"))
        await writer.apply(receive("r-3"))
        assert not discard.done()
        await transaction.commit()

    assert isinstance((await discard).events[0].fact, Declined)
    await writer.settle(call, TRY, taken(call))
    assert {unit.confirmed for unit in (await is_the_fold(pool)).units} == {Confirmed.SENT}


async def test_what_is_discarded_is_owed_no_more_and_hands_its_turn_on(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await writer.apply(said(Word.REJECTED, reason=RejectionReason.NO_INVENTORY, items={"TEE": 1}))
    await writer.apply(said(Word.SHIPPED, items={"CAP": 1}))
    waiting = "SELECT operation, ready FROM deliveries WHERE destination = 'newstore' ORDER BY seq"
    assert await rows(pool, waiting) == [("reject", True), ("acknowledge", False), ("ship", False)]

    await writer.apply(DiscardReports(**by("d")))

    assert await rows(pool, waiting) == [("acknowledge", True), ("ship", False)]
    assert [unit.said for unit in (await is_the_fold(pool)).units] == [Said.OPEN, Said.SHIPPED]


@pytest.mark.parametrize("how", ["claimed", "in doubt"])
async def test_what_was_decided_of_an_order_that_was_sent_meanwhile_is_not_written(
    writer: Writer, pool: Pool, database: str, how: str
) -> None:
    await writer.apply(receive())
    before = await stored(pool)
    call = await claimed(pool)
    if how == "in doubt":
        await writer.settle(call, TRY, Reschedule(60.0, doubt=True, counts=True))
    plan = Plan(900.0)
    plan.add(before, [QueuedCommand("r-1", Reroute(**by("r"), to="beta", can_withdraw=False))], {})

    connection = await asyncpg.connect(database)
    assert await plan.batch.commit(connection, Position()) == (set(), set())
    await connection.close()

    assert await rows(pool, "SELECT destination FROM deliveries") == [("acme",)]


async def test_an_order_in_doubt_is_called_off_on_a_persons_word(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    await writer.settle(call, TRY, Reschedule(60.0, doubt=True, counts=True))

    await writer.apply(Reroute(**by("r"), to="beta", can_withdraw=False, stopped="they deleted it"))

    assert await rows(pool, "SELECT destination FROM deliveries") == [("beta",)]


async def test_a_message_that_left_quarantine_is_resolved_in_the_same_commit(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    first, second = said(Word.CANCELLED, event="one"), said(Word.CANCELLED, event="two")
    assert isinstance(first, ProviderSaid)
    for message in (first, second):
        await writer.apply(message, b"{}")
    waiting = "SELECT event_id FROM quarantine WHERE resolved_at IS NULL ORDER BY id"
    assert await rows(pool, waiting) == [("acme:one",), ("acme:two",)]

    await writer.apply(Discard(**by("d"), message="acme:two"))
    await writer.apply(replayed(first, AT, "ada"), b"{}")

    assert await rows(pool, waiting) == [("acme:one~1",)]
    assert (await is_the_fold(pool)).quarantined == 1


async def test_what_was_rejected_or_closed_without_a_provider_is_routed_no_more(writer: Writer, pool: Pool) -> None:
    for number, request_id in enumerate(("r-1", "r-2", "r-3")):
        await writer.apply(receive(request_id, provider=None, order_id=f"SO-{number}"))
    reject = RejectByHand(**by("r"), rejection_reason=RejectionReason.CANNOT_FULFILL, can_withdraw=False)
    await writer.apply(reject)
    await writer.apply(Close(**by("c") | {"request_id": "r-2"}))

    assert await request_reads.unroutable(pool, "DC01") == ["r-3"]


async def test_a_story_shows_who_did_what(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await writer.apply(Close(**by("c")))
    story = await listing.story(pool, "r-1")

    assert story is not None
    last = story["events"][-1]
    assert (last["kind"], last["cause"]) == ("closed", "person:c")
    assert last["fact"] == {"who": "ada", "reason": "phoned the DC"}


async def test_a_call_that_comes_back_as_its_request_is_closed_is_owed_no_more(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    returned = QueuedCommand("r-1", None, claim=call, attempt=TRY, reschedule=Reschedule(0.0, doubt=False, counts=True))

    await writer.run_once([returned, QueuedCommand("r-1", Close(**by("c")))])

    assert (await stored(pool)).closed
    assert await pool.fetchval("SELECT count(*) FROM deliveries") == 0
