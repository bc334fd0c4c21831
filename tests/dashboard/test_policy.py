"""What a browser may do with the dashboard's answers, and to whom its files are given."""

from typing import TYPE_CHECKING

import aiohttp
import pytest

from gateway.demo.world import World
from tests.dashboard import stand
from tests.dashboard.conftest import NewPage

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

ANSWERS = {
    "/": 303, "/sign-in": 200, "/sign-out": 303, "/_stcore/health": 200, "/_stcore/host-config": 200,
    "/media/none.csv": 403,
}  # fmt: skip


@pytest.mark.parametrize("path", ANSWERS)
async def test_every_answer_forbids_frames_and_guesses(site: str, path: str) -> None:
    headers = {"Accept": "text/html"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{site}{path}", allow_redirects=False) as answer,
    ):
        assert answer.status == ANSWERS[path]
        assert any("frame-ancestors 'none'" in each for each in answer.headers.getall("Content-Security-Policy"))
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"


async def test_a_browser_shows_no_page_in_anothers_frame(browser: "Browser", site: str) -> None:
    page = await browser.new_page()
    async with page.expect_event("console", lambda said: "frame-ancestors" in said.text):
        await page.set_content(f'<iframe src="{site}/sign-in"></iframe>')
    assert await page.frame_locator("iframe").get_by_label("Your operator token").count() == 0
    await page.close()


async def test_a_browser_fetches_nothing_from_elsewhere_for_a_page(browser: "Browser", site: str) -> None:
    page = await browser.new_page()
    await page.goto(site)
    async with page.expect_event("console", lambda said: "Content Security Policy" in said.text):
        await page.evaluate("document.body.append(Object.assign(new Image(), {src: 'http://127.0.0.1:9/x'}))")
    await page.close()


async def test_a_file_is_given_to_nobody_without_a_session(sign_in: NewPage, stage: World, site: str) -> None:
    await stand.refused(stage, "r-saved")
    page = await sign_in("vera", "shipments?status=all")
    url, cookies = await saved(page), await cookies_of(page)
    assert [await status(url, cookies), await status(url)] == [200, 403]
    await page.goto(f"{site}/sign-out")
    assert await status(url, cookies) == 403


async def saved(page: "Page") -> str:
    """Save the list that a page shows, and tell where it came from."""
    async with page.expect_download() as download:
        await page.get_by_role("button", name="CSV of these").click()
    return (await download.value).url


async def cookies_of(page: "Page") -> str:
    return "; ".join(f"{each['name']}={each['value']}" for each in await page.context.cookies())


async def status(url: str, cookies: str = "") -> int:
    async with aiohttp.ClientSession(headers={"Cookie": cookies}) as session, session.get(url) as answer:
        return answer.status
