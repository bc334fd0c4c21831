"""`promtool test rules`, driven from Python."""

import subprocess
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import orjson

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
    _pass([_written(folder / f"cases-{half}.yml", RULES, groups(), scenes[half::2], every) for half in range(2)])


def passes_alone(folder: Path, scenes: Mapping[str, list[dict[str, Any]]], every: str) -> None:
    """The same, with no alert's rule but the one that the scenes are about: all others would be judged in vain."""
    files = []
    for alert, its in scenes.items():
        kept = _of(alert)
        rules = folder / f"{alert}.rules.yml"
        rules.write_bytes(orjson.dumps({"groups": kept}))
        files.append(_written(folder / f"{alert}.yml", [rules], kept, its, every))
    _pass(files)


def _of(alert: str) -> list[dict[str, Any]]:
    """The groups with what is recorded, and this one alert."""
    kept = [
        {**group, "rules": [each for each in group["rules"] if each.get("alert", alert) == alert]} for group in groups()
    ]
    return [group for group in kept if group["rules"]]


def _written(
    file: Path, rules: list[Path], kept: list[dict[str, Any]], scenes: list[dict[str, Any]], every: str
) -> Path:
    tests = {
        "rule_files": [str(each) for each in rules],
        "evaluation_interval": every,
        # What is recorded comes before what reads it.
        "group_eval_order": [each["name"] for each in sorted(kept, key=lambda group: "alert" in group["rules"][0])],
        "tests": scenes,
    }
    file.write_bytes(orjson.dumps(tests))  # which is YAML, too, and a hundred times as fast
    return file


def _pass(files: list[Path]) -> None:
    with ThreadPoolExecutor(2) as pool:
        for said in pool.map(_judged, (files[::2], files[1::2])):
            assert not said, said


def _judged(files: list[Path]) -> str:
    """Tell what promtool says against these."""
    if not files:
        return ""
    judged = subprocess.run(["promtool", "test", "rules", *files], capture_output=True, text=True, check=False)
    return judged.stdout + judged.stderr if judged.returncode else ""
