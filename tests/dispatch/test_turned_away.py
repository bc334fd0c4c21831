"""What follows when NewStore, or whoever stands before it, turns a call away or asks for time."""

import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from aiohttp import web

from gateway.domain.acts.again import Recheck
from gateway.domain.commands import OnProviderCancel, RejectionReason, Word
from gateway.domain.deliveries import Operation
from gateway.domain.requests import Request
from gateway.domain.units import Confirmed
from gateway.domain.waiting import waiting_for
from gateway.ledger.queue import holds
from gateway.ledger.queue.overtake import overtake_held
from gateway.ledger.read import listing, request_reads
from tests.requests import PARCEL, receive, said

from .conftest import Station, took

Pool = asyncpg.Pool
NEWSTORE = "SELECT count(*) FROM deliveries WHERE destination = 'newstore'"
OUTCOMES = "SELECT operation || ' ' || outcome FROM attempts WHERE destination = 'newstore' ORDER BY at"


class NewStore:
    """Answers by method and resource, 404 to what it was told nothing of; `seen` is what came."""

    def __init__(self, station: Station) -> None:
        self.answers: dict[str, web.Response] = {}
        self.seen: list[str] = []
        station.outside.answers["newstore"] = self.answer

    async def answer(self, request: web.Request) -> web.Response:
        what = f"{request.method} {request.path.rpartition('/')[2]}"
        self.seen.append(what)
        told = self.answers.get(what)
        if told is None:
            return await took(request) if request.method == "POST" else web.Response(status=404)
        return web.Response(status=told.status, headers=told.headers, body=told.body)


def answered(status: int, body: str = "", **headers: str) -> web.Response:
    return web.Response(status=status, text=body, headers={k.replace("_", "-"): v for k, v in headers.items()})


PAGE = answered(403, "<html>Request blocked</html>", Content_Type="text/html")
GONE = answered(410, '{"error_code": "gone"}')


async def accepted(station: Station, *ids: str) -> None:
    for request_id in ids:
        await station.writer.apply(receive(request_id), b"{}")
        await station.writer.apply(said(Word.ACCEPTED, request_id), b"{}")


async def outcomes(pool: Pool) -> list[str]:
    return [row[0] for row in await pool.fetch(OUTCOMES)]


async def made(station: Station, count: int) -> None:
    """Wait until so many calls to NewStore were made, each as soon as it may."""

    async def done() -> bool:
        return len(await outcomes(station.pool)) >= count

    await station.drive(done)


async def request(pool: Pool, request_id: str = "r-1") -> Request:
    found = await request_reads.request(pool, request_id)
    assert found is not None
    return found


async def test_one_call_that_a_firewall_turns_away_stops_no_other_and_ends_for_a_person_at_its_second_time(
    station: Station, pool: Pool
) -> None:
    newstore = NewStore(station)
    newstore.answers["POST shipment"] = PAGE
    await station.writer.apply(receive("r-1"), b"{}")
    await station.writer.apply(said(Word.SHIPPED, "r-1"), b"{}")
    await made(station, 2)
    assert await outcomes(pool) == ["acknowledge done", "ship firewall"]
    assert await pool.fetchval(
        "SELECT due_at - now() BETWEEN '20s' AND '30s' FROM deliveries WHERE destination = 'newstore'"
    )
    assert not await pool.fetchval("SELECT is_open FROM destinations WHERE name = 'newstore'")
    await accepted(station, "r-2")
    await made(station, 3)

    await station.make_due()
    await made(station, 4)
    assert await outcomes(pool) == ["acknowledge done", "ship firewall", "acknowledge done", "ship firewall"]
    told = await request(pool)
    assert (told.failure, {unit.confirmed for unit in told.units}) == ("refused", {Confirmed.REFUSED})
    assert "firewall" in await pool.fetchval("SELECT fact ->> 'reason' FROM events WHERE kind = 'report_refused'")


async def test_other_failures_do_not_count_as_blocks(station: Station, pool: Pool) -> None:
    newstore = NewStore(station)
    newstore.answers["POST acknowledgement"] = answered(500)
    await accepted(station, "r-1")
    await made(station, 1)
    newstore.answers["POST acknowledgement"] = PAGE
    await station.make_due()
    await made(station, 2)
    assert await outcomes(pool) == ["acknowledge unknown", "acknowledge firewall"]
    del newstore.answers["POST acknowledgement"]
    await station.make_due()
    await made(station, 3)
    assert (await outcomes(pool))[-1] == "acknowledge done"


async def test_a_read_back_that_a_firewall_turns_away_is_made_again_until_its_time_box_ends(
    station: Station, pool: Pool
) -> None:
    newstore = NewStore(station)
    newstore.answers["GET canceled_items"] = PAGE
    await station.writer.apply(receive("r-1"), b"{}")
    word = replace(said(Word.CANCELLED, "r-1"), on_cancel=OnProviderCancel.CANCEL)
    await station.writer.apply(word, b"{}")
    await made(station, 1)
    for count in (2, 3, 4):
        await station.make_due()
        await made(station, count)
        assert (await request(pool)).failure is None
    await pool.execute("UPDATE deliveries SET verify_by = now() - interval '1s'")
    await station.make_due()
    await made(station, 5)
    assert await outcomes(pool) == ["cancel done", *["read_cancellation firewall"] * 4]
    assert (await request(pool)).failure == "unverified"


HALF_OPEN = """
INSERT INTO destinations (name, is_open, opened_at, half_open_at, open_for) VALUES ('newstore', true, now(), now(), 10)
"""


async def test_after_a_block_a_read_goes_first_and_no_write_while_it_does_not_pass(
    station: Station, pool: Pool
) -> None:
    newstore = NewStore(station)
    newstore.answers["GET shipment"] = PAGE
    await accepted(station, "r-1")
    await pool.execute(HALF_OPEN)
    await made(station, 1)
    await station.rounds(2)
    assert newstore.seen == ["GET shipment"]
    assert await pool.fetchval(
        "SELECT half_open_at > now() + interval '250s' FROM destinations WHERE name = 'newstore'"
    )
    del newstore.answers["GET shipment"]
    await pool.execute("UPDATE destinations SET half_open_at = now() WHERE name = 'newstore'")
    await station.make_due()
    await made(station, 2)
    assert newstore.seen == ["GET shipment", "GET shipment", "POST acknowledgement"]
    assert await outcomes(pool) == ["acknowledge blocked", "acknowledge done"]


async def test_a_half_open_newstore_that_fails_the_read_stays_open_for_longer_and_the_call_was_not_made(
    station: Station, pool: Pool
) -> None:
    newstore = NewStore(station)
    newstore.answers["GET shipment"] = answered(502)
    await accepted(station, "r-1")
    await pool.execute(HALF_OPEN)

    async def shut_for_longer() -> bool:
        return bool(await pool.fetchval("SELECT open_for = 20 FROM destinations WHERE name = 'newstore'"))

    await station.drive(shut_for_longer)
    assert newstore.seen == ["GET shipment"]
    assert await outcomes(pool) == ["acknowledge not_reached"]
    rows = await pool.fetch("SELECT tries, doubt FROM deliveries WHERE destination = 'newstore'")
    assert [tuple(row) for row in rows] == [(0, False)]


async def test_a_call_that_is_disliked_after_a_block_does_not_shut_the_others_out_again(
    station: Station, pool: Pool
) -> None:
    newstore = NewStore(station)
    newstore.answers["POST acknowledgement"] = PAGE
    await accepted(station, "r-1")
    await pool.execute(HALF_OPEN)
    await made(station, 1)
    assert await outcomes(pool) == ["acknowledge firewall"]
    await accepted(station, "r-2")
    await made(station, 2)
    assert not await pool.fetchval("SELECT is_open FROM destinations WHERE name = 'newstore'")


async def test_an_operation_that_newstore_has_no_more_is_held_once_and_no_request_fails(
    station: Station, pool: Pool
) -> None:
    newstore = NewStore(station)
    newstore.answers["POST acknowledgement"] = GONE
    await accepted(station, "r-1", "r-2", "r-3", "r-4")
    await made(station, 3)
    await station.rounds(5)
    await station.make_due()
    await station.rounds()

    (hold,) = await holds.active(pool)
    assert (hold.scope, hold.name, hold.who) == ("operation", "acknowledge", "gateway")
    assert "410" in hold.reason
    assert f"{datetime.now(UTC):%Y-%m-%d}" in hold.reason
    assert await pool.fetchval("SELECT count(*) FROM requests WHERE failure IS NOT NULL") == 0
    assert await pool.fetchval("SELECT max(tries) FROM deliveries") == 0
    shown, _ = await listing.requests(pool, {})
    assert all(f"hold {hold.id} keeps back its acknowledge" in each["waiting_for"]["next"] for each in shown)
    called = station.outside.calls["newstore"]

    newstore.answers.clear()
    await holds.release(pool, hold.id, "kim", "upgraded")
    await station.make_due()

    async def all_told() -> bool:
        return bool(await pool.fetchval(NEWSTORE) == 0)

    await station.drive(all_told)
    assert station.outside.calls["newstore"] == called + 4


async def test_one_request_that_is_gone_is_no_reason_to_hold_the_operation(station: Station, pool: Pool) -> None:
    async def answer(http: web.Request) -> web.Response:
        return answered(410) if "/r-bad/" in http.path else await took(http)

    station.outside.answers["newstore"] = answer
    await accepted(station, "r-bad")
    for number in range(7):
        await made(station, 2 * number + 1)
        await accepted(station, f"r-{number}")
        await made(station, 2 * number + 2)
        await station.make_due()
    assert await holds.active(pool) == []
    assert (await request(pool, "r-bad")).failure == "dead_acknowledge"
    assert await pool.fetchval("SELECT why FROM dead_deliveries") == "refused"


async def test_what_is_behind_a_held_operation_goes_on(station: Station, pool: Pool) -> None:
    newstore = NewStore(station)
    await holds.place(pool, "operation", "acknowledge", reason="410", who="gateway")
    await accepted(station, "r-1")
    await station.writer.apply(said(Word.SHIPPED, "r-1"), b"{}")
    await station.rounds(5)
    assert newstore.seen == []
    assert await overtake_held(pool) == 1
    await made(station, 1)
    assert newstore.seen == ["POST shipment"]
    assert await overtake_held(pool) == 0


async def test_a_wait_of_more_than_a_day_is_one_hold_for_a_person(station: Station, pool: Pool) -> None:
    async def busy(_: web.Request) -> web.Response:
        return answered(429, Retry_After="200000")

    station.outside.answers["acme"] = busy
    await station.writer.apply(receive("r-1"), b"{}")
    await station.writer.apply(receive("r-2"), b"{}")
    await station.rounds(5)
    assert await pool.fetchval("SELECT max(due_at) < now() + interval '2s' FROM deliveries")
    await station.make_due()
    await station.rounds()

    (hold,) = await holds.active(pool)
    until = datetime.now(UTC) + timedelta(seconds=200_000)
    assert (hold.scope, hold.name, hold.who) == ("destination", "acme", "gateway")
    assert f"{until:%Y-%m-%d %H}" in hold.reason
    assert await pool.fetchval("SELECT max(tries) FROM deliveries") == 0
    called = station.outside.calls["acme"]
    station.outside.answers["acme"] = took
    await holds.release(pool, hold.id, "kim", "they know")
    await station.make_due()

    async def taken() -> bool:
        return bool(await pool.fetchval("SELECT count(*) FROM deliveries") == 0)

    await station.drive(taken)
    assert station.outside.calls["acme"] == called + 2


async def test_two_hours_are_waited_once_and_told(station: Station, pool: Pool) -> None:
    async def busy(_: web.Request) -> web.Response:
        return answered(429, Retry_After="7200")

    station.outside.answers["acme"] = busy
    await station.writer.apply(receive("r-1"), b"{}")
    await station.rounds(5)
    await station.make_due()
    await station.rounds()
    assert station.outside.calls["acme"] == 1
    until = await pool.fetchval("SELECT not_before FROM destinations WHERE name = 'acme'")
    assert 7_100 < (until - datetime.now(UTC)).total_seconds() <= 7_200
    ((shown,), _) = await listing.requests(pool, {})
    assert f"which asked to wait until {until:%Y-%m-%d %H:%M} UTC" in shown["waiting_for"]["next"]


async def test_a_shipment_that_met_a_503_which_says_when_is_read_back_before_it_is_repeated(
    station: Station, pool: Pool
) -> None:
    newstore = NewStore(station)
    await accepted(station, "r-1")
    await made(station, 1)
    newstore.answers["POST shipment"] = answered(503, Retry_After="60")
    await station.writer.apply(said(Word.SHIPPED, "r-1"), b"{}")
    await made(station, 2)
    await station.rounds(2)
    rows = await pool.fetch(
        "SELECT doubt, tries, due_at - now() BETWEEN '50s' AND '60s' FROM deliveries WHERE operation = 'ship'"
    )
    assert [tuple(row) for row in rows] == [(True, 0, True)]
    newstore.answers = {"GET shipment": web.json_response({"successful_shipments": _shown("TEE")})}
    await pool.execute("UPDATE destinations SET not_before = now()")
    await station.make_due()
    await made(station, 3)
    assert newstore.seen[-2:] == ["GET shipment", "POST shipment"]


def _shown(*products: str) -> list[dict[str, str]]:
    return [{"product_id": each, "carrier": PARCEL.carrier, "tracking_code": PARCEL.tracking_code} for each in products]


@pytest.mark.parametrize("word", [Word.ACCEPTED, Word.SHIPPED])
async def test_a_404_to_a_young_request_is_not_yet_and_to_an_old_one_a_refusal(
    station: Station, pool: Pool, word: Word
) -> None:
    newstore = NewStore(station)
    newstore.answers = {f"POST {each}": answered(404) for each in ("acknowledgement", "shipment")}
    await station.writer.apply(receive("r-1"), b"{}")
    await pool.execute("UPDATE requests SET received_at = now() - interval '290s'")
    await station.writer.apply(said(word, "r-1"), b"{}")
    await made(station, 1)
    assert (await outcomes(pool)) == ["acknowledge pending"]
    rows = await pool.fetch("SELECT tries, due_at - now() < '1s' FROM deliveries WHERE operation = 'acknowledge'")
    assert [tuple(row) for row in rows] == [(0, True)]
    await pool.execute("UPDATE requests SET received_at = now() - interval '301s'")
    await station.make_due()
    await made(station, 2)
    assert (await outcomes(pool))[1] == "acknowledge refused"


@pytest.mark.parametrize("status", [405, 501])
async def test_where_newstore_shows_rejections_nowhere_they_are_unverifiable_and_nobody_looks_after_three(
    station: Station, pool: Pool, status: int
) -> None:
    newstore = NewStore(station)
    newstore.answers = {f"GET {each}": answered(status) for each in ("rejection", "reject_items")}

    async def settled() -> bool:
        await station.make_due()
        return bool(await pool.fetchval(NEWSTORE) == 0)

    for number in range(4):
        await station.writer.apply(receive(f"r-{number}"), b"{}")
        word = said(Word.REJECTED, f"r-{number}", reason=RejectionReason.CANNOT_FULFILL)
        await station.writer.apply(word, b"{}")
        await station.drive(settled)
        await station.rounds(2)
        found = await request(pool, f"r-{number}")
        assert {unit.confirmed for unit in found.units} == {Confirmed.UNVERIFIABLE}
        assert (found.failure, found.is_pending, waiting_for(found)) == (None, False, None)
    assert [each for each in newstore.seen if each.startswith("GET")] == ["GET rejection", "GET reject_items"] * 3
    assert [tuple(row) for row in await pool.fetch("SELECT operation, path FROM read_backs")] == [("reject", None)]


async def test_where_rejections_are_shown_is_told_to_the_other_processes(station: Station, pool: Pool) -> None:
    newstore = NewStore(station)
    newstore.answers["GET reject_items"] = web.json_response({"rejected_items": [{"product_id": "TEE"}]})
    await station.newstore.read_back(Operation.REJECT, "r-1")
    await station.rounds(1)
    assert [tuple(row) for row in await pool.fetch("SELECT operation, path FROM read_backs")] == [
        ("reject", "reject_items")
    ]


@pytest.mark.parametrize("was", ["in doubt", "unverified"])
async def test_a_rejection_is_looked_for_at_every_place_before_it_is_repeated_and_by_a_recheck(
    station: Station, pool: Pool, was: str
) -> None:
    newstore = NewStore(station)
    shown = web.json_response({"rejected_items": [{"product_id": "TEE"}, {"product_id": "CAP"}]})
    station.newstore.taught.learn(Operation.REJECT, "rejection", time.time())
    await station.writer.apply(receive("r-1"), b"{}")
    if was == "in doubt":
        newstore.answers["POST reject_items"] = answered(500)
    await station.writer.apply(said(Word.REJECTED, "r-1", reason=RejectionReason.NO_INVENTORY), b"{}")
    await made(station, 1)
    if was == "unverified":
        await pool.execute("UPDATE deliveries SET verify_by = now() - interval '1s'")
        await station.make_due()
        await made(station, 2)
        assert (await request(pool)).failure == "unverified"
        asked = Recheck(request_id="r-1", at=datetime.now(UTC), who="ada", action_id="a", can_look_up=True)
        await station.writer.apply(asked)
    newstore.answers["GET reject_items"] = shown
    await station.make_due()

    async def proved() -> bool:
        await station.make_due()
        return {unit.confirmed for unit in (await request(pool)).units} == {Confirmed.PROVED}

    await station.drive(proved)
    assert newstore.seen.count("POST reject_items") == 1
