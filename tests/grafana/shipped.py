"""What lies in grafana/: rules, alerts, dashboards and their expressions; and the programs that judge them."""

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

GRAFANA = Path(__file__).parents[2] / "grafana"
RULES = sorted((GRAFANA / "prometheus" / "rules").glob("*.yml"))
BOARDS = {file.stem: json.loads(file.read_text()) for file in sorted((GRAFANA / "dashboards").glob("*.json"))}


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skips where a program is not on this machine."""
    missing = [program for program in programs if not shutil.which(program)]
    debian = "apt-get install prometheus prometheus-alertmanager"
    return pytest.mark.skipif(bool(missing), reason=f"{', '.join(missing)} not found: {debian}")


@cache
def groups() -> list[dict[str, Any]]:
    return [group for file in RULES for group in yaml.safe_load(file.read_text())["groups"]]


def rules() -> list[dict[str, Any]]:
    return [rule for group in groups() for rule in group["rules"]]


ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in rules() if "alert" in rule}
RECORDED: dict[str, str] = {rule["record"]: rule["expr"] for rule in rules() if "record" in rule}


@dataclass(frozen=True, slots=True)
class Asked:
    """One expression and who asks it."""

    where: str
    expr: str
    exemplar: bool = False


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] not in {"row", "text"}]


def asked_by_dashboards() -> Iterator[Asked]:
    for name, board in BOARDS.items():
        for panel in panels(board):
            for target in panel["targets"]:
                where = f"{name}: {panel['title']}: {target['legendFormat']}"
                yield Asked(where, target["expr"], target["exemplar"])
        for note in board["annotations"].get("list", ()):
            yield Asked(f"{name}: annotation {note['name']}", note["expr"])
        for variable in board["templating"].get("list", ()):
            if variable["type"] == "query":
                inside = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"])
                assert inside, variable
                yield Asked(f"{name}: variable {variable['name']}", inside[1])


def asked_by_rules() -> Iterator[Asked]:
    for rule in rules():
        yield Asked(rule.get("alert") or rule["record"], rule["expr"])


def spelled_out(expr: str, interval: str = "1m") -> str:
    """As Grafana would send it, with All chosen everywhere."""
    expr = expr.replace("$__rate_interval", interval)
    return re.sub(r"\$(location|provider)\b", ".*", expr)


def metrics_in(expr: str) -> set[str]:
    """The names of ours in an expression, without what a histogram adds to its own."""
    bare = re.sub(r'"[^"]*"', "", expr)
    found = set(
        re.findall(r"(?<![\w:])(?:(?:gateway|process)_\w+|(?:pending|failed|rejected)_shipments)(?![\w:])", bare)
    )
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in found}
