"""Providers are asked for news by one process at a time, and no page is lost or asked for without end."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from gateway.dispatch.limiter import DestinationLimiter
from gateway.dispatch.limits import Limits
from gateway.dispatch.polling import Poller
from gateway.ledger.queue import holds, polls
from gateway.ledger.queue.destinations import Destination
from gateway.ledger.queue.processes import Membership, take_over
from gateway.settings import Telemetry
from gateway.telemetry import trace
from tests.requests import receive
from tests.telemetry.collector import collecting

from .conftest import KINDS, Station

Pool = asyncpg.Pool


@dataclass(slots=True)
class News:
    """What the provider has to tell: a page for each cursor."""

    pages: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    got: list[str] = field(default_factory=list)
    refusal: tuple[int, dict[str, str]] | None = None
    go: asyncio.Event | None = None
    begun: asyncio.Event = field(default_factory=asyncio.Event)

    async def answer(self, request: web.Request) -> web.Response:
        if request.path.startswith("/hinting/got/"):
            self.got.append(request.path.removeprefix("/hinting/got/"))
            return web.json_response({})
        if request.path != "/hinting/news":
            return web.json_response({"id": "W-1"})
        self.asked.append(request.query["after"])
        self.begun.set()
        if self.go:
            await self.go.wait()
        if self.refusal:
            return web.Response(status=self.refusal[0], headers=self.refusal[1])
        page = self.pages.get(request.query["after"], {"messages": [], "cursor": request.query["after"]})
        return web.json_response(page)


def shipped(request_id: str, parcel: str = "1Z1") -> list[dict[str, Any]]:
    return [{"of": request_id, "shipped": {"TEE": 1, "CAP": 1}, "in": parcel}]


def page(cursor: str, *messages: list[dict[str, Any]], more: bool = False) -> dict[str, Any]:
    return {"messages": messages, "cursor": cursor, "more": more}


@pytest.fixture
async def news(station: Station) -> News:
    there = News()
    station.outside.answers["hinting"] = there.answer
    return there


@pytest.fixture
async def poller(station: Station) -> AsyncIterator[Poller]:
    made = a_poller(station, station.membership)
    yield made
    made.stop()
    await made.settled()


def a_poller(station: Station, membership: Membership) -> Poller:
    hearing = station.hearing
    return Poller(hearing.adapters, hearing.hear_news, station.pool, membership, station.dispatcher.limiters)


async def poll(poller: Poller, *, times: int = 1) -> int:
    """Poll what is due so often, each time to the end, and say how many polls that were."""
    count = 0
    for _ in range(times):
        count += await poller.run_once()
        await poller.settled()
    return count


async def make_due(pool: Pool) -> None:
    await pool.execute("UPDATE polls SET due_at = clock_timestamp() WHERE due_at < 'infinity'")


async def state(pool: Pool, *columns: str) -> tuple[Any, ...]:
    row = await pool.fetchrow("SELECT * FROM polls WHERE provider = 'hinting'")
    assert row is not None
    return tuple(row[column] for column in columns)


async def next_in(pool: Pool) -> float:
    return float(await pool.fetchval("SELECT extract(epoch FROM due_at - clock_timestamp()) FROM polls"))


async def completed(pool: Pool) -> list[str]:
    rows = await pool.fetch("SELECT id FROM requests WHERE shipped_at IS NOT NULL ORDER BY id")
    return [row["id"] for row in rows]


async def receive_two(station: Station) -> None:
    for each in ("r-1", "r-2"):
        await station.writer.apply(receive(each, provider="hinting"), b"{}")


async def test_a_page_is_applied_then_the_cursor_moves_and_then_it_is_acknowledged(
    station: Station, poller: Poller, news: News, pool: Pool
) -> None:
    await receive_two(station)
    news.pages[""] = page("c-1", shipped("r-1"), [{"other": 1}], shipped("r-2", "1Z2"))
    assert await poll(poller) == 1

    assert await completed(pool) == ["r-1", "r-2"]
    assert await pool.fetchval("SELECT reason FROM quarantine") == "malformed"  # one bad message keeps the others
    assert (news.asked, news.got) == ([""], ["c-1"])
    assert await state(pool, "cursor", "owner", "failing_since", "detail") == ("c-1", None, None, "")
    assert (await state(pool, "polled_at"))[0] is not None
    assert 50 < await next_in(pool) <= 66
    assert await poll(poller) == 0


async def test_only_what_polls_is_polled_and_what_stops_to_keeps_its_place(
    station: Station, poller: Poller, news: News, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    news.pages[""] = page("c-1")
    await poll(poller)
    assert [row["provider"] for row in await pool.fetch("SELECT provider FROM polls")] == ["hinting"]
    monkeypatch.setitem(KINDS, "hinting", KINDS["deaf"])
    deaf = Poller(
        {"hinting": KINDS["deaf"](station.hearing.settings.providers["hinting"], None)},
        station.hearing.hear_news, pool, station.membership, station.dispatcher.limiters,
    )  # fmt: skip
    await poll(deaf)
    await make_due(pool)
    assert await pool.fetchval("SELECT due_at = 'infinity' FROM polls")
    again = a_poller(station, station.membership)
    assert await poll(again) == 1
    assert news.asked == ["", "c-1"]


async def test_more_is_asked_for_at_once(station: Station, poller: Poller, news: News, pool: Pool) -> None:
    await receive_two(station)
    news.pages |= {"": page("c-1", shipped("r-1"), more=True), "c-1": page("c-2", shipped("r-2", "1Z2"))}
    assert await poll(poller, times=5) == 2
    assert (news.asked, await completed(pool)) == (["", "c-1"], ["r-1", "r-2"])


async def test_a_page_that_comes_again_says_nothing_twice(
    station: Station, poller: Poller, news: News, pool: Pool
) -> None:
    await receive_two(station)
    news.pages |= {"": page("c-1", shipped("r-1")), "c-1": page("c-1", shipped("r-1"))}
    await poll(poller)
    events = await pool.fetchval("SELECT count(*) FROM events")
    await make_due(pool)
    await poll(poller)
    assert await pool.fetchval("SELECT count(*) FROM events") == events
    assert await state(pool, "cursor", "failures") == ("c-1", 0)


async def test_a_cursor_that_goes_back_is_kept_as_it_was_given(
    station: Station, poller: Poller, news: News, pool: Pool
) -> None:
    await receive_two(station)
    news.pages |= {"": page("c-2", shipped("r-1")), "c-2": page("c-1"), "c-1": page("c-3", shipped("r-2", "1Z2"))}
    for _ in range(3):
        await make_due(pool)
        await poll(poller)
    assert (news.asked, await completed(pool)) == (["", "c-2", "c-1"], ["r-1", "r-2"])


@pytest.mark.parametrize("circle", [("c-1",), ("c-1", "c-2", "c-3")])
async def test_more_that_leads_nowhere_new_waits_for_the_interval_and_is_told(
    station: Station, poller: Poller, news: News, pool: Pool, circle: tuple[str, ...]
) -> None:
    await receive_two(station)
    news.pages[""] = page(circle[0], shipped("r-1"), more=True)
    for here, there in zip(circle, (*circle[1:], circle[0]), strict=True):
        news.pages[here] = page(there, more=True)
    asked = 1 + len(circle)
    assert await poll(poller, times=9) == asked
    failures, detail = await state(pool, "failures", "detail")
    assert (failures, "there is more" in detail) == (1, True)
    assert 50 < await next_in(pool) <= 66
    assert await completed(pool) == ["r-1"]


async def test_more_in_the_same_place_that_brings_news_is_no_failure(
    station: Station, poller: Poller, news: News, pool: Pool
) -> None:
    await receive_two(station)
    news.pages[""] = page("", shipped("r-1"), more=True)
    assert await poll(poller, times=3) == 1
    assert await state(pool, "failures") == (0,)
    assert 50 < await next_in(pool) <= 66


async def test_what_could_not_be_stored_is_asked_for_again(
    station: Station, poller: Poller, news: News, pool: Pool
) -> None:
    await receive_two(station)
    news.pages[""] = page("c-1", shipped("r-1"))
    station.writer._waiting_bytes = 1 << 40  # noqa: SLF001 - it takes no more commands of senders
    await poll(poller)
    assert await state(pool, "cursor", "owner", "failures", "polled_at") == ("", None, 0, None)
    assert news.got == []
    station.writer._waiting_bytes = 0  # noqa: SLF001
    await make_due(pool)
    await poll(poller)
    assert (await completed(pool), news.asked, news.got) == (["r-1"], ["", ""], ["c-1"])


async def test_failures_are_ever_further_apart_and_the_first_page_ends_them(
    poller: Poller, news: News, pool: Pool
) -> None:
    news.refusal = (500, {})
    waits = []
    for _ in range(6):
        await poll(poller)
        waits.append(await next_in(pool))
        await make_due(pool)
    assert [wait / 60 for wait in waits] == pytest.approx([1, 2, 4, 8, 15, 15], rel=0.15)
    failures, since, polled_at, detail = await state(pool, "failures", "failing_since", "polled_at", "detail")
    assert (failures, since is not None, polled_at, detail) == (6, True, None, "answered 500")

    news.refusal = None
    await poll(poller)
    assert await state(pool, "failures", "failing_since", "detail") == (0, None, "")


async def test_a_provider_that_is_busy_is_polled_when_it_said(station: Station, poller: Poller, news: News) -> None:
    news.refusal = (429, {"Retry-After": "400"})
    await poll(poller)
    assert 390 < await next_in(station.pool) <= 400
    await station.rounds(2)
    not_before = "SELECT not_before - now() BETWEEN '390s' AND '400s' FROM destinations WHERE name = 'hinting'"
    assert await station.pool.fetchval(not_before)  # neither is it called otherwise


async def test_a_provider_that_wants_days_of_peace_is_left_to_a_person(poller: Poller, news: News, pool: Pool) -> None:
    news.refusal = (429, {"Retry-After": "999999"})
    await poll(poller)
    assert await pool.fetchval("SELECT name || ' ' || who FROM holds") == "hinting gateway"
    await make_due(pool)
    assert await poll(poller) == 0


@pytest.mark.parametrize(("scope", "name"), [("everything", ""), ("destination", "hinting")])
async def test_a_hold_keeps_polls_back(poller: Poller, news: News, pool: Pool, scope: str, name: str) -> None:
    held = await holds.place(pool, scope, name, reason="they move house", who="ada")
    assert await poll(poller) == 0
    await holds.release(pool, held.id, "ada", "they have moved")
    assert await poll(poller) == 1


async def test_an_open_breaker_keeps_polls_back_and_a_poll_may_be_its_probe(
    station: Station, poller: Poller, news: News, pool: Pool
) -> None:
    limiter = station.dispatcher.limiters["hinting"]

    async def shut(due: str) -> None:
        await pool.execute(
            "INSERT INTO destinations (name, is_open, opened_at, half_open_at, open_for) "
            f"VALUES ('hinting', true, now(), now() + '{due}', 10) ON CONFLICT (name) DO UPDATE SET "
            "is_open = true, opened_at = now(), half_open_at = excluded.half_open_at"
        )
        await asyncio.sleep(0)
        limiter._reported_at = float("-inf")  # noqa: SLF001 - it learns of it now
        await station.dispatcher.run_once()

    await shut("1 hour")
    assert (limiter.is_open, await poll(poller)) == (True, 0)
    await shut("-1 s")
    assert await poll(poller) == 1
    limiter._reported_at = float("-inf")  # noqa: SLF001
    await station.dispatcher.run_once()
    assert not await pool.fetchval("SELECT is_open FROM destinations WHERE name = 'hinting'")


async def test_polls_are_paid_from_the_budget(station: Station, poller: Poller, news: News) -> None:
    limiter = DestinationLimiter("hinting", Limits(2, 50.0), 5.0)
    before = limiter.start()
    limiter.end(None, before)
    assert (limiter.room, limiter.may_poll) == (0, True)
    _, granted = limiter.decide("me")(_rested("hinting"), await _now(station.pool))
    assert granted == 5  # a slab, and the one that was spent beforehand is paid from it
    limiter.take(_rested("hinting"), granted, 0.0)
    assert limiter.room == 2
    limiter.start()
    limiter.start()
    assert not limiter.may_poll


def _rested(name: str) -> Destination:
    return Destination(name, 0.0, 0.0, None)


async def _now(pool: Pool) -> Any:
    return await pool.fetchval("SELECT clock_timestamp()")


async def test_a_poll_that_is_due_has_a_place_beside_a_long_queue(
    station: Station, poller: Poller, news: News, pool: Pool
) -> None:
    station.dispatcher.limiters["hinting"].limits = Limits(1, 1000.0)
    for n in range(5):
        await station.writer.apply(receive(f"r-{n}", provider="hinting"), b"{}")
    await polls.enrol(pool, {"hinting": 60.0}, [])
    await station.rounds(3)
    assert station.outside.calls["hinting"] == 0  # the only place is the poll's
    assert await poll(poller) == 1
    await station.rounds(10)
    assert station.outside.calls["hinting"] > 5


async def test_two_processes_poll_once(database: str, station: Station, news: News, pool: Pool) -> None:
    other = Membership(lambda: asyncpg.connect(database))
    await other.join()
    pollers = [a_poller(station, station.membership), a_poller(station, other)]
    for _ in range(5):
        await make_due(pool)
        before = len(news.asked)
        await asyncio.gather(*(each.run_once() for each in pollers))
        await asyncio.gather(*(each.settled() for each in pollers))
        assert len(news.asked) - before == 1
    await other.leave()


async def test_a_poll_of_a_process_that_dies_is_taken_over_and_moves_nothing_any_more(
    database: str, station: Station, poller: Poller, news: News, pool: Pool
) -> None:
    await receive_two(station)
    news.pages[""] = page("c-1", shipped("r-1"))
    dying = Membership(lambda: asyncpg.connect(database))
    await dying.join()
    news.go = asyncio.Event()
    theirs = a_poller(station, dying)
    await theirs.run_once()
    await news.begun.wait()
    assert await poller.run_once() == 0

    await pool.execute("DELETE FROM processes WHERE owner = $1", dying.owner)  # buried, and yet it goes on
    async with pool.acquire() as connection:
        await take_over(connection, grace=10)
    assert await poller.run_once() == 1
    news.go.set()
    await asyncio.gather(poller.settled(), theirs.settled())
    assert await state(pool, "cursor", "owner") == ("c-1", None)
    assert (news.asked, news.got, await completed(pool)) == (["", ""], ["c-1"], ["r-1"])
    await dying.leave()


async def test_a_stop_waits_for_no_page_and_the_next_process_asks_at_once(
    station: Station, news: News, pool: Pool
) -> None:
    news.go = asyncio.Event()
    stopping = a_poller(station, station.membership)
    await stopping.run_once()
    await news.begun.wait()
    stopping.stop()
    async with asyncio.timeout(5):
        await stopping.settled()
    assert await state(pool, "owner", "failures") == (None, 0)
    assert await next_in(pool) <= 1
    assert station.dispatcher.limiters["hinting"].in_flight == 0
    news.go.set()


async def test_an_adapter_that_breaks_stops_no_other_and_is_told(
    station: Station, news: News, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_: str) -> None:
        raise ZeroDivisionError

    poller = a_poller(station, station.membership)
    monkeypatch.setattr(station.hearing.adapters["hinting"], "poll", broken)
    assert await poll(poller) == 1
    assert await state(pool, "detail") == ("the adapter broke (ZeroDivisionError): the gateway's log says where",)
    assert station.dispatcher.limiters["hinting"].in_flight == 0


async def test_what_is_kept_and_not_acknowledged_is_told(
    station: Station, poller: Poller, news: News, pool: Pool
) -> None:
    await receive_two(station)
    news.pages[""] = page("..%2Fgone", shipped("r-1"))  # there is no such place to acknowledge it
    station.outside.answers["hinting"] = _ungrateful(news)
    await poll(poller)
    assert await completed(pool) == ["r-1"]
    assert await state(pool, "failures", "detail") == (1, "answered 500")


def _ungrateful(news: News) -> Any:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=500) if "/got/" in request.path else await news.answer(request)

    return answer


async def test_a_poll_that_fails_is_traced_and_so_is_what_one_says_of_a_traced_request(
    station: Station, poller: Poller, news: News, pool: Pool
) -> None:
    await station.writer.apply(receive(), b"{}")
    async with collecting() as collector, trace.exporting(Telemetry(collector.url, 1.0)):
        await poll(poller)
        news.pages[""] = page("1", shipped("r-1"), [{"other": 1}])
        await make_due(pool)
        await poll(poller)
        news.refusal = (500, {})
        await make_due(pool)
        await poll(poller)

    said, failed = sorted(collector.named("delivery.attempt", operation="poll"), key=lambda each: each.is_error)
    assert (said.facts["outcome"], said.is_error) == ("done", False)
    assert (failed.facts["outcome"], failed.is_error) == ("unknown", True)
    (heard,) = collector.named("message.hear")
    assert (heard.parent, heard.facts["request_id"]) == (said.span_id, "r-1")
