"""What the pages say of the program and of each other."""

import re
import tomllib
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, cast

import asyncpg
import pytest

from gateway.domain.requests import STATUS_NEXT
from gateway.domain.units import CONFIRMED_NEXT, SAID_NEXT
from gateway.providers.http import WORDS
from gateway.providers.http_settings import HttpSettings
from gateway.settings import Secret
from tests.pages import PAGES, ROOT, commands
from tests.reading import read_callback

if TYPE_CHECKING:
    from enum import StrEnum

ACME = HttpSettings("acme", "http", "http://127.0.0.1:9", Secret("a" * 20), (Secret("c" * 20),))
DRAWN = {
    before: set(after.split(" | "))
    for before, after in re.findall(r"^    ([a-z_]+) ─▶ ([a-z_ |]+)$", PAGES["gateway/README.md"], re.MULTILINE)
}
LINKS = sorted(
    {(page, to) for page, text in PAGES.items() for to in re.findall(r"\]\(([^)]+)\)", text) if "://" not in to}
)
YOURS = {"gateway.toml", ".streamlit/secrets.toml"}
"""Files that a reader makes, and we do not have."""
_SUFFIXES = {".py", ".md", ".sql", ".toml", ".yml", ".txt"}
_TOP = {each.name for each in ROOT.iterdir()}


def paths(page: str) -> set[str]:
    """Give what looks like a file or folder of ours: it has one's ending, or begins in one of our folders."""
    words = set(re.findall(r"`([\w.-]+(?:/[\w.*-]+)*)/?`", PAGES[page])) - YOURS
    return {
        word for word in words
        if not word.startswith(".gateway/")  # what a run makes
        and (PurePosixPath(word).suffix in _SUFFIXES or ("/" in word and word.partition("/")[0] in _TOP))
    }  # fmt: skip


def anchors(text: str) -> set[str]:
    """Give the names by which headings can be linked to."""
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_what_a_provider_is_told_to_say_is_understood() -> None:
    said = [
        read_callback(line.encode(), ACME, datetime.now(UTC))
        for line in commands("gateway/providers/README.md")
        if line.startswith('{"type"')
    ]
    assert [(each.word, each.problem) for each in said] == [(word, "") for word in WORDS.values()]


def test_the_state_machines_are_drawn_as_they_are() -> None:
    machines: dict[StrEnum, frozenset[StrEnum]] = {}
    for machine in (SAID_NEXT, CONFIRMED_NEXT, STATUS_NEXT):
        machines.update(cast("dict[StrEnum, frozenset[StrEnum]]", machine))
    assert {str(before): {str(state) for state in after} for before, after in machines.items() if after} == DRAWN


def test_the_packages_are_drawn_in_the_order_in_which_they_may_import() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    road = "\n".join(f"    {layer.replace('gateway.', '')}" for layer in contracts[0]["layers"])
    assert f"\n\n{road}\n\n" in PAGES["gateway/README.md"]
    inside = ", ".join(f"`{layer.rpartition('.')[2]}`" for layer in contracts[1]["layers"])
    assert f"Inside `ledger` the order is {inside}." in PAGES["gateway/README.md"]


async def test_every_table_of_the_database_is_listed(database: str) -> None:
    connection = await asyncpg.connect(database)
    try:
        there = await connection.fetchval(
            "SELECT array_agg(relname::text) FROM pg_class "
            "WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition"
        )
    finally:
        await connection.close()
    listed = re.findall(r"^\| `(\w+)` \|", PAGES["sql/README.md"], re.MULTILINE)
    assert sorted(listed) == sorted(there)


def test_whoever_arrives_reads_a_short_page_from_which_each_other_is_reached() -> None:
    assert len(PAGES["README.md"].splitlines()) < 170
    linked = {to.partition("#")[0] for page, to in LINKS if page == "README.md"}
    assert PAGES.keys() - linked == {"README.md"}


@pytest.mark.parametrize(("page", "to"), LINKS)
def test_a_link_leads_somewhere(page: str, to: str) -> None:
    path, _, anchor = to.partition("#")
    target = (ROOT / page).parent / path if path else ROOT / page
    assert target.exists()
    assert not anchor or anchor in anchors(target.read_text())


@pytest.mark.parametrize("page", PAGES)
def test_a_file_that_a_page_names_is_there(page: str) -> None:
    folders = (ROOT, (ROOT / page).parent)
    assert [path for path in sorted(paths(page)) if not any(any(folder.glob(path)) for folder in folders)] == []


def test_what_a_page_has_make_do_it_does() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    told = "\n".join(PAGES.values())
    asked = set(re.findall(r"(?:`|^ {4,})make ([a-z-]+)", told, re.MULTILINE))
    assert asked <= targets
