"""Where Grafana's panels lead: to a page that there is, with filters that it reads."""

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from gateway.demo.world import World
from tests.dashboard import stand
from tests.grafana.shipped import BOARDS, panels

from .test_pages import look, person

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

__all__ = ["person"]

LINKS = sorted(
    {
        link["url"].removeprefix("${dashboard}")
        for board in BOARDS.values()
        for panel in panels(board)
        for link in panel["links"]
        if not link["url"].startswith("/")
    }
)
TITLES = {
    "/": "Now", "/shipments": "Shipments", "/failures": "Failures", "/places": "DCs and providers",
    "/mappings": "Mappings",
}  # fmt: skip


async def opened(link: str, location: str, provider: str) -> "tuple[AppTest, dict[str, str]]":
    """The page behind a link, as Grafana would spell it out, and what it was asked."""
    for name, value in (("location", location), ("provider", provider)):
        link = link.replace(f"${{{name}:percentencode}}", value)
    parts = urlsplit(link)
    asked = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    shown = await look(parts.path.removeprefix("/") or "now", **asked)
    assert shown.title[0].value == TITLES[parts.path]
    return shown, asked


def reads(shown: "AppTest", name: str) -> str:
    """What a page shows as chosen for a name in its address."""
    (widget,) = [each for each in (*shown.selectbox, *shown.button_group) if each.key == name]
    return str(widget.format_func(shown.session_state[name]))


async def test_a_page_of_the_dashboard_reads_each_filter_of_a_panels_link(person: None, stage: World) -> None:
    await stand.refused(stage, "r-linked")
    for link in LINKS:
        shown, asked = await opened(link, "DC01", "quick")
        assert {name: reads(shown, name) for name in asked} == asked, link


async def test_a_location_that_grafana_has_not_chosen_is_any(person: None, stage: World) -> None:
    await stand.refused(stage, "r-linked-too")
    for link in LINKS:
        if "${" in link:
            shown, _ = await opened(link, "%2E%2A", "%2E%2A")
            assert reads(shown, "dc") == "any", link
