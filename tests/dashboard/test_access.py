"""Whoever can't see well, or uses no mouse: axe-core over each page in both themes, and an act by keyboard alone."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from gateway.demo.world import World
from tests.dashboard import stand
from tests.dashboard.conftest import NewPage
from tests.dashboard.test_browser import dialog, site_of, whole

if TYPE_CHECKING:
    from playwright.async_api import Page

FURTHER_PAGES = ("shipments?status=all", "failures", "failures?show=Quarantine", "places", "audit", "request?id=r-seen")


async def barriers(page: "Page") -> list[str]:
    """Name what keeps people out, as axe-core sees it: moderate, serious or critical; of a theme, its colours."""
    from axe_playwright_python.async_playwright import Axe  # type: ignore[import-untyped]  # noqa: PLC0415 - not everywhere

    found = []
    for theme, options in (("light", {}), ("dark", {"runOnly": ["color-contrast"]})):
        await page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        seen = (await Axe().run(page, options={**options, "resultTypes": ["violations"]})).response["violations"]
        found += [
            f"{page.url}, {theme}: {violation['id']} at {node['target']}: {node['failureSummary']}"
            for violation in seen
            if violation["impact"] != "minor"
            for node in violation["nodes"]
        ]
    return found


async def barriers_of_whole(page: "Page") -> list[str]:
    """The same once nothing of the page is pale any more, as it is while it comes."""
    await page.wait_for_load_state("networkidle")
    await whole(page)
    return await barriers(page)


@pytest.mark.skipif(find_spec("axe_playwright_python") is None, reason="pip install axe-playwright-python")
@pytest.mark.slow
@pytest.mark.timeout(400)
async def test_no_page_keeps_anybody_out(sign_in: NewPage, stage: World) -> None:
    await stand.refused(stage, "r-seen")
    page = await sign_in("ada")
    found = await barriers_of_whole(page)
    for path in FURTHER_PAGES:
        await page.goto(f"{site_of(page)}/{path}")
        found += await barriers_of_whole(page)
    await page.get_by_text("Bodies: what was sent").click()
    await page.get_by_role("button", name="Show personal data").click()
    await dialog(page).get_by_label("Reason").fill("to look at it")
    await dialog(page).get_by_role("button", name="Show personal data").click()
    await dialog(page).get_by_text("NewStore sent").wait_for()
    found += await barriers(page)
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Redrive").click()
    await dialog(page).get_by_role("button", name="Redrive 1 request").wait_for()
    found += await barriers(page)
    await page.goto(f"{site_of(page)}/sign-out")
    assert found + await barriers(page) == []


async def test_an_act_is_reached_and_done_by_keyboard_alone(sign_in: NewPage, stage: World) -> None:
    await stand.refused(stage, "r-typed")
    page = await sign_in("otto", "request?id=r-typed")
    await page.get_by_role("button", name="Note").wait_for()
    await tab_to(page, "Note")
    await page.keyboard.press("Enter")
    await dialog(page).get_by_label("The note").wait_for()
    await tab_to(page, "The note")
    await page.keyboard.type("typed without a mouse")
    await tab_to(page, "Note 1 request")
    await page.keyboard.press("Enter")
    await dialog(page).wait_for(state="detached")
    await page.get_by_text("Note is done for 1 of 1 request.").wait_for()


async def tab_to(page: "Page", name: str) -> None:
    """Go on by the tabulator until what is called so has the focus."""
    focused = (
        "() => { const it = document.activeElement; return it.ariaLabel || it.innerText.split('\\n').pop().trim() }"
    )
    for _ in range(60):
        if await page.evaluate(focused) == name:
            return
        await page.keyboard.press("Tab")
    pytest.fail(f"no way by keyboard to {name}")
