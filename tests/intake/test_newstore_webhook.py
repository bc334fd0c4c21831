import asyncio
import io
import json
from typing import Any

import asyncpg
import pytest

from gateway.telemetry.metrics import REGISTRY
from tests.served import KEY, Served, order, serve

ITEMS = b'"items": [{"product_id": "TEE"}]'


def counted(location: str, code: str) -> float:
    labels = {"location": location, "code": code}
    return REGISTRY.get_sample_value("gateway_ingest_answers_total", labels) or 0.0


async def test_a_request_is_committed_before_it_is_answered(gateway: Served) -> None:
    body = b'{"id": "r-1",   "items": [{"product_id": "TEE", "odd": [1]}], "extended_attributes": {"a": "\xc3\xa9"}}'
    answer = await gateway.receive(body)
    told = await answer.json()
    assert (answer.status, told["result"], told["id"]) == (200, "received", "r-1")
    assert told["reference"] == await gateway.pool.fetchval("SELECT reference FROM requests")
    assert await gateway.stored_bodies() == [body]


@pytest.mark.parametrize(
    "key", ["", "Bearer", "Bearer wrong", "Basic the-key-of-DC01", "Bearer \udcff\udcfe", "Bearer ü"]
)
async def test_a_wrong_key_is_refused_counted_and_nothing_is_stored(gateway: Served, key: str) -> None:
    before = counted("DC01", "401")
    answer = await gateway.receive(b"not even JSON", Authorization=key)
    assert answer.status == 401
    assert answer.content_type == "application/problem+json"
    assert counted("DC01", "401") == before + 1
    assert await gateway.pool.fetchval("SELECT count(*) FROM requests") == 0
    assert await gateway.quarantined() == []


async def test_both_keys_of_a_location_work_while_they_are_changed(gateway: Served) -> None:
    answer = await gateway.receive(order(), Authorization="Bearer the-next-key-of-DC01")
    assert answer.status == 200


async def test_an_unknown_location_is_named_and_counted_under_one_label(gateway: Served) -> None:
    before = counted("unknown", "404")
    answer = await gateway.receive(order(), "DC99")
    assert answer.status == 404
    assert "/newstore/DC99/fulfillment_requests" in (await answer.json())["detail"]
    assert counted("unknown", "404") == before + 1
    assert counted("DC99", "404") == 0


async def test_a_request_without_a_provider_is_parked_as_unroutable(gateway: Served) -> None:
    answer = await gateway.receive(order(), "DC02")
    assert (answer.status, (await answer.json())["result"]) == (200, "unroutable")
    page = await (await gateway.ask("/v1/requests?location=DC02")).json()
    assert page["requests"][0]["waiting_for"]["who"] == "operations"


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (b"", "$"),
        (b"no JSON", "$"),
        (b"\xff\xfe", "$"),
        (b"[]", "$"),
        (b"null", "$"),
        (b"{%s}" % ITEMS, "id"),
        (b'{"id": "", %s}' % ITEMS, "$.id"),
        (b'{"id": "r-1"}', "items"),
        (b'{"id": "r-1", "items": []}', "$.items"),
        (b'{"id": "r-1", "items": [{"product_id": "TEE"}, {}]}', "$.items[1]"),
        (b'{"id": "r-1", "items": [{"product_id": null}]}', "$.items[0].product_id"),
        (b'{"id": "r-1\\u0000", %s}' % ITEMS, "$.id"),
        (b'{"id": "r-\\ud800", %s}' % ITEMS, "$"),
        (b'{"id": "%s", %s}' % (b"x" * 10_000, ITEMS), "$.id"),
        (b"[" * 100_000, "$"),
    ],
)
async def test_what_cannot_be_read_is_named_and_kept(gateway: Served, body: bytes, path: str) -> None:
    answer = await gateway.receive(body)
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert path in (await answer.json())["detail"]
    [(source, _, kept)] = await gateway.quarantined()
    assert (source, kept) == ("newstore:DC01", body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"id": "r-1", %s, "note": "a\\u0000b"}' % ITEMS,
        b'{"id": "r-1", %s, "note": "\\ud800"}' % ITEMS,
        b'{"id": "r-1", "items": [{"product_id": "T\\u0000"}]}',
        b'{"id": "r-1", "items": [{"product_id": "\\udfff"}]}',
        b'{"id": "r-1", %s, "n": 1e400, "m": %s}' % (ITEMS, b"9" * 5_000),
        b'{"id": "r-1", %s, "deep": %s%s}' % (ITEMS, b"[" * 100_000, b"]" * 100_000),
        b'{"id": "r-1", %s, "id": "r-1", "note": 1, "note": 2}' % ITEMS,
        json.dumps(order("r-1", *["TEE"] * 10_000)).encode(),
        json.dumps(order("r-1", "x" * 5_000, order_id="o" * 5_000, service_level=None)).encode(),
        b'{"id": "r-1", %s, "order_id": "a\\u0000b"}' % ITEMS,
    ],
    ids=["nul", "surrogate", "nul product", "surrogate product", "huge", "deep", "twice", "many", "long", "nul order"],
)
async def test_the_odd_is_stored_byte_for_byte_or_refused_and_kept(gateway: Served, body: bytes) -> None:
    answer = await gateway.receive(body)
    assert answer.status in {200, 400}
    kept = await gateway.stored_bodies() if answer.status == 200 else [row[2] for row in await gateway.quarantined()]
    assert kept == [body]
    assert (await (await gateway.ask("/v1/requests")).json())["next_page"] is None


async def test_ten_thousand_items_are_taken(gateway: Served) -> None:
    answer = await gateway.receive(order("r-1", *["TEE"] * 10_000))
    assert (answer.status, (await answer.json())["result"]) == (200, "received")


async def test_a_body_over_the_limit_is_refused_and_the_connection_closed(gateway: Served) -> None:
    async def piece_by_piece() -> Any:
        for _ in range(17):
            yield b" " * 65_536

    for body in (io.BytesIO(b" " * 1_048_577), piece_by_piece()):
        answer = await gateway.public.post("/newstore/DC01/fulfillment_requests", data=body, headers=KEY)
        assert (answer.status, answer.headers["Connection"]) == (413, "close")
    assert (await gateway.receive(order())).status == 200


async def test_a_body_of_exactly_the_limit_is_taken(gateway: Served) -> None:
    body = json.dumps(order()).encode().ljust(1_048_576)
    assert (await gateway.receive(body)).status == 200


async def test_a_broken_encoding_is_a_400(gateway: Served) -> None:
    answer = await gateway.receive(b"not gzip", Authorization=KEY["Authorization"], **{"Content-Encoding": "gzip"})
    assert answer.status == 400


async def test_a_stalled_sender_is_cut_off_and_others_are_served(database: str, pool: asyncpg.Pool) -> None:
    async with serve(pool, lambda: asyncpg.connect(database), body_seconds=0.2) as gateway:
        reader, writer = await asyncio.open_connection(gateway.public.host, gateway.public.port)
        writer.write(
            b"POST /newstore/DC01/fulfillment_requests HTTP/1.1\r\nHost: here\r\nContent-Length: 100\r\n"
            b"Authorization: Bearer the-key-of-DC01\r\n\r\n{"
        )
        assert (await gateway.receive(order())).status == 200
        answered = await asyncio.wait_for(reader.read(), 5)
        assert answered.startswith(b"HTTP/1.1 408 ")
        assert b"application/problem+json" in answered
        writer.close()


async def test_the_same_request_again_is_a_duplicate(gateway: Served) -> None:
    first = await (await gateway.receive(order())).json()
    again = await gateway.receive(order())
    assert (again.status, await again.json()) == (200, {**first, "result": "duplicate"})
    assert len(await gateway.stored_bodies()) == 1


async def test_the_same_request_twice_at_once_is_one_request(gateway: Served) -> None:
    answers = await asyncio.gather(*(gateway.receive(order()) for _ in range(8)))
    results = [(await answer.json())["result"] for answer in answers]
    assert sorted(results) == ["duplicate"] * 7 + ["received"]
    assert await gateway.pool.fetchval("SELECT count(*) FROM deliveries") == 1


async def test_another_body_under_the_same_id_is_kept_flagged_and_not_delivered(gateway: Served) -> None:
    await gateway.receive(order())
    for _ in range(2):
        answer = await gateway.receive(order("r-1", "HAT"))
        assert (answer.status, (await answer.json())["result"]) == (200, "conflicting_body")
    assert len(await gateway.stored_bodies()) == 2
    assert await gateway.pool.fetchval("SELECT count(*) FROM deliveries") == 1
    assert (await (await gateway.ask("/v1/requests/r-1")).json())["conflicts"] == 1


async def test_the_same_id_for_another_location_is_kept_flagged_and_not_delivered(gateway: Served) -> None:
    await gateway.receive(order())
    answer = await gateway.receive(order(), "DC03")
    assert (answer.status, (await answer.json())["result"]) == (200, "conflicting_location")
    assert await gateway.pool.fetchval("SELECT array_agg(location) FROM deliveries") == ["DC01"]


async def test_without_a_database_the_sender_is_told_to_come_back(database: str, pool: asyncpg.Pool) -> None:
    is_away = True

    async def connect() -> asyncpg.Connection:
        if is_away:
            raise ConnectionRefusedError
        return await asyncpg.connect(database)

    async with serve(pool, connect) as gateway:
        answer = await gateway.receive(order())
        assert answer.status == 503
        assert 1 <= int(answer.headers["Retry-After"]) <= 5
        is_away = False
        assert (await gateway.receive(order())).status == 200


async def test_other_paths_and_methods_get_problems(gateway: Served) -> None:
    missing = await gateway.public.get("/nowhere")
    assert (missing.status, missing.content_type) == (404, "application/problem+json")
    wrong = await gateway.public.get("/newstore/DC01/fulfillment_requests")
    assert (wrong.status, wrong.headers["Allow"]) == (405, "POST")
    assert (await gateway.public.get("/livez")).status == 200
