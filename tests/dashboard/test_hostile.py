"""Words that would act in a browser, in every field that others fill: pages show them, and ask nobody for anything."""

import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

import aiohttp
import asyncpg
import pytest
from yarl import URL

from gateway.demo.world import World
from gateway.ledger.database.migrations import migrate
from tests.dashboard import stand
from tests.dashboard.conftest import NewPage
from tests.dashboard.test_browser import dialog, site_of, whole

if TYPE_CHECKING:
    from playwright.async_api import Page, ViewportSize


def hostile(mark: str) -> str:
    """What a page must neither fetch, link, run, draw nor turn; it names the field that it fills."""
    at = f"http://e.vil/{mark}"
    return (
        f"![{mark}]({at}) <img src={at} onerror=alert(1)><script src=//e.vil></script> [a](javascript:alert(2)) "
        f"{at} www.e.vil a@e.vil $\\frac12$ :tada: :material/home: :red[r] \u202eturned\u2066"
    )


def named(mark: str) -> str:
    """The same for a name, which the settings take as one plain line."""
    return hostile(mark).rpartition(" ")[0]


OPEN, FAILED, REDRIVEN, SIBLING = (hostile(mark) for mark in ("open", "failed", "redriven", "sibling"))
ADA = named("ada")
ACTS = ("Recheck", "Redrive", "Reroute", "Reject upstream", "Discard rejection", "Close", "Take", "Note")
ON_PAGES = {
    "open", "failed", "redriven", "sibling", "order", "product", "service", "carrier", "tracking", "url", "event",
    "unknown-request", "hold-dc", "hold-request", "note", "take", "ada", "redrive", "new-carrier",
    "new-tracking", "stopped",
}  # fmt: skip
"""The fields whose words must have been seen: what is on no page was not tested."""

HIDDEN = {"vera": {"url", "event", "unknown-request"}, "ada": set[str]()}
"""Those of them whose words the API hides from some."""

IN_WHAT_OPENS = {"open", "failed", "body", "hold-request", "unknown-type", "note"}

DRAWN = ".katex, [data-testid=stMarkdownContainer] img, [data-testid=stMarkdownContainer] [style*='color: red']"
SHOWN = f"""() => {{
    const all = selector => [...document.querySelectorAll(selector)];
    const elsewhere = to => !/^(data|blob):/.test(to) && new URL(to, location.href).origin !== location.origin;
    return {{
        text: document.body.textContent,
        elsewhere: ["src", "href", "action", "data", "poster"].flatMap(name =>
            all(`[${{name}}]`).map(it => it.getAttribute(name)).filter(elsewhere)),
        drawn: all("{DRAWN}").length,
        icons: all("[data-testid=stIconMaterial]").map(it => it.textContent),
    }}
}}"""
"""What a page says, where it leads, and what was drawn of it."""
WALL: "ViewportSize" = {"width": 4000, "height": 2000}
"""A table has as text only those cells that there is room for."""


@pytest.fixture(scope="module")
async def stage(new_database: Callable[[str], Awaitable[str]]) -> AsyncIterator[World]:
    """A gateway of its own: these words would stand in the way of every other test."""
    dsn = await new_database("gateway_hostile")
    connection = await asyncpg.connect(dsn)
    await migrate(connection)
    await connection.close()
    with tempfile.TemporaryDirectory(prefix="gateway-test-") as folder:
        async with stand.world(Path(folder), dsn, ADA, carriers="") as world:
            await _requests(world)
            await _messages(world)
            await _acts(world)
            yield world


@pytest.fixture(scope="module")
async def site(stage: World, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    async with stand.dashboard(stage.internal_url, tmp_path_factory.mktemp("hostile") / "log") as url:
        yield url


async def _requests(world: World) -> None:
    await stand.refused(world, FAILED)
    await stand.refused(world, REDRIVEN)
    quick = world.warehouses["DC01"]
    quick.temperament = replace(quick.temperament, pause=(600, 600))
    more = {"order_id": hostile("order"), "service_level": hostile("service")}
    for request_id, product in ((OPEN, hostile("product")), (SIBLING, "CAP")):
        placed = stand.order(request_id, product, "TEE", "MUG", **more)
        await world.newstore.place({**placed, "note": hostile("body")}, "DC01")
    await stand.until(world, lambda rows: sum(row["submitted_at"] is not None for row in rows) == 4)


async def _messages(world: World) -> None:
    for product, url in ((hostile("product"), hostile("url")), ("TEE", "http://e.vil/tracked")):
        parcel = {"carrier": hostile("carrier"), "tracking_number": hostile("tracking"), "tracking_url": url}
        told = {"fulfillment_request_id": OPEN, "items": [{"product_id": product}], "shipment": parcel}
        assert await stand.say(world, type="shipped", event_id=f"{product[:9]}{hostile('event')}", **told) == 200
    unknown = {"event_id": hostile("unknown-event"), "fulfillment_request_id": hostile("unknown-request")}
    assert await stand.say(world, type=hostile("unknown-type"), **unknown) == 202
    assert await stand.say(world, **{**unknown, "type": "accepted", "event_id": hostile("early")}) == 202
    late = {"event_id": hostile("late"), "fulfillment_request_id": OPEN, "items": [{"product_id": "TEE"}]}
    assert await stand.say(world, type="rejected", reason=hostile("why"), **late) == 202


async def _acts(world: World) -> None:
    corrected = {"carrier": hostile("new-carrier"), "tracking_code": hostile("new-tracking")}
    rejection = {"rejection_reason": "cannot_fulfill", "provider_stopped": hostile("stopped")}
    await _tell(world, REDRIVEN, "redrive", reason=hostile("redrive"), **corrected)
    await _tell(world, SIBLING, "reject", reason="told by phone", **rejection)
    await _tell(world, OPEN, "take", reason=hostile("take"))
    await _tell(world, OPEN, "note", reason=hostile("note"))
    await _post(world, "holds", scope="location", name="DC03", reason=hostile("hold-dc"), minutes=10)
    await _post(world, "holds", scope="request", name=OPEN, reason=hostile("hold-request"))


async def _tell(world: World, request_id: str, action: str, **order: str) -> None:
    await _post(world, f"requests/{quote(request_id, safe='')}/{action}", **order)


async def _post(world: World, path: str, **body: object) -> None:
    headers = {"Authorization": f"Bearer {stand.TOKENS['ada']}"}
    url = URL(f"{world.internal_url}/v1/{path}", encoded=True)
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, json=body) as answer:
        assert answer.status in {200, 201}, await answer.text()


@dataclass
class Look:
    """One person's browser, and all that its pages have shown."""

    page: "Page"
    seen: list[str] = field(default_factory=list)

    async def at(self, path: str, **query: str) -> None:
        await self.page.goto(f"{site_of(self.page)}/{path}?{urlencode(query)}")
        await self.around()

    async def on(self, name: str) -> None:
        """Go to another page by its link, which is quicker than by its address."""
        await self.page.get_by_role("link", name=name, exact=True).click()
        await self.page.locator("h1", has_text=name).wait_for()
        await self.around()

    async def in_quarantine(self) -> None:
        await self.on("Failures")
        await self.page.get_by_role("radio", name="Quarantine").click()
        await self.page.locator("h2", has_text="By cause").wait_for(state="detached")
        await self.around()

    async def around(self) -> None:
        """Wait until the page is whole, and see whether any word of it was taken for more than a word."""
        await whole(self.page)
        shown = await self.page.evaluate(SHOWN)
        self.seen.append(shown["text"])
        assert (shown["elsewhere"], shown["drawn"]) == ([], 0)
        assert [each for each in ("\u202e", "\u2066", "🎉") if each in shown["text"]] == []
        assert "home" not in shown["icons"]

    async def along(self) -> None:
        """Move over a chart, which tells what it draws."""
        box = await self.page.get_by_test_id("stVegaLiteChart").bounding_box()
        assert box is not None
        for down in range(1, 6):
            y = box["y"] + box["height"] * down / 7
            await self.page.mouse.move(box["x"], y)
            await self.page.mouse.move(box["x"] + box["width"], y, steps=20)
        await self.around()

    def missed(self, marks: set[str]) -> set[str]:
        """Tell the fields whose words were on no page."""
        text = "\n".join(self.seen)
        return {mark for mark in marks if f"![{mark}]" not in text}


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["vera", "ada"])
async def test_no_word_of_others_is_more_than_a_word_on_any_page(sign_in: NewPage, stage: World, name: str) -> None:
    look = Look(await sign_in(name))
    await look.page.set_viewport_size(WALL)
    await look.around()
    for page in ("DCs and providers", "Audit"):
        await look.on(page)
    await look.in_quarantine()
    await look.at("shipments", status="all")
    await look.at("shipments", status="all", find=hostile("order"), taken=ADA, service=hostile("service"))
    for request_id in (OPEN, REDRIVEN, SIBLING):
        await look.at("request", id=request_id)
        for tab in ("Calls", "Events", "Same order", "Units and parcels"):
            await look.page.get_by_role("tab", name=tab).click()
            await look.around()
        await look.page.get_by_text("Bodies: what was sent").click()
        await look.page.get_by_text("NewStore sent").first.wait_for()
        await look.around()
    await look.along()
    await look.at("request", id=hostile("unknown-address"))
    assert look.missed(ON_PAGES) == HIDDEN[name]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_no_word_of_others_is_more_than_a_word_in_what_opens(sign_in: NewPage, stage: World) -> None:
    look = Look(await sign_in("ada", f"request?{urlencode({'id': FAILED})}"))
    page = look.page
    await opened(look, *ACTS, "Hold back")
    await look.at("request", id=OPEN)
    await opened(look, *ACTS, "Release")
    await page.get_by_role("button", name="Note").click()
    await dialog(page).get_by_label("The note").fill(hostile("typed"))
    await dialog(page).get_by_role("button", name="Note 1 request").click()
    await dialog(page).wait_for(state="detached")
    await look.around()
    await page.get_by_text("Bodies: what was sent").click()
    await revealed(look)
    await look.on("Failures")
    await chosen(look, tall=True)
    await opened(look, "Close")
    await look.on("Audit")
    await chosen(look)
    await look.in_quarantine()
    await chosen(look)
    await revealed(look)
    await page.get_by_role("button", name="Replay").click()
    await dialog(page).get_by_label("Reason").fill(hostile("replayed"))
    await dialog(page).get_by_role("button", name="Replay 1 message").click()
    await dialog(page).get_by_text("The gateway refused this").wait_for()
    await look.around()
    await page.keyboard.press("Escape")
    await dialog(page).wait_for(state="detached")
    await page.get_by_role("button", name="Discard").click()
    await dialog(page).get_by_label("Reason").fill(hostile("discarded"))
    await dialog(page).get_by_role("button", name="Discard 1 message").click()
    await page.get_by_test_id("stToast").filter(has_text="Discard").wait_for()
    await look.around()
    await look.on("DCs and providers")
    await page.get_by_role("button", name="Release").last.click()
    await dialog(page).wait_for()
    await look.around()
    await dialog(page).get_by_label("Reason").fill(hostile("released"))
    await dialog(page).get_by_role("button", name="Release").click()
    await page.get_by_test_id("stToast").filter(has_text="Release").wait_for()
    await look.around()
    assert look.missed(IN_WHAT_OPENS) == set()


async def opened(look: Look, *acts: str) -> None:
    """Look into the dialog of each of these acts; a toast has a button to close it too."""
    page = look.page
    for act in acts:
        await page.get_by_test_id("stMainBlockContainer").get_by_role("button", name=act, exact=True).click()
        await dialog(page).wait_for()
        await look.around()
        await page.keyboard.press("Escape")
        await dialog(page).wait_for(state="detached")


async def chosen(look: Look, *, tall: bool = False) -> None:
    """Choose the first row of the last table."""
    y = 35 + (33 if tall else 17)
    await look.page.get_by_test_id("stDataFrame").last.click(position={"x": 16, "y": y})
    await look.page.get_by_role("link", name="Open ").first.wait_for()
    await look.around()


async def revealed(look: Look) -> None:
    page = look.page
    await page.get_by_role("button", name="Show personal data").click()
    await dialog(page).get_by_label("Reason").fill(hostile("looked"))
    await dialog(page).get_by_role("button", name="Show personal data").click()
    await dialog(page).get_by_test_id("stCode").first.wait_for()
    await look.around()
    await page.keyboard.press("Escape")
    await dialog(page).wait_for(state="detached")
