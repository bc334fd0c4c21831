"""Orders that a provider has for too long are found, told once, and read where they can be."""

from dataclasses import replace

import asyncpg
import pytest

from gateway.domain.acts.story import Note
from gateway.domain.commands import Word
from gateway.ledger.read import request_reads
from gateway.providers.port import Adapter
from gateway.settings import ProviderSettings
from gateway.sweeps import find_overdue
from gateway.telemetry import metrics
from tests.requests import AT, receive, said

from .conftest import KINDS, Station
from .test_order_reads import SHIPPED, kinds, settled, taken, telling, values

Pool = asyncpg.Pool


@pytest.fixture
def adapters(station: Station) -> dict[str, Adapter]:
    """Those of the station, which give their providers two hours to take an order, and one to accept it."""

    def in_time(provider: ProviderSettings, adapter: Adapter) -> Adapter:
        kind: type[Adapter] = KINDS[provider.adapter]
        return kind(replace(provider, acknowledge_within=7200.0, accept_within=3600.0), adapter.session)

    return {name: in_time(each.provider, each) for name, each in station.hearing.adapters.items()}


async def pass_an_hour(pool: Pool) -> None:
    await pool.execute("UPDATE requests SET submitted_at = submitted_at - interval '1 hour'")


async def failures(pool: Pool) -> list[str]:
    return [
        row["id"] for row in await pool.fetch("SELECT id FROM requests WHERE failure = 'overdue_accept' ORDER BY id")
    ]


async def untaken(pool: Pool) -> list[str]:
    return [row["id"] for row in await pool.fetch("SELECT id FROM requests WHERE failure = 'overdue_acknowledge'")]


async def test_what_is_not_accepted_in_time_is_told_once_and_counted(
    station: Station, adapters: dict[str, Adapter], pool: Pool
) -> None:
    station.outside.answers["deaf"] = telling()
    await taken(station, "deaf", "r-2")
    await station.writer.apply(said(Word.ACCEPTED, "r-2", provider="deaf"), b"{}")
    await find_overdue(pool, station.writer, adapters)
    assert await failures(pool) == []

    before = metrics.OVERDUE.labels("DC01", "deaf", "accept")._value.get()  # noqa: SLF001
    await pass_an_hour(pool)
    for _ in range(2):
        await find_overdue(pool, station.writer, adapters)
    assert await failures(pool) == ["r-1"]
    assert (await kinds(pool)).count("acceptance_overdue") == 1
    assert metrics.OVERDUE.labels("DC01", "deaf", "accept")._value.get() - before == 1  # noqa: SLF001
    assert await settled(station)  # nobody can be asked


async def test_a_provider_without_such_a_time_has_all_of_it(station: Station, pool: Pool) -> None:
    station.outside.answers["deaf"] = telling()
    await taken(station, "deaf")
    await pass_an_hour(pool)
    await find_overdue(pool, station.writer, station.hearing.adapters)
    assert await failures(pool) == []


async def test_a_provider_that_can_be_asked_is_and_what_was_lost_on_its_way_ends_it(
    station: Station, adapters: dict[str, Adapter], pool: Pool
) -> None:
    station.outside.answers["hinting"] = telling(SHIPPED)
    await taken(station)
    await pass_an_hour(pool)
    await find_overdue(pool, station.writer, adapters)
    assert await failures(pool) == ["r-1"]
    await station.drive(lambda: settled(station))
    assert await failures(pool) == []
    assert await values(pool, "SELECT shipped_at IS NOT NULL FROM requests") == [(True,)]


async def test_many_are_found_some_at_a_time_and_those_that_are_answered_take_no_place(
    station: Station, adapters: dict[str, Adapter], pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sweeps._MOST_OVERDUE", 2)
    station.outside.answers["deaf"] = telling()
    await taken(station, "deaf", "r-2", "r-3")
    await pass_an_hour(pool)
    await find_overdue(pool, station.writer, adapters)
    first = await failures(pool)
    assert len(first) == 2
    for each in first:
        await station.writer.apply(Note(request_id=each, at=AT, who="ada", action_id="n", reason="they are busy"))
    await find_overdue(pool, station.writer, adapters)
    assert await failures(pool) == sorted({"r-1", "r-2", "r-3"} - set(first))


async def test_an_order_that_was_never_taken_is_told_once_and_counted_as_that(
    station: Station, adapters: dict[str, Adapter], pool: Pool
) -> None:
    await station.writer.apply(receive("r-1", provider="deaf"), b"{}")
    await station.writer.apply(receive("r-2", provider="deaf"), b"{}")
    await station.writer.apply(said(Word.ACCEPTED, "r-2", provider="deaf"), b"{}")
    await station.writer.apply(receive("r-3", provider="deaf"), b"{}")
    await pool.execute("UPDATE requests SET changed_at = statement_timestamp()")  # `AT` was long ago
    await find_overdue(pool, station.writer, adapters)
    assert await untaken(pool) == []

    before = metrics.OVERDUE.labels("DC01", "deaf", "acknowledge")._value.get()  # noqa: SLF001
    await pool.execute("UPDATE requests SET changed_at = changed_at - interval '2 hours' WHERE id < 'r-3'")
    for _ in range(2):
        await find_overdue(pool, station.writer, adapters)
    assert await untaken(pool) == ["r-1"]
    assert (await kinds(pool)).count("acknowledgement_overdue") == 1
    assert metrics.OVERDUE.labels("DC01", "deaf", "acknowledge")._value.get() - before == 1  # noqa: SLF001


@pytest.mark.parametrize(
    ("query", "index"),
    [(request_reads._NOT_TAKEN, "requests_untaken"), (request_reads._NOT_ACCEPTED, "requests_awaited")],  # noqa: SLF001
)
async def test_the_sweep_reads_an_index_of_what_is_awaited_alone(pool: Pool, query: str, index: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        plan = await connection.fetch(f"EXPLAIN {query}", "deaf", 60.0, 200)
    assert any(index in row[0] for row in plan)
