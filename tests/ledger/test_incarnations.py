"""What a gateway remembers of its database, and what it does where that is more than the database knows."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from gateway.ledger.database.seen import Position, UnusableStateDir
from gateway.ledger.queue import holds
from gateway.ledger.queue.claims import claim
from gateway.ledger.queue.processes import Membership
from gateway.ledger.queue.restored import RestoreDetector
from gateway.ledger.write.writer import Writer
from gateway.settings.shapes import Brake
from tests.requests import receive

from .test_writer import rows

Pool = asyncpg.Pool


async def begun(pool: Pool, folder: Path | None = None, *, paused: bool = False) -> RestoreDetector:
    detector = RestoreDetector(folder)
    async with pool.acquire() as connection:
        await detector.begin(connection, paused=paused)
    return detector


async def reasons(pool: Pool) -> list[str]:
    return [hold.reason for hold in await holds.active(pool)]


def left(folder: Path, incarnation: int, **positions: int) -> None:
    folder.mkdir()
    kept = {"incarnation": incarnation, "alive_at": datetime.now(UTC).isoformat(), "positions": positions}
    (folder / "gone.json").write_text(json.dumps(kept))


async def test_a_paused_start_raises_the_incarnation_and_a_plain_one_does_not(pool: Pool) -> None:
    first = (await begun(pool)).seen.incarnation
    assert (await begun(pool)).seen.incarnation == first
    assert (await begun(pool, paused=True)).seen.incarnation == first + 1
    assert (await reasons(pool))[0].startswith("started with --paused: compare ")


async def test_events_carry_the_incarnation_in_which_they_were_written(pool: Pool, writer: Writer) -> None:
    first = (await begun(pool)).seen.incarnation
    await writer.apply(receive("r-1"))
    await begun(pool, paused=True)
    await writer.apply(receive("r-2"))
    told = await rows(pool, "SELECT DISTINCT request_id, incarnation FROM events ORDER BY request_id")
    assert told == [("r-1", first), ("r-2", first + 1)]


async def test_a_database_behind_an_incarnation_that_was_seen_pauses(pool: Pool, tmp_path: Path) -> None:
    left(tmp_path / "state", 1_000_000)
    await begun(pool, tmp_path / "state")
    (reason,) = await reasons(pool)
    assert reason.startswith("a gateway has seen incarnation 1000000 of this database, which is at ")


async def test_what_was_seen_of_an_earlier_incarnation_is_over(pool: Pool, tmp_path: Path) -> None:
    left(tmp_path / "state", 0, **{"gone/commits": 7})
    await begun(pool, tmp_path / "state")
    assert await reasons(pool) == []


async def test_a_state_dir_of_another_database_pauses_once(pool: Pool, tmp_path: Path) -> None:
    number = (await begun(pool)).seen.incarnation
    left(tmp_path / "state", number, **{"gone/commits": 7})
    await begun(pool, tmp_path / "state")
    await begun(pool, tmp_path / "state")
    (reason,) = await reasons(pool)
    assert reason.startswith("of process gone 7 commits were seen and the database has 0: compare ")


async def test_another_process_that_paused_first_is_followed(pool: Pool) -> None:
    runs = await begun(pool)
    runs.seen.commits.number = 7  # and the restored database knows of none
    await begun(pool, paused=True)
    async with pool.acquire() as connection:
        await runs.look(connection)
    assert [reason.partition(":")[0] for reason in await reasons(pool)] == ["started with --paused"]


async def test_a_commit_that_was_told_and_is_missing_is_noticed_at_the_next_connection(
    database: str, pool: Pool
) -> None:
    detector = await begun(pool)
    connect = detector.connecting(lambda: asyncpg.connect(database))
    writer = Writer(connect, position=detector.seen.commits)
    task = asyncio.create_task(writer.run())
    await writer.apply(receive())
    task.cancel()
    await asyncio.wait([task])
    await (await connect()).close()
    assert await reasons(pool) == []

    await pool.execute("UPDATE positions SET number = number - 1 WHERE name = $1", detector.seen.commits.name)
    await (await connect()).close()

    (reason,) = await reasons(pool)
    assert " 1 commits were seen and the database has 0" in reason


async def test_a_claim_counts_itself_and_a_look_that_finds_none_does_not(pool: Pool, writer: Writer) -> None:
    position = (await begun(pool)).seen.claims
    counted = "SELECT number FROM positions WHERE name = $1"
    await claim_as(pool, position)
    assert (position.number, await pool.fetchval(counted, position.name)) == (0, 0)
    await writer.apply(receive())
    await claim_as(pool, position)
    assert (position.number, await pool.fetchval(counted, position.name)) == (1, 1)


async def claim_as(pool: Pool, position: Position) -> None:
    await pool.execute("INSERT INTO processes (owner, key) VALUES ('me', 1) ON CONFLICT DO NOTHING")
    async with pool.acquire() as connection:
        await claim(connection, {"acme": 1}, owner="me", seconds=15.0, brake=Brake(), position=position)


async def test_a_timeline_that_rose_long_after_the_last_gateway_left_pauses(database: str, pool: Pool) -> None:
    await begun(pool)
    membership = Membership(lambda: asyncpg.connect(database))
    await membership.join()
    await membership.leave()
    await pool.execute("UPDATE incarnations SET timeline = 0, alive_at = alive_at - interval '1 hour'")
    await begun(pool)
    (reason,) = await reasons(pool)
    assert reason.startswith("the timeline rose from 0 to 1, and no gateway was there in the 60 minutes before: ")


async def test_what_others_left_goes_once_a_newer_file_knows_more(pool: Pool, tmp_path: Path) -> None:
    left(tmp_path / "state", 0)
    detector = await begun(pool, tmp_path / "state")
    assert [each.stem for each in (tmp_path / "state").iterdir()] == [detector.seen.process]


@pytest.mark.parametrize("text", ["half a fi", "{}", '{"incarnation": "x", "alive_at": null, "positions": {}}', "[]"])
async def test_what_no_gateway_wrote_into_state_dir_stops_the_start(pool: Pool, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UnusableStateDir, match=r"x\.json is not what a gateway wrote; remove it, and start once with"):
        await begun(pool, tmp_path)


async def test_a_state_dir_that_can_not_be_written_stops_the_start(pool: Pool) -> None:
    with pytest.raises(UnusableStateDir, match="state_dir: /proc/gateway can't be read"):
        await begun(pool, Path("/proc/gateway"))
