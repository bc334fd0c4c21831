"""What a collector really gets of a request's way, over real HTTP and a real Postgres."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from time import perf_counter

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from gateway import app
from gateway.domain.acts import ACTS
from gateway.ledger.read import listing
from gateway.settings import Telemetry
from gateway.telemetry import trace
from gateway.telemetry.logs import log
from gateway.telemetry.otlp import LAST_EXPORT
from tests.listening import listening
from tests.processes import LONG
from tests.served import event, order

from .collector import Collector, collecting
from .counted import growth
from .outside import ACME, KEY, Call, Outside, reachable

NEWSTORE_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NEWSTORE_SPAN = "00f067aa0ba902b7"
TRACED = {"traceparent": f"00-{NEWSTORE_TRACE}-{NEWSTORE_SPAN}-01"}
SHIPMENT = {"carrier": "UPS", "tracking_number": "1Z"}


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    async with collecting() as collector:
        yield collector


@pytest.fixture
async def outside() -> AsyncIterator[Outside]:
    async with reachable() as outside:
        yield outside


@dataclass
class At:
    """A gateway at work."""

    gateway: app.Gateway
    pool: asyncpg.Pool
    session: aiohttp.ClientSession

    async def receive(self, request_id: str, location: str = "DC01", **headers: str) -> int:
        url = f"{self.gateway.public_url}/newstore/{location}/fulfillment_requests"
        async with self.session.post(url, json=order(request_id, "TEE"), headers=KEY | headers) as answer:
            return answer.status

    async def say(self, body: object, **headers: str) -> int:
        url = f"{self.gateway.public_url}/providers/acme/callbacks"
        async with self.session.post(url, json=body, headers=ACME | headers) as answer:
            return answer.status

    async def do(self, path: str, **order: object) -> int:
        """As an operator does, for a reason that is nobody else's business."""
        headers = {"Authorization": "Bearer the-token-of-otto"}
        url, body = f"{self.gateway.internal_url}/v1/{path}", {"reason": "Ada Lovelace called", **order}
        async with self.session.post(url, json=body, headers=headers) as answer:
            return answer.status

    async def until(self, query: str, *, makes_due: bool = False) -> None:
        """Look again after each commit, and let nothing wait for its time."""
        committed = asyncio.Event()
        self.gateway.writer.on_batch = lambda _size, _seconds: committed.set()
        async with asyncio.timeout(LONG):
            while not await self.pool.fetchval(query):
                if makes_due:
                    await self.pool.execute("UPDATE deliveries SET due_at = now() WHERE owner IS NULL")
                    self.gateway.dispatcher.wake()
                await committed.wait()
                committed.clear()


@asynccontextmanager
async def gateway_at(database: str, pool: asyncpg.Pool, outside: Outside, telemetry: Telemetry) -> AsyncIterator[At]:
    async with app.running(outside.settings(telemetry), database) as gateway, aiohttp.ClientSession() as session:
        yield At(gateway, pool, session)


def says(status: int, times: int = 1) -> Callable[[Call], web.Response]:
    left = iter([status] * times)
    return lambda _: web.Response(status=next(left, 201))


SUBMITTED = "SELECT submitted_at FROM requests"
SETTLED = "SELECT settled_at FROM requests"


async def test_a_request_is_followed_from_newstores_webhook_to_its_read_back(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector
) -> None:
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 0.0)) as at:
        await at.receive("r-1", **TRACED)
        await at.until(SUBMITTED)
        began = await pool.fetchval("SELECT trace FROM requests")
        items = [{"product_id": "TEE", "quantity": 1}]
        await at.say(
            event("shipped", "e1", items=items, shipment=SHIPMENT),
            traceparent="00-" + "c" * 32 + "-" + "d" * 16 + "-01",
        )
        await at.until(SETTLED, makes_due=True)

    (webhook,) = collector.named("request.receive")
    assert (webhook.trace_id, webhook.parent) == (NEWSTORE_TRACE, NEWSTORE_SPAN)
    assert webhook.facts == {"request_id": "r-1", "location": "DC01", "status": 200}
    assert began == f"00-{NEWSTORE_TRACE}-{webhook.span_id}-01"

    (create,) = collector.named("delivery.attempt", operation="create")
    assert (create.trace_id, create.parent, create.links) == (NEWSTORE_TRACE, webhook.span_id, [])
    assert create.facts["outcome"] == "done"
    assert not create.is_error
    (called,) = outside.to("/acme")
    assert called.headers["traceparent"] == f"00-{NEWSTORE_TRACE}-{create.span_id}-01"

    (callback,) = collector.named("callback.receive")
    assert (callback.trace_id, callback.parent) == ("c" * 32, "d" * 16)
    assert callback.links == [(NEWSTORE_TRACE, webhook.span_id)]

    (ship,) = collector.named("delivery.attempt", operation="ship")
    assert (ship.trace_id, ship.parent) == ("c" * 32, callback.span_id)
    (called,) = outside.to("/shipment")
    assert called.headers["traceparent"] == f"00-{'c' * 32}-{ship.span_id}-01"

    read_back = collector.named("delivery.attempt", operation="read_shipment")[-1]
    assert (read_back.parent, read_back.links) == ("", [(ship.trace_id, ship.span_id)])
    assert read_back.trace_id not in {NEWSTORE_TRACE, "c" * 32}
    assert outside.to("/shipment", "GET")[-1].headers["traceparent"].split("-")[1] == read_back.trace_id


async def test_a_callback_of_a_provider_that_does_not_trace_is_linked_too(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector
) -> None:
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 1.0)) as at:
        await at.receive("r-1")
        await at.until(SUBMITTED)
        await at.say(event("accepted", "e1"))
    (webhook,), (callback,) = collector.named("request.receive"), collector.named("callback.receive")
    assert webhook.parent == callback.parent == ""
    assert callback.links == [(webhook.trace_id, webhook.span_id)]


async def test_a_later_try_is_linked_and_what_failed_is_marked(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector
) -> None:
    outside.answers["/acme"] = says(404)
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 1.0)) as at:
        await at.receive("r-1")
        await at.until(SUBMITTED, makes_due=True)
    (webhook,) = collector.named("request.receive")
    first, second = collector.named("delivery.attempt", operation="create")
    assert (first.is_error, first.parent, first.links) == (True, webhook.span_id, [])
    assert (second.is_error, second.parent) == (False, "")
    assert second.links == [(webhook.trace_id, webhook.span_id)]


async def test_of_what_nobody_traces_only_failures_and_dead_letters_are_kept(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector
) -> None:
    outside.answers["/acme"] = says(400)
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 0.0)) as at:
        await at.receive("r-1")
        await at.until("SELECT failure FROM requests")
        await at.receive("r-2")
        await at.until("SELECT submitted_at FROM requests WHERE id = 'r-2'")
        assert await pool.fetchval("SELECT count(trace) FROM requests") == 0
    (dead,) = collector.spans
    assert (dead.name, dead.is_error, dead.facts["request_id"]) == ("delivery.attempt", True, "r-1")
    assert (dead.facts["outcome"], dead.facts["is_last"]) == ("refused", True)
    assert not any("traceparent" in call.headers for call in outside.calls)


async def test_the_trace_of_a_sender_who_does_not_sample_is_handed_on_and_not_exported(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector
) -> None:
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 0.0)) as at:
        await at.receive("r-1", traceparent=f"00-{NEWSTORE_TRACE}-{NEWSTORE_SPAN}-00")
        await at.until(SUBMITTED)
    assert collector.spans == []
    (called,) = outside.to("/acme")
    told = trace.read(called.headers["traceparent"])
    assert told is not None
    assert (told.trace_id, told.sampled) == (NEWSTORE_TRACE, False)


async def test_a_story_names_the_traces_that_were_kept(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector
) -> None:
    outside.answers = {"/acme": says(500, times=2)}
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 0.0)) as at:
        await at.receive("r-1", **TRACED)
        await at.receive("r-2")
        await at.until("SELECT count(submitted_at) = 2 FROM requests", makes_due=True)
        await at.receive("r-3", traceparent=f"00-{NEWSTORE_TRACE}-{NEWSTORE_SPAN}-00")
        traced, not_chosen, not_sampled = [await listing.story(pool, each) for each in ("r-1", "r-2", "r-3")]
    failed = {span.facts["request_id"]: span.trace_id for span in collector.spans if span.is_error}
    assert traced is not None
    assert not_chosen is not None
    assert not_sampled is not None
    assert not_sampled["trace_id"] is None
    kept = {each["request_id"]: each for each in await pool.fetch("SELECT * FROM attempts WHERE outcome = 'unknown'")}
    assert {name: row["trace_id"] for name, row in kept.items()} == failed
    assert (traced["trace_id"], traced["attempts"][0]["trace_id"]) == (NEWSTORE_TRACE, NEWSTORE_TRACE)
    assert (not_chosen["trace_id"], not_chosen["attempts"][-1]["trace_id"]) == (None, None)


async def test_who_is_not_let_in_makes_no_span(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector
) -> None:
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 1.0)) as at:
        assert await at.receive("r-1", **TRACED, Authorization="Bearer wrong") == 401
        assert await at.receive("r-1", "elsewhere", **TRACED) == 404
        assert await at.say(event("accepted", "e1"), **TRACED, Authorization="Bearer wrong") == 401
        async with at.session.get(f"{at.gateway.public_url}/livez", headers=TRACED) as answer:
            assert answer.status == 200
    assert collector.spans == []


@pytest.mark.parametrize("traced", [TRACED, {}])
async def test_the_trace_of_a_repeated_call_shows_who_had_it_repeated(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector, traced: dict[str, str]
) -> None:
    outside.answers["/acme"] = says(400)
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 0.0)) as at:
        await at.receive("r-1", **traced)
        await at.until("SELECT failure FROM requests")
        assert await at.do("requests/r-1/redrive") == 200
        await at.until(SUBMITTED)
    (act,) = collector.named("operator.act")
    assert act.facts == {"act": "redrive", "request_id": "r-1"}
    webhooks = [(each.trace_id, each.span_id) for each in collector.named("request.receive")]
    assert act.links == webhooks
    assert len(webhooks) == len(traced)
    repeated = collector.named("delivery.attempt", outcome="done")[0]
    assert (repeated.trace_id, repeated.parent) == (act.trace_id, act.span_id)


async def test_each_act_is_traced_without_its_reason(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector
) -> None:
    outside.answers["/acme"] = says(400)
    acts = ["discard", "replay", *ACTS, "hold", "release"]
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 0.0)) as at:
        await at.receive("r-1", **TRACED)
        await at.until("SELECT failure FROM requests")
        for number, way in enumerate(("discard", "replay")):
            assert await at.say(event("vanished", f"e{number}")) == 202
            kept = await pool.fetchval("SELECT max(id) FROM quarantine")
            assert await at.do(f"quarantine/{kept}/{way}") == 200
        for action in ACTS:
            order = {"reroute": {"to": "acme"}, "reject": {"rejection_reason": "no_inventory"}}.get(action, {})
            assert await at.do(f"requests/r-1/{action}", **order) in {200, 409}
        assert await at.do("holds", scope="request", name="r-1") == 201
        assert await at.do(f"holds/{await pool.fetchval('SELECT id FROM holds')}/release") == 200
    spans = collector.named("operator.act", request_id="r-1")
    assert [span.facts["act"] for span in spans] == acts
    assert {link[0] for span in spans for link in span.links} == {NEWSTORE_TRACE}
    assert all(span.links for span in spans)
    assert not any(b"Lovelace" in body or b"otto" in body for body in collector.bodies)


async def test_a_hold_says_what_it_is_on_unless_nobody_knows_that(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector
) -> None:
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 0.0)) as at:
        assert await at.do("holds", scope="location", name="DC01") == 201
        assert await at.do("holds", scope="request", name="Ada Lovelace") == 201
        assert await at.do("holds/0/release") == 404
    told = [(span.facts, span.is_error) for span in collector.named("operator.act")]
    assert told == [
        ({"act": "hold", "scope": "location", "name": "DC01"}, False),
        ({"act": "hold", "scope": "request"}, False),
        ({"act": "release"}, True),
    ]


async def exemplars(at: At) -> dict[str, set[str]]:
    """The trace ids beside each histogram."""
    headers = {"Accept": "application/openmetrics-text"}
    async with at.session.get(f"{at.gateway.internal_url}/metrics", headers=headers) as answer:
        told = text_string_to_metric_families(await answer.text())  # type: ignore[no-untyped-call]
    found: dict[str, set[str]] = {}
    for sample in (sample for family in told for sample in family.samples if sample.exemplar):
        found.setdefault(sample.name, set()).add(sample.exemplar.labels["trace_id"])
    return found


async def test_latencies_and_clocks_name_the_traces_that_are_kept(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector
) -> None:
    outside.answers["/acme"] = says(404)
    async with gateway_at(database, pool, outside, Telemetry(collector.url, 0.0)) as at:
        await at.receive("r-1")
        await at.until("SELECT count(*) FROM attempts")
        failing = await exemplars(at)
        await at.receive("r-2", traceparent="00-" + "e" * 32 + "-" + "f" * 16 + "-01")
        await at.until("SELECT submitted_at FROM requests WHERE id = 'r-2'")
        told = await exemplars(at)
    (failed,) = collector.named("delivery.attempt", request_id="r-1")
    assert [name for name, traces in failing.items() if failed.trace_id in traces] == ["gateway_attempt_seconds_bucket"]
    assert {name for name, traces in told.items() if "e" * 32 in traces} == {
        "gateway_ack_seconds_bucket", "gateway_attempt_seconds_bucket", "gateway_step_seconds_bucket",
    }  # fmt: skip


@pytest.mark.parametrize("ratio", [None, 0.0])
async def test_what_nobody_traces_has_no_exemplar(
    database: str, pool: asyncpg.Pool, outside: Outside, collector: Collector, ratio: float | None
) -> None:
    telemetry = Telemetry() if ratio is None else Telemetry(collector.url, ratio)
    async with gateway_at(database, pool, outside, telemetry) as at:
        before = await exemplars(at)
        await at.receive("r-1", traceparent=f"00-{NEWSTORE_TRACE}-{NEWSTORE_SPAN}-00")
        await at.until(SUBMITTED)
        assert await exemplars(at) == before


async def test_a_request_is_traced_or_not_by_its_id(collector: Collector) -> None:
    async def chosen(ratio: float) -> list[bool]:
        async with trace.exporting(Telemetry(collector.url, ratio)):
            found = []
            for number in range(1000):
                span = trace.receive("request.receive", None)
                trace.about(f"r-{number}")
                found.append(span is not None and span.sampled)
            return found

    quarter, again, half = await chosen(0.25), await chosen(0.25), await chosen(0.5)
    assert quarter == again
    assert 200 < sum(quarter) < 300
    assert all(more for more, less in zip(half, quarter, strict=True) if less)


@pytest.mark.parametrize(
    "traceparent",
    [
        None, "", "nonsense", f"ff-{NEWSTORE_TRACE}-{NEWSTORE_SPAN}-01", f"00-{'0' * 32}-{NEWSTORE_SPAN}-01",
        f"00-{NEWSTORE_TRACE}-{'0' * 16}-01", f"00-{NEWSTORE_TRACE}-{NEWSTORE_SPAN}-01-more",
        f"00-{NEWSTORE_TRACE.upper()}-{NEWSTORE_SPAN}-01",
    ],
)  # fmt: skip
def test_what_is_no_traceparent_is_ignored(traceparent: str | None) -> None:
    assert trace.read(traceparent) is None


def test_a_traceparent_of_a_later_version_is_understood() -> None:
    assert str(trace.read(f"01-{NEWSTORE_TRACE}-{NEWSTORE_SPAN}-03-more")) == f"00-{NEWSTORE_TRACE}-{NEWSTORE_SPAN}-01"


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """The URL of a collector that takes a connection and never answers."""
    closed = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await closed.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    closed.set()
    server.close()
    await server.wait_closed()


async def test_requests_pass_while_the_collector_is_down_or_silent(
    database: str, pool: asyncpg.Pool, outside: Outside, silent: str
) -> None:
    for url in ("http://127.0.0.1:9", silent):
        async with gateway_at(database, pool, outside, Telemetry(url, 1.0)) as at:
            for number in range(20):
                assert await at.receive(f"{url}-{number}") == 200
            await at.until("SELECT bool_and(submitted_at IS NOT NULL) FROM requests")


async def test_a_collector_that_is_down_or_silent_holds_up_no_stop(silent: str) -> None:
    for url in ("http://127.0.0.1:9", silent):
        async with trace.exporting(Telemetry(url, 1.0)):
            span = trace.receive("request.receive", None)
            trace.about("r-1")
            trace.end(span, failed=False)
            began = perf_counter()
        assert perf_counter() - began < 1.5


@pytest.fixture
async def alone() -> None:
    """What earlier tests left exporting has given up, or it would be counted here."""
    for thread in threading.enumerate():
        if thread.name == LAST_EXPORT:
            await asyncio.to_thread(thread.join, 20)


async def test_spans_are_counted_as_made_and_as_arrived_or_lost(alone: None, collector: Collector) -> None:
    async def one(url: str) -> None:
        async with trace.exporting(Telemetry(url, 1.0)):
            span = trace.receive("request.receive", None)
            trace.about("r-1")
            trace.end(span, failed=False)

    with growth("gateway_spans_total") as grown:
        await one(collector.url)
        await one(f"{collector.url}/nowhere")
    told = {name: grown[f"gateway_spans_total {name}"] for name in ("made", "sent", "lost")}
    assert told == {"made": 2, "sent": 1, "lost": 1}


async def test_a_collector_whose_name_leads_to_a_clouds_metadata_is_not_called_and_told_once(
    alone: None, caplog: pytest.LogCaptureFixture
) -> None:
    url = "http://0xA9FEA9FD:4318"  # resolves to 169.254.169.253 everywhere, and no other test names it so
    with growth("gateway_spans_total") as grown:
        async with trace.exporting(Telemetry(url, 1.0)):
            span = trace.receive("request.receive", None)
            trace.about("r-1")
            trace.end(span, failed=False)
    assert grown["gateway_spans_total lost"] == 1
    assert [record.message for record in caplog.records] == ["collector.refused"]


async def test_no_span_follows_a_redirect_or_a_proxy_of_the_environment(
    alone: None, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def elsewhere(_: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": f"{collector.url}/v1/traces"})

    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    async with listening(web.post("/elsewhere/v1/traces", elsewhere)) as url:
        for endpoint in (f"{url}/elsewhere", collector.url):
            async with trace.exporting(Telemetry(endpoint, 1.0)):
                span = trace.receive("request.receive", None)
                trace.about("r-1")
                trace.end(span, failed=False)
    assert len(collector.spans) == 1


async def test_what_is_logged_of_traced_work_names_its_trace(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    async with trace.exporting(Telemetry(collector.url, 0.0)):
        trace.receive("request.receive", None)
        log("claims.taken_over", count=1)
        trace.receive("request.receive", TRACED["traceparent"])
        log("claims.taken_over", count=2)
    told = [vars(record)["facts"] for record in caplog.records]
    assert told == [{"count": 1}, {"count": 2, "trace_id": NEWSTORE_TRACE}]


def test_without_a_collector_nothing_is_imported() -> None:
    script = (
        "import asyncio, sys; from gateway import app; from gateway.settings import Telemetry;"
        "from gateway.telemetry import trace\n"
        "async def main():\n"
        "    async with trace.exporting(Telemetry()): assert trace.receive('request.receive', None) is None\n"
        "asyncio.run(main()); print([name for name in sys.modules if name.startswith(('opentelemetry', 'requests'))])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
