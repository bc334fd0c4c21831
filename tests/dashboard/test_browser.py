"""The roads that people walk, in a real browser."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import aiohttp

from gateway.demo.world import World
from tests.dashboard import stand
from tests.dashboard.conftest import NewPage

if TYPE_CHECKING:
    from playwright.async_api import Browser, Locator, Page

HOSTILE = '<img src=x onerror="alert(1)">'
MARKDOWN = "**bold** [click](javascript:alert(2)) :red[x] $y$ `z`"
TURNED = "\u202eevil\u2066"
FILLED = """() => !document.querySelector("[data-testid=stSkeleton], [data-stale=true]") &&
    [...document.querySelectorAll("[data-testid=stDataFrame]")].every(it =>
        it.offsetParent === null || it.querySelector("[role=gridcell]"))"""


async def choose(page: "Page", row: int) -> None:
    """Tick the box of a row of the last table: it is drawn, so that only its place is known."""
    await page.get_by_test_id("stDataFrame").last.click(position={"x": 16, "y": 35 + 66 * row + 33})


async def whole(page: "Page") -> None:
    """Wait until a page has all that it will show."""
    await page.locator("h1").first.wait_for(state="attached")
    await page.locator("[data-testid=stApp][data-test-script-state=notRunning]").wait_for()
    await page.wait_for_function(FILLED, polling=50)


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
    await page.goto(f"{site_of(page)}/request?id=r-road")
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


async def test_a_refused_shipment_is_told_with_the_carrier_that_a_person_writes(sign_in: NewPage, stage: World) -> None:
    await stand.refused(stage, "r-carrier")
    page = await sign_in("otto", "request?id=r-carrier")
    await page.get_by_role("button", name="Redrive").click()
    await dialog(page).get_by_text("Did NewStore refuse the carrier").click()
    await dialog(page).get_by_label("Carrier, as NewStore calls it").fill("DHL Express")
    await dialog(page).get_by_label("Carrier, as NewStore calls it").press("Tab")
    await dialog(page).get_by_text("Redrive would work on 1 of 1 request.").wait_for()
    await confirm(page, "the label was printed anew", "Redrive 1 request")
    await page.get_by_text("✓ settled").wait_for()
    shown = stage.simulators.newstore.requests["r-carrier"].read_back("shipment")
    assert shown is not None
    assert {each["carrier"] for each in shown["successful_shipments"]} == {"DHL Express"}


async def choose_as(page: "Page", row: int, link: str) -> None:
    """Choose a row that must be this one; the list that all viewers share may be two seconds old at first."""
    from playwright.async_api import TimeoutError as NotShown  # noqa: PLC0415 - as the browser, it may be missing

    with suppress(NotShown):
        await choose(page, row)
        await page.get_by_role("link", name=link).wait_for(timeout=6000)
        return
    await page.reload()
    await page.get_by_text("Choose rows by the boxes").wait_for()
    await choose(page, row)
    await page.get_by_role("link", name=link).wait_for()


async def test_failures_are_chosen_by_their_rows_and_closed_together(sign_in: NewPage, stage: World) -> None:
    for request_id in ("r-closed-1", "r-closed-2"):
        await stand.refused(stage, request_id)
    page = await sign_in("otto", "failures")
    await page.get_by_text("Choose rows by the boxes").wait_for()
    await choose_as(page, 0, "Open r-closed-2")
    await choose(page, 1)
    await page.get_by_role("link", name="Open r-closed-2").wait_for(state="detached")
    await page.get_by_role("button", name="Close", exact=True).click()
    await dialog(page).get_by_text("Close would work on 2 of 2 requests.").wait_for()
    await dialog(page).get_by_text("nothing is sent or checked").wait_for()
    await dialog(page).get_by_role("button", name="Close 2 requests").click()
    await dialog(page).get_by_text("Write a reason first").wait_for()
    await confirm(page, "settled by phone", "Close 2 requests")
    await page.get_by_text("Close is done for 2 of 2 requests.").wait_for()
    left = {row["id"]: row["failure"] for row in await stage.requests()}
    assert (left["r-closed-1"], left["r-closed-2"]) == (None, None)


async def test_a_dialog_counts_and_says_what_follows_before_anything_is_done(sign_in: NewPage, stage: World) -> None:
    warehouse = stage.warehouses["DC01"]
    was, warehouse.temperament = warehouse.temperament, replace(warehouse.temperament, pause=(60, 60))
    await stage.newstore.place(stand.order("r-silent", "TEE"), "DC01")
    await stand.until(stage, lambda rows: any(row["id"] == "r-silent" and row["submitted_at"] for row in rows))
    warehouse.temperament = was
    page = await sign_in("otto", "request?id=r-silent")
    await page.get_by_role("button", name="Reject upstream").click()
    for choice, follows in (
        ("No inventory", "stock of them to zero"),
        ("This DC can't", "this DC for this order only"),
    ):
        await dialog(page).get_by_text(choice).click()
        await dialog(page).get_by_text(follows).wait_for()
    await dialog(page).get_by_text("Reject upstream would work on 1 of 1 request.").wait_for()
    await page.keyboard.press("Escape")
    await page.get_by_role("button", name="Reroute").click()
    await dialog(page).get_by_role("combobox").click()
    await page.get_by_role("option", name="flaky").click()
    await dialog(page).get_by_text("to another provider under a new reference").wait_for()
    await page.keyboard.press("Escape")
    await dialog(page).wait_for(state="detached")
    (row,) = [row for row in await stage.requests() if row["id"] == "r-silent"]
    assert (row["provider"], row["status"]) == ("quick", "dispatched")


async def test_a_dc_is_held_and_released(sign_in: NewPage, stage: World) -> None:
    page = await sign_in("otto", "places")
    await page.get_by_text("Nothing is held back").wait_for()
    await page.get_by_role("button", name="Hold back …").click()
    await dialog(page).get_by_role("combobox", name="Which?").click()
    await page.get_by_role("option", name="DC02").click()
    await dialog(page).get_by_text("no call of this DC goes out").wait_for()
    await confirm(page, "strike", "Hold back")
    await page.get_by_text("Hold on DC02", exact=True).wait_for()
    await stage.newstore.place(stand.order("r-held", "TEE"), "DC02")
    await page.get_by_role("link", name="Now", exact=True).click()
    await page.get_by_role("link", name="Hold on DC02").click()
    assert "r-held" not in stage.warehouses["DC02"].orders
    await page.get_by_role("button", name="Release").click()
    await dialog(page).get_by_text("what waited goes out now").wait_for()
    await confirm(page, "over", "Release")
    await page.get_by_text("Nothing is held back").wait_for()
    await stand.until(stage, lambda rows: any(row["id"] == "r-held" and row["submitted_at"] for row in rows))


async def test_a_filtered_page_is_shared_by_its_address(sign_in: NewPage, stage: World) -> None:
    await asyncio.gather(
        *(
            stage.newstore.place(stand.order(f"r-page-{number}", "MUG", service_level="BOAT"), "DC01")
            for number in range(53)
        )
    )
    await stand.until(stage, lambda rows: sum(row["service_level"] == "BOAT" for row in rows) == 53)
    page = await sign_in("vera", "shipments")
    await page.get_by_role("radio", name="all").click()
    await page.get_by_role("button", name="More filters").click()
    await page.get_by_label("Service level").fill("BOAT")
    await page.get_by_label("Service level").press("Enter")
    await page.keyboard.press("Escape")
    await page.wait_for_url("**service=BOAT**")
    await rows_are(page, 50)
    await page.get_by_role("button", name="Next page").click()
    await rows_are(page, 3)
    other = await sign_in("otto", page.url.removeprefix(f"{site_of(page)}/"))
    await rows_are(other, 3)
    await other.get_by_role("button", name="Page 1").click()
    await rows_are(other, 50)


async def rows_are(page: "Page", number: int) -> None:
    await page.locator(f"table[role=grid][aria-rowcount='{number + 1}']").first.wait_for(state="attached")


async def test_a_viewer_finds_no_acts_and_the_api_refuses_them_too(sign_in: NewPage, stage: World) -> None:
    await stand.refused(stage, "r-viewed")
    page = await sign_in("vera", "request?id=r-viewed")
    await page.get_by_text("✕ failed").wait_for()
    assert await page.get_by_role("button", name="Redrive").count() == 0
    headers = {"Authorization": f"Bearer {stand.TOKENS['vera']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        url = f"{stage.internal_url}/v1/requests/r-viewed/redrive"
        async with session.post(url, json={"reason": "mine"}) as answer:
            assert answer.status == 403


async def test_personal_data_is_masked_until_an_admin_says_why(sign_in: NewPage, stage: World) -> None:
    await stage.newstore.place({**stand.order("r-personal", "TEE"), "note": f"for Ada {HOSTILE}"}, "DC01")
    page = await sign_in("otto", "request?id=r-personal")
    await page.get_by_text("Bodies: what was sent").click()
    await page.get_by_text('"note": "•••"').wait_for()
    assert await page.get_by_role("button", name="Show personal data").count() == 0
    page = await sign_in("ada", "request?id=r-personal")
    await page.get_by_text("Bodies: what was sent").click()
    await page.get_by_role("button", name="Show personal data").click()
    await dialog(page).get_by_role("button", name="Show personal data").click()
    await dialog(page).get_by_text("Write a reason first").wait_for()
    assert await page.get_by_text("for Ada").count() == 0
    await dialog(page).get_by_label("Reason").fill("the parcel came back")
    await dialog(page).get_by_role("button", name="Show personal data").click()
    await dialog(page).get_by_text("for Ada").wait_for()
    await page.keyboard.press("Escape")
    await dialog(page).wait_for(state="detached")
    assert await page.get_by_text("for Ada").count() == 0
    await page.goto(f"{site_of(page)}/audit?action=reveal")
    await page.get_by_role("button", name="CSV of these").wait_for()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="CSV of these").click()
    assert "ada,reveal,r-personal,the parcel came back" in (await (await download.value).path()).read_text()


async def test_a_quarantined_message_is_read_masked_then_whole_and_discarded(sign_in: NewPage, stage: World) -> None:
    said = {"type": "accepted", "event_id": "e-ada", "fulfillment_request_id": "r-never", "note": f"for Ada {HOSTILE}"}
    assert await stand.say(stage, **said) == 202
    page = await sign_in("ada", "failures?show=Quarantine")
    await page.get_by_test_id("stDataFrame").last.wait_for()
    await choose_as(page, 0, "Open r-never")
    await page.get_by_text('"note": "•••"').wait_for()
    await page.get_by_role("button", name="Show personal data").click()
    await dialog(page).get_by_label("Reason").fill("the adapter is to be mended")
    await dialog(page).get_by_role("button", name="Show personal data").click()
    await dialog(page).get_by_text("for Ada").wait_for()
    await page.keyboard.press("Escape")
    await dialog(page).wait_for(state="detached")
    await page.get_by_role("button", name="Discard").click()
    await confirm(page, "a test", "Discard 1 message")
    await page.get_by_text("Quarantine is empty").wait_for()
    await page.goto(f"{site_of(page)}/audit?action=discard")
    await page.get_by_role("button", name="CSV of these").wait_for()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="CSV of these").click()
    assert "ada,discard,quarantine" in (await (await download.value).path()).read_text()


async def test_a_wrong_token_stays_outside_and_a_session_ends(sign_in: NewPage, site: str) -> None:
    page = await sign_in("vera")
    await page.get_by_role("link", name="Sign out").click()
    await page.get_by_label("Your operator token").fill("nobody's")
    async with page.expect_response("**/sign-in") as answered:
        await page.get_by_role("button", name="Sign in").click()
    assert (await answered.value).status == 401
    await page.get_by_text("Nobody has this token").wait_for()
    await page.goto(f"{site}/audit?who=otto")
    await page.get_by_label("Your operator token").fill(stand.TOKENS["vera"])
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("heading", name="Audit").wait_for()
    assert page.url == f"{site}/audit?who=otto"


async def test_strangers_text_is_shown_as_text(sign_in: NewPage, stage: World) -> None:
    request_id = f"r-{HOSTILE}/{MARKDOWN}"
    products = (HOSTILE, MARKDOWN, TURNED, "P" * 10_000)
    await stage.newstore.place(stand.order(request_id, *products, order_id=f"{MARKDOWN}{TURNED}"), "DC01")
    await stand.until(stage, lambda rows: any(row["id"] == request_id and row["settled_at"] for row in rows))
    page = await sign_in("otto", f"request?{urlencode({'id': request_id})}")
    await page.get_by_text("✓ settled").wait_for()
    await page.get_by_text("A product id of 10,000 characters").click()
    await page.get_by_text("P" * 10_000).wait_for()
    await page.get_by_text("⟨202E⟩evil").first.wait_for()
    await page.get_by_role("button", name="Note").click()
    await confirm_note(page, f"{HOSTILE} {MARKDOWN}")
    await page.get_by_role("link", name="Now", exact=True).click()
    await page.get_by_role("heading", name="This shift").wait_for()
    await page.get_by_role("link", name="Audit").click()
    await page.get_by_test_id("stDataFrame").first.wait_for()
    await page.goto(f"{site_of(page)}/shipments?status=all")
    await page.get_by_test_id("stDataFrame").first.wait_for()
    assert await page.locator("img[src=x], a[href^=javascript]").count() == 0


def site_of(page: "Page") -> str:
    parts = urlsplit(page.url)
    return f"{parts.scheme}://{parts.netloc}"


async def confirm_note(page: "Page", text: str) -> None:
    await dialog(page).get_by_label("The note").fill(text)
    await dialog(page).get_by_role("button", name="Note 1 request").click()
    await dialog(page).wait_for(state="detached")


async def test_a_gateway_that_comes_back_is_shown_without_a_touch(
    browser: "Browser", stage: World, tmp_path: Path
) -> None:
    async with door_to(stage.internal_url) as door:
        more = {"GATEWAY_DASHBOARD_TOKEN": stand.TOKENS["vera"]}
        async with stand.dashboard(door.url, tmp_path / "log", **more) as url:
            page = await browser.new_page()
            await page.goto(url)
            await page.get_by_role("heading", name="By DC").wait_for()
            await door.shut()
            await page.get_by_text("The gateway does not answer").first.wait_for()
            await page.reload()
            await page.get_by_text("The gateway does not answer").first.wait_for()
            await door.open()
            await page.get_by_role("heading", name="By DC").wait_for()
            await page.get_by_text("The gateway does not answer").first.wait_for(state="detached")
            await page.close()


@dataclass
class Door:
    """A way to the gateway that can be shut."""

    host: str
    port: int
    at: int = 0
    server: asyncio.Server | None = None
    flows: set[asyncio.StreamWriter] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.at}"

    async def open(self) -> None:
        self.server = await asyncio.start_server(self.pass_on, "127.0.0.1", self.at)
        self.at = self.server.sockets[0].getsockname()[1]

    async def shut(self) -> None:
        assert self.server is not None
        self.server.close()
        for flow in self.flows:
            flow.close()
        await self.server.wait_closed()

    async def pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        theirs, ours = await asyncio.open_connection(self.host, self.port)
        self.flows |= {writer, ours}
        with suppress(OSError):
            await asyncio.gather(copy(reader, ours), copy(theirs, writer))


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(65_536):
            writer.write(part)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def door_to(url: str) -> AsyncIterator[Door]:
    parts = urlsplit(url)
    door = Door(parts.hostname or "", parts.port or 0)
    await door.open()
    yield door
    await door.shut()
