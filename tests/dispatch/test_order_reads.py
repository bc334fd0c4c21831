"""What a provider only hints at is read there, and what it answers is heard before the read counts as made."""

import asyncio
from hashlib import sha256
from typing import Any

import asyncpg
import msgspec
from aiohttp import web

from gateway.dispatch import calls
from gateway.domain.references import reference
from gateway.domain.units import Said, from_text
from gateway.intake.early import apply_early_callbacks
from gateway.ledger.queue import claims, holds
from gateway.ledger.queue.processes import Membership, take_over
from gateway.ledger.read.request_reads import delivery_contexts
from gateway.settings.shapes import Brake
from tests.adapters import saying
from tests.requests import receive

from .conftest import Answer, Station

Pool = asyncpg.Pool
OURS = reference("r-1")
SHIPPED = {"of": "r-1", "shipped": {"TEE": 1, "CAP": 1}, "in": "1Z1"}
OWED = "SELECT operation FROM deliveries"


def telling(*things: dict[str, Any], status: int = 200) -> Answer:
    """Take every order as W 1, and tell of each that it stands like this."""

    async def answer(request: web.Request) -> web.Response:
        is_status = "/status/" in request.path
        body = msgspec.json.encode(things if is_status else {"id": "W 1"})
        return web.Response(body=body, status=status if is_status else 200)

    return answer


async def taken(station: Station, provider: str = "hinting", *others: str) -> None:
    """Bring the request, and others, to the provider."""
    for each in ("r-1", *others):
        await station.writer.apply(receive(each, provider=provider), b"{}")
    await station.drive(lambda: settled(station))


async def settled(station: Station) -> bool:
    return bool(await station.pool.fetchval("SELECT count(*) = 0 FROM deliveries WHERE destination <> 'newstore'"))


async def hinted(station: Station, *events: str, provider: str = "hinting") -> list[int]:
    looks = ({"look": OURS, "event": each} for each in events or ("",))
    return [each.status for each in await station.hearing.hear(provider, saying(*looks))]


async def said(pool: Pool) -> list[Said]:
    units = await pool.fetchval("SELECT units FROM requests WHERE id = 'r-1'")
    return [each.said for each in from_text(["TEE", "CAP"], units)]


async def kinds(pool: Pool) -> list[str]:
    """All that happened to the request, but for what NewStore took."""
    rows = await pool.fetch("SELECT kind FROM events WHERE request_id = 'r-1' ORDER BY version")
    return [row["kind"] for row in rows if row["kind"] not in {"acknowledged", "reported", "report_refused"}]


async def values(pool: Pool, query: str) -> list[tuple[Any, ...]]:
    return [tuple(row) for row in await pool.fetch(query)]


async def test_a_hint_is_followed_by_a_read_whose_answer_is_applied(station: Station, pool: Pool) -> None:
    station.outside.answers["hinting"] = telling(SHIPPED)
    await taken(station)
    assert await hinted(station, "e-1") == [200]
    await station.drive(lambda: settled(station))

    assert await said(pool) == [Said.SHIPPED, Said.SHIPPED]
    assert await kinds(pool) == [
        "request_received", "submitted", "order_read_asked", "units_accepted", "units_shipped", "order_read",
    ]  # fmt: skip
    answer = msgspec.json.encode([SHIPPED])
    rows = await pool.fetch("SELECT body FROM payloads p JOIN attempts a ON a.response = p.hash")
    assert [row["body"] for row in rows] == [answer]  # what came is kept with the try
    assert await pool.fetchval("SELECT count(*) FROM payloads WHERE body = $1", answer) >= 1


async def test_a_read_names_the_order_as_its_provider_does(station: Station) -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return await telling(SHIPPED)(request)

    station.outside.answers["hinting"] = answer
    await taken(station)
    await hinted(station)
    await station.drive(lambda: settled(station))
    assert asked == ["/hinting/orders", "/hinting/status/W 1"]


async def test_what_an_adapter_wrote_is_kept_once_however_often_it_is_sent(station: Station, pool: Pool) -> None:
    async def broken(request: web.Request) -> web.Response:
        return web.Response(status=404 if request.method == "GET" else 500)

    station.outside.answers["hinting"] = broken
    await station.writer.apply(receive("r-1", provider="hinting"), b"{}")
    for _ in range(3):
        await station.make_due()
        await station.rounds(3)
    wrote = msgspec.json.encode({"ref": OURS, "lines": {"TEE": 1, "CAP": 1}})
    assert await pool.fetchval("SELECT count(*) FROM attempts WHERE sent = $1", sha256(wrote).hexdigest()) == 3
    assert [row["body"] for row in await pool.fetch("SELECT body FROM payloads ORDER BY at")] == [b"{}", wrote]


async def test_what_is_only_looked_up_was_not_sent(station: Station, pool: Pool) -> None:
    station.outside.answers["hinting"] = telling()
    await station.writer.apply(receive("r-1", provider="hinting"), b"{}")
    await pool.execute("UPDATE deliveries SET doubt = true")
    await station.drive(lambda: settled(station))
    assert await values(pool, "SELECT outcome, sent FROM attempts") == [("found", None)]


async def test_of_an_adapter_that_passes_newstores_body_on_nothing_is_kept_twice(station: Station, pool: Pool) -> None:
    await taken(station, "acme")
    assert await pool.fetchval("SELECT count(*) FROM attempts JOIN requests ON sent = fingerprint") == 1
    assert await pool.fetchval("SELECT count(*) FROM payloads") == 1


async def test_twenty_hints_before_it_are_one_read(station: Station) -> None:
    station.outside.answers["hinting"] = telling(SHIPPED)
    await taken(station)
    before = station.outside.calls["hinting"]
    assert await hinted(station, *map(str, range(20))) == [200] * 20
    await station.drive(lambda: settled(station))
    assert station.outside.calls["hinting"] - before == 1


async def test_hints_without_a_name_are_told_apart_by_when_they_came(station: Station) -> None:
    station.outside.answers["hinting"] = telling()
    await taken(station)
    before = station.outside.calls["hinting"]
    for _ in range(2):
        await hinted(station)
        await station.drive(lambda: settled(station))
    assert station.outside.calls["hinting"] - before == 2


async def test_a_hint_during_the_read_is_followed_by_one_more(station: Station, pool: Pool) -> None:
    begun, go = asyncio.Event(), asyncio.Event()
    stands: list[dict[str, Any]] = [{"of": "r-1", "shipped": {"TEE": 1}, "in": "1Z1"}]

    async def answer(request: web.Request) -> web.Response:
        response = await telling(*stands)(request)  # as it stands now, told later
        if "/status/" in request.path and not begun.is_set():
            begun.set()
            await go.wait()
        return response

    station.outside.answers["hinting"] = answer
    await taken(station)
    before = station.outside.calls["hinting"]
    await hinted(station, "e-1")
    while not begun.is_set():
        await station.dispatcher.run_once()
        await asyncio.sleep(0.01)
    stands[:] = [SHIPPED]
    for each in ("e-2", "e-3"):
        await hinted(station, each)
    go.set()
    await station.drive(lambda: settled(station))
    assert station.outside.calls["hinting"] - before == 2
    assert await said(pool) == [Said.SHIPPED, Said.SHIPPED]


async def test_a_read_that_fails_is_made_again(station: Station, pool: Pool) -> None:
    station.outside.answers["hinting"] = telling(status=500)
    await taken(station)
    await hinted(station)
    await station.rounds()
    row = await pool.fetchrow("SELECT tries, doubt, due_at > now() AS is_later FROM deliveries")
    assert row is not None
    assert tuple(row) == (1, False, True)

    station.outside.answers["hinting"] = telling(SHIPPED)
    await station.make_due()
    await station.drive(lambda: settled(station))
    assert await said(pool) == [Said.SHIPPED, Said.SHIPPED]


async def test_reads_that_fail_come_to_an_end_where_a_person_sees_them(station: Station, pool: Pool) -> None:
    station.outside.answers["hinting"] = telling(status=500)
    await taken(station)
    await hinted(station)

    async def is_given_up() -> bool:
        await station.make_due()
        return bool(await pool.fetchval("SELECT failure IS NOT NULL FROM requests"))

    await pool.execute("UPDATE deliveries SET tries = 12")
    await station.drive(is_given_up)
    assert await pool.fetchval("SELECT failure FROM requests") == "dead_read_order"
    assert await pool.fetchval("SELECT operation || ' ' || why FROM dead_deliveries") == "read_order exhausted"


async def test_a_read_of_an_order_that_is_not_there_waits_for_a_person_at_once(station: Station, pool: Pool) -> None:
    station.outside.answers["hinting"] = telling(status=404)
    await taken(station)
    await hinted(station)
    await station.drive(lambda: settled(station))
    assert await pool.fetchval("SELECT failure FROM requests") == "dead_read_order"


async def test_a_provider_that_is_busy_is_read_when_it_said(station: Station, pool: Pool) -> None:
    async def busy(request: web.Request) -> web.Response:
        if "/status/" in request.path:
            return web.Response(status=429, headers={"Retry-After": "40"})
        return await telling()(request)

    station.outside.answers["hinting"] = busy
    await taken(station)
    await hinted(station)
    await station.rounds()
    assert await pool.fetchval("SELECT due_at - now() BETWEEN '30s' AND '40s' AND tries = 0 FROM deliveries")
    assert await pool.fetchval("SELECT not_before > now() FROM destinations WHERE name = 'hinting'")


async def test_a_hold_keeps_a_read_back(station: Station, pool: Pool) -> None:
    station.outside.answers["hinting"] = telling(SHIPPED)
    await taken(station)
    before = station.outside.calls["hinting"]
    held = await holds.place(pool, "request", "r-1", reason="the customer called", who="ada")
    await hinted(station)
    await station.rounds()
    assert station.outside.calls["hinting"] == before
    await holds.release(pool, held.id, "ada", "she called again")
    await station.drive(lambda: settled(station))
    assert station.outside.calls["hinting"] == before + 1


async def test_a_process_that_dies_when_the_answer_is_stored_and_the_read_is_not_settled_leaves_nothing_twice(
    database: str, station: Station, pool: Pool
) -> None:
    station.outside.answers["hinting"] = telling(SHIPPED)
    await taken(station)
    await hinted(station)
    dying = Membership(lambda: asyncpg.connect(database))
    await dying.join()
    async with pool.acquire() as connection:
        (claim,) = await claims.claim(connection, {"hinting": 1}, owner=dying.owner, seconds=60, brake=Brake())
        contexts = await delivery_contexts(connection, [claim])
        await calls.make(station.dispatcher._clients, claim, contexts["r-1"])  # noqa: SLF001
        told = await kinds(pool)
        assert told[-1] == "units_shipped"
        await dying.leave()
        await take_over(connection, grace=10)
    await station.drive(lambda: settled(station))
    assert await kinds(pool) == [*told, "order_read"]
    assert await pool.fetchval("SELECT max(attempt) FROM attempts WHERE operation = 'read_order'") == 2


async def test_an_answer_that_can_not_be_stored_is_read_again(station: Station, pool: Pool) -> None:
    station.outside.answers["hinting"] = telling({"of": "r-1", "shipped": {"TEE": 1}, "in": "1Z"}, {"other": 1})
    await taken(station)
    await hinted(station)
    station.writer._waiting_bytes = 1 << 40  # noqa: SLF001 - it takes no more commands of senders
    await station.rounds()
    assert await values(pool, OWED) == [("read_order",)]
    station.writer._waiting_bytes = 0  # noqa: SLF001
    await station.make_due()
    await station.drive(lambda: settled(station))
    assert await said(pool) == [Said.SHIPPED, Said.OPEN]
    assert await pool.fetchval("SELECT reason FROM quarantine") == "malformed"


async def test_an_answer_that_is_a_hint_again_is_not_followed_for_ever(station: Station, pool: Pool) -> None:
    station.outside.answers["hinting"] = telling({"look": OURS})
    await taken(station)
    before = station.outside.calls["hinting"]
    await hinted(station)
    await station.drive(lambda: settled(station))
    assert station.outside.calls["hinting"] - before == 1
    assert await pool.fetchval("SELECT reason || ': ' || detail FROM quarantine") == (
        "hint_only: asked how an order stands, it answered with a hint again: its adapter must read that answer"
    )


async def test_a_hint_of_a_provider_that_can_not_be_asked_waits_for_a_person(station: Station, pool: Pool) -> None:
    station.outside.answers["deaf"] = telling()
    await taken(station, "deaf")
    assert await hinted(station, provider="deaf") == [202]
    assert await values(pool, "SELECT request_id, reason FROM quarantine") == [("r-1", "hint_only")]
    assert await settled(station)


async def test_a_hint_that_comes_before_its_request_is_read_once_that_is_there(station: Station, pool: Pool) -> None:
    station.outside.answers["hinting"] = telling(SHIPPED)
    assert await hinted(station) == [202]
    assert await hinted(station) == [202]
    assert await values(pool, "SELECT reason FROM quarantine") == [("unknown_request",)]
    await taken(station)
    await apply_early_callbacks(pool, station.writer, station.hearing.settings)  # as the sweep does
    await station.drive(lambda: settled(station))
    assert await said(pool) == [Said.SHIPPED, Said.SHIPPED]
    assert await pool.fetchval("SELECT count(*) FROM quarantine WHERE resolved_at IS NULL") == 0


async def test_of_an_order_that_somebody_else_tells_the_provider_is_asked_until_it_has_it(
    station: Station, pool: Pool
) -> None:
    asked: list[str] = []
    there = False

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.path}")
        return web.json_response({"id": "W-1"}, status=200 if there else 404)

    station.outside.answers["told"] = answer
    await station.writer.apply(receive("r-1", provider="told"), b"{}")
    for _ in range(3):
        await station.make_due()
        await station.rounds(3)
    assert await values(pool, "SELECT operation, tries, doubt FROM deliveries") == [("create", 0, False)]
    assert await pool.fetchval("SELECT due_at - now() BETWEEN '20s' AND '61s' FROM deliveries")

    there = True
    await station.make_due()
    await station.drive(lambda: settled(station))
    assert set(asked) == {f"GET /told/orders/{OURS}"}
    assert await kinds(pool) == ["request_received", "submitted"]
    assert await pool.fetchval("SELECT value FROM request_keys") == "W-1"
