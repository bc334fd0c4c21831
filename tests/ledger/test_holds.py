"""Brakes: when they trip, and how a person lets go of them."""

import asyncio

import asyncpg
import pytest

from gateway.domain.deliveries import Operation
from gateway.ledger.queue.holds import active, confirm_first, place, place_once, release, trip
from tests.processes import until

from .owed import BRAKE, claimed, ids, owe

Pool = asyncpg.Pool
WAITING = "SELECT count(*) FROM pg_locks WHERE NOT granted"
SAID = "INSERT INTO recent_outcomes VALUES ($1, now() - make_interval(secs => $2), $3, $4)"


async def said(pool: Pool, word: str, units: int, *, location: str = "DC01", ago: float = 1.0) -> None:
    await pool.execute(SAID, location, ago, word, units)


async def test_a_brake_trips_at_more_units_than_it_allows_and_more_than_their_share(pool: Pool) -> None:
    await said(pool, "rejected", 4)
    assert await trip(pool, BRAKE) == []  # not more than four
    await said(pool, "shipped", 20)
    await said(pool, "cancelled", 3)
    assert await trip(pool, BRAKE) == []  # 7 of 27 are no third
    await said(pool, "rejected", 5)
    (hold,) = await trip(pool, BRAKE)
    assert (hold.scope, hold.name, hold.who) == ("rejections", "DC01", "gateway")
    assert "12 of 32 units" in hold.reason


async def test_a_brake_looks_at_its_own_location_and_the_last_minutes_only(pool: Pool) -> None:
    await said(pool, "rejected", 3)
    await said(pool, "rejected", 3, location="DC02")
    await said(pool, "rejected", 90, ago=901)
    assert await trip(pool, BRAKE) == []
    assert await pool.fetchval("SELECT count(*) FROM recent_outcomes") == 2  # what no brake looks at is forgotten


async def test_a_braked_location_holds_its_reversals_while_its_shipments_go_on(pool: Pool) -> None:
    for operation in (Operation.SHIP, Operation.REJECT, Operation.CANCEL, Operation.READ_REJECTION):
        await owe(pool, operation, operation)
    await owe(pool, "neighbour", Operation.REJECT, location="DC02")
    await said(pool, "rejected", 5)
    (hold,) = await trip(pool, BRAKE)
    await pool.execute("DELETE FROM recent_outcomes")  # the minutes pass: the hold is a person's to release
    async with pool.acquire() as connection:
        assert ids(await claimed(connection)) == ["neighbour", "read_rejection", "ship"]
        await release(pool, hold.id, "kim", "mended")
        assert ids(await claimed(connection)) == ["cancel", "reject"]


async def test_a_release_starts_the_window_anew(pool: Pool) -> None:
    await owe(pool, "reject", Operation.REJECT)
    await said(pool, "rejected", 50)
    (hold,) = await trip(pool, BRAKE)
    await release(pool, hold.id, "kim", "mended")
    assert await trip(pool, BRAKE) == []
    async with pool.acquire() as connection:
        assert ids(await claimed(connection)) == ["reject"]
    await said(pool, "rejected", 4, ago=-0.5)
    assert await trip(pool, BRAKE) == []
    await said(pool, "rejected", 1, ago=-0.5)
    assert len(await trip(pool, BRAKE)) == 1


async def test_a_tripped_brake_has_one_hold_however_many_processes_look(pool: Pool) -> None:
    await said(pool, "rejected", 5)
    async with pool.acquire() as one, pool.acquire() as two:
        transaction = one.transaction()
        await transaction.start()
        assert len(await trip(one, BRAKE)) == 1
        second = asyncio.create_task(trip(two, BRAKE))
        await until(lambda: pool.fetchval(WAITING))
        await transaction.commit()
        assert await second == []
    assert await trip(pool, BRAKE) == []
    assert len(await active(pool)) == 1


async def test_a_persons_hold_that_expires_does_not_let_go_of_a_brake(pool: Pool) -> None:
    await owe(pool, "reject", Operation.REJECT)
    await place(pool, "rejections", "DC01", reason="a look", who="kim", seconds=60)
    await said(pool, "rejected", 5)
    assert len(await trip(pool, BRAKE)) == 1
    await pool.execute("UPDATE holds SET expires_at = now() - interval '1s' WHERE who = 'kim'")
    await pool.execute("DELETE FROM recent_outcomes")
    async with pool.acquire() as connection:
        assert await claimed(connection) == []


async def test_a_busy_quarter_of_an_hour_is_looked_through_in_no_time(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO recent_outcomes SELECT 'DC' || n % 20, now() - make_interval(secs => n % 800), "
        "CASE WHEN n % 7 = 0 THEN 'rejected' ELSE 'shipped' END, 1 FROM generate_series(1, 50000) n"
    )
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL statement_timeout = '2s'")
        assert await trip(connection, BRAKE) == []


async def test_the_first_rejections_of_a_new_location_wait_for_a_person_once(pool: Pool) -> None:
    (hold,) = await confirm_first(pool, ["DC01", "DC02"], [5, 0])
    assert (hold.scope, hold.name) == ("rejections", "DC01")
    assert await confirm_first(pool, ["DC01"], [5]) == []
    await release(pool, hold.id, "kim", "mended")
    assert await confirm_first(pool, ["DC01"], [5]) == []


async def test_active_holds_are_listed_until_released_or_expired(pool: Pool) -> None:
    first = await place(pool, "everything", "", reason="stop", who="kim")
    second = await place(pool, "location", "DC01", reason="count", who="lee", seconds=60)
    assert [hold.id for hold in await active(pool)] == [first.id, second.id]
    await pool.execute("UPDATE holds SET expires_at = now() WHERE id = $1", second.id)
    await release(pool, first.id, "kim", "mended")
    assert await active(pool) == []


async def test_the_gateways_own_hold_lies_once_on_a_thing_and_again_after_its_release(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    await place(pool, "operation", "ship", reason="a look", who="kim")
    for _ in range(2):
        await place_once(pool, "operation", "ship", "410")
        await place_once(pool, "destination", "acme", "more than a day")
    mine = [each for each in await active(pool) if each.who == "gateway"]
    assert [(each.scope, each.name) for each in mine] == [("operation", "ship"), ("destination", "acme")]
    assert [record.msg for record in caplog.records].count("hold.placed") == 2
    await release(pool, mine[0].id, "kim", "upgraded")
    await place_once(pool, "operation", "ship", "410")
    assert len([each for each in await active(pool) if each.who == "gateway"]) == 2
