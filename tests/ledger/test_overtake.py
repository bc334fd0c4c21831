"""What may go passes what is held, one at a time, and what was held is next again."""

import asyncio

import asyncpg
import pytest

from gateway.domain.commands import CallEnded, Close, Command, DiscardReports, End, RejectionReason, Word
from gateway.domain.deliveries import Operation
from gateway.ledger.queue.claims import Claim
from gateway.ledger.queue.holds import place, release
from gateway.ledger.queue.overtake import overtake_held
from gateway.ledger.read import listing
from gateway.ledger.write.queued import Reschedule
from gateway.ledger.write.writer import Writer
from tests.requests import AT, receive, said

from .owed import claimed, ids, owe
from .test_writer import TRY, rows, taken

Pool = asyncpg.Pool
READY = "SELECT operation FROM deliveries WHERE ready AND NOT is_read AND destination = 'newstore' ORDER BY seq"
SCANNED = "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'deliveries'"
REJECTED = said(Word.REJECTED, items={"TEE": 1}, reason=RejectionReason.NO_INVENTORY)


async def at_newstore(pool: Pool) -> list[Claim]:
    """Claim what may go to NewStore now."""
    async with pool.acquire() as connection:
        return await claimed(connection, {"newstore": 100})


async def settle(writer: Writer, call: Claim, how: End | None = None) -> None:
    ended = how and CallEnded(
        request_id=call.request_id, at=AT, operation=call.operation, seq=call.seq, attempt=1, end=how, detail="no"
    )
    await writer.settle(call, TRY, ended or taken(call))


async def held_rejection(writer: Writer, pool: Pool) -> int:
    """A rejection that is held, and a shipment that is owed behind it; gives the number of the hold."""
    hold = await place(pool, "rejections", "DC01", reason="a look first", who="kim")
    await writer.apply(receive("r-1", "TEE", "TEE", "CAP"))
    await writer.apply(said(Word.ACCEPTED))
    (call,) = await at_newstore(pool)
    await settle(writer, call)
    await writer.apply(REJECTED)
    await writer.apply(said(Word.SHIPPED, items={"TEE": 1}))
    return hold.id


@pytest.mark.parametrize("how", [None, End.EXHAUSTED, End.REFUSED])
async def test_a_shipment_passes_a_held_rejection_which_is_next_again_whatever_became_of_it(
    writer: Writer, pool: Pool, how: End | None
) -> None:
    hold = await held_rejection(writer, pool)
    assert await at_newstore(pool) == []

    assert await overtake_held(pool) == 1
    (call,) = await at_newstore(pool)
    assert call.operation is Operation.SHIP
    await settle(writer, call, how)

    assert await rows(pool, READY) == [("reject",)]
    assert await at_newstore(pool) == []
    await release(pool, hold, "kim", "mended")
    assert [each.operation for each in await at_newstore(pool)] == [Operation.REJECT]


async def test_a_shipment_that_is_tried_again_stays_first(writer: Writer, pool: Pool) -> None:
    await held_rejection(writer, pool)
    await overtake_held(pool)
    (call,) = await at_newstore(pool)
    await writer.settle(call, TRY, Reschedule(60.0, doubt=True, counts=True))
    await writer.apply(said(Word.SHIPPED, items={"CAP": 1}, event="two"))

    assert await overtake_held(pool) == 0
    assert await rows(pool, READY) == [("ship",)]


async def test_a_rejection_in_doubt_keeps_its_grace_while_it_is_overtaken(writer: Writer, pool: Pool) -> None:
    await held_rejection(writer, pool)
    await pool.execute("UPDATE deliveries SET due_at = now() + interval '1 min' WHERE operation = 'reject'")
    await overtake_held(pool)
    (call,) = await at_newstore(pool)
    await settle(writer, call)

    assert await rows(pool, READY) == [("reject",)]
    assert await pool.fetchval("SELECT due_at > now() + interval '30s' FROM deliveries WHERE operation = 'reject'")


async def test_a_shipment_that_passed_keeps_its_time_when_the_rejection_is_discarded(
    writer: Writer, pool: Pool
) -> None:
    await held_rejection(writer, pool)
    await overtake_held(pool)
    (call,) = await at_newstore(pool)
    await writer.settle(call, TRY, Reschedule(60.0, doubt=True, counts=True))

    await writer.apply(DiscardReports(request_id="r-1", at=AT, who="ada", action_id="a"))

    assert await rows(pool, READY) == [("ship",)]
    assert await pool.fetchval("SELECT due_at > now() + interval '30s' FROM deliveries WHERE operation = 'ship'")


async def test_what_is_owed_while_a_rejection_is_overtaken_waits_for_its_turn(writer: Writer, pool: Pool) -> None:
    await held_rejection(writer, pool)
    await overtake_held(pool)
    (call,) = await at_newstore(pool)
    await writer.apply(said(Word.SHIPPED, items={"CAP": 1}, event="two"))
    assert (await at_newstore(pool), await overtake_held(pool)) == ([], 0)
    await settle(writer, call)

    assert await rows(pool, READY) == [("reject",)]
    assert await overtake_held(pool) == 1
    assert [each.seq > call.seq for each in await at_newstore(pool)] == [True]


@pytest.mark.parametrize("is_held", [True, False])
async def test_a_rejection_that_an_older_program_left_overtaken_is_next_again(
    writer: Writer, pool: Pool, *, is_held: bool
) -> None:
    hold = await held_rejection(writer, pool)
    await overtake_held(pool)
    (call,) = await at_newstore(pool)
    await settle(writer, call)
    await pool.execute("UPDATE deliveries SET ready = false WHERE operation = 'reject'")  # it hands nothing back
    await writer.apply(said(Word.SHIPPED, items={"CAP": 1}, event="two"))
    if not is_held:
        await release(pool, hold, "kim", "mended")

    assert await overtake_held(pool) == is_held
    assert await rows(pool, READY) == [("ship" if is_held else "reject",)]


async def test_a_rejection_is_handed_no_turn_before_what_is_ready_or_was_owed_before_it(pool: Pool) -> None:
    await place(pool, "rejections", "DC01", reason="a look first", who="kim")
    for operation in (Operation.ACKNOWLEDGE, Operation.SHIP):
        await owe(pool, operation, operation, ready=operation is Operation.SHIP)
        await owe(pool, operation, Operation.REJECT, ready=False)
    await pool.execute("UPDATE deliveries SET seq = 2 WHERE operation <> 'acknowledge'")

    assert await overtake_held(pool) == 0
    assert await rows(pool, "SELECT request_id, operation FROM deliveries WHERE ready") == [("ship", "ship")]


async def test_only_what_is_held_is_overtaken_and_only_by_what_may_go(pool: Pool) -> None:
    for request_id, location in (("held", "DC01"), ("free", "DC02"), ("expired", "DC03")):
        await owe(pool, request_id, Operation.REJECT, location=location)
        await owe(pool, request_id, Operation.SHIP, location=location, ready=False)
    await owe(pool, "twice", Operation.REJECT)
    await owe(pool, "twice", Operation.CANCEL, ready=False)
    await owe(pool, "ship", Operation.SHIP)
    await owe(pool, "ship", Operation.ACKNOWLEDGE, ready=False)
    assert await overtake_held(pool) == 0
    await place(pool, "rejections", "DC01", reason="a look first", who="kim")
    await place(pool, "rejections", "DC03", reason="until lunch", who="kim", seconds=-1)

    assert await overtake_held(pool) == 1
    assert ids(await at_newstore(pool)) == ["expired", "free", "held", "ship"]
    assert await pool.fetchval("SELECT ready FROM deliveries WHERE request_id = 'held' AND operation = 'ship'")


async def test_a_rejection_that_is_being_claimed_is_not_overtaken(writer: Writer, pool: Pool) -> None:
    """The claim began before there was a hold; its transaction is still open when the look comes."""
    await owe(pool, "r-1", Operation.REJECT)
    await owe(pool, "r-1", Operation.SHIP, ready=False)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert len(await claimed(connection)) == 1
        await place(pool, "rejections", "DC01", reason="a look first", who="kim")
        async with asyncio.timeout(5):
            assert await overtake_held(pool) == 0
        await transaction.commit()
    assert await overtake_held(pool) == 0
    assert await at_newstore(pool) == []


async def test_while_a_rejection_is_overtaken_nothing_of_its_request_is_claimed(pool: Pool) -> None:
    await owe(pool, "r-1", Operation.REJECT)
    await owe(pool, "r-1", Operation.SHIP, ready=False)
    hold = await place(pool, "rejections", "DC01", reason="a look first", who="kim")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await overtake_held(connection) == 1
        await release(pool, hold.id, "kim", "mended")
        async with asyncio.timeout(5):
            assert await at_newstore(pool) == []
        await transaction.commit()
    assert [each.operation for each in await at_newstore(pool)] == [Operation.SHIP]


async def test_a_request_that_is_closed_while_its_rejection_is_overtaken_owes_nothing(
    writer: Writer, pool: Pool
) -> None:
    await held_rejection(writer, pool)
    close: Command = Close(request_id="r-1", at=AT, who="ada", action_id="a")
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        assert await overtake_held(connection) == 1
        closing = asyncio.create_task(writer.apply(close))
        await writer.apply(receive("r-2"))
        assert not closing.done()
        await transaction.commit()
        await closing
    assert await pool.fetchval("SELECT count(*) FROM deliveries WHERE request_id = 'r-1'") == 0


async def test_a_story_says_which_hold_keeps_what_back_and_who_goes_first(writer: Writer, pool: Pool) -> None:
    hold = await held_rejection(writer, pool)
    await pool.execute("DELETE FROM deliveries WHERE operation = 'create'")
    assert await owed_and_waits(pool) == [
        ("reject", None, hold), ("ship", "reject", None),
        f"gateway: the gateway has to ship the request at newstore; hold {hold} keeps back its reject",
    ]  # fmt: skip
    await overtake_held(pool)
    assert (await owed_and_waits(pool))[:2] == [("reject", "ship", hold), ("ship", None, None)]

    stop = await place(pool, "request", "r-1", reason="a customer called", who="kim")
    await release(pool, hold, "kim", "mended")
    assert await owed_and_waits(pool) == [
        ("reject", "ship", stop.id), ("ship", None, stop.id),
        f"operations: hold {stop.id} keeps back its reject at newstore: release the hold once you have looked into it",
    ]  # fmt: skip


async def owed_and_waits(pool: Pool) -> list[object]:
    """What a story says of the calls that are owed, and of who has to move."""
    story = await listing.story(pool, "r-1")
    assert story is not None
    waits = story["waiting_for"]
    owed = [(each["operation"], each["waits_for"], each["hold"]) for each in story["owed"]]
    return [*owed, f"{waits['who']}: {waits['next']}"]


@pytest.mark.parametrize("is_counted", [False, True])
async def test_a_look_costs_little_without_a_hold_and_is_quick_with_many_held(pool: Pool, *, is_counted: bool) -> None:
    if not is_counted:
        await pool.execute("ANALYZE deliveries")  # while it is empty: so it is remembered when it is long
    await owe(pool, "r-", Operation.REJECT, count=20_000)
    await owe(pool, "r-", Operation.SHIP, ready=False, count=50)
    if is_counted:
        await pool.execute("ANALYZE deliveries")
    async with pool.acquire() as connection, connection.transaction():
        assert await overtake_held(connection) == 0
        assert await connection.fetchval(SCANNED) < 10  # none but what the planner asks the index for its ends
        await place(pool, "rejections", "DC01", reason="a look first", who="kim")
        assert await overtake_held(connection) == 50
        assert await connection.fetchval(SCANNED) < 1_000


@pytest.mark.parametrize("braked", [False, True])
async def test_what_may_go_passes_an_operation_that_is_held_everywhere(pool: Pool, *, braked: bool) -> None:
    for location in ("DC01", "DC02"):
        await owe(pool, f"ship-{location}", Operation.ACKNOWLEDGE, location=location)
        await owe(pool, f"ship-{location}", Operation.SHIP, location=location, ready=False)
        await owe(pool, f"reject-{location}", Operation.ACKNOWLEDGE, location=location)
        await owe(pool, f"reject-{location}", Operation.REJECT, location=location, ready=False)
    await owe(pool, "same", Operation.ACKNOWLEDGE)
    await owe(pool, "free", Operation.SHIP)
    await owe(pool, "free", Operation.CANCEL, ready=False)
    await place(pool, "operation", "acknowledge", reason="410", who="gateway")
    if braked:
        await place(pool, "rejections", "DC01", reason="a look first", who="kim")
    went = ["free", "reject-DC02", "ship-DC01", "ship-DC02", *([] if braked else ["reject-DC01"])]

    assert await overtake_held(pool) == len(went) - 1
    assert ids(await at_newstore(pool)) == sorted(went)
    assert await overtake_held(pool) == 0


@pytest.mark.parametrize(
    ("held", "order"),
    [
        ("reject", (Operation.CANCEL, Operation.ACKNOWLEDGE, Operation.SHIP)),
        ("ship", (Operation.SHIP, Operation.ACKNOWLEDGE, Operation.CANCEL)),
    ],
)
async def test_in_a_held_location_a_turn_is_given_to_one_that_no_hold_keeps_back(
    pool: Pool, held: str, order: tuple[Operation, ...]
) -> None:
    await owe(pool, "r-1", Operation.REJECT)
    await pool.execute("UPDATE deliveries SET seq = 0")
    for number, operation in enumerate(order, start=1):
        await owe(pool, "r-1", operation, ready=False)
        await pool.execute("UPDATE deliveries SET seq = $1 WHERE operation = $2", number, operation)
    await place(pool, "operation", held, reason="410", who="gateway")
    await place(pool, "rejections", "DC01", reason="a look first", who="kim")
    assert await overtake_held(pool) == 1
    assert await rows(pool, READY) == [("acknowledge",)]
