import re
from pathlib import Path

from gateway.domain.requests import STATUS_NEXT
from gateway.domain.units import CONFIRMED_NEXT, SAID_NEXT

README = (Path(__file__).parents[1] / "README.md").read_text()
DRAWN = {
    before: set(after.split(" | "))
    for before, after in re.findall(r"^    ([a-z_]+) ─▶ ([a-z_ |]+)$", README, re.MULTILINE)
}


def test_the_readme_draws_the_state_machines_of_the_code() -> None:
    machines = {**SAID_NEXT, **CONFIRMED_NEXT, **STATUS_NEXT}
    assert {str(before): {str(state) for state in after} for before, after in machines.items() if after} == DRAWN
