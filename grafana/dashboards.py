"""`python -m grafana.dashboards` writes the dashboards beside this file; their JSON is committed."""

import json
from pathlib import Path
from typing import Final

from grafana_foundation_sdk.builders import dashboard, text
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.text import TextMode

from grafana import destinations, gateway, operations, road, runbooks
from grafana.drawing import blank, drawn

FOLDER: Final = Path(__file__).with_name("dashboards")
PAGES: Final = {page.title.lower(): page for page in (operations.PAGE, road.PAGE, destinations.PAGE, gateway.PAGE)}


def rendered() -> dict[str, str]:
    """Give every dashboard's JSON by its file's name."""
    boards = {name: drawn(page) for name, page in PAGES.items()} | {"runbooks": _runbooks()}
    return {f"{name}.json": _json(board) for name, board in boards.items()}


def _runbooks() -> dashboard.Dashboard:
    board = blank(runbooks.UID, "Runbooks", "What to do about each alert; each link to one shows it alone.")
    for number, (alert, content) in enumerate(runbooks.sections().items(), 1):
        panel = text.Panel().title(alert).description(f"What to do about {alert}.").mode(TextMode.MARKDOWN)
        board.with_panel(panel.content(content).id(number).height(8).span(12))
    return board


def _json(board: dashboard.Dashboard) -> str:
    return json.dumps(board.build(), cls=JSONEncoder, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write them all."""
    FOLDER.mkdir(exist_ok=True)
    for name, content in rendered().items():
        (FOLDER / name).write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
