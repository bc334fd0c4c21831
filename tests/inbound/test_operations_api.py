from functools import partial

import asyncpg
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from openapi_spec_validator import validate

from gateway.inbound import openapi, shapes
from gateway.inbound.internal import internal_app
from gateway.ledger.writer import Writer

from . import SETTINGS, VIEWER, Served, event, order

SHIPMENT = {"carrier": "UPS", "tracking_number": "1Z"}


@pytest.mark.parametrize("path", ["/v1/requests", "/v1/requests/r-1", "/v1/summary", "/v1/nowhere"])
async def test_reads_need_the_token_of_an_operator(gateway: Served, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic the-token-of-vera"}):
        answer = await gateway.internal.get(path, headers=headers)
        assert (answer.status, answer.content_type) == (401, "application/problem+json")


async def test_every_operator_may_read(gateway: Served) -> None:
    for name in ("vera", "otto"):
        answer = await gateway.internal.get("/v1/summary", headers={"Authorization": f"Bearer the-token-of-{name}"})
        assert answer.status == 200


async def test_requests_are_listed_page_by_page_newest_first(gateway: Served) -> None:
    for number in range(5):
        await gateway.receive(order(f"r-{number}"))
    seen: list[str] = []
    after = ""
    while True:
        answer = await gateway.ask(f"/v1/requests?limit=2{after}")
        page = msgspec.json.decode(await answer.read(), type=shapes.RequestPage)
        seen += [request.id for request in page.requests]
        if page.next_page is None:
            break
        after = f"&after={page.next_page}"
    assert seen == ["r-4", "r-3", "r-2", "r-1", "r-0"]


async def test_each_filter_finds_its_request_and_no_other(gateway: Served) -> None:
    await gateway.receive(order("r-1", "TEE", order_id="SO-1"))
    await gateway.receive(order("r-2", "CAP", order_id="SO-2"), "DC02")
    await gateway.say(event("shipped", "e1", items=[{"product_id": "TEE", "quantity": 1}], shipment=SHIPMENT))
    reference = await gateway.pool.fetchval("SELECT reference FROM requests WHERE id = 'r-1'")
    for query in (
        f"reference={reference}", "tracking_code=1Z", "product=TEE", "location=DC01", "provider=acme",
    ):  # fmt: skip
        page = await (await gateway.ask(f"/v1/requests?{query}")).json()
        assert [request["id"] for request in page["requests"]] == ["r-1"], query
    for status, found in (("pending", ["r-2", "r-1"]), ("shipped", []), ("failed", [])):
        page = await (await gateway.ask(f"/v1/requests?status={status}")).json()
        assert [request["id"] for request in page["requests"]] == found


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("status=lost", "pending, failed, rejected, shipped, cancelled"),
        ("limit=0", "1 to 200"),
        ("limit=201", "1 to 200"),
        ("limit=x", "1 to 200"),
        ("after=nonsense", "next_page"),
        ("after=9999999999999999999999:r-1", "next_page"),
        ("order=a%00b", "NUL"),
        ("after=1:%00", "NUL"),
        ("colour=red", "tracking_code"),
    ],
)
async def test_a_wrong_query_is_told_what_to_write(gateway: Served, query: str, says: str) -> None:
    answer = await gateway.ask(f"/v1/requests?{query}")
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert says in (await answer.json())["detail"]


async def test_a_story_has_the_documented_shape(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(event("accepted", "e1"))
    answer = await gateway.ask("/v1/requests/r-1")
    story = msgspec.json.decode(await answer.read(), type=shapes.RequestStory)
    assert [each.kind for each in story.events] == ["request_received", "units_accepted"]
    assert story.events[1].fact == {"units": [0, 1]}


@pytest.mark.parametrize("request_id", ["r-404", "a%00b"])
async def test_a_request_that_nobody_has_is_a_404(gateway: Served, request_id: str) -> None:
    answer = await gateway.ask(f"/v1/requests/{request_id}")
    assert (answer.status, answer.content_type) == (404, "application/problem+json")


async def test_the_summary_counts_what_is_open(gateway: Served) -> None:
    await gateway.receive(order("r-1"))
    await gateway.receive(order("r-2"), "DC02")
    await gateway.receive(b"nonsense")
    summary = msgspec.json.decode(await (await gateway.ask("/v1/summary")).read(), type=shapes.Summary)
    counts = [(each.location, each.pending, each.unroutable) for each in summary.locations]
    assert counts == [("DC01", 1, 0), ("DC02", 1, 1)]
    assert summary.quarantined == 1


async def test_health_and_metrics_need_no_token(gateway: Served) -> None:
    await gateway.receive(order())
    for path in ("/livez", "/readyz"):
        assert (await gateway.internal.get(path)).status == 200
    shown = await (await gateway.internal.get("/metrics")).text()
    assert 'gateway_ingest_answers_total{code="200",location="DC01"}' in shown
    assert "gateway_ack_seconds_count" in shown


async def test_without_a_database_it_is_alive_and_not_ready(database: str) -> None:
    pool = await asyncpg.create_pool(database, min_size=0)
    await pool.close()
    async with TestClient(
        TestServer(internal_app(SETTINGS, pool, Writer(partial(asyncpg.connect, database)), {}))
    ) as internal:
        assert (await internal.get("/livez")).status == 200
        for path in ("/readyz", "/v1/requests", "/v1/summary"):
            answer = await internal.get(path, headers=VIEWER)
            assert (answer.status, answer.content_type) == (503, "application/problem+json")
            assert 1 <= int(answer.headers["Retry-After"]) <= 5


def routes(app: web.Application | None) -> set[tuple[str, str]]:
    assert app is not None
    return {
        (route.method.lower(), route.resource.canonical) for route in app.router.routes() if route.resource is not None
    }


async def test_the_document_is_valid_and_names_every_route(gateway: Served) -> None:
    document = await (await gateway.internal.get("/openapi.json")).json()
    validate(document)
    documented = {(method, path) for path, methods in document["paths"].items() for method in methods}
    assert documented == routes(gateway.public.app) | routes(gateway.internal.app)
    assert document["paths"].keys() == openapi.document()["paths"].keys()


async def test_a_story_tells_which_call_waits_for_which(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(event("shipped", "e1", items=[{"product_id": "TEE"}], shipment=SHIPMENT))
    story = await (await gateway.ask("/v1/requests/r-1")).json()
    assert [(each["operation"], each["waits_for"]) for each in story["owed"]] == [
        ("create", None),
        ("acknowledge", None),
        ("ship", "acknowledge"),
    ]
