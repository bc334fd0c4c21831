"""The roads that people walk, in a real browser."""

from typing import TYPE_CHECKING

from gateway.demo.world import World
from tests.dashboard import stand
from tests.dashboard.conftest import NewPage

if TYPE_CHECKING:
    from playwright.async_api import Locator, Page

HOSTILE = '<img src=x onerror="alert(1)">'
MARKDOWN = "**bold** [click](javascript:alert(2)) :red[x] $y$ `z`"
TURNED = "\u202eevil\u2066"


async def choose(page: "Page", table: str, row: int = 0) -> None:
    """Tick the box of a row: a table is drawn, so that it is found by its place."""
    grid = page.get_by_test_id("stDataFrame").filter(has=page.locator(f"canvas[aria-label='{table}']"))
    found = grid.first if await grid.count() else page.get_by_test_id("stDataFrame").last
    await found.click(position={"x": 16, "y": 35 + 35 * row + 17})


def dialog(page: "Page") -> "Locator":
    return page.get_by_role("dialog")


async def confirm(page: "Page", reason: str, button: str) -> None:
    await dialog(page).get_by_label("Reason").fill(reason)
    await dialog(page).get_by_role("button", name=button).click()
    await dialog(page).wait_for(state="detached")


async def test_a_failed_shipment_appears_is_understood_redriven_and_gone(sign_in: NewPage, stage: World) -> None:
    page = await sign_in("otto")
    await stand.refused(stage, "r-road")
    await page.get_by_role("link", name="failed at DC01").first.click()
    await page.get_by_role("heading", name="Failures").wait_for()
    await page.goto(f"{page.url.split('/failures')[0]}/request?id=r-road")
    await page.get_by_text("✕ failed: NewStore refused it").wait_for()
    await page.get_by_text("mend the cause there").wait_for()
    await page.get_by_role("button", name="Redrive").click()
    await dialog(page).get_by_text("Redrive would work on 1 of 1 request.").wait_for()
    await dialog(page).get_by_text("sent again, after a look").wait_for()
    await confirm(page, "stock was counted anew", "Redrive 1 request")
    await page.get_by_text("✓ settled").wait_for()
    await page.get_by_role("link", name="Audit").click()
    await page.get_by_role("button", name="CSV of these").wait_for()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="CSV of these").click()
    text = (await (await download.value).path()).read_text()
    assert "otto,redrive,r-road,stock was counted anew" in text
