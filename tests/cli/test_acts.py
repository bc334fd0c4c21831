"""The exits, holds, quarantine and audit as a person types them, against a gateway that runs."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from gateway.domain.commands import RejectionReason, Word
from gateway.simulator.warehouse_temperament import Temperament
from tests.cli import typed as a_person
from tests.operations.test_viewers import plant
from tests.requests import receive, said
from tests.served import serve
from tests.test_road import QUICK, order, until
from tests.world import Road, running

KINDS = "SELECT array_agg(kind ORDER BY version) FROM events WHERE request_id = 'r-1'"


@pytest.fixture
async def road(tmp_path: Path, database: str, pool: asyncpg.Pool) -> AsyncIterator[Road]:
    async with running(tmp_path, database) as road:
        yield road


async def typed(road: Road, *words: str, answer: str = "", **more: str) -> tuple[int, str]:
    """Type a command as the demo's operator does."""
    told = {"GATEWAY_URL": road.gateway.internal_url, "GATEWAY_TOKEN": road.token, "COLUMNS": "200"}
    return await a_person.typed(*words, answer=answer, **{**told, **more})


async def read(road: Road, *words: str) -> Any:
    code, output = await typed(road, *words, "--json")
    assert code == 0, output
    return json.loads(output)


async def refused_shipment(road: Road, pool: asyncpg.Pool) -> None:
    road.newstore.fail_next("shipment", "refuse")
    await road.newstore.place(order("r-1", "A"), QUICK)
    await until(road, lambda: pool.fetchval("SELECT failure FROM requests"))


async def test_a_shipment_that_newstore_refuses_is_told_with_another_carrier_and_tracking_code(
    road: Road, pool: asyncpg.Pool
) -> None:
    await refused_shipment(road, pool)
    words = ("--carrier", "DHL Express", "--tracking-code", "JD-1", "--reason", "the label was printed anew")
    code, output = await typed(road, "redrive", *words, answer="y")
    assert (code, "name it by its id" in output) == (2, True)

    code, output = await typed(road, "redrive", "r-1", *words, "--dry-run")
    assert (code, "redriven" in output) == (0, True)
    assert (await typed(road, "redrive", "r-1", *words))[0] == 0

    await until(road, lambda: pool.fetchval("SELECT settled_at FROM requests"))
    shown = road.newstore.requests["r-1"].read_back("shipment")
    assert shown is not None
    taken = [(each["carrier"], each["tracking_code"]) for each in shown["successful_shipments"]]
    assert taken == [("DHL Express", "JD-1")]
    (parcel,) = (await read(road, "show", "r-1"))["parcels"]
    assert (parcel["carrier"], parcel["tracking_code"]) == ("DHL Express", "JD-1")
    assert parcel["carrier_said"] != parcel["carrier"]
    assert [entry["reason"] for entry in (await read(road, "audit"))["audit"]] == ["the label was printed anew"]


async def test_a_refused_shipment_is_found_taken_noted_and_redriven(road: Road, pool: asyncpg.Pool) -> None:
    await refused_shipment(road, pool)
    code, listed = await typed(road, "list", "--status", "failed")
    assert (code, "failed: refused" in listed) == (0, True)
    assert (await typed(road, "take", "r-1"))[0] == 0
    assert (await typed(road, "note", "r-1", "asked NewStore"))[0] == 0

    code, output = await typed(road, "redrive", "r-1", "--reason", "NewStore mended it")

    assert (code, "redriven" in output) == (0, True)
    await until(road, lambda: pool.fetchval("SELECT settled_at FROM requests"))
    actions = [entry["action"] for entry in (await read(road, "audit"))["audit"]]
    assert actions == ["redrive", "note", "take"]


async def test_an_act_needs_a_reason_and_a_declined_one_fails(road: Road) -> None:
    await road.newstore.place(order("r-1", "A"), QUICK)
    assert await typed(road, "close", "r-1") == (2, "say why with --reason; it goes into the audit\n")
    code, output = await typed(road, "redrive", "r-1", "--reason", "try")
    assert (code, "declined" in output) == (1, True)
    code, output = await typed(road, "close", "r-9", "--reason", "x")
    assert (code, "no request has this id" in output) == (1, True)


async def test_many_are_counted_before_anybody_says_yes(road: Road, pool: asyncpg.Pool) -> None:
    await refused_shipment(road, pool)
    order_many = ("redrive", "--location", QUICK, "--reason", "NewStore mended it")

    code, output = await typed(road, *order_many, answer="n\n")
    assert (code, "1 requests match" in output) == (1, True)
    code, output = await typed(road, *order_many, "--dry-run")
    assert (code, "1 match; 1 of 1 would be done" in output) == (0, True)
    assert "redriven" not in await pool.fetchval(KINDS)

    code, output = await typed(road, *order_many, answer="y\n")
    assert (code, "1 match; 1 of 1 done" in output) == (0, True)
    assert "redriven" in await pool.fetchval(KINDS)


async def test_a_dry_run_of_a_rejection_says_what_it_does_to_the_stock(road: Road) -> None:
    await typed(road, "hold", "everything", "--reason", "look first")
    await road.newstore.place(order("r-1", "A"), QUICK)
    code, output = await typed(road, "reject", "r-1", "--as", "no_inventory", "--reason", "none left", "--dry-run")
    assert code == 0
    assert "stock of them to zero" in output


async def test_a_held_rejection_is_discarded_by_a_filter_and_the_units_are_open_again(
    road: Road, pool: asyncpg.Pool
) -> None:
    await typed(road, "hold", "rejections", QUICK, "--reason", "look first")
    quick = road.warehouses[QUICK]
    quick.temperament = Temperament(pause=(30, 30))
    await road.newstore.place(order("r-1", "A"), QUICK)
    await road.gateway.writer.apply(
        said(Word.REJECTED, provider=quick.name, reason=RejectionReason.NO_INVENTORY)
    )  # fmt: skip
    assert "gateway discard ID" in (await typed(road, "show", "r-1"))[1]

    code, output = await typed(road, "discard", "--status", "rejected", "--reason", "a mistake", answer="y\n")

    assert (code, "1 match; 1 of 1 done" in output) == (0, True)
    assert "units_reopened" in await pool.fetchval(KINDS)
    assert (await typed(road, "discard", "r-1", "--reason", "again"))[0] == 1


async def test_a_list_says_what_is_closed_and_what_has_no_provider(road: Road) -> None:
    await road.gateway.writer.apply(receive("r-1", provider=None, location="DC09"))
    await road.gateway.writer.apply(receive("r-2"))
    assert (await typed(road, "close", "r-2", "--reason", "settled by hand"))[0] == 0
    listed = (await typed(road, "list"))[1]
    assert ("DC09 → —  unroutable" in listed, "DC01 → acme  closed" in listed) == (True, True)


async def test_a_message_without_an_id_is_named_by_the_start_of_its_fingerprint(road: Road, pool: asyncpg.Pool) -> None:
    await road.newstore.place(order("r-1", "A"), QUICK)
    await road.gateway.writer.apply(said(Word.ACCEPTED, provider="quick", cause="quick:" + "0123456789abcdef" * 4))
    assert " quick:0123456789ab…\n" in re.sub(" +\n", "\n", (await typed(road, "show", "r-1"))[1])


async def test_a_hold_is_placed_listed_and_released(road: Road, pool: asyncpg.Pool) -> None:
    assert (await typed(road, "hold", "location", QUICK, "--reason", "fire", "--minutes", "30"))[0] == 0
    (held,) = (await read(road, "holds"))["holds"]
    assert (held["scope"], held["name"], held["who"]) == ("location", QUICK, "demo")

    await road.newstore.place(order("r-1", "A"), QUICK)
    assert await pool.fetchval("SELECT count(*) FROM attempts") == 0

    assert (await typed(road, "release", str(held["id"]), "--reason", "out"))[0] == 0
    await until(road, lambda: pool.fetchval("SELECT settled_at FROM requests"))
    assert "Nothing is held back" in (await typed(road, "holds"))[1]


async def test_a_quarantined_message_is_listed_shown_and_discarded(road: Road, pool: asyncpg.Pool) -> None:
    url, key = f"{road.public_url}/newstore/{QUICK}/fulfillment_requests", road.simulators.keys[f"{QUICK}_API_KEY"]
    headers = {"Authorization": f"Bearer {key}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(url, data=b'{"note": "Ada"}', headers=headers) as answer,
    ):
        assert answer.status == 400
    (kept,) = (await read(road, "quarantine", "list"))["quarantine"]
    assert (await read(road, "quarantine", "show", str(kept["id"])))["reason"] == "malformed"
    listed = (await typed(road, "quarantine", "list"))[1]
    assert f"{kept['id']}  newstore:{QUICK}  malformed" in listed
    shown = (await typed(road, "quarantine", "show", str(kept["id"])))[1]
    assert "None" not in shown
    assert (f"newstore:{QUICK}" in shown, '"note": "•••"' in shown, "Ada" in shown) == (True, True, False)
    assert (await typed(road, "quarantine", "show", str(kept["id"]), "--unmasked"))[0] == 2
    code, whole = await typed(road, "quarantine", "show", str(kept["id"]), "--unmasked", "--reason", "to mend it")
    assert (code, '{"note": "Ada"}' in whole) == (0, True)
    assert (await typed(road, "quarantine", "replay", str(kept["id"]), "--reason", "x"))[0] == 1
    assert (await typed(road, "quarantine", "discard", str(kept["id"]), "--reason", "a test"))[0] == 0
    assert "Nothing is in quarantine" in (await typed(road, "quarantine", "list"))[1]


async def test_a_replay_that_changes_nothing_fails_and_says_why(road: Road, pool: asyncpg.Pool) -> None:
    await road.gateway.writer.apply(receive(provider="quick"))
    body = {"type": "vanished", "event_id": "e-1", "fulfillment_request_id": "r-1"}
    headers = {"Authorization": f"Bearer {road.simulators.keys['quick_CALLBACK_KEY']}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{road.public_url}/providers/quick/callbacks", json=body, headers=headers) as answer,
    ):
        assert answer.status == 202

    async def replayed(*words: str) -> tuple[int, str]:
        (kept,) = (await read(road, "quarantine", "list"))["quarantine"]
        return await typed(road, "quarantine", "replay", str(kept["id"]), "--reason", "try", *words)

    code, output = await replayed()
    assert (code, "not applied: it is in quarantine again: " in output, "'vanished'" in output) == (1, True, True)
    code, output = await replayed("--json")
    assert (code, json.loads(output)["result"], json.loads(output)["done"]) == (1, "quarantined", False)
    await pool.execute(
        "UPDATE quarantine SET body = replace(convert_from(body, 'utf8'), 'vanished', 'accepted')::bytea"
    )
    code, output = await replayed()
    assert (code, "units_accepted" in output, "not applied" in output) == (0, True, False)


async def test_bodies_are_printed_masked_and_whole_for_a_reason(road: Road, pool: asyncpg.Pool) -> None:
    await road.newstore.place({**order("r-1", "A"), "note": "Ada"}, QUICK)
    code, masked = await typed(road, "show", "r-1", "--body")
    assert (code, '"note": "•••"' in masked, "Ada" in masked) == (0, True, False)
    assert (await typed(road, "show", "r-1", "--unmasked"))[0] == 2
    code, whole = await typed(road, "show", "r-1", "--unmasked", "--reason", "it came back")
    assert (code, "Ada" in whole) == (0, True)
    assert [each["reason"] for each in (await read(road, "audit"))["audit"]] == ["it came back"]


async def test_a_viewer_is_printed_nothing_that_others_wrote_and_an_operator_is(
    database: str, pool: asyncpg.Pool
) -> None:
    async with serve(pool, lambda: asyncpg.connect(database)) as gateway:
        await plant(gateway)
        url = f"http://{gateway.internal.host}:{gateway.internal.port}"
        for words in (
            ("list",), ("show", "r-1"), ("show", "r-1", "--json"), ("show", "r-1", "--body"), ("quarantine", "list"),
            ("quarantine", "show", "2"),
        ):  # fmt: skip
            for name, is_told in (("vera", False), ("otto", True)):
                code, output = await a_person.typed(*words, GATEWAY_URL=url, GATEWAY_TOKEN=f"the-token-of-{name}")
                assert (code, "marked" in output, "•••" in output) == (0, is_told, not is_told or "--body" in words), (
                    words
                )


@pytest.mark.parametrize(
    ("words", "option"),
    [
        (("hold", "everything"), "--reason"),
        (("release", "1"), "--reason"),
        (("quarantine", "discard", "1"), "--reason"),
        (("show", "r-1", "--unmasked"), "--reason"),
        (("close", "r-1"), "--reason"),
        (("reroute", "r-1", "--reason", "x"), "--to"),
        (("reject", "r-1", "--reason", "x"), "--as"),
    ],
)
async def test_what_an_act_lacks_is_asked_for_by_its_option(words: tuple[str, ...], option: str) -> None:
    code, output = await a_person.typed(*words, GATEWAY_URL="http://127.0.0.1:1")
    assert (code, f"with {option}" in output) == (2, True)


async def test_whose_token_is_wrong_is_told_where_to_give_another(road: Road) -> None:
    code, output = await typed(road, "list", GATEWAY_TOKEN="of-nobody")
    assert (code, "give yours as --token or GATEWAY_TOKEN" in output) == (1, True)


async def test_a_strangers_text_is_printed_as_it_is(road: Road) -> None:
    assert (await typed(road, "hold", "everything", "--reason", "[/x] :ship: \x1b[31m\u202e"))[0] == 0
    for words in (("holds",), ("audit",)):
        code, output = await typed(road, *words)
        assert (code, "[/x] :ship: \\x1b[31m\\u202e" in output) == (0, True)


async def test_nothing_is_cut_off_and_no_name_is_broken(road: Road) -> None:
    name, reason = "a" * 36, "look " * 30
    await typed(road, "hold", "request", name, "--reason", reason)
    for listed in (("holds",), ("audit",)):
        _, output = await typed(road, *listed, COLUMNS="20", FORCE_COLOR="1", NO_COLOR="1", TERM="xterm")
        assert (f"request {name}" in output, f"  {reason.strip()}" in output) == (True, True)
    await road.newstore.place(order(name, "A"), QUICK)
    for words in (("list",), ("show", name)):
        _, output = await typed(road, *words, COLUMNS="20")
        assert f"{name}  DC01 → quick  dispatched" in output
        assert "release the hold once you have looked into it\n" in output
    assert "No request is like that" in (await typed(road, "list", "--provider", "nobody"))[1]


async def test_a_longer_list_says_where_it_goes_on(road: Road) -> None:
    for request_id in ("r-1", "r-2"):
        await road.newstore.place(order(request_id, "A"), QUICK)
    _, output = await typed(road, "list", "--limit", "1")
    after = output.partition("--after ")[2].strip()
    assert [each["id"] for each in (await read(road, "list", "--after", after))["requests"]] == ["r-1"]


async def test_an_id_may_hold_what_has_a_meaning_in_a_path(road: Road) -> None:
    request_id = "../a?b#c%2F d"
    await road.newstore.place(order(request_id, "A"), QUICK)
    assert (await read(road, "show", request_id))["id"] == request_id
    assert (await typed(road, "note", request_id, "seen by [Ada]"))[0] == 0
    assert "seen by [Ada]" in (await typed(road, "show", request_id))[1]
    code, output = await typed(road, "show", "../summary")
    assert (code, "no request has this id" in output) == (1, True)


async def test_a_gateway_that_is_not_there_is_named_with_what_to_do(road: Road) -> None:
    for url in ("http://127.0.0.1:9", "127.0.0.1:8081", "http://[::1", road.newstore.url):
        code, output = await typed(road, "list", GATEWAY_URL=url)
        assert (code, "Give its internal listener as --url or GATEWAY_URL" in output) == (1, True)
    assert (await typed(road, "list", GATEWAY_URL=f"{road.gateway.internal_url}/"))[0] == 0
