import json
import re
from itertools import combinations
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.dashboard import Dashboard

from gateway.telemetry.metrics import DECLARED
from grafana import dashboards, runbooks
from tests.grafana.shipped import (
    BOARDS,
    GRAFANA,
    RECORDED,
    Asked,
    asked_by_dashboards,
    asked_by_rules,
    metrics_in,
    panels,
)

UNUSED: dict[str, str] = {}
"""Metrics that no panel shows, and why."""
COUNTERS = {each.name for each in DECLARED if each.kind == "counter"}
HISTOGRAMS = {each.name for each in DECLARED if each.kind == "histogram"}
DATABASE = {each.name for each in DECLARED if each.of == "database"}
KNOWN_UNITS = {value for value in vars(units).values() if isinstance(value, str)}
CHARTS = sorted(set(BOARDS) - {"runbooks"})


def test_the_committed_json_is_what_the_code_draws() -> None:
    committed = {file.name: file.read_text() for file in (GRAFANA / "dashboards").iterdir()}
    assert committed == dashboards.rendered(), "run `python -m grafana.dashboards`"


def lost(before: Any, after: Any, path: str = "") -> list[str]:
    if isinstance(before, dict):
        known = after if isinstance(after, dict) else {}
        gone = [f"{path}.{key}" for key in before if key not in known]
        return gone + [
            each for key in before if key in known for each in lost(before[key], known[key], f"{path}.{key}")
        ]
    if isinstance(before, list):
        return [
            each
            for n, (one, two) in enumerate(zip(before, after, strict=True))
            for each in lost(one, two, f"{path}[{n}]")
        ]
    return []


def round_trip(board: dict[str, Any]) -> list[str]:
    register_default_plugins()
    return lost(board, json.loads(json.dumps(Dashboard.from_json(board), cls=JSONEncoder)))


@pytest.mark.parametrize("name", BOARDS)
def test_grafana_knows_every_key(name: str) -> None:
    assert round_trip(BOARDS[name]) == []


def test_the_round_trip_finds_a_key_that_grafana_does_not_know() -> None:
    board = json.loads(json.dumps(BOARDS["road"]))
    board["panels"][1]["fieldConfig"]["defaults"]["custom"]["fillOpacityy"] = 1
    assert round_trip(board) == [".panels[1].fieldConfig.defaults.custom.fillOpacityy"]


@pytest.mark.parametrize("name", CHARTS)
def test_a_dashboard_can_be_found_and_filtered(name: str) -> None:
    board = BOARDS[name]
    variables = {each["name"]: each for each in board["templating"]["list"]}
    assert board["uid"] == f"gateway-{name}"
    assert board["refresh"]
    assert board["description"]
    assert list(variables) == ["datasource", "location", "provider", "dashboard"]
    assert (variables["dashboard"]["type"], variables["dashboard"]["query"]) == ("constant", "http://localhost:8501")
    assert [each["name"] for each in board["annotations"]["list"]] == ["Holds", "Breakers"]
    for chosen in ("location", "provider"):
        assert any(f"${chosen}" in target["expr"] for panel in panels(board) for target in panel["targets"]), chosen


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_explains_itself_and_leads_on(name: str) -> None:
    for panel in panels(BOARDS[name]):
        where = f"{name}: {panel['title']}"
        assert panel["title"], where
        assert panel["description"].endswith("."), where
        assert panel["fieldConfig"]["defaults"]["unit"] in KNOWN_UNITS, where
        assert panel["links"], where
        assert panel["datasource"]["uid"] == "${datasource}", where
        for target in panel["targets"]:
            assert target["datasource"]["uid"] == "${datasource}", where


@pytest.mark.parametrize("name", BOARDS)
def test_panels_have_a_number_and_a_place_of_their_own(name: str) -> None:
    drawn = BOARDS[name]["panels"]
    assert len({panel["id"] for panel in drawn}) == len(drawn)
    titles = [panel["title"] for panel in drawn if panel["type"] != "row"]
    assert len(set(titles)) == len(titles)
    for one, two in combinations([panel["gridPos"] for panel in drawn], 2):
        apart = one["x"] + one["w"] <= two["x"] or two["x"] + two["w"] <= one["x"]
        assert apart or one["y"] + one["h"] <= two["y"] or two["y"] + two["h"] <= one["y"], (one, two)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in drawn)


def test_links_lead_to_dashboards_and_runbooks_that_exist() -> None:
    uids = {board["uid"] for board in BOARDS.values()}
    sections = {panel["id"]: panel["title"] for panel in BOARDS["runbooks"]["panels"]}
    assert list(sections.values()) == list(runbooks.sections())
    for board in BOARDS.values():
        for panel in panels(board):
            link, *to_people = panel["links"]
            assert len(to_people) <= 1
            to = re.fullmatch(r"/d/([\w-]+)(?:\?viewPanel=(\d+))?", link["url"])
            assert to, link
            assert to[1] in uids, link
            if to[2]:
                assert link["title"] == f"Runbook: {sections[int(to[2])]}"


ASKED = [*asked_by_dashboards(), *asked_by_rules()]
RATE = re.compile(r"(?:rate|increase)\(\s*([\w:]+)")


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.where)
def test_an_expression_names_only_what_is_declared(asked: Asked) -> None:
    assert metrics_in(asked.expr) <= {each.name for each in DECLARED}
    assert set(re.findall(r"\b[a-z]\w*(?::\w+)+\b", asked.expr)) <= set(RECORDED)


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.where)
def test_counters_are_rated_and_gauges_are_not(asked: Asked) -> None:
    for name in RATE.findall(asked.expr):
        assert name.removesuffix("_bucket") in COUNTERS | HISTOGRAMS, name
    for name in metrics_in(asked.expr) & COUNTERS:
        assert re.search(rf"(rate|increase)\({name}", asked.expr), name


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: asked.where)
def test_what_every_replica_tells_alike_is_taken_once(asked: Asked) -> None:
    if ": variable " in asked.where:
        return
    for name in metrics_in(asked.expr) & DATABASE:
        assert re.search(
            rf"(max|min) (by \([\w, ]+\) )?\((max_over_time\()?{name}\b|(max|min)\({name}\b", asked.expr
        ), name


def test_panels_rate_over_grafanas_interval_or_a_quarter_of_an_hour() -> None:
    for asked in asked_by_dashboards():
        for window in re.findall(r"rate\([^\[]*\[([^\]]+)\]", asked.expr):
            assert window in {"$__rate_interval", "15m"}, asked


def test_every_metric_is_on_a_panel() -> None:
    shown = set().union(*(metrics_in(asked.expr) for asked in asked_by_dashboards()))
    behind = [expr for name, expr in RECORDED.items() if any(name in asked.expr for asked in asked_by_dashboards())]
    shown |= set().union(*map(metrics_in, behind))
    assert {each.name for each in DECLARED} - shown == set(UNUSED)
