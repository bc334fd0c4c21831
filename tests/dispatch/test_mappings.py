"""Orders and messages that wait until somebody says what a provider calls something, and what a repetition sends."""

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest
from aiohttp import web

from gateway.domain.acts.again import Redrive
from gateway.domain.mappings import MappedKind
from gateway.domain.orders import Order
from gateway.domain.waiting import waiting_for
from gateway.ledger import mappings
from gateway.ledger.read import request_reads
from gateway.mapping_sweep import let_go_on, refresh
from gateway.providers.mappings import found_by
from tests.adapters import Deaf, saying
from tests.requests import AT, receive

from .conftest import Answer, Station

if TYPE_CHECKING:
    from gateway.providers.port import Adapter

Pool = asyncpg.Pool
OUTCOMES = "SELECT outcome, mappings FROM attempts ORDER BY at"


class Lines(Deaf):
    """It is told of lines by its own SKUs, and by its own shipping method."""

    def compose(self, order: Order) -> bytes:
        lines = {line.sku: line.count for line in order.lines}
        return json.dumps({"ref": order.reference, "by": order.shipping_method, "lines": lines}).encode()


@pytest.fixture
async def told(station: Station) -> list[dict[str, Any]]:
    """What the provider was sent; everything must be mapped for it."""
    adapters: dict[str, Adapter] = station.hearing.adapters  # type: ignore[assignment]
    deaf = adapters["deaf"]
    must_map = (MappedKind.SERVICE_LEVEL, MappedKind.PRODUCT)
    adapters["deaf"] = Lines(replace(deaf.provider, must_map=must_map, skus={"TEE": "10045"}), deaf.session)
    sent: list[dict[str, Any]] = []
    station.outside.answers["deaf"] = taking(sent)
    return sent


def taking(sent: list[dict[str, Any]], *statuses: int) -> Answer:
    """Answer orders with these statuses, then take each; a look-up finds none."""
    left = list(statuses)

    async def answer(request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.Response(status=404)
        sent.append(await request.json())
        return web.json_response({"id": "W-1"}, status=left.pop(0) if left else 200)

    return answer


async def add(station: Station, kind: MappedKind, ours: str, theirs: str, *, goes_on: bool = True) -> None:
    words = ("deaf", kind, found_by(kind, ours, theirs), ours, theirs)
    await mappings.add(station.pool, words, who="ada", reason="they told us")
    await refresh(station.pool, station.hearing.adapters)
    if goes_on:
        await let_go_on(station.pool, station.writer, station.hearing.settings, station.hearing.adapters)


async def known(station: Station) -> None:
    """Say all that there is to say, before anything comes."""
    await add(station, MappedKind.SERVICE_LEVEL, "GROUND", "UPS GROUND")
    await add(station, MappedKind.PRODUCT, "CAP", "10046")


async def attempted(station: Station, outcome: str, count: int = 1) -> None:
    async def reached() -> bool:
        found: int = await station.pool.fetchval("SELECT count(*) FROM attempts WHERE outcome = $1", outcome)
        return found >= count

    await station.drive(reached)


async def waits(station: Station) -> str:
    request = await request_reads.request(station.pool, "r-1")
    waiting = request and waiting_for(request)
    return waiting.next if waiting else ""


async def test_an_order_with_a_word_that_is_not_mapped_is_not_sent_and_goes_on_once_it_is(
    station: Station, told: list[dict[str, Any]], pool: Pool
) -> None:
    await station.writer.apply(receive(provider="deaf"), b"{}")
    await attempted(station, "unmapped")
    await station.make_due()
    await attempted(station, "unmapped", 2)  # it waits, however often it is looked at
    assert told == []
    assert await waits(station) == (
        "service level 'GROUND' is not mapped for deaf (and 1 more): "
        "`gateway mappings add deaf service_level OURS THEIRS`"
    )
    await add(station, MappedKind.SERVICE_LEVEL, "GROUND", "UPS GROUND")
    await attempted(station, "unmapped", 3)
    assert "product 'CAP' is not mapped for deaf:" in await waits(station)
    await add(station, MappedKind.PRODUCT, "CAP", "10046")
    await attempted(station, "done")
    [sent] = told
    assert (sent["by"], sent["lines"]) == ("UPS GROUND", {"10045": 1, "10046": 1})
    assert [tuple(row) for row in await pool.fetch(OUTCOMES)][-2:] == [("unmapped", None), ("done", 2)]
    assert await pool.fetchval("SELECT tries FROM deliveries") is None


async def test_a_repetition_sends_what_was_sent_before_whatever_the_words_are_by_now(
    station: Station, told: list[dict[str, Any]], pool: Pool
) -> None:
    await known(station)
    station.outside.answers["deaf"] = taking(told, 503)
    await station.writer.apply(receive(provider="deaf"), b"{}")
    await attempted(station, "unknown")
    await add(station, MappedKind.PRODUCT, "CAP", "99999")
    await station.make_due()
    await attempted(station, "done")
    assert told[0] == told[1]
    assert [row["mappings"] for row in await pool.fetch(OUTCOMES)] == [2, 2]


async def test_after_a_definite_refusal_a_redrive_is_written_with_the_words_of_by_then(
    station: Station, told: list[dict[str, Any]], pool: Pool
) -> None:
    await known(station)
    station.outside.answers["deaf"] = taking(told, 404)  # for good: see `Hinting`
    await station.writer.apply(receive(provider="deaf"), b"{}")
    await attempted(station, "refused")
    await mappings.remove(pool, 2, who="ada", reason="it was another one")
    await refresh(pool, station.hearing.adapters)
    redrive = Redrive(request_id="r-1", at=AT, who="ada", action_id="a", reason="they have it now")
    await station.writer.apply(redrive)
    await attempted(station, "unmapped")  # what was refused is no repetition to fall back on
    await add(station, MappedKind.PRODUCT, "CAP", "99999")
    await attempted(station, "done")
    assert [each["lines"] for each in told] == [{"10045": 1, "10046": 1}, {"10045": 1, "99999": 1}]
    assert [row["mappings"] for row in await pool.fetch(OUTCOMES)] == [2, None, 4]


async def test_a_message_with_a_sku_that_nobody_knows_is_applied_once_somebody_says_what_it_is(
    station: Station, told: list[dict[str, Any]], pool: Pool
) -> None:
    await known(station)
    await station.writer.apply(receive(provider="deaf"), b"{}")
    shipped = {"of": "r-1", "shipped": {"10045": 1, "10047": 1}, "in": "1Z1"}
    [heard] = await station.hearing.hear("deaf", saying(shipped))
    assert (heard.status, heard.receipt.reason) == (202, "unmapped")
    assert "product '10047' is not mapped for deaf" in heard.receipt.detail
    await add(station, MappedKind.PRODUCT, "CAP", "10048")  # something else
    assert await pool.fetchval("SELECT units FROM requests") == "o-0.0 o-0.0"

    await add(station, MappedKind.PRODUCT, "CAP", "10047")
    [(units, waiting)] = await pool.fetch("SELECT units, quarantined FROM requests")
    assert ([unit[0] for unit in units.split()], waiting) == (["s", "s"], 0)
    assert await pool.fetchval("SELECT count(*) FROM quarantine WHERE resolved_at IS NULL") == 0
    assert await pool.fetchval("SELECT outcome FROM audit WHERE action = 'replay'") is not None
    await station.hearing.hear("deaf", saying(shipped))  # told again
    assert await pool.fetchval("SELECT units FROM requests") == units


async def test_a_word_that_need_not_be_mapped_any_more_holds_nothing_up(
    station: Station, told: list[dict[str, Any]], pool: Pool
) -> None:
    await station.writer.apply(receive(provider="deaf"), b"{}")
    await attempted(station, "unmapped")
    adapters: dict[str, Adapter] = station.hearing.adapters  # type: ignore[assignment]
    adapters["deaf"] = Lines(replace(adapters["deaf"].provider, must_map=()), adapters["deaf"].session)
    assert await let_go_on(pool, station.writer, station.hearing.settings, adapters)
    await attempted(station, "done")
    assert told[0]["lines"] == {"10045": 1, "CAP": 1}


async def test_what_is_removed_counts_no_longer_and_what_the_file_says_does_again(
    station: Station, told: list[dict[str, Any]], pool: Pool
) -> None:
    await add(station, MappedKind.PRODUCT, "TEE", "77777")
    deaf = station.hearing.adapters["deaf"]
    assert deaf.mappings.skus["TEE"] == "77777"
    [mapping] = await mappings.current(pool)
    assert await mappings.remove(pool, mapping.id, who="ada", reason="wrong") == mapping
    assert await mappings.remove(pool, mapping.id, who="ada", reason="wrong") is None
    await refresh(pool, station.hearing.adapters)
    assert (deaf.mappings.skus["TEE"], deaf.mappings.version) == ("10045", 2)
    audited = await pool.fetch("SELECT who, action, subject, reason, outcome FROM audit ORDER BY id")
    assert [tuple(row) for row in audited] == [
        ("ada", "map", "mapping 1", "they told us", "deaf product: TEE = 77777"),
        ("ada", "unmap", "mapping 1", "wrong", "deaf product: TEE = 77777"),
    ]
