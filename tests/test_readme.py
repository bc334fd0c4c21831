import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gateway.domain.requests import STATUS_NEXT
from gateway.domain.units import CONFIRMED_NEXT, SAID_NEXT
from gateway.providers.http import WORDS, read_callback
from gateway.settings import Provider, Secret

if TYPE_CHECKING:
    from enum import StrEnum

ACME = Provider("acme", "http", "http://127.0.0.1:9", Secret("a" * 20), (Secret("c" * 20),))
README = (Path(__file__).parents[1] / "README.md").read_text()
DRAWN = {
    before: set(after.split(" | "))
    for before, after in re.findall(r"^    ([a-z_]+) ─▶ ([a-z_ |]+)$", README, re.MULTILINE)
}


def test_what_the_readme_lets_a_provider_say_is_understood() -> None:
    said = [
        read_callback(line.encode(), ACME, datetime.now(UTC))
        for line in re.findall(r'^    (\{"type".*)$', README, re.MULTILINE)
    ]
    assert [(each.word, each.problem) for each in said] == [(word, "") for word in WORDS.values()]


def test_the_readme_draws_the_state_machines_of_the_code() -> None:
    machines: dict[StrEnum, frozenset[StrEnum]] = {}
    for machine in (SAID_NEXT, CONFIRMED_NEXT, STATUS_NEXT):
        machines.update(cast("dict[StrEnum, frozenset[StrEnum]]", machine))
    assert {str(before): {str(state) for state in after} for before, after in machines.items() if after} == DRAWN
