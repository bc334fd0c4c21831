"""What `/metrics` promises: what is declared, no more and no less, and nothing that a sender can invent."""

from pathlib import Path

from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from gateway.telemetry.metrics import DECLARED
from gateway.telemetry.table import table
from tests.served import KEY, Served, event, order

PAGE = (Path(__file__).parents[2] / "grafana" / "README.md").read_text()


PROMETHEUS = {"Accept": "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"}


async def scraped(gateway: Served, **headers: str) -> str:
    return await (await gateway.internal.get("/metrics", headers=headers)).text()


def test_the_page_on_watching_lists_every_metric() -> None:
    assert f"\n\n{table()}\n\n" in PAGE


async def test_what_is_shown_is_what_is_declared(gateway: Served) -> None:
    await gateway.receive(order())
    families = list(text_string_to_metric_families(await scraped(gateway)))
    shown = {each.name + ("_total" if each.type == "counter" else ""): each for each in families}
    declared = {each.name: each for each in DECLARED}

    assert {name: each.type for name, each in shown.items()} == {name: each.kind for name, each in declared.items()}
    for name, each in shown.items():
        for sample in each.samples:
            assert set(sample.labels) - {"le"} == set(declared[name].labels), name


def test_only_the_users_own_names_and_those_of_every_process_are_without_our_prefix() -> None:
    own = [each.name for each in DECLARED if not each.name.startswith(("gateway_", "process_"))]
    assert own == ["pending_shipments", "failed_shipments", "rejected_shipments"]


async def test_who_asks_for_openmetrics_gets_the_same_series_in_it(gateway: Served) -> None:
    await gateway.receive(order())
    answer = await gateway.internal.get("/metrics", headers=PROMETHEUS)
    assert answer.content_type == "application/openmetrics-text"
    told = openmetrics.text_string_to_metric_families(await answer.text())  # type: ignore[no-untyped-call]
    names = {sample.name for family in told for sample in family.samples}
    classic = text_string_to_metric_families(await scraped(gateway, Accept="text/plain"))
    assert names == {sample.name for family in classic for sample in family.samples}
    assert not any(name.endswith("_created") for name in names)


async def test_no_sender_can_make_a_series(gateway: Served) -> None:
    for invented in ("made-up-1", "made-up-2"):
        await gateway.receive(order(invented, invented), location=invented)
        await gateway.receive(order(invented, invented, order_id=invented))
        await gateway.say(event(invented, invented, invented), provider=invented)
        await gateway.say(event(invented, invented, invented))
        await gateway.public.get(f"/{invented}", headers=KEY)
        await gateway.do("/v1/holds", {"scope": "request", "name": invented, "reason": invented})
    text = await scraped(gateway)
    assert 'gateway_ingest_answers_total{code="404",location="unknown"}' in text
    assert 'gateway_callback_answers_total{code="404",provider="unknown"}' in text
    assert "made-up" not in text
