from functools import partial
from typing import TypeVar

import asyncpg
import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from openapi_spec_validator import validate

from gateway import api_shapes
from gateway.ledger.queue import polls
from gateway.ledger.read import reading
from gateway.ledger.write.writer import Writer
from gateway.listeners import internal_app
from gateway.providers import ADAPTERS
from tests.documented import DOCUMENT
from tests.served import SETTINGS, VIEWER, Served, event, order

T = TypeVar("T")
SHIPMENT = {"carrier": "UPS", "tracking_number": "1Z"}


@pytest.mark.parametrize("path", ["/v1/requests", "/v1/requests/r-1", "/v1/summary", "/v1/nowhere"])
async def test_reads_need_the_token_of_an_operator(gateway: Served, path: str) -> None:
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic the-token-of-vera"}):
        answer = await gateway.internal.get(path, headers=headers)
        assert (answer.status, answer.content_type) == (401, "application/problem+json")


async def test_every_route_below_v1_needs_a_token_and_every_act_more_than_a_viewers(gateway: Served) -> None:
    app = internal_app(SETTINGS, gateway.pool, gateway.writer, {})
    routes = [(each.method, each.resource.canonical) for each in app.router.routes() if each.resource]
    below = [(method, path.format(id=1, action="close")) for method, path in routes if path.startswith("/v1/")]
    assert len(below) > 20
    for method, path in below:
        assert (await gateway.internal.request(method, path)).status == 401, path
        if method != "GET":
            assert (await gateway.internal.request(method, path, headers=VIEWER)).status == 403, path


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
        page = msgspec.json.decode(await answer.read(), type=api_shapes.RequestPage)
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
        ("status=lost", "pending, failed, rejected, unroutable, shipped, cancelled"),
        ("limit=0", "1 to 200"),
        ("limit=201", "1 to 200"),
        ("limit=x", "1 to 200"),
        ("after=nonsense", "next_page"),
        ("after=9999999999999999999999:r-1", "next_page"),
        ("order=a%00b", "NUL"),
        ("after=1:%00", "NUL"),
        ("since=", "2026-03-05T09:00:00Z"),
        ("since=0001-01-01T00:00:00%2B01:00", "2026-03-05T09:00:00Z"),
        ("until=2026-03-05T09:00:00", "time zone"),
        ("colour=red", "tracking_code"),
    ],
)
async def test_a_wrong_query_is_told_what_to_write(gateway: Served, query: str, says: str) -> None:
    answer = await gateway.ask(f"/v1/requests?{query}")
    assert (answer.status, answer.content_type) == (400, "application/problem+json")
    assert says in (await answer.json())["detail"]


async def test_every_way_to_write_a_time_is_understood(gateway: Served) -> None:
    await gateway.receive(order())
    for time in ("2026-W01-1T00:00:00Z", "20260305T090000%2B0100", "0001-01-01T00:00:00Z"):
        page = await (await gateway.ask(f"/v1/requests?since={time}")).json()
        assert len(page["requests"]) == 1, time


async def test_a_summary_since_a_time_that_no_clock_shows_is_a_400(gateway: Served) -> None:
    answer = await gateway.ask("/v1/summary?since=9999-12-31T23:59:59-23:59")
    assert (answer.status, answer.content_type) == (400, "application/problem+json")


async def test_a_story_has_the_documented_shape(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(event("accepted", "e1"))
    answer = await gateway.ask("/v1/requests/r-1")
    story = msgspec.json.decode(await answer.read(), type=api_shapes.RequestStory)
    assert [each.kind for each in story.events] == ["request_received", "units_accepted"]
    assert [each.hands_to for each in story.events] == ["gateway", "gateway"]
    assert story.events[1].fact == {"units": [0, 1]}


@pytest.mark.parametrize("request_id", ["r-404", "a%00b"])
async def test_a_request_that_nobody_has_is_a_404(gateway: Served, request_id: str) -> None:
    answer = await gateway.ask(f"/v1/requests/{request_id}")
    assert (answer.status, answer.content_type) == (404, "application/problem+json")


async def test_the_summary_counts_what_is_open(gateway: Served) -> None:
    await gateway.receive(order("r-1"))
    await gateway.receive(order("r-2"), "DC02")
    await gateway.receive(b"nonsense")
    summary = msgspec.json.decode(await (await gateway.ask("/v1/summary")).read(), type=api_shapes.Summary)
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
    served = routes(gateway.public.app) | routes(gateway.internal.app)
    behind_one = {each for each in served if each[0] == "*"}
    places = {
        (place.method.lower(), f"/providers/{{provider}}/{place.path}")
        for adapter in ADAPTERS.values()
        for place in adapter.places
    }
    assert [path for _, path in behind_one] == ["/providers/{provider}/{place}"]
    assert documented == served - behind_one | places
    assert document == DOCUMENT


async def test_a_story_tells_which_call_waits_for_which(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(event("shipped", "e1", items=[{"product_id": "TEE"}], shipment=SHIPMENT))
    story = await (await gateway.ask("/v1/requests/r-1")).json()
    assert [(each["operation"], each["waits_for"]) for each in story["owed"]] == [
        ("create", None),
        ("acknowledge", None),
        ("ship", "acknowledge"),
    ]


async def read(gateway: Served, path: str, kind: type[T]) -> T:
    return msgspec.json.decode(await (await gateway.ask(path)).read(), type=kind)


@pytest.mark.parametrize(("name", "role"), [("vera", "viewer"), ("otto", "operator")])
async def test_everyone_is_told_who_they_are(gateway: Served, name: str, role: str) -> None:
    answer = await gateway.internal.get("/v1/me", headers={"Authorization": f"Bearer the-token-of-{name}"})
    assert await answer.json() == {"name": name, "role": role}


async def test_the_summary_names_what_needs_a_person(gateway: Served) -> None:
    for number in range(3):
        await gateway.receive(order(f"r-{number}"))
    await gateway.pool.execute("UPDATE requests SET failure = 'refused', taken_by = 'otto' WHERE id = 'r-1'")
    await gateway.pool.execute(
        "INSERT INTO destinations (name, is_open, opened_at, half_open_at) VALUES ('zen', true, now(), now())"
    )
    await gateway.do("/v1/holds", {"scope": "location", "name": "DC01", "reason": "strike"})
    summary = await read(gateway, "/v1/summary", api_shapes.Summary)
    (dc01,) = summary.locations
    assert (dc01.pending, dc01.failed, dc01.failures) == (3, 1, {"refused": 1})
    assert (summary.newly_failed, summary.taken, summary.shut) == (1, {"otto": 1}, ["zen"])
    assert [hold.name for hold in summary.holds] == ["DC01"]
    later = await read(gateway, "/v1/summary?since=2100-01-01T00:00:00Z", api_shapes.Summary)
    assert later.newly_failed == 0


async def test_failures_are_grouped_by_cause(gateway: Served) -> None:
    for number in range(3):
        await gateway.receive(order(f"r-{number}"))
    await gateway.pool.execute("UPDATE requests SET failure = 'dead_create' WHERE id <> 'r-0'")
    await gateway.pool.execute(
        "INSERT INTO dead_deliveries "
        "SELECT id, 'create', 1, 'acme', 'DC01', 9, now(), 'exhausted', 'no route' FROM requests"
    )
    (cause,) = (await read(gateway, "/v1/failures", api_shapes.FailureCauses)).failures
    assert (cause.failure, cause.location, cause.why, cause.said) == ("dead_create", "DC01", "exhausted", "no route")
    assert (cause.requests, cause.untaken) == (2, 2)


async def test_trends_tell_how_fast_requests_went(gateway: Served) -> None:
    assert (await read(gateway, "/v1/trends", api_shapes.Trends)).speeds == []
    for number in range(3):
        await gateway.receive(order(f"r-{number}"))
    await gateway.pool.execute("UPDATE requests SET accepted_at = received_at + interval '9 s' WHERE id <> 'r-0'")
    trends = await read(gateway, "/v1/trends", api_shapes.Trends)
    (speed,) = trends.speeds
    assert (speed.received, speed.accepted, speed.accept_p50, speed.ship_p50) == (3, 2, 9, None)
    assert sum(each.received for each in trends.flow) == 3


async def test_locations_say_where_a_request_would_go_and_what_is_held(gateway: Served) -> None:
    for scope, name in (("location", "DC02"), ("provider", "acme"), ("request", "r-1"), ("operation", "ship")):
        await gateway.do("/v1/holds", {"scope": scope, "name": name, "reason": "strike"})
    found = (await read(gateway, "/v1/locations", api_shapes.LocationList)).locations
    assert [(each.id, each.provider, [hold.scope for hold in each.holds]) for each in found] == [
        ("DC01", "acme", ["provider", "operation"]),
        ("DC02", None, ["location", "operation"]),
        ("DC03", "acme", ["provider", "operation"]),
        ("DC04", "sig", ["operation"]),
    ]


async def test_destinations_tell_breaker_budget_and_backlog(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.pool.execute("INSERT INTO destinations (name, five_minute_tokens) VALUES ('newstore', 42.7)")
    found = {
        each.name: each for each in (await read(gateway, "/v1/destinations", api_shapes.DestinationList)).destinations
    }
    assert list(found) == ["newstore", "acme", "zen", "sig"]
    assert (found["newstore"].calls_left, found["newstore"].breaker, found["newstore"].waiting) == (42, "closed", 0)
    assert (found["acme"].waiting, found["acme"].calls_left, found["zen"].waiting) == (1, None, 0)
    assert {each.poll for each in found.values()} == {None}
    assert (found["newstore"].can, found["acme"].can) == ([], ["create", "look_up", "idempotent", "callbacks"])


async def test_of_a_provider_that_is_polled_it_is_told_when_and_why_that_fails(gateway: Served) -> None:
    await polls.enrol(gateway.pool, {"acme": 60.0}, [])
    gateway_process = "INSERT INTO processes (owner, key) VALUES ('me', 1)"
    await gateway.pool.execute(gateway_process)
    (claimed,) = await polls.claim(gateway.pool, {"acme": 1}, owner="me", seconds=60)
    await polls.fail(gateway.pool, claimed, 120.0, "answered 401: check the key")
    found = (await read(gateway, "/v1/destinations", api_shapes.DestinationList)).destinations
    poll = next(each.poll for each in found if each.name == "acme")
    assert poll is not None
    assert (poll.every_seconds, poll.polled_at, poll.detail) == (60, None, "answered 401: check the key")
    assert poll.failing_since is not None
    assert (poll.due_at - poll.failing_since).total_seconds() == pytest.approx(120, abs=1)


async def test_free_text_finds_a_request_by_whatever_names_it(gateway: Served) -> None:
    await gateway.receive(order("r-1", "TEE", order_id="SO-1"))
    await gateway.receive(order("r-2", "CAP", order_id="SO-2"))
    await gateway.say(event("shipped", "e1", items=[{"product_id": "TEE", "quantity": 1}], shipment=SHIPMENT))
    reference = await gateway.pool.fetchval("SELECT reference FROM requests WHERE id = 'r-1'")
    for text in ("r-1", "SO-1", reference.lower(), "1Z", "TEE"):
        page = await read(gateway, f"/v1/requests?text={text}", api_shapes.RequestPage)
        assert [each.id for each in page.requests] == ["r-1"], text


async def test_what_no_index_knows_is_asked_of_open_requests_only(gateway: Served) -> None:
    await gateway.receive(order("r-1", shipping_options={"service_level": "EXPRESS"}))
    await gateway.receive(order("r-2"), "DC02")
    await gateway.pool.execute("UPDATE requests SET failure = 'refused' WHERE id = 'r-1'")
    for query, found in (
        ("status=failed&failure=refused", ["r-1"]), ("status=failed&failure=surplus", []),
        ("status=pending&changed_since=2020-01-01T00:00:00Z", ["r-2", "r-1"]), ("status=pending&taken_by=otto", []),
        ("status=unroutable", ["r-2"]), ("service_level=EXPRESS", ["r-1"]),
    ):  # fmt: skip
        page = await read(gateway, f"/v1/requests?{query}", api_shapes.RequestPage)
        assert [each.id for each in page.requests] == found, query
    for query in ("failure=refused", "status=shipped&taken_by=otto", "changed_since=2020-01-01T00:00:00Z"):
        answer = await gateway.ask(f"/v1/requests?{query}")
        assert (answer.status, "need a status" in (await answer.json())["detail"]) == (400, True)


async def test_the_audit_of_one_kind_of_act(gateway: Served) -> None:
    placed = await (await gateway.do("/v1/holds", {"scope": "everything", "reason": "flood"})).json()
    await gateway.do(f"/v1/holds/{placed['id']}/release", {"reason": "dry again"})
    found = (await read(gateway, "/v1/audit?action=release", api_shapes.AuditPage)).audit
    assert [entry.reason for entry in found] == ["dry again"]


async def test_a_question_that_takes_too_long_is_ended_with_advice(
    gateway: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "_BOUNDS", "SET LOCAL statement_timeout = 1; SELECT pg_sleep(1)")
    answer = await gateway.ask("/v1/requests")
    assert (answer.status, "narrow it" in (await answer.json())["detail"]) == (503, True)


async def test_an_error_repeats_little_of_what_was_asked(gateway: Served) -> None:
    await gateway.receive(order())
    long = "x" * 5_000
    answers = [
        await gateway.ask(f"/v1/requests?{long}=1"),
        await gateway.ask(f"/v1/{long}"),
        await gateway.do("/v1/requests/r-1/reroute", {"reason": "fire", "to": long}),
        await gateway.do("/v1/holds", {"reason": "fire", "scope": long}),
        await gateway.do("/v1/holds", {"reason": "fire", "scope": "provider", "name": "x" * 255}),
        await gateway.public.post(f"/newstore/{long}/fulfillment_requests"),
        await gateway.public.post(f"/providers/{long}/callbacks"),
    ]
    assert {each.status for each in answers} == {400, 404}
    assert ["x" * 201 in (await each.json())["detail"] for each in answers] == [False] * len(answers)
