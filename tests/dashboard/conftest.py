import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import pytest

from gateway.demo.world import World
from gateway.ledger.database.migrations import migrate
from tests.dashboard import stand

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page

CHROMIUM = shutil.which("chromium")
_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--num-raster-threads=1",
    "--js-flags=--no-opt,--no-maglev,--single-threaded-gc",
]  # fmt: skip
"""No page lives long enough to earn back what it takes to compile its scripts well."""
_CONTEXT: dict[str, Any] = {"viewport": {"width": 1440, "height": 1000}, "reduced_motion": "reduce"}
"""What moves is painted anew sixty times a second, by no graphics card."""

NewPage = Callable[..., Awaitable["Page"]]


@pytest.fixture(scope="session")
async def stage_database(new_database: Callable[[str], Awaitable[str]]) -> str:
    dsn = await new_database("gateway_dashboard")
    connection = await asyncpg.connect(dsn)
    try:
        await migrate(connection)
    finally:
        await connection.close()
    return dsn


@pytest.fixture(scope="session")
async def stage(stage_database: str) -> AsyncIterator[World]:
    """One gateway and its simulators for all tests of the dashboard."""
    if find_spec("streamlit") is None:
        pytest.skip("streamlit is not installed: pip install -e '.[dashboard]'")
    with tempfile.TemporaryDirectory(prefix="gateway-test-") as folder:
        async with stand.world(Path(folder), stage_database) as world:
            yield world


@pytest.fixture(scope="session")
async def site(stage: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The dashboard with its door."""
    async with stand.dashboard(stage.internal_url, tmp_path_factory.mktemp("dashboard") / "log") as url:
        yield url


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator["Browser"]:
    if CHROMIUM is None or find_spec("playwright") is None:
        pytest.skip("no browser: apt-get install chromium, and pip install playwright")
    async with launched() as browser:
        yield browser


@asynccontextmanager
async def launched() -> "AsyncIterator[Browser]":
    from playwright.async_api import async_playwright  # noqa: PLC0415 - not everywhere

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def profiles() -> dict[str, "BrowserContext"]:
    """Everybody's browser: what it has loaded once, a hundred scripts, it need not load again."""
    return {}


@pytest.fixture
async def sign_in(browser: "Browser", profiles: dict[str, "BrowserContext"], site: str) -> AsyncIterator[NewPage]:
    """Opens a page to somebody who signs in on the way; what it complains of, or asks others for, is a fault."""
    faults: list[str] = []
    pages = []

    async def open_as(name: str, path: str = "") -> "Page":
        if name not in profiles:
            profiles[name] = await browser.new_context(**_CONTEXT)
        await profiles[name].clear_cookies()
        page = await profiles[name].new_page()
        pages.append(page)
        page.set_default_timeout(60_000)
        page.on("console", lambda said: faults.append(said.text) if is_fault(said) else None)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(f"a script ran: {dialog.message}"))
        page.on("request", lambda asked: faults.append(asked.url) if is_outside(asked.url, site) else None)
        await page.goto(f"{site}/{path}")
        await page.get_by_label("Your operator token").fill(stand.TOKENS[name])
        await page.get_by_role("button", name="Sign in").click()
        await page.get_by_role("link", name="Sign out").wait_for()
        return page

    yield open_as
    for page in pages:
        await page.close()
    assert faults == []


@pytest.fixture(scope="module")
async def profile(browser: "Browser") -> AsyncIterator["BrowserContext"]:
    """The browser of all tests of a file which sign in at another door."""
    context = await browser.new_context(**_CONTEXT)
    yield context
    await context.close()


@pytest.fixture
async def strangers_page(profile: "BrowserContext") -> AsyncIterator["Page"]:
    """A page to somebody who is signed in nowhere."""
    await profile.clear_cookies()
    page = await profile.new_page()
    page.set_default_timeout(60_000)
    yield page
    await page.close()


def is_outside(url: str, site: str) -> bool:
    return not url.startswith((site, site.replace("http", "ws", 1), "data:", "blob:"))


def is_fault(said: "ConsoleMessage") -> bool:
    """A browser also counts as an error that the door turns somebody away."""
    return said.type == "error" and "401 (Unauthorized)" not in said.text
