"""After a restore whatever is owed is looked for before it is sent."""

from datetime import UTC, datetime

import asyncpg

from gateway.domain.acts.again import Redrive
from gateway.domain.commands import End, Word
from gateway.domain.deliveries import Operation
from gateway.ledger.queue import holds, restored
from gateway.ledger.write.writer import Writer
from tests.requests import AT, receive, said

from .test_exits import end
from .test_writer import TRY, claimed, rows, stored, taken

Pool = asyncpg.Pool
DOUBTS = "SELECT operation FROM deliveries WHERE request_id = 'r-1' AND doubt ORDER BY seq"


async def let_go(pool: Pool) -> None:
    for hold in await holds.active(pool):
        await holds.release(pool, hold.id, "kim", "compared")


async def test_what_a_restored_request_comes_to_owe_is_in_doubt_and_what_it_reads_is_not(
    writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive())
    await writer.settle(call := await claimed(pool), TRY, taken(call))
    await restored.pause(pool)
    await let_go(pool)
    assert await rows(pool, DOUBTS) == []

    await writer.apply(said(Word.SHIPPED, items={"TEE": 1}))
    assert await rows(pool, DOUBTS) == [("acknowledge",), ("ship",)]
    for _ in range(2):
        await writer.settle(call := await claimed(pool, "newstore"), TRY, taken(call))
    assert await rows(pool, "SELECT operation, doubt FROM deliveries") == [("read_shipment", False)]

    await writer.apply(said(Word.SHIPPED, items={"CAP": 1}, event="two"))
    assert await rows(pool, DOUBTS) == [("ship",)]


async def test_what_is_redriven_of_a_restored_request_is_in_doubt(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    await writer.settle(call, TRY, end(call, End.EXHAUSTED))
    await restored.pause(pool)
    await let_go(pool)

    await writer.apply(Redrive(request_id="r-1", at=AT, who="ada", action_id="a"))

    assert (await stored(pool)).restored
    call = await claimed(pool)
    assert (call.operation, call.doubt) == (Operation.CREATE, True)


async def test_a_request_that_comes_before_the_release_may_be_a_lost_one_and_later_ones_are_not(
    writer: Writer, pool: Pool
) -> None:
    await restored.pause(pool)
    await writer.apply(receive("r-1"))
    await let_go(pool)
    await writer.apply(receive("r-2"))
    await holds.place(pool, "everything", "", reason="a fire", who="kim")
    await writer.apply(receive("r-3"))

    assert await rows(pool, "SELECT request_id, doubt FROM deliveries ORDER BY request_id") == [
        ("r-1", True), ("r-2", False), ("r-3", False)
    ]  # fmt: skip


async def test_what_was_settled_before_a_backup_is_left_alone(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await pool.execute("UPDATE requests SET pending = false, settled_at = $1", datetime.now(UTC))
    await restored.pause(pool)
    assert not (await stored(pool)).restored
