"""Its calls out, against the simulated warehouse, and against one that answers as a test says."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from gateway.call_errors import CallError, Disputed, Inconclusive, NotSent, Refused, Unknown
from gateway.providers.port import Adapter, Statement
from gateway.providers.rest import Rest
from gateway.simulator.rest_warehouse import RestWarehouse
from gateway.simulator.warehouse_temperament import Temperament
from tests.listening import listening
from tests.providers.rest import ORDER, POLL, PUSH, Mapped, settings, with_keys

STILL = Temperament(pause=(60, 60))
KEY = "the-key-of-the-gateway"


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
async def warehouse() -> AsyncIterator[RestWarehouse]:
    async with RestWarehouse("acme", STILL, api_key=KEY, webhook_secret="s" * 20).running() as running:
        yield running


async def test_an_order_is_made_found_and_withdrawn(warehouse: RestWarehouse, session: aiohttp.ClientSession) -> None:
    adapter = Rest(settings(warehouse.url), session)
    assert await adapter.look_up(ORDER) is None
    taken = await adapter.create(ORDER, adapter.compose(ORDER))
    assert taken.provider_order == "17"
    assert warehouse.orders["17"].body == {
        "order_number": ORDER.reference,
        "ship_to": {"name": "Ada Lovelace", "street": "12 Elm St", "zip": "78701", "city": "Austin", "country": "US"},
        "lines": [{"sku": "TEE", "qty": 2}, {"sku": "CAP", "qty": 1}],
    }
    again = await adapter.create(ORDER, adapter.compose(ORDER))
    assert (again.provider_order, warehouse.orders["17"].times_seen) == ("17", 2)
    assert await adapter.withdraw(ORDER) == "answered 204"  # its id is looked up
    assert warehouse.orders["17"].withdrawn


async def test_an_order_that_it_goes_on_with_is_not_withdrawn(
    warehouse: RestWarehouse, session: aiohttp.ClientSession
) -> None:
    adapter = Rest(settings(warehouse.url), session)
    await adapter.create(ORDER, adapter.compose(ORDER))
    warehouse.orders["17"].units[0].status = "shipped"
    with pytest.raises(Refused, match="answered 409: it will not do this"):
        await adapter.withdraw(replace(ORDER, provider_order="17"))
    assert await adapter.withdraw(replace(ORDER, provider_order="4711")) is None


async def test_an_order_that_was_not_seen_has_nothing_to_withdraw(
    warehouse: RestWarehouse, session: aiohttp.ClientSession
) -> None:
    assert await Rest(settings(warehouse.url), session).withdraw(ORDER) is None
    assert warehouse.calls["withdraw"] == 0


async def test_a_wrong_key_is_no_answer_about_an_order(
    warehouse: RestWarehouse, session: aiohttp.ClientSession
) -> None:
    warehouse.api_key = "another-key-of-the-gateway"
    adapter = Rest(settings(warehouse.url), session)
    with pytest.raises(NotSent, match="answered 401: check the URL and the key"):
        await adapter.create(ORDER, adapter.compose(ORDER))
    with pytest.raises(NotSent, match="the look-up answered 401: check the URL, the mapping and the key"):
        await adapter.look_up(ORDER)


Made = Callable[..., Adapter]


@pytest.fixture
async def answers(session: aiohttp.ClientSession) -> AsyncIterator[tuple[list[str], Made]]:
    """Give what is asked, and what makes an adapter whose provider gives these answers, the last of them for ever."""
    asked: list[str] = []
    left: list[tuple[int, str]] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(f"{request.method} {request.raw_path} {await request.text()}".strip())
        status, text = left.pop(0) if len(left) > 1 else left[0]
        return web.Response(status=status, text=text)

    async with listening(web.route("*", "/{at:.*}", answer)) as url:

        def make(*said: object, of: dict[str, Any] = PUSH, **tables: Any) -> Adapter:
            left[:] = [
                (each[0], _written(each[1])) if isinstance(each, tuple) else (200, _written(each)) for each in said
            ]
            return Mapped(settings(url), session, with_keys(of, **tables))

        yield asked, make


def _written(said: object) -> str:
    return said if isinstance(said, str) else json.dumps(said)


PAGE = "<!doctype html><title>Welcome</title>"
FOUND = {"orders": [{"id": 17, "order_number": ORDER.reference}]}
CREATES: list[tuple[list[object], type[CallError], str]] = [
    ([PAGE], Unknown, "answered 200 and no JSON: that is not the provider's word"),
    ([{"status": "RECEIVED"}], Unknown, "answered 200, and id finds no id in it: it may have taken the order"),
    ([(503, "")], Unknown, "answered 503: it may have done it"),
    ([(422, {"error": "no such sku"})], Refused, "answered 422: it will not do this"),
    ([(409, ""), (503, "")], Unknown, "answered 409 and says that it has the order; the look-up answered 503"),
    ([(409, ""), {"orders": []}], Disputed, "answered 409, and its look-up does not know the order: ask it"),
    ([(409, ""), PAGE], Disputed, "answered 409 and says that it has the order; the look-up answered 200 and no JSON"),
    ([{"success": False, "id": 17}, {"orders": []}], Refused, "answered 200 and says no: it will not take this order"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "error", "told"), CREATES)
async def test_a_create_is_believed_by_its_answer_alone(
    answers: tuple[list[str], Made], said: list[object], error: type[CallError], told: str
) -> None:
    adapter = answers[1](*said)
    with pytest.raises(error) as caught:
        await adapter.create(ORDER, adapter.compose(ORDER))
    assert (type(caught.value), str(caught.value)[: len(told)]) == (error, told)


async def test_an_order_that_is_there_already_is_found(answers: tuple[list[str], Made]) -> None:
    adapter = answers[1]((409, ""), FOUND)
    assert (await adapter.create(ORDER, b"{}")).provider_order == "17"
    assert answers[0] == ["POST /orders {}", f"GET /orders?order_number={ORDER.reference}"]


LOOK_UPS: list[tuple[object, type[CallError], str]] = [
    (PAGE, Inconclusive, "the look-up answered 200 and no JSON"),
    ("", Inconclusive, "the look-up answered 200, but orders finds nothing"),
    ({"result": "ok"}, Inconclusive, "the look-up answered 200, but orders finds nothing"),
    ({"orders": {"id": 17}}, Inconclusive, "the look-up answered 200, but orders finds no list"),
    ({"orders": [{"id": 17, "order_number": "NS2"}]}, Inconclusive, "the look-up answered 200 and other orders than"),
    ({"orders": [{"id": 17}]}, Inconclusive, "the look-up answered 200 and other orders than"),
    ((404, ""), NotSent, "the look-up answered 404: check the URL, the mapping and the key of the provider"),
    ((500, ""), NotSent, "the look-up answered 500"),
]  # fmt: skip


@pytest.mark.parametrize(("said", "error", "told"), LOOK_UPS)
async def test_a_look_up_that_says_nothing_of_the_order_is_no_answer(
    answers: tuple[list[str], Made], said: object, error: type[CallError], told: str
) -> None:
    with pytest.raises(error, match=told):
        await answers[1](said).look_up(ORDER)


async def test_a_status_says_that_an_order_is_absent_only_in_the_provider_s_own_words(
    answers: tuple[list[str], Made],
) -> None:
    absent = {"look_up": {"absent": [404]}}
    assert await answers[1]((404, {"error": "no such order"}), **absent).look_up(ORDER) is None
    with pytest.raises(NotSent):
        await answers[1]((404, PAGE), **absent).look_up(ORDER)


async def test_a_withdrawal_is_believed_by_its_answer_alone(answers: tuple[list[str], Made]) -> None:
    known = replace(ORDER, provider_order="17")
    stopped = {"withdraw": {"stopped": "status == 'CANCELLED'", "method": "POST", "path": "/{provider_order}/cancel"}}
    assert await answers[1]({"status": "CANCELLED"}, **stopped).withdraw(known) == "answered 200, status == 'CANCELLED'"
    assert answers[0] == ["POST /17/cancel"]
    for said, tables, error in (
        ({"status": "PICKED"}, stopped, Refused),
        ("[]", {"withdraw": {"stopped": "stopped"}}, Unknown),
        (PAGE, {}, Unknown),
        ((202, ""), {}, NotSent),
        ({"success": False}, {}, Refused),
        ((500, ""), {}, Unknown),
        ((404, PAGE), {}, NotSent),
    ):
        with pytest.raises(error):
            await answers[1](said, **tables).withdraw(known)


async def test_what_is_not_known_is_asked_nowhere(answers: tuple[list[str], Made]) -> None:
    blind = answers[1]({}, look_up=None, create={"exists": None})
    with pytest.raises(Refused, match="the provider's own id of the order is not known"):
        await blind.withdraw(ORDER)
    for odd in ("..", "."):
        with pytest.raises(Refused, match="can't be called"):
            await blind.withdraw(replace(ORDER, provider_order=odd))
    assert answers[0] == []
    await blind.withdraw(replace(ORDER, provider_order="a/b c?d"))
    assert answers[0] == ["DELETE /orders/a%2Fb%20c%3Fd"]


READ = {"read": {**PUSH["webhook"], "path": "/orders/{provider_order}", "hint": None, "event_id": None, "counts": None}}


async def test_an_order_is_read_by_the_provider_s_own_id(answers: tuple[list[str], Made]) -> None:
    state = {"order_number": ORDER.reference, "status": "RECEIVED", "lines": [{"sku": "TEE", "qty": 1}]}
    adapter = answers[1](FOUND, state, **READ)
    (said,) = adapter.read(await adapter.read_order(ORDER))
    assert isinstance(said, Statement)
    assert said.items == {"TEE": 1}
    assert answers[0][1] == "GET /orders/17"


@pytest.mark.parametrize(
    "said", [PAGE, '{"orders": [{"a": 1, "a": 2}]}', {"orders": None}, {"orders": []}, (404, {}), (503, "")], ids=str
)
async def test_a_read_that_shows_no_order_is_made_again(answers: tuple[list[str], Made], said: object) -> None:
    listed = {"read": READ["read"] | {"orders": "orders"}}
    with pytest.raises(NotSent):
        await answers[1](said, **listed).read_order(replace(ORDER, provider_order="17"))


async def test_headers_and_bodies_go_with_each_call(answers: tuple[list[str], Made]) -> None:
    search = {"method": "POST", "path": "/search", "body": "{number: reference}"}
    await answers[1](FOUND, look_up=search).look_up(ORDER)
    assert answers[0] == [f'POST /search {{"number":"{ORDER.reference}"}}']


async def test_a_header_carries_what_it_can(answers: tuple[list[str], Made]) -> None:
    adapter = answers[1]({"id": 17}, create={"headers": {"X-Order": "{order_id}"}})
    assert (await adapter.create(ORDER, b"{}")).provider_order == "17"
    with pytest.raises(Refused, match="the header X-Order can't carry what the order has there"):
        await adapter.create(replace(ORDER, order_id="SO-1\r\nX-Admin: yes"), b"{}")
    assert len(answers[0]) == 1


async def test_a_check_asks_for_what_can_not_be_there(answers: tuple[list[str], Made]) -> None:
    await answers[1]({"orders": []}).check()
    assert answers[0] == ["GET /orders?order_number=NS-CHECK-CONFIG"]
    with pytest.raises(NotSent):
        await answers[1](PAGE, of=POLL, look_up=None, create={"exists": None}).check()


async def test_a_token_endpoint_that_is_down_sends_nothing(
    answers: tuple[list[str], Made], session: aiohttp.ClientSession
) -> None:
    down = "http://127.0.0.1:1/token"
    auth = {"kind": "oauth2", "token_url": down, "client_id": "gateway", "secret": "env:KEY"}
    url = answers[1](FOUND).provider.address
    adapter = Rest(settings(url, auth=auth), session)
    for call in (adapter.create(ORDER, b"{}"), adapter.look_up(ORDER), adapter.check()):
        with pytest.raises(NotSent, match="can't be reached"):
            await call
    assert answers[0] == []


async def test_an_order_of_ten_thousand_lines_is_sent_whole(
    warehouse: RestWarehouse, session: aiohttp.ClientSession
) -> None:
    adapter = Rest(settings(warehouse.url), session)
    order = replace(ORDER, products=tuple(f"SKU-{number}" for number in range(10_000)))
    await adapter.create(order, adapter.compose(order))
    assert len(warehouse.orders["17"].units) == 10_000
