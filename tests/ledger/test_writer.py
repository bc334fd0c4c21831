import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from gateway.domain.commands import CallEnded, CallTaken, End, Key, ReadBack, Word
from gateway.domain.deliveries import Operation
from gateway.domain.evolve import evolve
from gateway.domain.requests import Request
from gateway.domain.units import Confirmed, Said
from gateway.ledger.database.servers import NoServer
from gateway.ledger.queue.claims import Claim, claim, free_lost
from gateway.ledger.read import request_reads
from gateway.ledger.write.queued import Attempt, LedgerUnavailable, Reschedule, Unstorable
from gateway.ledger.write.writer import Writer
from gateway.settings.shapes import Brake
from tests.domain.steps import parcel_of
from tests.requests import AT, PARCEL, receive, said

if TYPE_CHECKING:
    from gateway.domain.decide import Command

Pool = asyncpg.Pool
TRY = Attempt(AT, 0.1, "done", 200, "")


async def rows(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await pool.fetch(query)]


async def claimed(pool: Pool, destination: str = "acme", *, owner: str = "me") -> Claim:
    await pool.execute("UPDATE deliveries SET due_at = now() - interval '1 second'")
    await pool.execute(
        "INSERT INTO processes (owner, key, started_at) VALUES ($1, hashtext($1), now() - interval '1 minute') "
        "ON CONFLICT DO NOTHING",
        owner,
    )
    async with pool.acquire() as connection:
        (found,) = await claim(connection, {destination: 1}, owner=owner, seconds=15, brake=Brake())
    return found


def taken(call: Claim) -> CallTaken:
    return CallTaken(request_id=call.request_id, at=AT, operation=call.operation, seq=call.seq, attempt=call.attempt)


async def stored(pool: Pool, request_id: str = "r-1") -> Request:
    request = await request_reads.request(pool, request_id)
    assert request is not None
    return request


async def folded(pool: Pool, request_id: str = "r-1") -> Request:
    state: Request | None = None
    for event in await request_reads.events(pool, await stored(pool, request_id)):
        state = evolve(request_id, state, event)
    assert state is not None
    return state


def same(one: Request, other: Request) -> bool:
    return (one.units, one.version, one.owed, one.dead, one.settled_at) == (
        other.units,
        other.version,
        other.owed,
        other.dead,
        other.settled_at,
    )


async def test_a_received_request_is_stored_with_its_body_its_event_and_its_first_call(
    writer: Writer, pool: Pool
) -> None:
    applied = await writer.apply(receive(), b'{"id":"r-1"}')

    assert [type(event.fact).__name__ for event in applied.events] == ["RequestReceived"]
    assert await pool.fetchval("SELECT body FROM payloads") == b'{"id":"r-1"}'
    assert await rows(pool, "SELECT operation, destination, ready FROM deliveries") == [("create", "acme", True)]
    assert same(await stored(pool), await folded(pool))


async def test_two_processes_that_receive_one_id_at_once_make_one_request(
    writer: Writer, other: Writer, pool: Pool
) -> None:
    one, two = await asyncio.gather(writer.apply(receive(), b"{}"), other.apply(receive(), b"{}"))

    assert sorted([len(one.events), len(two.events)]) == [0, 1]
    assert await pool.fetchval("SELECT count(*) FROM events") == 1
    assert await pool.fetchval("SELECT count(*) FROM deliveries") == 1


async def test_an_insert_that_waits_for_another_transaction_becomes_a_duplicate(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE requests SET conflicts = 0 WHERE id = 'r-1'")
        waiting = asyncio.create_task(writer.apply(said(Word.ACCEPTED)))
        neighbour = await writer.apply(receive("r-2"))
        assert neighbour.events
        assert not waiting.done()
        await transaction.rollback()
    assert (await waiting).events


async def test_a_stale_version_writes_nothing(writer: Writer, other: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM requests WHERE id = 'r-1' FOR UPDATE")
        both = asyncio.gather(
            writer.apply(said(Word.ACCEPTED, items={"TEE": 1}, event="a")),
            other.apply(said(Word.ACCEPTED, items={"CAP": 1}, event="b")),
        )
        await other.apply(receive("r-2"))
        await transaction.rollback()
    await both
    assert [unit.accepted for unit in (await stored(pool)).units].count(0) == 0
    assert await pool.fetchval("SELECT count(*) FROM deliveries WHERE operation = 'acknowledge'") == 1
    assert same(await stored(pool), await folded(pool))


async def test_the_same_callback_twice_is_one_event_and_other_content_is_a_conflict(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    first = await writer.apply(said(Word.ACCEPTED), b"one")
    again = await writer.apply(said(Word.ACCEPTED), b"one")
    other_content = said(Word.ACCEPTED, fingerprint="other")
    conflict = await writer.apply(other_content, b"two")
    conflict_again = await writer.apply(other_content, b"two")

    assert [len(applied.events) for applied in (first, again, conflict, conflict_again)] == [1, 0, 1, 0]
    assert await pool.fetchval("SELECT array_agg(kind ORDER BY version) FROM events") == [
        "request_received",
        "units_accepted",
        "conflicting_callback",
    ]


async def test_a_command_that_can_never_be_stored_fails_alone(writer: Writer, pool: Pool) -> None:
    poisoned = writer.apply(receive("r-nul", order_id="a\0b"))
    results = await asyncio.gather(
        writer.apply(receive("r-1")), poisoned, writer.apply(receive("r-2")), return_exceptions=True
    )

    assert isinstance(results[1], Unstorable)
    assert await pool.fetchval("SELECT array_agg(id ORDER BY id) FROM requests") == ["r-1", "r-2"]


async def test_a_message_for_a_request_that_nobody_has_changes_nothing(writer: Writer, pool: Pool) -> None:
    applied = await writer.apply(said(Word.ACCEPTED))

    assert applied.request is None
    assert await pool.fetchval("SELECT count(*) FROM events") == 0


async def test_a_request_travels_from_receipt_to_proof(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    await writer.settle(call, TRY, taken(call))
    await writer.apply(said(Word.SHIPPED, items={"TEE": 1, "CAP": 1}))
    acknowledge = await claimed(pool, "newstore")
    assert acknowledge.operation is Operation.ACKNOWLEDGE
    await writer.settle(acknowledge, TRY, taken(acknowledge))
    ship = await claimed(pool, "newstore")
    assert ship.operation is Operation.SHIP
    await writer.settle(ship, TRY, taken(ship))
    look = await claimed(pool, "newstore")
    shown = ReadBack(
        request_id="r-1",
        at=datetime.now(UTC),
        operation=Operation.SHIP,
        attempt=1,
        taken={parcel_of("TEE"): 1},
        refused={},
        parcels={ship.seq: PARCEL},
        overdue=False,
    )
    await writer.settle(look, TRY, shown)
    half = await stored(pool)
    assert [unit.confirmed for unit in half.units] == [Confirmed.PROVED, Confirmed.SENT]

    look = await claimed(pool, "newstore")
    rest: dict[Key, int] = {
        parcel_of("TEE"): 1,
        parcel_of("CAP"): 1,
    }
    await writer.settle(
        look,
        TRY,
        ReadBack(
            request_id="r-1",
            at=datetime.now(UTC),
            operation=Operation.SHIP,
            attempt=2,
            taken=rest,
            refused={},
            parcels={ship.seq: PARCEL},
            overdue=False,
        ),
    )
    done = await stored(pool)
    assert [(unit.said, unit.confirmed) for unit in done.units] == [(Said.SHIPPED, Confirmed.PROVED)] * 2
    assert await pool.fetchval("SELECT settled_at IS NOT NULL AND NOT pending AND shipped FROM requests")
    assert await pool.fetchval("SELECT count(*) FROM deliveries") == 0
    assert await pool.fetchval("SELECT count(*) FROM attempts WHERE NOT is_late") == 5
    assert await pool.fetchval("SELECT value FROM request_keys") == PARCEL.tracking_code
    assert same(await stored(pool), await folded(pool))


async def test_only_the_first_write_to_a_destination_may_be_claimed(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await writer.apply(said(Word.SHIPPED, items={"TEE": 1}))

    assert await rows(pool, "SELECT operation FROM deliveries WHERE ready ORDER BY seq") == [
        ("create",),
        ("acknowledge",),
    ]


async def test_a_call_to_be_tried_again_keeps_its_doubt_and_counts_its_try(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    await writer.settle(call, TRY, Reschedule(0.0, doubt=True, counts=True))

    second = await claimed(pool)
    assert (second.attempt, second.tries, second.doubt) == (2, 1, True)


async def test_an_outcome_whose_call_another_process_is_looking_at_is_not_lost(writer: Writer, pool: Pool) -> None:
    """A claim that comes too late locks the row as it is by now, until its own commit."""
    await writer.apply(receive())
    call = await claimed(pool)
    async with pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM deliveries FOR UPDATE")
        storing = asyncio.create_task(writer.settle(call, TRY, Reschedule(60.0, doubt=False, counts=True)))
        await writer.apply(receive("r-2"))
        assert not storing.done()
        await transaction.rollback()
    await storing

    assert await rows(pool, "SELECT owner, tries FROM deliveries WHERE request_id = 'r-1'") == [(None, 1)]
    assert await rows(pool, "SELECT is_late FROM attempts") == [(False,)]


async def test_a_late_outcome_is_kept_as_an_attempt_and_changes_nothing(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    lost = await claimed(pool, owner="frozen")
    await pool.execute("UPDATE deliveries SET call_ends_at = now() - interval '1 minute'")
    async with pool.acquire() as connection:
        assert await free_lost(connection, grace=0) == 1
    mine = await claimed(pool, owner="me")
    assert mine.doubt

    applied = await writer.settle(lost, TRY, taken(lost))

    assert applied.events == ()
    assert await rows(pool, "SELECT attempt, is_late FROM attempts") == [(1, True)]
    assert await pool.fetchval("SELECT owner FROM deliveries") == "me"


async def test_what_came_of_a_call_waits_for_no_more_than_one_batch_of_what_comes_in(
    writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    flood = [asyncio.create_task(writer.apply(receive(f"r-{n}"))) for n in range(2, 2_002)]
    await writer.settle(call, TRY, taken(call))
    assert sum(each.done() for each in flood) < 500
    await asyncio.gather(*flood)


async def test_a_shipment_told_again_in_another_parcel_needs_a_person_and_one_in_the_same_does_not(
    writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive("r-1", "TEE"))
    await writer.apply(said(Word.SHIPPED, items={"TEE": 1}))
    await writer.apply(said(Word.SHIPPED, items={"TEE": 1}, event="again"))
    assert (await stored(pool)).failure is None
    other = replace(PARCEL, tracking_code="1Z-OTHER")
    await writer.apply(said(Word.SHIPPED, items={"TEE": 1}, event="other", parcel=other))
    assert (await stored(pool)).failure == "conflict"


async def test_a_dead_call_is_kept_and_unblocks_the_next(writer: Writer, pool: Pool) -> None:
    await writer.apply(receive())
    await writer.apply(said(Word.SHIPPED, items={"TEE": 1}))
    call = await claimed(pool, "newstore")
    ended = CallEnded(
        request_id="r-1",
        at=AT,
        operation=call.operation,
        seq=call.seq,
        attempt=1,
        end=End.EXHAUSTED,
        detail="503",
    )
    await writer.settle(call, TRY, ended)

    assert await rows(pool, "SELECT operation, why FROM dead_deliveries") == [("acknowledge", "exhausted")]
    assert (await claimed(pool, "newstore")).operation is Operation.SHIP
    assert (await stored(pool)).failure == "dead_acknowledge"


async def test_a_database_that_is_away_is_said_to_the_sender_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    async def refused() -> asyncpg.Connection:
        raise NoServer("db1:5432: ConnectionRefusedError")

    writer = Writer(refused)
    task = asyncio.create_task(writer.run())
    command: Command = receive()
    with pytest.raises(LedgerUnavailable, match="database is away"):
        await writer.apply(command)
    assert [(each.msg, vars(each)["facts"]["servers"]) for each in caplog.records] == [
        ("commit.interrupted", "db1:5432: ConnectionRefusedError")
    ]
    task.cancel()


async def test_an_outcome_whose_request_went_on_meanwhile_is_decided_on_what_it_is_now(
    writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive())
    call = await claimed(pool)
    known = await stored(pool)
    await writer.apply(said(Word.ACCEPTED))

    await writer.settle(call, TRY, taken(call), known)

    after = await stored(pool)
    assert after.submitted_at is not None
    assert after.accepted_at is not None
    assert same(after, await folded(pool))


async def test_an_outcome_of_a_lost_claim_is_late_whatever_was_known_when_it_was_claimed(
    writer: Writer, pool: Pool
) -> None:
    await writer.apply(receive())
    lost = await claimed(pool, owner="frozen")
    known = await stored(pool)
    await pool.execute("UPDATE deliveries SET owner = NULL, call_ends_at = NULL")
    mine = await claimed(pool, owner="frozen")  # the same process, another attempt

    applied = await writer.settle(lost, TRY, taken(lost), known)

    assert applied.events == ()
    assert await rows(pool, "SELECT attempt, is_late FROM attempts") == [(1, True)]
    assert await pool.fetchval("SELECT attempt FROM deliveries") == mine.attempt
    assert (await stored(pool)).submitted_at is None


@pytest.mark.parametrize("minutes", [-1, 1])
async def test_whether_the_time_for_a_proof_is_over_is_told_by_the_clock_that_set_it(
    writer: Writer, pool: Pool, minutes: int
) -> None:
    look = await sent_and_looked_for(writer, pool, minutes)
    assert look.overdue is (minutes < 0)


async def test_a_report_taken_while_a_last_look_was_under_way_has_its_own_time_to_be_shown(
    writer: Writer, pool: Pool
) -> None:
    look = await sent_and_looked_for(writer, pool, -1)
    await writer.apply(said(Word.SHIPPED, items={"CAP": 1}, event="later"))
    call = await claimed(pool, "newstore")
    await writer.settle(call, TRY, taken(call))
    nothing = ReadBack(
        request_id="r-1", at=datetime.now(UTC), operation=Operation.SHIP, attempt=1, taken={}, refused={}, parcels={},
        overdue=look.overdue,
    )  # fmt: skip
    await writer.settle(look, TRY, nothing)

    assert (await stored(pool)).failure is None
    assert await rows(pool, "SELECT operation, owner FROM deliveries WHERE is_read") == [("read_shipment", None)]


async def test_a_read_back_that_failed_while_a_report_was_taken_breaks_no_batch(writer: Writer, pool: Pool) -> None:
    look = await sent_and_looked_for(writer, pool, 1)
    await writer.apply(said(Word.SHIPPED, items={"CAP": 1}, event="later"))
    call = await claimed(pool, "newstore")
    sizes: list[int] = []
    writer.on_batch = lambda size, _: sizes.append(size)
    await asyncio.gather(
        writer.settle(look, TRY, Reschedule(60.0, doubt=False, counts=True)),
        writer.settle(call, TRY, taken(call)),
        *(writer.apply(receive(f"r-{n}")) for n in range(2, 12)),
    )

    assert sizes == [11, 1]
    assert await rows(pool, "SELECT owner, tries FROM deliveries WHERE is_read") == [(None, 1)]


async def sent_and_looked_for(writer: Writer, pool: Pool, minutes: int) -> Claim:
    """One of two units was shipped and sent; its read-back is claimed with so much time left."""
    await writer.apply(receive())
    await writer.apply(said(Word.SHIPPED, items={"TEE": 1}))
    for _ in range(2):
        call = await claimed(pool, "newstore")
        await writer.settle(call, TRY, taken(call))
    await pool.execute("UPDATE deliveries SET verify_by = now() + make_interval(mins => $1) WHERE is_read", minutes)
    return await claimed(pool, "newstore")


async def test_a_sender_waits_for_no_outcomes_of_calls(database: str, pool: Pool) -> None:
    connecting, go = asyncio.Event(), asyncio.Event()

    async def connect() -> asyncpg.Connection:
        connecting.set()
        await go.wait()
        return await asyncpg.connect(database)

    writer = Writer(connect)
    running = asyncio.create_task(writer.run())
    lost = Claim(
        "r-0", Operation.SHIP, 1, "newstore", "DC01", date(2026, 11, 1), 1, 0, doubt=False, owner="me", overdue=False
    )
    outcomes = [asyncio.create_task(writer.settle(lost, TRY, Reschedule(0.0, doubt=False, counts=True)))]
    await connecting.wait()
    outcomes += [
        asyncio.create_task(writer.settle(lost, TRY, Reschedule(0.0, doubt=False, counts=True))) for _ in range(600)
    ]
    sender = asyncio.create_task(writer.apply(receive()))
    go.set()
    assert (await sender).events
    assert not all(each.done() for each in outcomes)

    await asyncio.gather(*outcomes)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_what_waits_for_a_stuck_database_is_bounded_in_bytes(database: str, pool: Pool) -> None:
    connecting, go = asyncio.Event(), asyncio.Event()

    async def connect() -> asyncpg.Connection:
        connecting.set()
        await go.wait()
        return await asyncpg.connect(database)

    stuck, body = Writer(connect), bytes(1_000_000)
    running = asyncio.create_task(stuck.run())
    waiting = [asyncio.create_task(stuck.apply(receive("first"), body))]
    await connecting.wait()
    waiting += [asyncio.create_task(stuck.apply(receive(f"r-{n}"), body)) for n in range(300)]
    with pytest.raises(LedgerUnavailable):
        await asyncio.wait_for(stuck.apply(receive("late"), body), 2.0)

    go.set()
    await asyncio.gather(*waiting, return_exceptions=True)
    await stuck.drained()  # what its sender was told to send again is stored too
    assert (await stuck.apply(receive("later"), body)).events
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def test_a_batch_reads_its_own_rows_alone_though_it_was_planned_on_empty_tables(
    database: str, pool: Pool
) -> None:
    connection = await asyncpg.connect(database)

    async def connect() -> asyncpg.Connection:
        return connection

    async def rows_read() -> int:
        for each in (connection, pool):  # what a connection has read it tells a second later, else
            await each.execute("SELECT pg_stat_force_next_flush()")
        read: int = await pool.fetchval(
            "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_user_tables WHERE relname = $1", "requests"
        )
        return read

    await pool.execute("ALTER TABLE requests SET (autovacuum_enabled = false)")  # which would plan anew
    writer = Writer(connect)
    running = asyncio.create_task(writer.run())
    await writer.apply(receive("r-0"))
    await asyncio.gather(*(writer.apply(receive(f"r-{n}")) for n in range(1, 3_000)))
    before = await rows_read()
    await writer.apply(said(Word.ACCEPTED, "r-2000", items={"TEE": 1}))
    assert await rows_read() - before < 100
    await pool.execute("ALTER TABLE requests RESET (autovacuum_enabled)")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
