"""What goes out, and what does not, to destinations that say no, not now, or nothing."""

import asyncio

import asyncpg
import pytest
from aiohttp import web

from gateway.dispatch import dispatcher
from gateway.domain.commands import Word
from gateway.ledger.queue.holds import place, release
from tests.processes import until
from tests.requests import receive, said

from .conftest import Answer, Station, took

Pool = asyncpg.Pool
TRIES = "SELECT tries FROM deliveries ORDER BY tries DESC LIMIT 1"
ATTEMPTS = "SELECT outcome, count(*) FROM attempts GROUP BY outcome ORDER BY outcome"


async def busy(_: web.Request) -> web.Response:
    return web.Response(status=429, headers={"Retry-After": "40"})


async def broken(_: web.Request) -> web.Response:
    return web.Response(status=500)


async def moved(_: web.Request) -> web.Response:
    return web.Response(status=302, headers={"Location": "/elsewhere"})


async def blocked(_: web.Request) -> web.Response:
    return web.Response(status=403, text="<html>blocked</html>", content_type="text/html")


async def receive_many(station: Station, count: int, provider: str = "acme") -> None:
    await asyncio.gather(
        *(station.writer.apply(receive(f"{provider}-{n}", provider=provider), b"{}") for n in range(count))
    )


def has_called(station: Station, who: str, count: int = 1) -> "asyncio.Future[bool]":
    done: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    done.set_result(station.outside.calls[who] >= count)
    return done


async def settled(station: Station, provider: str) -> bool:
    count = await station.pool.fetchval("SELECT count(*) FROM deliveries WHERE destination = $1", provider)
    return bool(count == 0)


async def test_a_destination_that_is_busy_is_not_called_before_the_time_it_said(station: Station, pool: Pool) -> None:
    station.outside.answers["acme"] = busy
    await station.writer.apply(receive("r-1"), b"{}")
    await station.drive(lambda: has_called(station, "acme"))
    await station.writer.apply(receive("r-2"), b"{}")
    await station.make_due()  # the calls are due, and their destination is not
    await station.rounds()

    assert station.outside.calls["acme"] == 1
    assert await pool.fetchval(
        "SELECT not_before - now() BETWEEN '30s' AND '40s' FROM destinations WHERE name = 'acme'"
    )
    assert await pool.fetchval(TRIES) == 0

    station.outside.answers["acme"] = took
    await pool.execute("UPDATE destinations SET not_before = now()")
    await station.drive(lambda: settled(station, "acme"))
    assert [tuple(row) for row in await pool.fetch(ATTEMPTS)] == [("done", 2), ("wait", 1)]


async def test_the_call_that_met_a_busy_destination_is_due_again_when_that_said(station: Station, pool: Pool) -> None:
    station.outside.answers["acme"] = busy
    await station.writer.apply(receive("r-1"), b"{}")
    await station.drive(lambda: has_called(station, "acme"))

    assert await pool.fetchval("SELECT due_at - now() BETWEEN '30s' AND '40s' FROM deliveries")


async def test_newstore_that_blocks_our_address_is_left_alone_for_five_minutes(station: Station, pool: Pool) -> None:
    station.outside.answers["newstore"] = blocked
    for request_id in ("r-1", "r-2"):
        await station.writer.apply(receive(request_id), b"{}")
    await station.writer.apply(said(Word.ACCEPTED, "r-1"), b"{}")
    await station.drive(lambda: has_called(station, "newstore"))
    await station.writer.apply(said(Word.ACCEPTED, "r-2"), b"{}")
    await station.make_due()
    await station.rounds()

    assert (station.outside.calls["newstore"], station.outside.calls["token"]) == (2, 1)  # the call, and one read
    (row,) = await pool.fetch("SELECT * FROM destinations WHERE name = 'newstore'")
    assert row["is_open"]
    assert 290 < (row["half_open_at"] - row["opened_at"]).total_seconds() <= 300
    assert await pool.fetchval(TRIES) == 0
    assert station.outside.calls["acme"] == 2  # the others go on

    station.outside.answers["newstore"] = took
    await pool.execute("UPDATE destinations SET half_open_at = now() WHERE name = 'newstore'")
    await station.drive(lambda: settled(station, "newstore"))
    assert station.outside.calls["token"] == 1


async def test_the_breaker_of_a_failing_destination_opens_lets_one_call_through_and_closes_again(
    station: Station, pool: Pool
) -> None:
    station.outside.answers["acme"] = broken
    await receive_many(station, 60)

    async def is_open() -> bool:
        await station.make_due()
        return bool(await pool.fetchval("SELECT is_open FROM destinations WHERE name = 'acme'"))

    await station.drive(is_open)
    failed = station.outside.calls["acme"]
    assert 20 <= failed < 60
    tries = await pool.fetchval("SELECT sum(tries) FROM deliveries")
    await receive_many(station, 5, "beta")
    await station.drive(lambda: settled(station, "beta"))
    await station.make_due()
    await station.rounds()
    assert station.outside.calls["acme"] == failed
    assert (
        await pool.fetchval("SELECT sum(tries) FROM deliveries") == tries
    )  # the time behind a breaker is nobody's try

    probe, go = asyncio.Event(), asyncio.Event()

    async def recovering(request: web.Request) -> web.Response:
        probe.set()
        await go.wait()
        return await took(request)

    station.outside.answers["acme"] = recovering
    await pool.execute("UPDATE destinations SET half_open_at = now() WHERE name = 'acme'")
    while not probe.is_set():
        await station.dispatcher.run_once()
        await asyncio.sleep(0.01)
    for _ in range(20):
        await station.dispatcher.run_once()
        await asyncio.sleep(0.01)
    assert station.outside.calls["acme"] == failed + 1
    go.set()
    await station.drive(lambda: settled_now(station))
    assert not await pool.fetchval("SELECT is_open FROM destinations WHERE name = 'acme'")


async def settled_now(station: Station) -> bool:
    await station.make_due()
    return await settled(station, "acme")


async def test_a_half_open_breaker_whose_call_fails_is_open_for_twice_as_long(station: Station, pool: Pool) -> None:
    station.outside.answers["acme"] = broken
    await receive_many(station, 3)
    await pool.execute(
        "INSERT INTO destinations (name, is_open, opened_at, half_open_at, open_for) "
        "VALUES ('acme', true, now(), now(), 10)"
    )

    async def doubled() -> bool:
        return bool(await pool.fetchval("SELECT open_for = 20 FROM destinations WHERE name = 'acme'"))

    await station.drive(doubled)
    assert station.outside.calls["acme"] == 1


async def test_the_time_under_a_hold_is_nobodys_try(station: Station, pool: Pool) -> None:
    hold = await place(pool, "location", "DC01", reason="stock count", who="kim")
    await station.writer.apply(receive("r-1"), b"{}")
    await station.rounds()
    assert station.outside.calls["acme"] == 0
    assert [tuple(row) for row in await pool.fetch("SELECT tries, attempt FROM deliveries")] == [(0, 0)]

    await release(pool, hold.id, "kim", "mended")
    await station.drive(lambda: settled(station, "acme"))
    assert station.outside.calls["acme"] == 1


async def test_calls_of_one_process_stay_within_the_concurrency(station: Station) -> None:
    async def slow(request: web.Request) -> web.Response:
        await asyncio.sleep(0.02)
        return await took(request)

    station.outside.answers["acme"] = slow
    await receive_many(station, 60)
    await station.drive(lambda: settled(station, "acme"))
    assert station.outside.most["acme"] <= 16


async def test_a_call_that_would_outlive_its_claim_is_given_up_as_unknown(
    station: Station, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    never = asyncio.Event()

    async def silent(_: web.Request) -> web.Response:
        await never.wait()
        return web.Response()

    station.outside.answers["acme"] = silent
    monkeypatch.setattr(dispatcher, "_START_WITHIN", 1.0)
    monkeypatch.setattr(station.dispatcher.limiters["acme"], "seconds", 0.0)
    await station.writer.apply(receive("r-1"), b"{}")
    await station.drive(lambda: pool.fetchval("SELECT count(*) FROM attempts"))
    never.set()

    rows = await pool.fetch("SELECT outcome, doubt, d.tries, seconds < 2 FROM attempts, deliveries d")
    assert [tuple(row) for row in rows] == [("unknown", True, 1, True)]


async def test_a_shipment_whose_claim_is_lost_while_newstore_is_looked_at_does_not_leave(
    station: Station, pool: Pool
) -> None:
    await station.writer.apply(receive("r-1"), b"{}")
    await station.writer.apply(said(Word.ACCEPTED, "r-1"), b"{}")
    await station.drive(lambda: settled(station, "newstore"))
    came: list[str] = []
    before = station.membership.owner

    async def has_another_name() -> bool:
        return station.membership.owner not in {"", before}

    async def expired(request: web.Request) -> web.Response:
        came.append(request.method)
        if request.method == "POST":
            return await took(request)
        await pool.execute("DELETE FROM processes")
        await until(has_another_name)
        return web.Response(status=404)

    station.outside.answers["newstore"] = expired
    await station.writer.apply(said(Word.SHIPPED, "r-1"), b"{}")
    await pool.execute("UPDATE deliveries SET doubt = true")
    await station.drive(lambda: pool.fetchval("SELECT count(*) FROM attempts WHERE operation = 'ship'"))

    assert came[:2] in (["GET"], ["GET", "GET"])  # whoever makes it next looks first
    assert await pool.fetchval("SELECT detail FROM attempts WHERE operation = 'ship'") == (
        "this process stops, or may have lost the call, before it left"
    )


async def test_an_order_that_is_looked_up_while_its_process_stops_is_left_to_the_next(
    station: Station, pool: Pool
) -> None:
    posted, looking, go = 0, asyncio.Event(), asyncio.Event()

    async def acme(request: web.Request) -> web.Response:
        nonlocal posted
        posted += request.method == "POST"
        looking.set()
        await go.wait()
        return web.Response(status=404) if request.method == "GET" else await took(request)

    station.outside.answers["acme"] = acme
    await station.writer.apply(receive("r-1"), b"{}")
    await pool.execute("UPDATE deliveries SET doubt = true")
    while not looking.is_set():
        await station.dispatcher.run_once()
        await asyncio.sleep(0.01)
    station.dispatcher.stop()
    go.set()
    await station.dispatcher.settled()

    assert posted == 0
    rows = await pool.fetch("SELECT doubt, owner, tries, due_at <= now() FROM deliveries")
    assert [tuple(row) for row in rows] == [(True, None, 0, True)]
    assert [tuple(row) for row in await pool.fetch(ATTEMPTS)] == [("not_made", 1)]


async def test_one_call_that_breaks_does_not_stop_the_others_nor_speak_for_its_destination(
    station: Station, pool: Pool
) -> None:
    await receive_many(station, 4)
    await pool.execute("DELETE FROM requests WHERE id = 'acme-2'")

    async def three_are_settled() -> bool:
        return bool(await pool.fetchval("SELECT count(*) = 1 FROM deliveries"))

    await station.drive(three_are_settled)
    await station.rounds(40)
    assert await pool.fetchval("SELECT request_id FROM deliveries") == "acme-2"
    assert station.outside.calls["acme"] == 3
    assert await pool.fetchval("SELECT calls FROM destinations WHERE name = 'acme'") == 3


@pytest.mark.parametrize(
    ("answer", "outcome", "tries"), [(busy, "wait", 0), (broken, "unknown", 1), (moved, "redirect", 1)]
)
async def test_a_read_back_that_brings_no_answer_has_not_looked_and_does_not_end_its_time_box(
    station: Station, pool: Pool, answer: Answer, outcome: str, tries: int
) -> None:
    async def reads_later(request: web.Request) -> web.Response:
        return await (answer if request.method == "GET" else took)(request)

    station.outside.answers["newstore"] = reads_later
    await station.writer.apply(receive("r-1"), b"{}")
    await station.writer.apply(said(Word.SHIPPED, "r-1"), b"{}")

    async def waited() -> bool:
        await station.make_due()
        await pool.execute("UPDATE deliveries SET verify_by = now() - interval '1s' WHERE is_read")
        return bool(await pool.fetchval("SELECT count(*) FROM attempts WHERE outcome = $1", outcome))

    await station.drive(waited)
    assert await pool.fetchval("SELECT failure FROM requests") is None
    assert await pool.fetchval("SELECT tries FROM deliveries WHERE is_read") == tries

    async def nothing(request: web.Request) -> web.Response:
        return web.Response(status=404) if request.method == "GET" else await took(request)

    async def looked() -> bool:
        await waited()
        await pool.execute("UPDATE destinations SET not_before = now()")
        return bool(await pool.fetchval("SELECT failure FROM requests"))

    station.outside.answers["newstore"] = nothing
    await station.drive(looked)
    assert await pool.fetchval("SELECT failure FROM requests") == "unverified"
