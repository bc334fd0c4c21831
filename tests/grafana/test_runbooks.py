import re
import shlex
from typing import Any

import pytest
import typer.main

from gateway.cli import cli
from grafana import runbooks
from tests.grafana.shipped import ALERTS, BOARDS

SECTIONS = runbooks.sections()
COMMANDS = sorted({(name, said) for name, text in SECTIONS.items() for said in re.findall(r"`(gateway [^`]+)`", text)})
LABELS = re.compile(r"\$labels\.(\w+)")


def test_every_alert_has_a_section_and_every_section_an_alert() -> None:
    assert sorted(SECTIONS) == sorted(ALERTS)


@pytest.mark.parametrize("name", SECTIONS)
def test_a_section_says_what_it_means_how_to_see_it_and_what_to_do(name: str) -> None:
    assert re.findall(r"^\*\*([\w ]+)\*\*:", SECTIONS[name], re.MULTILINE) == ["For the customer", "See", "Do"]


@pytest.mark.parametrize(("section", "said"), COMMANDS)
def test_a_command_in_a_runbook_is_one_of_the_gateway(section: str, said: str) -> None:
    words = shlex.split(said)[1:]
    command: Any = typer.main.get_command(cli)
    context = command.make_context("gateway", ["demo"])
    while hasattr(command, "get_command"):
        found = command.get_command(context, words.pop(0))
        assert found is not None, said
        command = found
    values = ["1" if word in {"HOLD", "NUMBER"} else word for word in words]
    command.make_context("gateway", values)  # raises for an option or argument that the command does not take


def test_commands_that_need_a_reason_are_given_one() -> None:
    silent = {
        "list",
        "show",
        "holds",
        "audit",
        "quarantine list",
        "quarantine show",
        "mappings list",
        "check-config",
        "serve",
        "migrate",
        "token",
    }
    free = {"note", "take"}
    for _, said in COMMANDS:
        words = said.split()[1:]
        name = " ".join(words[:2]) if words[0] in {"quarantine", "mappings"} else words[0]
        assert ("--reason" in said) == (name not in silent | free), said


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_and_where_to_read_on(name: str) -> None:
    alert = ALERTS[name]
    told = alert["annotations"]
    assert set(told) == {"summary", "description", "runbook_url", "dashboard_url"}
    assert alert["labels"]["severity"] in {"page", "warning", "info", "none"}
    number = next(panel["id"] for panel in BOARDS["runbooks"]["panels"] if panel["title"] == name)
    assert told["runbook_url"] == "{{ $externalLabels.grafana }}" + runbooks.path(name)
    assert runbooks.path(name).endswith(f"={number}")
    to = re.match(r"\{\{ \$externalLabels\.grafana \}\}/d/([\w-]+)", told["dashboard_url"])
    assert to
    assert to[1] in {board["uid"] for board in BOARDS.values()}
