"""`promtool test rules`, driven from Python."""

import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import yaml

from tests.grafana.shipped import ALERTS, RULES, groups

Firing = Iterable[Mapping[str, str]]


def firing(alert: str, at: str, labels: Firing) -> dict[str, Any]:
    """The check that exactly these alerts of one name fire at that time."""
    return check(f'ALERTS{{alertname="{alert}",alertstate="firing"}}', at, [named(alert, each) for each in labels])


def check(expr: str, at: str, expected: Firing) -> dict[str, Any]:
    samples = [{"labels": "ALERTS" + _braces(labels), "value": 1} for labels in expected]
    return {"expr": expr, "eval_time": at, "exp_samples": samples}


def named(alert: str, labels: Mapping[str, str]) -> dict[str, str]:
    """As Prometheus stores a firing alert."""
    severity = ALERTS[alert]["labels"]["severity"]
    return {"alertname": alert, "alertstate": "firing", "severity": severity, **labels}


def _braces(labels: Mapping[str, str]) -> str:
    return "{" + ",".join(f'{name}="{value}"' for name, value in labels.items()) + "}"


def scene(name: str, step: str, series: Mapping[str, str], checks: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "interval": step,
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": checks,
    }


def passes(folder: Path, scenes: list[dict[str, Any]], every: str = "1m") -> None:
    """Raises with promtool's own words where a check does not hold; each scene is on its own, so two run at once."""
    with ThreadPoolExecutor(2) as pool:
        for said in pool.map(lambda half: _judged(folder / f"cases-{half}.yml", scenes[half::2], every), range(2)):
            assert not said, said


def _judged(file: Path, scenes: list[dict[str, Any]], every: str) -> str:
    """Tell what promtool says against these."""
    tests = {
        "rule_files": [str(each) for each in RULES],
        "evaluation_interval": every,
        # What is recorded comes before what reads it.
        "group_eval_order": [each["name"] for each in sorted(groups(), key=lambda group: "alert" in group["rules"][0])],
        "tests": scenes,
    }
    file.write_text(yaml.safe_dump(tests, width=1000, sort_keys=False))
    judged = subprocess.run(["promtool", "test", "rules", file], capture_output=True, text=True, check=False)
    return judged.stdout + judged.stderr if judged.returncode else ""
