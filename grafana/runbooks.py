"""The runbooks, one section for each alert, and where Grafana shows each."""

import re
from pathlib import Path
from typing import Final

RUNBOOKS: Final = Path(__file__).with_name("runbooks.md")
UID: Final = "gateway-runbooks"


def sections() -> dict[str, str]:
    """Give the text of each section by the name of its alert, in order."""
    parts = re.split(r"^## (\w+)\n", RUNBOOKS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {name: text.strip() for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def path(alert: str) -> str:
    """Give the path under Grafana at which one runbook fills the page."""
    return f"/d/{UID}?viewPanel={list(sections()).index(alert) + 1}"
