"""The dashboard under a path of a proxy: everything it has, and nothing it asks for lies outside."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import aiohttp
import pytest

from gateway.demo.world import World
from tests.dashboard import stand
from tests.dashboard.proxy import Proxy, proxying
from tests.dashboard.test_browser import confirm_note
from tests.dashboard.test_oidc import SECRETS, provider

if TYPE_CHECKING:
    from playwright.async_api import Page

__all__ = ["provider"]


@pytest.fixture(scope="module")
async def proxy() -> AsyncIterator[Proxy]:
    async with proxying("/ops") as proxy:
        yield proxy


@pytest.fixture(scope="module")
async def site(stage: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The dashboard behind the proxy, which serves it under this path."""
    async with stand.dashboard(stage.internal_url, tmp_path_factory.mktemp("path") / "log", base_path="/ops") as url:
        yield url


@pytest.fixture
async def page(strangers_page: "Page", proxy: Proxy, site: str) -> AsyncIterator["Page"]:
    proxy.origin = origin_of(site)
    yield strangers_page
    assert proxy.elsewhere == []


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


async def test_all_of_it_works_under_a_path_of_a_proxy(page: "Page", proxy: Proxy, stage: World) -> None:
    await stand.refused(stage, "r-beneath")
    site = f"{proxy.url}/ops"
    await page.goto(f"{site}/shipments?status=all&find=r-beneath")
    assert page.url.startswith(f"{site}/sign-in?then=")
    await page.get_by_label("Your operator token").fill(stand.TOKENS["otto"])
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Shipments").wait_for()
    assert page.url == f"{site}/shipments?status=all&find=r-beneath"
    async with page.expect_download() as download:
        await page.get_by_role("button", name="CSV of these").click()
    assert "r-beneath" in (await (await download.value).path()).read_text()
    await page.get_by_role("link", name="Now", exact=True).click()
    await page.get_by_role("link", name="failed at DC01").first.click()
    await page.get_by_role("heading", name="Failures").wait_for()
    assert page.url.startswith(f"{site}/failures?")
    await page.goto(f"{site}/request?id=r-beneath")
    await page.get_by_role("button", name="Note").click()
    await confirm_note(page, "seen from outside")
    await page.get_by_role("link", name="Sign out").click()
    await page.get_by_label("Your operator token").wait_for()
    assert page.url == f"{site}/sign-in"
    for start in (site, f"{site}/"):
        await page.goto(start)
        await page.get_by_label("Your operator token").fill(stand.TOKENS["vera"])
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("heading", name="Now", exact=True).wait_for()
        await page.get_by_role("link", name="Sign out").click()
        await page.get_by_label("Your operator token").wait_for()
    async with aiohttp.ClientSession() as session, session.get(f"{site}/_stcore/health") as answer:
        assert answer.status == 200


async def test_a_session_is_for_this_path_alone(page: "Page", proxy: Proxy) -> None:
    await page.goto(f"{proxy.url}/ops/")
    await page.get_by_label("Your operator token").fill(stand.TOKENS["vera"])
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Now", exact=True).wait_for()
    kept = {each.get("name"): each.get("path") for each in await page.context.cookies()}
    assert kept["gateway_dashboard"] == "/ops"


async def test_an_identity_provider_leads_back_under_the_path(
    page: "Page", proxy: Proxy, stage: World, provider: str, tmp_path: Path
) -> None:
    secrets = SECRETS.format(provider=provider, **stand.TOKENS)
    site = f"{proxy.url}/ops"
    async with stand.dashboard(stage.internal_url, tmp_path / "log", secrets, "/ops", site) as url:
        proxy.origin = origin_of(url)
        await page.goto(f"{site}/audit?who=otto")
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("button", name="otto", exact=True).click()
        await page.get_by_role("heading", name="Audit").wait_for()
        assert page.url == f"{site}/audit?who=otto"
        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("button", name="End session").click()
        await page.get_by_role("button", name="Sign in").wait_for()
        assert page.url.startswith(site)
