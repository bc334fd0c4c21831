"""Which owed calls a process may claim, and in which order."""

import asyncio
import re

import asyncpg
import pytest

from gateway.domain.deliveries import Operation
from gateway.ledger.database.connections import Connection
from gateway.ledger.queue import claims
from gateway.ledger.queue.claims import free_lost, prepare
from gateway.ledger.queue.holds import place, release
from gateway.ledger.queue.urgency import BRAKED, HEAD_START, TOLD
from gateway.settings.shapes import Brake

from .owed import claimed, ids, owe

Pool = asyncpg.Pool
SCANNED = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'deliveries'"
FREE = "UPDATE deliveries SET owner = NULL, call_ends_at = NULL"
OPEN = """
INSERT INTO destinations (name, is_open, opened_at, half_open_at, half_open_owner) VALUES ($1, true, now(), now(), $2)
"""


async def explained(connection: Connection) -> str:
    arguments = (
        ["newstore"], [18], "me", list(HEAD_START), list(HEAD_START.values()), BRAKED, 10.0, 20, 0.3, 900.0, [32],
        "newstore", [each for each, _ in TOLD], [at for _, at in TOLD], [15.0], "", 1,
    )  # fmt: skip
    async with connection.transaction():
        rows = await connection.fetch("EXPLAIN (ANALYZE, BUFFERS) " + claims._CLAIM, *arguments)  # noqa: SLF001
    return "\n".join(row[0] for row in rows)


def buffers(plan: str) -> int:
    """Pages that the whole statement touched."""
    first = next(line for line in plan.splitlines() if "Buffers:" in line)
    return sum(int(number) for number in re.findall(r"(?:hit|read)=(\d+)", first))


async def test_a_claim_tells_whose_it_is_and_counts_the_attempt(pool: Pool) -> None:
    await owe(pool)
    async with pool.acquire() as connection:
        (call,) = await claimed(connection)
        assert await claimed(connection) == []
    assert (call.request_id, call.operation, call.owner, call.attempt, call.tries) == ("r-1", "ship", "me", 1, 0)
    assert await pool.fetchval("SELECT call_ends_at - now() BETWEEN '8s' AND '11s' FROM deliveries")


async def test_what_is_not_due_or_not_ready_is_left(pool: Pool) -> None:
    await owe(pool, "later", age=-60)
    await owe(pool, "behind", ready=False)
    await owe(pool, "now")
    async with pool.acquire() as connection:
        assert ids(await claimed(connection)) == ["now"]


async def test_no_more_is_claimed_at_a_destination_than_it_has_room_for(pool: Pool) -> None:
    await owe(pool, "n", count=9)
    await owe(pool, "a", Operation.CREATE, destination="acme", count=9)
    async with pool.acquire() as connection:
        found = await claimed(connection, {"newstore": 5, "acme": 2})
    assert sorted(each.destination for each in found) == ["acme"] * 2 + ["newstore"] * 5


async def test_what_others_have_claimed_counts_against_the_concurrency(pool: Pool) -> None:
    await owe(pool, "n", count=20)
    async with pool.acquire() as connection:
        at_once = {"newstore": 6}
        assert len(await claimed(connection, {"newstore": 4}, owner="one", concurrency=at_once)) == 4
        assert len(await claimed(connection, {"newstore": 4}, owner="two", concurrency=at_once)) == 2
        assert await claimed(connection, {"newstore": 4}, owner="two", concurrency=at_once) == []


async def test_a_destination_that_this_process_has_no_limiter_for_is_left_to_others(pool: Pool) -> None:
    await owe(pool, "mine")
    await owe(pool, "theirs", Operation.CREATE, destination="beta")
    async with pool.acquire() as connection:
        assert ids(await claimed(connection)) == ["mine"]


async def test_a_process_that_the_others_have_expired_claims_nothing(pool: Pool) -> None:
    await owe(pool)
    async with pool.acquire() as connection:
        assert await claimed(connection, joins=False) == []
        assert len(await claimed(connection)) == 1


async def test_what_another_process_is_claiming_is_skipped_and_not_waited_for(pool: Pool) -> None:
    await owe(pool, "r", count=6)
    async with pool.acquire() as one, pool.acquire() as two:
        await claimed(two, {"acme": 1}, owner="two")
        transaction = one.transaction()
        await transaction.start()
        mine = await claimed(one, {"newstore": 4}, owner="one")
        try:
            async with asyncio.timeout(5):
                yours = await claimed(two, {"newstore": 4}, owner="two")
        finally:
            await transaction.commit()
        late = await claimed(two, {"newstore": 4}, owner="two")
    assert len(mine) == 4
    assert not set(ids(mine)) & set(ids([*yours, *late]))
    assert len(yours) + len(late) == 2


async def test_at_newstore_what_moves_a_parcel_goes_before_acceptance_and_that_before_reads(pool: Pool) -> None:
    for express in (False, True):
        for operation in (Operation.READ_SHIPMENT, Operation.ACKNOWLEDGE, Operation.CANCEL, Operation.SHIP):
            await owe(pool, f"{operation}-{express}", operation, age=5, express=express)
    order: list[set[str]] = []
    async with pool.acquire() as connection:
        for _ in range(6):
            room = 2 if len(order) in {0, 3} else 1
            order.append(set(ids(await claimed(connection, {"newstore": room}))))
    assert order == [
        {"ship-True", "cancel-True"}, {"acknowledge-True"}, {"read_shipment-True"},
        {"ship-False", "cancel-False"}, {"acknowledge-False"}, {"read_shipment-False"},
    ]  # fmt: skip


async def test_an_old_standard_call_goes_before_a_fresh_express_one(pool: Pool) -> None:
    await owe(pool, "fresh", express=True)
    await owe(pool, "old", Operation.READ_REJECTION, age=662)
    async with pool.acquire() as connection:
        assert ids(await claimed(connection, {"newstore": 1})) == ["old"]


async def test_an_open_breaker_keeps_all_but_the_prober_away_and_leaves_that_one_call(pool: Pool) -> None:
    await owe(pool, "r", count=5)
    await pool.execute(OPEN, "newstore", "me")
    async with pool.acquire() as connection:
        assert await claimed(connection, owner="other") == []
        assert len(await claimed(connection)) == 1


async def test_nothing_goes_to_a_destination_before_the_time_it_asked_for(pool: Pool) -> None:
    await owe(pool, "n")
    await owe(pool, "a", Operation.CREATE, destination="acme")
    await pool.execute("INSERT INTO destinations (name, not_before) VALUES ('newstore', now() + interval '30s')")
    async with pool.acquire() as connection:
        assert ids(await claimed(connection)) == ["a"]
        await pool.execute("UPDATE destinations SET not_before = now()")
        assert ids(await claimed(connection)) == ["n"]


EVERYTHING = {"ship-1", "reject-1", "ship-2", "create-1"}


async def owe_everything(pool: Pool) -> None:
    await owe(pool, "ship-1")
    await owe(pool, "reject-1", Operation.REJECT)
    await owe(pool, "ship-2", location="DC02")
    await owe(pool, "create-1", Operation.CREATE, destination="acme")


@pytest.mark.parametrize(
    ("scope", "name", "held"),
    [
        ("everything", "", EVERYTHING),
        ("destination", "acme", {"create-1"}),
        ("destination", "newstore", {"ship-1", "reject-1", "ship-2"}),
        ("location", "DC02", {"ship-2"}),
        ("request", "ship-1", {"ship-1"}),
        ("rejections", "DC01", {"reject-1"}),
        ("rejections", "DC02", set[str]()),
        ("operation", "ship", {"ship-1", "ship-2"}),
        ("operation", "reject", {"reject-1"}),
        ("operation", "cancel", set[str]()),
    ],
)
async def test_what_is_held_waits_until_its_hold_is_released_and_the_rest_goes_on(
    pool: Pool, scope: str, name: str, held: set[str]
) -> None:
    await owe_everything(pool)
    hold = await place(pool, scope, name, reason="a look first", who="kim")
    async with pool.acquire() as connection:
        assert set(ids(await claimed(connection))) == EVERYTHING - held
        assert await claimed(connection) == []
        released = await release(pool, hold.id, "lee", "mended")
        assert released is not None
        assert released.released_by == "lee"
        assert set(ids(await claimed(connection))) == held
    assert await pool.fetchval("SELECT coalesce(sum(tries), 0) FROM deliveries") == 0
    assert await release(pool, hold.id, "lee", "mended") is None


async def test_several_holds_on_one_thing_are_each_released_by_their_id(pool: Pool) -> None:
    await owe(pool)
    holds = [await place(pool, "location", "DC01", reason=why, who="kim") for why in ("stock count", "strike")]
    holds.append(await place(pool, "request", "r-1", reason="a customer called", who="lee"))
    async with pool.acquire() as connection:
        for hold in holds:
            assert await claimed(connection) == []
            await release(pool, hold.id, "kim", "mended")
        assert ids(await claimed(connection)) == ["r-1"]


@pytest.mark.parametrize(("scope", "name"), [("location", "DC01"), ("request", "r-1")])
async def test_a_hold_ends_when_it_expires(pool: Pool, scope: str, name: str) -> None:
    await owe(pool)
    await place(pool, scope, name, reason="until lunch", who="kim", seconds=3600)
    async with pool.acquire() as connection:
        assert await claimed(connection) == []
        await pool.execute("UPDATE holds SET expires_at = now() - interval '1s'")
        assert ids(await claimed(connection)) == ["r-1"]


async def test_a_long_lane_of_one_dc_costs_its_neighbours_nothing(pool: Pool) -> None:
    for location in ("DC01", "DC02", "DC03"):
        await owe(pool, f"{location}-", location=location, count=20)
    async with pool.acquire() as connection:
        await claimed(connection, {"acme": 1})
        small = await explained(connection)
        await connection.execute(FREE)
        await owe(pool, "long-", location="DC02", count=20_000)
        large = await explained(connection)
        held = await place(pool, "location", "DC02", reason="strike", who="kim")
        await connection.execute(FREE)
        without = await explained(connection)
        await release(pool, held.id, "kim", "mended")
    for plan in (small, large, without):
        assert "Seq Scan on deliveries" not in plan
        assert "rows=18.00 loops=1" in plan or "rows=18 loops=1" in plan
    assert buffers(large) < 2 * buffers(small)
    assert buffers(without) < 2 * buffers(small)


async def test_calls_that_are_not_yet_due_cost_nothing(pool: Pool) -> None:
    await owe(pool, "now-", count=20)
    async with pool.acquire() as connection:
        await claimed(connection, {"acme": 1})
        await owe(pool, "later-", location="DC02", age=-3600, count=20_000)
        assert buffers(await explained(connection)) < 500


async def test_requests_held_one_by_one_are_not_looked_for_among_all_holds(pool: Pool) -> None:
    await owe(pool, "held-", age=60, count=2_000)
    await owe(pool, "free")
    await pool.execute(
        "INSERT INTO holds (scope, name, reason, who) SELECT 'request', 'held-' || n, '', 'kim' "
        "FROM generate_series(1, 2000) n"
    )
    async with pool.acquire() as connection:
        assert ids(await claimed(connection)) == ["free"]
        assert buffers(await explained(connection)) < 2_000 * 8


async def test_a_claim_lasts_as_long_as_its_calls_may_take(pool: Pool) -> None:
    await owe(pool, "first")
    await owe(pool, "doubt")
    await owe(pool, "read", Operation.READ_SHIPMENT)
    await pool.execute("UPDATE deliveries SET doubt = true WHERE request_id = 'doubt'")
    async with pool.acquire() as connection:
        found = await claimed(connection, call_seconds={"newstore": 20.0, "acme": 20.0})
    assert {each.request_id: round(each.seconds) for each in found} == {"first": 30, "doubt": 50, "read": 50}


async def test_a_claim_that_outlived_its_call_is_free_again_and_believed_absent_after_a_grace(
    pool: Pool,
) -> None:
    await owe(pool, "write")
    await owe(pool, "read", Operation.READ_SHIPMENT)
    async with pool.acquire() as connection:
        await claimed(connection)
        for left in (1, -4):  # seconds; what a call brought may still be on its way into the ledger
            await connection.execute("UPDATE deliveries SET call_ends_at = now() + make_interval(secs => $1)", left)
            assert await free_lost(connection, grace=10) == 0
        await connection.execute("UPDATE deliveries SET call_ends_at = now() - interval '6s'")
        assert await free_lost(connection, grace=10) == 2
        rows = await connection.fetch("SELECT request_id, doubt, owner, due_at > now() AS waits FROM deliveries")
        assert {tuple(row) for row in rows} == {("write", True, None, False), ("read", False, None, False)}
        unsure = {each.request_id: each.unsure_for > 8 for each in await claimed(connection)}
    assert unsure["write"]


@pytest.mark.parametrize(
    "cut_off",
    [
        "UPDATE processes SET heartbeat_at = now() - interval '4s'",
        "UPDATE processes SET started_at = now() - interval '4s'",
    ],
)
async def test_a_process_that_was_cut_off_after_its_call_keeps_the_claim_until_it_could_tell(
    pool: Pool, cut_off: str
) -> None:
    await owe(pool)
    async with pool.acquire() as connection:
        await claimed(connection)
        await connection.execute("UPDATE deliveries SET call_ends_at = now() - interval '6s'")
        await connection.execute(cut_off)
        assert await free_lost(connection, grace=0) == 0


async def test_a_row_that_another_statement_has_in_hand_is_freed_at_the_next_look(pool: Pool) -> None:
    await owe(pool, "r", count=2)
    async with pool.acquire() as connection, pool.acquire() as other:
        await claimed(connection)
        await connection.execute("UPDATE deliveries SET call_ends_at = now() - interval '6s'")
        async with other.transaction():
            await other.execute("SELECT FROM deliveries WHERE request_id = 'r1' FOR UPDATE")
            async with asyncio.timeout(5):
                assert await free_lost(connection, grace=0) == 1
        assert await free_lost(connection, grace=0) == 1


async def test_a_plan_made_while_nothing_was_owed_still_suits_a_long_queue(pool: Pool) -> None:
    async with pool.acquire() as connection:
        await prepare(connection)
        await claimed(connection)
        await owe(pool, "r-", count=20_000)
        async with connection.transaction():
            assert len(await claimed(connection)) == 100
            assert await connection.fetchval(SCANNED) < 1_000


async def test_a_braked_location_is_braked_before_any_hold_is_written(pool: Pool) -> None:
    await owe(pool, "ship")
    await owe(pool, "reject", Operation.REJECT)
    await owe(pool, "elsewhere", Operation.CANCEL, location="DC02")
    await pool.execute("INSERT INTO recent_outcomes VALUES ('DC01', now(), 'rejected', 5)")
    async with pool.acquire() as connection:
        assert ids(await claimed(connection)) == ["elsewhere", "ship"]


def test_the_brake_of_these_tests_is_quicker_than_the_usual_one() -> None:
    assert Brake().units > 4


async def test_an_operation_that_is_held_leaves_the_others_of_its_lane(pool: Pool) -> None:
    await owe(pool, "reject", Operation.REJECT, age=60)
    await owe(pool, "cancel", Operation.CANCEL)
    await owe(pool, "create", Operation.CREATE, destination="acme")
    for name in ("reject", "create"):
        await place(pool, "operation", name, reason="410", who="gateway")
    async with pool.acquire() as connection:
        assert ids(await claimed(connection)) == ["cancel"]


@pytest.mark.parametrize(
    ("operation", "free"), [(Operation.ACKNOWLEDGE, Operation.SHIP), (Operation.SHIP, Operation.CANCEL)]
)
async def test_a_long_queue_of_a_held_operation_costs_the_others_nothing(
    pool: Pool, operation: Operation, free: Operation
) -> None:
    await owe(pool, "held-", operation, age=60, count=20_000)
    await owe(pool, "free", free)
    await place(pool, "operation", operation, reason="410", who="gateway")
    async with pool.acquire() as connection:
        assert ids(await claimed(connection)) == ["free"]
        assert buffers(await explained(connection)) < 500
