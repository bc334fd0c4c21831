"""What NewStore's answers to writes mean, and what they say of NewStore itself."""

import asyncio
import json
from collections.abc import Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web

from gateway.call_errors import CallError, NotSent, Throttled, Unknown
from gateway.domain.deliveries import Operation, Parcel
from gateway.newstore.client import Client
from gateway.newstore.errors import CODES, Blocked, Disliked, NotReached, Refused, Retired, Unauthorized, is_done
from tests.listening import listening
from tests.telemetry.counted import value

from .answers import Answer, Answering, always, by_path, settings

PARCEL = Parcel("UPS", "1Z1")
PAGE = always(403, "<html>blocked</html>")
LATER = always(503, "", Retry_After="40")
Write = Callable[[Client], Awaitable[int]]
WRITES: list[Write] = [
    lambda client: client.acknowledge("r-1"),
    lambda client: client.ship("r-1", ["A"], PARCEL),
    lambda client: client.reject("r-1", ["A"], "no_inventory"),
    lambda client: client.cancel("r-1", ["A"]),
]
SAME = ("acknowledge", "ship", "reject", "cancel")


@pytest.mark.parametrize("write", WRITES, ids=SAME)
@pytest.mark.parametrize("no", ["false", '"false"', "0"])
async def test_a_2xx_that_says_no_is_a_refusal_with_its_code(answering: Answering, write: Write, no: str) -> None:
    client = await answering(always(200, f'{{"success": {no}, "error_code": "invalid_item"}}'))
    with pytest.raises(Refused) as refused:
        await write(client)
    assert (refused.value.status, refused.value.code) == (200, "invalid_item")


@pytest.mark.parametrize("body", ["", "{}", "null", '{"success": true}', '{"id": "x"}', "created", "[]"])
@pytest.mark.parametrize("write", WRITES, ids=SAME)
async def test_a_2xx_that_does_not_say_no_is_a_yes(answering: Answering, write: Write, body: str) -> None:
    assert await write(await answering(always(201, body))) == 201


@pytest.mark.parametrize("body", ["<html>", "  \n<!doctype html>", "\ufeff<html>"])
async def test_a_web_page_is_no_answer_to_a_write(answering: Answering, body: str) -> None:
    client = await answering(always(200, body))
    for write in WRITES:
        with pytest.raises(Unknown):
            await write(client)


@pytest.mark.parametrize("code", ["already_acknowledged", "already_accepted", "already_shipped", "ALREADY_ACCEPTED"])
async def test_an_acceptance_that_is_there_already_is_done(answering: Answering, code: str) -> None:
    client = await answering(always(400, json.dumps({"error_code": code})))
    assert await client.acknowledge("r-1") == 400


@pytest.mark.parametrize("code", ["already_rejected", "already_cancelled", "invalid_item", ""])
async def test_an_acceptance_of_what_became_something_else_is_refused(answering: Answering, code: str) -> None:
    client = await answering(always(400, json.dumps({"error_code": code})))
    with pytest.raises(Refused):
        await client.acknowledge("r-1")


@pytest.mark.parametrize(
    ("code", "operation"),
    [
        ("already_shipped", Operation.SHIP), ("item_already_shipped", Operation.SHIP),
        ("already_rejected", Operation.REJECT), ("item_already_rejected", Operation.REJECT),
        ("items_already_rejected", Operation.REJECT), ("already_canceled", Operation.CANCEL),
        ("already_cancelled", Operation.CANCEL), ("item_already_cancelled", Operation.CANCEL),
    ],
)  # fmt: skip
def test_a_code_of_the_same_operation_says_after_a_doubt_that_it_was_done(code: str, operation: Operation) -> None:
    assert is_done(code, operation, doubt=True)
    assert not is_done(code, operation, doubt=False)
    for other in {Operation.SHIP, Operation.REJECT, Operation.CANCEL} - {operation}:
        assert not is_done(code, other, doubt=True)


def test_every_code_says_what_it_means_and_where_that_is_known_from() -> None:
    assert all(each.means and each.source for each in CODES.values())
    assert {each.counts_as for each in CODES.values()} == {"done", "done_always", "no"}
    assert not any(is_done(each.code, Operation.SHIP, doubt=True) for each in CODES.values() if each.counts_as == "no")


@pytest.mark.parametrize(("others", "is_whole"), [(410, True), (404, False), (400, False), (500, False), (403, False)])
async def test_a_410_is_about_the_operation_if_a_request_that_can_not_be_there_gets_it_too(
    answering: Answering, others: int, *, is_whole: bool
) -> None:
    told: list[tuple[str, str]] = []

    async def answer(http: web.Request) -> web.Response:
        told.append((http.path.split("/")[-2], await http.text()))
        return web.Response(status=410 if "/r-" in http.path else others)

    client = await answering(answer)
    for _ in range(3):
        with pytest.raises(Retired) as retired:
            await client.reject("r-1", ["A"], "no_inventory")
        assert retired.value.is_whole is is_whole
    probes = [each for each in told if each[0] != "r-1"]
    assert set(probes) == {("00000000-0000-4000-8000-000000000000", "{}")}
    assert len(probes) == 1 or others == 403


@pytest.mark.parametrize("write", WRITES, ids=SAME)
async def test_a_503_that_says_when_leaves_a_doubt(answering: Answering, write: Write) -> None:
    with pytest.raises(Throttled) as throttled:
        await write(await answering(LATER))
    assert (throttled.value.retry_after, throttled.value.doubt) == (40, True)


async def test_a_503_of_the_token_leaves_none_as_nothing_was_sent() -> None:
    async with listening(web.post("/token", LATER)) as url, aiohttp.ClientSession() as session:
        with pytest.raises(Throttled) as throttled:
            await Client(session, settings(url, f"{url}/token")).ship("r-1", ["A"], PARCEL)
    assert not throttled.value.doubt


async def test_one_call_that_a_firewall_dislikes_is_told_from_an_address_that_is_blocked(answering: Answering) -> None:
    seen: list[str] = []
    client = await answering(by_path({"POST shipment": PAGE}, seen))
    with pytest.raises(Disliked, match="firewall"):
        await client.ship("r-1", ["A"], PARCEL)
    assert seen == ["POST shipment", "GET shipment"]
    assert client.calls["probe"] == 1


@pytest.mark.parametrize("read", [PAGE, always(502), always(500, "<html>")])
async def test_where_a_read_does_not_pass_either_the_address_counts_as_blocked(
    answering: Answering, read: Answer
) -> None:
    client = await answering(by_path({"POST shipment": PAGE, "GET shipment": read}))
    with pytest.raises(Blocked) as blocked:
        await client.ship("r-1", ["A"], PARCEL)
    assert blocked.value.retry_after == 300


async def test_a_blocked_address_is_not_probed_again_by_each_call_that_was_under_way(answering: Answering) -> None:
    client = await answering(PAGE)
    together = (client.cancel(f"r-{number}", ["A"]) for number in range(8))
    told = await asyncio.gather(*together, return_exceptions=True)
    assert {type(each) for each in told} == {Blocked}
    with pytest.raises(Blocked):
        await client.cancel("r-9", ["A"])
    assert client.calls == {"token": 1, "cancel": 9, "probe": 1}


async def test_many_calls_that_are_disliked_at_once_make_one_probe(answering: Answering) -> None:
    client = await answering(by_path({"POST canceled_items": PAGE}))
    together = (client.cancel(f"r-{number}", ["A"]) for number in range(8))
    told = await asyncio.gather(*together, return_exceptions=True)
    assert {type(each) for each in told} == {Disliked}
    assert client.calls["probe"] == 1


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (PAGE, Blocked), (always(500), NotReached), (always(503), NotReached), (always(302), NotReached),
        (LATER, Throttled), (always(429), Throttled),
    ],
)  # fmt: skip
async def test_a_look_that_does_not_pass_says_so_and_leaves_no_doubt(
    answering: Answering, answer: Answer, error: type[CallError]
) -> None:
    client = await answering(answer)
    with pytest.raises(error) as raised:
        await client.look()
    assert type(raised.value) is error
    assert not getattr(raised.value, "doubt", False)


@pytest.mark.parametrize("answer", [always(404), always(404, "{}"), always(401, "{}"), always(200, "{}")])
async def test_a_look_that_is_answered_passes(answering: Answering, answer: Answer) -> None:
    await (await answering(answer)).look()


@pytest.mark.parametrize("answer", [always(404), always(404, '{"error_code": "x"}'), always(400, "{}"), always(405)])
async def test_an_api_that_knows_no_such_request_is_reached(answering: Answering, answer: Answer) -> None:
    await (await answering(answer)).check()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (always(500), "newstore.url answered 500"), (always(503), "newstore.url answered 503"),
        (always(200, "{}"), "200 for a request that can't be there"), (always(204), "204 for a request"),
        (always(200, "<html>"), "a web page"), (always(404, "<html>"), "a web page"),
        (PAGE, "newstore.url answered 403 without JSON"), (always(302), "newstore.url gives no answer that is one"),
        (always(403, "{}"), "check the API client"), (always(401, "{}"), "check the API client"),
    ],
)  # fmt: skip
async def test_an_api_that_is_not_newstores_or_not_well_is_not_reached(
    answering: Answering, answer: Answer, says: str
) -> None:
    with pytest.raises(CallError, match=says):
        await (await answering(answer)).check()


async def test_an_api_that_is_not_there_is_not_reached(answering: Answering) -> None:
    async def cut(request: web.Request) -> web.Response:
        assert request.transport
        request.transport.abort()
        return web.Response()

    with pytest.raises(NotSent, match=r"newstore\.url gives no answer"):
        await (await answering(cut)).check()


@pytest.mark.parametrize(
    ("status", "says"), [(404, "newstore.token_url"), (405, "newstore.token_url"), (401, "newstore.client_secret")]
)
async def test_a_token_endpoint_that_is_not_there_names_the_realm_and_not_the_secret(status: int, says: str) -> None:
    token = web.post("/token", always(status, '{"error": "realm_not_found"}'))
    async with listening(token) as url, aiohttp.ClientSession() as session:
        with pytest.raises(Unauthorized, match=says) as raised:
            await Client(session, settings(url, f"{url}/token")).check()
    assert ("client_secret" in str(raised.value)) == (status == 401)


SUNSET = "Thu, 11 Nov 2027 23:59:59 GMT"


@pytest.mark.parametrize(
    ("headers", "moment"),
    [
        ({"Deprecation": "true", "Sunset": SUNSET}, 1825977599), ({"Sunset": "2027-11-11T23:59:59Z"}, 1825977599),
        ({"Deprecation": "@1688169599"}, 0), ({"Deprecation": "true", "Sunset": "soon"}, 0),
    ],
)  # fmt: skip
async def test_what_newstore_says_of_an_operations_end_is_a_metric_and_one_line_of_the_log(
    answering: Answering, headers: dict[str, str], moment: int, caplog: pytest.LogCaptureFixture
) -> None:
    answers = {"POST canceled_items": always(201, "", **headers), "GET shipment": always(404, "", **headers)}
    client = await answering(by_path(answers))
    for _ in range(3):
        await client.cancel("r-1", ["A"])
        await client.look()
    assert value("gateway_newstore_sunset_timestamp_seconds", operation="cancel") == moment
    told = [record for record in caplog.records if record.msg == "newstore.deprecated"]
    assert [record.__dict__["facts"] for record in told] == [
        {"operation": "cancel", "sunset": "2027-11-11" if moment else ""}
    ]


async def test_of_an_operation_that_stays_nothing_is_told(answering: Answering) -> None:
    client = await answering(always(201))
    await client.reject("r-1", ["A"], "no_inventory")
    assert value("gateway_newstore_sunset_timestamp_seconds", operation="reject") is None
