import re
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.grafana.cases import CASES, Case
from tests.grafana.promtool import firing, passes_alone, scene
from tests.grafana.shipped import ALERTS, GRAFANA, RULES, needs

pytestmark = needs("promtool", "amtool")
LABELS = re.compile(r"\$labels\.(\w+)")
FUNCTIONS = {"humanize", "humanizeDuration", "humanizePercentage", "humanizeTimestamp"}


def said(*command: object) -> str:
    judged = subprocess.run([str(each) for each in command], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    return judged.stdout


def test_prometheus_takes_the_rules_and_the_settings() -> None:
    said("promtool", "check", "rules", *RULES)
    said("promtool", "check", "config", GRAFANA / "prometheus" / "prometheus.yml")


def test_alertmanager_takes_its_settings_and_sends_each_severity_its_way() -> None:
    file = GRAFANA / "alertmanager" / "alertmanager.yml"
    said("amtool", "check-config", file)
    for labels, receiver in (
        ("severity=page", "pager"),
        ("severity=warning", "tickets"),
        ("severity=info", "nobody"),
        ("alertname=Watchdog", "watchdog"),
    ):
        assert said("amtool", "config", "routes", "test", "--config.file", file, labels).strip() == receiver


def test_what_silences_and_what_is_silenced_are_alerts() -> None:
    settings = yaml.safe_load((GRAFANA / "alertmanager" / "alertmanager.yml").read_text())
    for rule in settings["inhibit_rules"]:
        for matcher in (*rule["source_matchers"], *rule["target_matchers"]):
            name, names = re.fullmatch(r'(\w+) =~? "(.+)"', matcher).groups()  # type: ignore[union-attr]
            assert name != "alertname" or set(names.split("|")) <= set(ALERTS), matcher
        # A label that neither has counts as equal: what is compared must be there.
        for label in rule.get("equal", ()):
            for matcher in (rule["source_matchers"][0], rule["target_matchers"][0]):
                for alert in re.findall(r"[A-Z]\w+", matcher):
                    assert any(label in each for each in CASES[alert].labels), (alert, label)


def test_every_alert_has_a_case() -> None:
    assert sorted(CASES) == sorted(ALERTS)
    assert [name for name, case in CASES.items() if not case.quiet] == ["Watchdog"]


def test_texts_name_only_labels_that_the_alert_has() -> None:
    for name, case in CASES.items():
        told = " ".join(ALERTS[name]["annotations"].values())
        for labels in case.labels:
            missing = set(LABELS.findall(told)) - set(labels) - {"name", "location"}
            assert not missing, name
        assert set(re.findall(r"\| (\w+)", told)) <= FUNCTIONS


@pytest.mark.parametrize("step", ["1m", "5m"])
def test_each_alert_fires_for_its_cause_and_not_for_what_is_like_it(step: str, tmp_path: Path) -> None:
    scenes = {}
    for name, case in CASES.items():
        if case.step == step:
            quiet = [scene(f"{name} {n}: quiet", step, each, _quiet(name, case)) for n, each in enumerate(case.quiet)]
            scenes[name] = [scene(f"{name} fires", step, case.fires, [firing(name, case.at, case.labels)]), *quiet]
    passes_alone(tmp_path, scenes, every="1m" if step == "1m" else "30m")


def _quiet(name: str, case: Case) -> list[dict[str, object]]:
    return [{"expr": f'count_over_time(ALERTS{{alertname="{name}",alertstate="firing"}}[1h])', "eval_time": case.at}]
