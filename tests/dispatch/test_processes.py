"""Processes that die, stand still, or lose their connection, and what becomes of the calls that they had in hand."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from datetime import timedelta
from types import ModuleType

import asyncpg
import pytest
from aiohttp import web

from gateway.dispatch import dispatcher
from gateway.domain.commands import CallTaken, Word
from gateway.ledger.queue import processes
from gateway.ledger.queue.claims import claim
from gateway.ledger.queue.processes import Membership, Others, take_over
from gateway.ledger.write.queued import Attempt
from gateway.settings.shapes import Brake
from tests.processes import until
from tests.requests import AT, PARCEL, receive, said

from .conftest import Outside, Serving, Station, took

Pool = asyncpg.Pool
OWNER = "SELECT owner FROM deliveries"
KILL_MEMBER = """
SELECT count(pg_terminate_backend(l.pid)) FROM pg_locks l JOIN processes p ON l.objid::bigint = p.key & 4294967295
WHERE l.locktype = 'advisory' AND p.owner = $1
"""


class Hanging:
    """A provider that answers when told to."""

    def __init__(self, outside: Outside) -> None:
        self.go = asyncio.Event()
        outside.answers["acme"] = self._answer

    async def _answer(self, request: web.Request) -> web.Response:
        await self.go.wait()
        return await took(request)


async def freed(pool: Pool, operation: str = "create") -> bool:
    """Look after the others as each process does, and tell whether the call in hand is free."""
    async with pool.acquire() as connection:
        await take_over(connection, grace=0)
        held = "SELECT FROM deliveries WHERE operation = $1 AND owner IS NOT NULL"
        return await connection.fetchrow(held, operation) is None


def alive(station: Station) -> Callable[[], Awaitable[bool]]:
    async def is_alive() -> bool:
        return station.membership.is_alive

    return is_alive


async def test_the_call_of_a_killed_process_is_free_in_doubt_within_two_seconds(
    pool: Pool, outside: Outside, serve: Serving, station: Station
) -> None:
    Hanging(outside)
    async with serve() as child:
        await station.writer.apply(receive(), b"{}")
        await until(lambda: pool.fetchval(OWNER))
        await until(lambda: seen(outside))
        await child.kill()
        assert await until(lambda: freed(pool)) < 2

    rows = await pool.fetch("SELECT doubt, attempt, tries, owner FROM deliveries")
    assert [tuple(row) for row in rows] == [(True, 1, 0, None)]


async def seen(outside: Outside) -> bool:
    return outside.calls["acme"] > 0


async def test_a_process_that_stands_still_loses_its_call_and_what_it_brings_later_changes_nothing(
    pool: Pool, outside: Outside, serve: Serving, station: Station
) -> None:
    hanging = Hanging(outside)
    async with serve() as child:
        await station.writer.apply(receive(), b"{}")
        await until(lambda: seen(outside))
        before = await pool.fetchval(OWNER)
        child.process.send_signal(signal.SIGSTOP)
        assert await until(lambda: freed(pool)) < 10

        async with pool.acquire() as lasting:
            await lasting.execute("SELECT pg_advisory_lock(1)")
            await lasting.execute("INSERT INTO processes (owner, key) VALUES ('successor', 1)")
            await station.make_due()
            (call,) = await claim(lasting, {"acme": 1}, owner="successor", seconds=60, brake=Brake())
            assert (call.attempt, call.doubt) == (2, True)
            taken = CallTaken(
                request_id="r-1", at=AT, operation=call.operation, seq=call.seq, attempt=2, provider_order="W-2"
            )
            await station.writer.settle(call, Attempt(AT, 0.1, "done", 201, ""), taken)
            told = await pool.fetch("SELECT * FROM requests")
            await lasting.execute("SELECT pg_advisory_unlock(1)")

        hanging.go.set()
        child.process.send_signal(signal.SIGCONT)
        await until(lambda: pool.fetchval("SELECT bool_or(is_late) FROM attempts"))
        await until(lambda: pool.fetchval("SELECT count(*) FROM processes WHERE owner <> $1", station.membership.owner))

        late = await pool.fetch("SELECT attempt, outcome FROM attempts WHERE is_late")
        assert [tuple(row) for row in late] == [(1, "done")]
        assert await pool.fetch("SELECT * FROM requests") == told
        assert await pool.fetchval("SELECT value FROM request_keys") == "W-2"
        assert before not in {row["owner"] for row in await pool.fetch("SELECT owner FROM processes")}
        assert outside.calls["acme"] == 1


async def test_a_process_whose_membership_connection_breaks_calls_nobody_until_it_is_back_under_its_name(
    pool: Pool, outside: Outside, station: Station
) -> None:
    await station.writer.apply(receive(), b"{}")
    before = station.membership.owner

    await pool.fetchval(KILL_MEMBER, before)
    looks = 0
    while station.membership.back_at is None:
        if not station.membership.is_alive:
            looks += 1
            assert await station.dispatcher.run_once() == 0
            assert outside.calls["acme"] == 0
        await asyncio.sleep(0)
    assert looks > 0
    assert station.membership.owner == before
    await station.drive(lambda: seen(outside))


async def test_a_process_that_was_cut_off_and_comes_back_keeps_its_calls_and_its_outcomes_count(
    pool: Pool, outside: Outside, station: Station
) -> None:
    hanging = Hanging(outside)
    await station.writer.apply(receive(), b"{}")
    await station.dispatcher.run_once()
    await until(lambda: seen(outside))
    await pool.fetchval(KILL_MEMBER, station.membership.owner)

    async def is_back() -> bool:
        assert not await freed(pool)
        return station.membership.back_at is not None

    await until(is_back)
    hanging.go.set()
    await station.dispatcher.settled()
    rows = await pool.fetch("SELECT outcome, attempt, is_late FROM attempts")
    assert [tuple(row) for row in rows] == [("done", 1, False)]


async def test_a_process_that_was_expired_while_it_was_cut_off_comes_back_under_another_name(
    pool: Pool, station: Station
) -> None:
    before = station.membership.owner
    await pool.fetchval(KILL_MEMBER, before)
    await pool.execute("DELETE FROM processes")

    async def has_another() -> bool:
        return station.membership.is_alive and station.membership.owner != before

    await until(has_another)


async def test_a_process_without_its_lock_is_expired_once_it_missed_a_heartbeat(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await connection.execute("INSERT INTO processes (owner, key) VALUES ('other', 7)")

        async def is_expired(silent: float) -> bool:
            await connection.execute("UPDATE processes SET heartbeat_at = now() - make_interval(secs => $1)", silent)
            await take_over(connection, grace=0)
            return not await connection.fetchval("SELECT count(*) FROM processes")

        assert not await is_expired(1)
        assert await until(lambda: is_expired(1.3)) < 5  # Postgres itself may have started a moment ago


async def test_silence_that_began_before_the_one_who_looks_was_back_is_held_against_nobody_for_eight_seconds(
    pool: Pool,
) -> None:
    async with pool.acquire() as connection:
        await connection.execute(
            "INSERT INTO processes (owner, key, heartbeat_at) VALUES ('other', 7, now() - interval '1 minute')"
        )
        now = await connection.fetchval("SELECT clock_timestamp()")

        async def is_expired(ago: float) -> bool:
            await take_over(connection, grace=0, back_at=now - timedelta(seconds=ago))
            return not await connection.fetchval("SELECT count(*) FROM processes")

        assert not await is_expired(6)
        await until(lambda: is_expired(8))  # Postgres itself may have started a moment ago


async def test_a_call_that_was_claimed_by_a_member_is_not_started_by_one_that_is_none_any_more(
    pool: Pool, outside: Outside, station: Station
) -> None:
    await station.writer.apply(receive(), b"{}")
    assert await station.dispatcher.run_once() == 1
    station.membership.owner = "another"  # it was expired and joined again between the claim and the call
    await station.dispatcher.settled()

    assert outside.calls["acme"] == 0
    rows = await pool.fetch("SELECT owner, doubt, tries FROM deliveries")
    assert [tuple(row) for row in rows] == [(None, False, 0)]


@pytest.mark.parametrize(("module", "name"), [(dispatcher, "_START_WITHIN"), (processes, "_TRUSTED")])
async def test_a_call_is_not_started_long_after_its_claim_nor_after_the_last_sign_of_life(
    station: Station, monkeypatch: pytest.MonkeyPatch, module: ModuleType, name: str
) -> None:
    await station.writer.apply(receive(), b"{}")
    assert await station.dispatcher.run_once() == 1
    monkeypatch.setattr(module, name, -1.0)
    await station.dispatcher.settled()

    assert station.outside.calls["acme"] == 0
    assert await station.pool.fetchval("SELECT NOT doubt FROM deliveries")


async def test_whoever_shows_no_life_in_look_after_look_is_expired_however_often_postgres_was_away(pool: Pool) -> None:
    others = Others()
    async with pool.acquire() as connection:
        await connection.execute("INSERT INTO processes (owner, key) VALUES ('dead', 1), ('alive', 2), ('me', 3)")
        for _ in range(processes._LOOKS):  # noqa: SLF001
            assert await others.silent(connection, "me") == []
            await connection.execute("UPDATE processes SET heartbeat_at = clock_timestamp() WHERE owner = 'alive'")
        silent = await others.silent(connection, "me")
        assert silent == ["dead"]
        just_back = await connection.fetchval("SELECT clock_timestamp()")
        await take_over(connection, grace=0, back_at=just_back, silent=silent)
        left = await connection.fetch("SELECT owner FROM processes ORDER BY owner")
    assert [row["owner"] for row in left] == ["alive", "me"]


async def test_nothing_that_a_process_does_is_waited_for_by_those_who_expire_it(pool: Pool) -> None:
    async with pool.acquire() as one, pool.acquire() as two:
        await one.execute(
            "INSERT INTO deliveries (request_id, operation, seq, destination, location, month, is_read, ready, due_at, "
            "owner, call_ends_at) SELECT 'r-' || n, 'ship', 1, 'newstore', 'DC01', '2026-11-01', false, true, now(), "
            "'dead', now() + interval '1 minute' FROM generate_series(1, 3) n"
        )
        async with one.transaction():
            await one.execute("SELECT FROM deliveries WHERE request_id = 'r-2' FOR UPDATE")
            async with asyncio.timeout(5):
                assert await take_over(two, grace=10) == 2
        assert await take_over(two, grace=10) == 1
        late = "sure_at BETWEEN now() + interval '65s' AND now() + interval '75s'"
        rows = await two.fetch(f"SELECT DISTINCT doubt, owner, due_at <= now(), {late} FROM deliveries")
    assert [tuple(row) for row in rows] == [(True, None, True, True)]


async def test_what_is_harmless_twice_is_repeated_once_the_call_of_the_dead_process_must_have_ended(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO deliveries (request_id, operation, seq, destination, location, month, is_read, ready, due_at, "
        "owner, call_ends_at) VALUES ('r-1', 'acknowledge', 2, 'newstore', 'DC01', '2026-11-01', false, true, now(), "
        "'dead', now() + interval '1 minute')"
    )
    async with pool.acquire() as connection:
        assert await take_over(connection, grace=10) == 1
    assert await pool.fetchval(
        "SELECT due_at BETWEEN now() + interval '55s' AND now() + interval '1 min' FROM deliveries"
    )


async def test_a_shipment_that_newstore_took_from_a_process_that_was_killed_is_settled_at_once(
    pool: Pool, outside: Outside, serve: Serving, station: Station
) -> None:
    took_it, shown = (
        asyncio.Event(),
        {"product_id": "TEE", "carrier": PARCEL.carrier, "tracking_code": PARCEL.tracking_code},
    )

    async def newstore(request: web.Request) -> web.Response:
        if request.method == "GET" and request.path.endswith("/shipment") and took_it.is_set():
            return web.json_response({"successful_shipments": [shown], "failed_shipments": []})
        if request.method == "POST" and request.path.endswith("/shipment"):
            took_it.set()
            await asyncio.Event().wait()
        return web.json_response({}, status=404 if request.method == "GET" else 201)

    outside.answers["newstore"] = newstore
    async with serve() as child:
        await station.writer.apply(receive("r-1", "TEE"), b"{}")
        await station.writer.apply(said(Word.SHIPPED))
        await took_it.wait()
        await child.kill()

    async def is_found() -> bool:
        async with pool.acquire() as connection:
            await take_over(connection, grace=60)
        await station.dispatcher.run_once()
        return bool(await pool.fetchval("SELECT EXISTS (SELECT FROM attempts WHERE outcome = 'found')"))

    assert await until(is_found) < 4


async def test_an_order_that_is_not_there_yet_is_not_sent_again_while_the_lost_call_may_still_arrive(
    pool: Pool, outside: Outside, station: Station
) -> None:
    posts = 0

    async def acme(request: web.Request) -> web.Response:
        nonlocal posts
        posts += request.method == "POST"
        return web.json_response({}, status=404 if request.method == "GET" else 201)

    outside.answers["acme"] = acme
    await station.writer.apply(receive(), b"{}")
    await pool.execute("UPDATE deliveries SET owner = 'dead', attempt = 1, call_ends_at = now() + interval '1 min'")
    async with pool.acquire() as connection:
        assert await take_over(connection, grace=10) == 1
    await station.drive(lambda: pool.fetchval("SELECT EXISTS (SELECT FROM attempts WHERE outcome = 'pending')"))
    assert (posts, outside.calls["acme"]) == (0, 1)

    await pool.execute("UPDATE deliveries SET sure_at = now(), due_at = now()")
    await station.drive(lambda: pool.fetchval("SELECT submitted_at IS NOT NULL FROM requests"))
    assert posts == 1


async def test_a_shipment_still_under_way_when_its_claim_was_lost_is_not_sent_again(
    pool: Pool, outside: Outside, station: Station
) -> None:
    """A process that was expired while it was cut off goes on with its call until the time-out."""
    go, sent = asyncio.Event(), 0

    async def newstore(request: web.Request) -> web.Response:
        nonlocal sent
        if request.path.endswith("/shipment") and request.method == "POST":
            sent += 1
            await go.wait()
        return web.json_response({}, status=404 if request.method == "GET" else 201)

    async def is_sent() -> bool:
        await station.dispatcher.run_once()
        return sent > 0

    outside.answers["newstore"] = newstore
    await station.writer.apply(receive(), b"{}")
    await station.writer.apply(said(Word.SHIPPED))
    await until(is_sent)
    await pool.execute("DELETE FROM processes")
    assert await freed(pool, "ship")
    for _ in range(20):
        await until(alive(station))
        await station.dispatcher.run_once()
        await asyncio.sleep(0.01)
    go.set()
    await station.dispatcher.settled()

    assert sent == 1
    assert await pool.fetchval("SELECT doubt FROM deliveries WHERE operation = 'ship'")


async def test_a_read_of_a_dead_process_is_made_again_at_once_and_is_in_no_doubt(pool: Pool) -> None:
    await pool.execute(
        "INSERT INTO deliveries (request_id, operation, seq, destination, location, month, is_read, ready, due_at, "
        "owner, call_ends_at) VALUES ('r-1', 'read_shipment', 0, 'newstore', 'DC01', '2026-11-01', true, true, now(), "
        "'dead', now() + interval '1 minute')"
    )
    async with pool.acquire() as connection:
        assert await take_over(connection, grace=10) == 1
    rows = await pool.fetch("SELECT doubt, due_at <= now() FROM deliveries")
    assert [tuple(row) for row in rows] == [(False, True)]


async def test_a_living_member_is_left_alone_and_one_without_a_heartbeat_is_not(database: str, pool: Pool) -> None:
    membership = Membership(lambda: asyncpg.connect(database))
    await membership.join()
    assert membership.is_alive
    async with pool.acquire() as connection:
        await take_over(connection, grace=0)
        assert await pool.fetchval("SELECT owner FROM processes") == membership.owner
        await connection.execute("UPDATE processes SET heartbeat_at = now() - interval '9s'")

        async def is_expired() -> bool:
            await take_over(connection, grace=0)
            return not await connection.fetchval("SELECT count(*) FROM processes")

        await until(is_expired)  # Postgres itself may have started a moment ago
    await membership.leave()
    assert not membership.is_alive


async def test_a_member_whose_connection_broke_knows_it_before_its_next_heartbeat(database: str, pool: Pool) -> None:
    membership = Membership(lambda: asyncpg.connect(database))
    await membership.join()
    await pool.fetchval(KILL_MEMBER, membership.owner)

    async def lost() -> bool:
        return not membership.is_alive

    assert await until(lost) < 1
    await membership.leave()


async def test_a_process_that_leaves_gives_up_its_place_and_its_name(database: str, pool: Pool) -> None:
    membership = Membership(lambda: asyncpg.connect(database))
    await membership.join()
    first = membership.owner
    await membership.leave()
    assert await pool.fetchval("SELECT count(*) FROM processes") == 0
    await membership.join()
    assert membership.owner != first
    await membership.leave()


async def test_a_join_that_fails_leaves_no_connection_behind(database: str, pool: Pool) -> None:
    await pool.execute("ALTER TABLE processes ADD CONSTRAINT nobody CHECK (false)")
    opened: list[asyncpg.Connection] = []

    async def connect() -> asyncpg.Connection:
        opened.append(await asyncpg.connect(database))
        return opened[-1]

    try:
        with pytest.raises(asyncpg.CheckViolationError):
            await Membership(connect).join()
    finally:
        await pool.execute("ALTER TABLE processes DROP CONSTRAINT nobody")
    assert [each.is_closed() for each in opened] == [True]
