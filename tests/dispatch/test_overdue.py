"""Orders that a provider has for too long are found, told once, and read where they can be."""

from dataclasses import replace

import asyncpg
import pytest

from gateway.domain.acts.story import Note
from gateway.domain.commands import AfterGrace, Word
from gateway.ledger.read import request_reads
from gateway.providers.port import Adapter
from gateway.settings import Location, ProviderSettings, Secret
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
    await find_overdue(pool, station.writer, station.hearing.settings, adapters)
    assert await failures(pool) == []

    before = metrics.OVERDUE.labels("DC01", "deaf", "accept")._value.get()  # noqa: SLF001
    await pass_an_hour(pool)
    for _ in range(2):
        await find_overdue(pool, station.writer, station.hearing.settings, adapters)
    assert await failures(pool) == ["r-1"]
    assert (await kinds(pool)).count("acceptance_overdue") == 1
    assert metrics.OVERDUE.labels("DC01", "deaf", "accept")._value.get() - before == 1  # noqa: SLF001
    assert await settled(station)  # nobody can be asked


async def test_a_provider_without_such_a_time_has_all_of_it(station: Station, pool: Pool) -> None:
    station.outside.answers["deaf"] = telling()
    await taken(station, "deaf")
    await pass_an_hour(pool)
    await find_overdue(pool, station.writer, station.hearing.settings, station.hearing.adapters)
    assert await failures(pool) == []


async def test_a_provider_that_can_be_asked_is_and_what_was_lost_on_its_way_ends_it(
    station: Station, adapters: dict[str, Adapter], pool: Pool
) -> None:
    station.outside.answers["hinting"] = telling(SHIPPED)
    await taken(station)
    await pass_an_hour(pool)
    await find_overdue(pool, station.writer, station.hearing.settings, adapters)
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
    await find_overdue(pool, station.writer, station.hearing.settings, adapters)
    first = await failures(pool)
    assert len(first) == 2
    for each in first:
        await station.writer.apply(Note(request_id=each, at=AT, who="ada", action_id="n", reason="they are busy"))
    await find_overdue(pool, station.writer, station.hearing.settings, adapters)
    assert await failures(pool) == sorted({"r-1", "r-2", "r-3"} - set(first))


async def test_an_order_that_was_never_taken_is_told_once_and_counted_as_that(
    station: Station, adapters: dict[str, Adapter], pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.sweeps._MOST_OVERDUE", 1)
    await station.writer.apply(receive("r-1", provider="deaf"), b"{}")
    await station.writer.apply(receive("r-2", provider="deaf"), b"{}")
    await station.writer.apply(said(Word.ACCEPTED, "r-1", provider="deaf"), b"{}")
    await station.writer.apply(receive("r-3", provider="deaf"), b"{}")
    await pool.execute("UPDATE requests SET changed_at = statement_timestamp()")  # `AT` was long ago
    await find_overdue(pool, station.writer, station.hearing.settings, adapters)
    assert await untaken(pool) == []

    before = metrics.OVERDUE.labels("DC01", "deaf", "acknowledge")._value.get()  # noqa: SLF001
    await pool.execute(
        """UPDATE requests SET changed_at = changed_at
            - CASE id WHEN 'r-1' THEN interval '3 hours' WHEN 'r-2' THEN '2 hours' ELSE '0' END"""
    )
    for _ in range(2):
        await find_overdue(pool, station.writer, station.hearing.settings, adapters)
    assert await untaken(pool) == ["r-2"]
    assert (await values(pool, "SELECT count(*) FROM events WHERE kind = 'acknowledgement_overdue'")) == [(1,)]
    assert metrics.OVERDUE.labels("DC01", "deaf", "acknowledge")._value.get() - before == 1  # noqa: SLF001


async def lacking(station: Station, then: AfterGrace) -> None:
    """A request whose back order has waited for longer than its hour, as its DC follows it so."""
    place = Location("DC01", (Secret("k"),), "deaf", backorder_grace=3600.0, after_backorder_grace=then)
    object.__setattr__(station.hearing.settings, "locations", {"DC01": place})
    station.outside.answers["deaf"] = telling()
    await taken(station, "deaf")
    await station.writer.apply(said(Word.BACKORDERED, provider="deaf"), b"{}")
    await station.pool.execute("UPDATE requests SET backordered_at = statement_timestamp() - interval '2 hours'")


async def test_a_back_order_that_has_waited_too_long_is_found_by_its_location(
    station: Station, adapters: dict[str, Adapter], pool: Pool
) -> None:
    before = metrics.OVERDUE.labels("DC01", "deaf", "backorder")._value.get()  # noqa: SLF001
    await lacking(station, AfterGrace.PERSON)
    for _ in range(2):
        await find_overdue(pool, station.writer, station.hearing.settings, adapters)
    assert await values(pool, "SELECT failure, backordered FROM requests") == [("overdue_backorder", [0, 1])]
    assert metrics.OVERDUE.labels("DC01", "deaf", "backorder")._value.get() - before == 1  # noqa: SLF001


async def test_a_back_order_that_has_waited_too_long_is_rejected_where_its_location_has_it_so(
    station: Station, adapters: dict[str, Adapter], pool: Pool
) -> None:
    await lacking(station, AfterGrace.REJECT)
    await find_overdue(pool, station.writer, station.hearing.settings, adapters)
    assert await values(pool, "SELECT units, backordered, backordered_at FROM requests") == [("r-0.0 r-0.0", [], None)]


@pytest.mark.parametrize(
    ("query", "index"),
    [
        ("_NOT_TAKEN", "requests_untaken"),
        ("_NOT_ACCEPTED", "requests_awaited"),
        ("_NOT_IN_STOCK", "requests_backordered"),
    ],
)
async def test_the_sweep_reads_an_index_of_what_is_awaited_alone(pool: Pool, query: str, index: str) -> None:
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        plan = await connection.fetch(f"EXPLAIN {getattr(request_reads, query)}", "deaf", 60.0, 200)
    assert any(index in row[0] for row in plan)
