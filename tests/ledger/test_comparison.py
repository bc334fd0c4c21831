"""After a restore NewStore is asked about each open request once, when the hold of the paused start is released."""

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime

import asyncpg
import pytest

from gateway.comparison import Comparing
from gateway.domain.commands import Compare, Key, ReadBack, Word
from gateway.domain.deliveries import Operation, Parcel
from gateway.domain.events.messages import CallbackWithoutEffect
from gateway.domain.units import Confirmed, Said
from gateway.ledger.queue import comparison, restored
from gateway.ledger.queue.claims import Claim
from gateway.ledger.queue.comparison import Progress
from gateway.ledger.read import listing, request_reads
from gateway.ledger.write.writer import Writer
from tests.domain.steps import parcel_of
from tests.requests import AT, PARCEL, receive, said
from tests.served import SETTINGS

from .test_restored import let_go
from .test_writer import TRY, claimed, folded, rows, stored, taken

Pool = asyncpg.Pool
READS = "SELECT request_id, operation FROM deliveries WHERE is_read ORDER BY request_id, operation"
ALL_READS = ["read_cancellation", "read_rejection", "read_shipment"]


async def compare(pool: Pool, writer: Writer) -> int:
    return await Comparing(pool, writer, SETTINGS).run_once()


def shown(call: Claim, taken: dict[Key, int], parcel: Parcel = PARCEL) -> ReadBack:
    return ReadBack(
        request_id=call.request_id, at=datetime.now(UTC), operation=Operation.SHIP, attempt=call.attempt, taken=taken,
        refused={}, parcels={}, overdue=False, seq=call.seq, spelled=dict.fromkeys(taken, parcel),
    )  # fmt: skip


async def restore(writer: Writer, pool: Pool, *products: str) -> None:
    """A request that nobody has sent, restored, and about which NewStore is asked for its shipments alone."""
    await writer.apply(receive("r-1", *products))
    await restored.pause(pool)
    await let_go(pool)
    await pool.execute("UPDATE requests SET compared = (SELECT max(id) FROM holds)")
    await writer.apply(Compare(request_id="r-1", at=AT, hold=1, read_backs=frozenset({Operation.SHIP})))


async def test_nobody_is_asked_before_the_release_and_then_each_open_request_once(writer: Writer, pool: Pool) -> None:
    for request_id in ("r-1", "r-2", "settled"):
        await writer.apply(receive(request_id))
    await pool.execute("UPDATE requests SET pending = false, settled_at = now() WHERE id = 'settled'")
    await restored.pause(pool)
    assert await compare(pool, writer) == 0
    assert await comparison.progress(pool) == Progress(0, 2)

    await let_go(pool)
    assert [await compare(pool, writer) for _ in range(2)] == [2, 0]

    assert await rows(pool, READS) == [(request_id, each) for request_id in ("r-1", "r-2") for each in ALL_READS]
    assert await comparison.progress(pool) == Progress(0, 2)


async def test_a_second_restore_has_a_second_comparison(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    for _ in range(2):
        await restored.pause(pool)
        await let_go(pool)
        assert await compare(pool, writer) == 1
        assert len(await rows(pool, READS)) == 3
        await pool.execute("DELETE FROM deliveries WHERE is_read")
        assert await comparison.progress(pool) == Progress(1, 1)


async def test_two_processes_ask_about_a_request_once(writer: Writer, other: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await restored.pause(pool)
    await let_go(pool)
    hold, found = await comparison.next_to_ask(pool, 10)
    await asyncio.gather(compare(pool, writer), compare(pool, other))
    assert len(await rows(pool, READS)) == 3
    await pool.execute("DELETE FROM deliveries WHERE is_read")
    for each in (writer, other):  # one that looked before and is late
        await each.apply(Compare(request_id=found[0], at=AT, hold=hold))

    assert await rows(pool, READS) == []
    assert await pool.fetchval("SELECT count(*) FROM events WHERE kind = 'recheck_asked'") == 3


async def test_so_many_are_asked_at_once_and_the_newest_first(writer: Writer, pool: Pool) -> None:
    for number in range(5):
        await writer.apply(replace(receive(f"r-{number}"), at=datetime(2026, 11, 3, 9, number, tzinfo=UTC)))
    await restored.pause(pool)
    await let_go(pool)
    hold, found = await comparison.next_to_ask(pool, 2)
    assert found == ["r-4", "r-3"]
    for request_id in found:
        await writer.apply(Compare(request_id=request_id, at=AT, hold=hold))
    await comparison.asked(pool, hold, found)

    assert await comparison.next_to_ask(pool, 2) == (0, [])
    assert await comparison.next_to_ask(pool, 3) == (hold, ["r-2"])


async def test_how_far_it_is_is_told_when_it_begins_and_when_it_is_over(
    writer: Writer, pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await writer.apply(receive())
    await restored.pause(pool)
    comparing = Comparing(pool, writer, SETTINGS, tell_every=0.0)
    await comparing.run_once()
    assert told(caplog) == []
    await let_go(pool)
    await comparing.run_once()
    await pool.execute("DELETE FROM deliveries WHERE is_read")
    for _ in range(3):
        await comparing.run_once()
    assert told(caplog) == [{"compared": 0, "of": 1}, {"compared": 1, "of": 1}]


def told(caplog: pytest.LogCaptureFixture) -> list[object]:
    return [vars(record)["facts"] for record in caplog.records if record.message == "restore.compared"]


async def test_what_is_taken_over_is_stored_as_the_fold_has_it_and_found_by_its_parcel(
    writer: Writer, pool: Pool
) -> None:
    await restore(writer, pool, "TEE", "TEE")
    call = await claimed(pool, "newstore")
    await writer.settle(call, TRY, shown(call, {parcel_of("TEE"): 1}))

    state = await stored(pool)
    assert (state, state.parcels, state.untold) == (replace(await folded(pool), causes={}), {0: PARCEL}, (0,))
    assert (state.units[0].said, state.units[0].confirmed) == (Said.SHIPPED, Confirmed.PROVED)
    assert await pool.fetchval("SELECT request_id FROM request_keys WHERE value = $1", PARCEL.tracking_code) == "r-1"
    story = await listing.story(pool, "r-1")
    assert story is not None
    assert story["parcels"][0]["reported_by"] == state.units[0].reported_by


async def test_what_is_told_again_by_another_process_is_what_was_shown(
    writer: Writer, other: Writer, pool: Pool
) -> None:
    await restore(writer, pool, "TEE", "TEE")
    call = await claimed(pool, "newstore")
    await writer.settle(call, TRY, shown(call, {parcel_of("TEE"): 1}))

    applied = await other.apply(said(Word.SHIPPED, items={"TEE": 1}))

    assert [event.fact for event in applied.events] == [
        CallbackWithoutEffect("shipped", (0,), "NewStore had shown 1 of these units before")
    ]
    assert (await stored(pool)).untold == ()
    assert await pool.fetchval("SELECT count(*) FROM deliveries WHERE operation = 'ship'") == 0


async def test_an_order_is_not_sent_once_newstore_shows_it_done_and_its_outcome_on_the_way_changes_nothing(
    writer: Writer, pool: Pool
) -> None:
    await restore(writer, pool, "TEE", "CAP")
    look = await claimed(pool, "newstore")
    order = await claimed(pool)
    await writer.settle(look, TRY, shown(look, {parcel_of("TEE"): 1}))
    assert await rows(pool, "SELECT operation FROM deliveries") == []

    before = await stored(pool)
    await writer.settle(order, TRY, taken(order))
    assert await stored(pool) == before


async def test_an_order_in_doubt_waits_until_newstore_was_asked(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await restored.pause(pool)
    await let_go(pool)

    async def waits() -> bool:
        call = await claimed(pool)
        async with pool.acquire() as connection:
            brief = (await request_reads.delivery_contexts(connection, [call]))["r-1"]
        await pool.execute("UPDATE deliveries SET owner = NULL, call_ends_at = NULL")
        return brief.is_comparing

    assert await waits()
    await compare(pool, writer)
    assert await waits()
    await pool.execute("DELETE FROM deliveries WHERE is_read")
    assert not await waits()
