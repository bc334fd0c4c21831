"""Write a picture of each page in both themes: `python -m tests.dashboard.screenshots DIR`."""

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import asyncpg

from gateway import postgres
from gateway.demo.run import place
from gateway.demo.world import World
from gateway.ledger.database.migrations import migrate
from tests.dashboard import stand
from tests.dashboard.conftest import launched

if TYPE_CHECKING:
    from playwright.async_api import Browser, Page

_TRACES = "http://127.0.0.1:16686/trace/{trace_id}"
_CARRIERS = """
carriers = { UPS = "UPS", USPS = "USPS", FEDEX = "FEDEX", DHL = "DHL" }
must_map = ["carrier"]
"""
PAGES = {
    "now": "/",
    "shipments": "/shipments?status=all",
    "failures": "/failures",
    "quarantine": "/failures?show=Quarantine",
    "request": "/request?id=r-refused-1",
    "request-rejected": "/request?id=r-rejected",
    "places": "/places",
    "mappings": "/mappings",
    "audit": "/audit",
}


async def main(folder: Path) -> None:
    async with _stage() as world, launched() as browser:
        with tempfile.TemporaryDirectory() as logs:
            more = {"GATEWAY_DASHBOARD_TOKEN": world.token, "GATEWAY_DASHBOARD_DEMO": "1", "GATEWAY_TRACE_URL": _TRACES}
            async with stand.dashboard(world.internal_url, Path(logs) / "log", **more) as url:
                for theme in ("light", "dark"):
                    await _shoot(browser, url, theme, folder)
            async with stand.dashboard(world.internal_url, Path(logs) / "log") as url:
                page = await browser.new_page()
                await page.goto(url)
                await page.screenshot(path=folder / "sign-in.png")


@asynccontextmanager
async def _stage() -> AsyncIterator[World]:
    with tempfile.TemporaryDirectory(prefix="gateway-shots-") as folder:
        async with postgres.running(Path(folder) / "pg", durable=False) as dsn:
            connection = await asyncpg.connect(dsn)
            await migrate(connection)
            await connection.close()
            async with stand.world(Path(folder), dsn, carriers=_CARRIERS) as world:
                await _traffic(world)
                yield world


async def _traffic(world: World) -> None:
    """Something of everything that a page can show."""
    await place(world, 40, seed=7)
    for number in range(4):
        await stand.refused(world, f"r-refused-{number}")
    quick, slow = world.warehouses["DC01"], world.warehouses["DC02"]
    was, quick.temperament = quick.temperament, replace(quick.temperament, pause=(600, 600))
    for number in range(3):
        await world.newstore.place(stand.order(f"r-silent-{number}", "HOODIE-GRY-M", "CAP-RED"), "DC01")
    await stand.until(world, lambda rows: sum(_is_silent(row) for row in rows) == 3)
    quick.temperament = was
    parcel = {"carrier": "dpd classic", "tracking_number": "05212345678901"}
    shipped = {"type": "shipped", "event_id": "e-dpd", "items": [{"product_id": "CAP-RED", "quantity": 1}]}
    await stand.say(world, fulfillment_request_id="r-silent-2", shipment=parcel, **shipped)
    slow.temperament = replace(slow.temperament, rejects=1.0)
    person = {"shipping_address": {"first_name": "Ada", "last_name": "Lovelace", "city": "Marylebone"}}
    await world.newstore.place({**stand.order("r-rejected", "MUG-LOGO", "TEE-BLK-M"), **person}, "DC02")
    headers = {"Authorization": f"Bearer {world.simulators.keys['quick_CALLBACK_KEY']}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for number in range(3):
            body = {"type": "accepted", "event_id": f"e-{number}", "fulfillment_request_id": f"SO-unknown-{number}"}
            async with session.post(f"{world.public_url}/providers/quick/callbacks", json=body):
                pass
    await _acts(world)


def _is_silent(row: dict[str, Any]) -> bool:
    return row["id"].startswith(stand.SILENT) and row["submitted_at"] is not None


async def _acts(world: World) -> None:
    headers = {"Authorization": f"Bearer {stand.TOKENS['otto']}"}
    acts = [
        ("holds", {"scope": "location", "name": "DC03", "reason": "strike at the dock", "minutes": 10}),
        ("holds", {"scope": "rejections", "name": "DC02", "reason": "stock is being counted"}),
        ("requests/r-refused-0/take", {"reason": "taken"}),
        ("requests/r-refused-0/note", {"reason": "asked NewStore's support, ticket 4711"}),
        ("requests/r-refused-3/redrive", {"reason": "the address was corrected"}),
        ("requests/r-silent-0/note", {"reason": "the warehouse looks for the hoodie"}),
    ]
    async with aiohttp.ClientSession(headers=headers) as session:
        for path, body in acts:
            async with session.post(f"{world.internal_url}/v1/{path}", json=body):
                pass


async def _shoot(browser: "Browser", url: str, theme: str, folder: Path) -> None:
    context = await browser.new_context(
        viewport={"width": 1440, "height": 1400},
        color_scheme=theme,  # type: ignore[arg-type]
    )
    page = await context.new_page()
    for name, path in PAGES.items():
        await page.goto(url + path)
        await page.get_by_role("heading", level=1).wait_for()
        await page.wait_for_timeout(2500)  # what comes in parts
        await page.screenshot(path=folder / f"{name}-{theme}.png", full_page=True)
    await _shoot_dialog(page, url, folder / f"dialog-{theme}.png")
    await _shoot_bodies(page, url, folder / f"bodies-{theme}.png")
    await context.close()


async def _shoot_dialog(page: "Page", url: str, path: Path) -> None:
    await page.goto(f"{url}/request?id=r-silent-1")
    await page.get_by_role("tab", name="Events").wait_for()
    await page.wait_for_timeout(1000)
    await page.get_by_role("button", name="Reject upstream").click()
    await page.get_by_text("No inventory").click()
    await page.get_by_text("stock of them to zero").wait_for()
    await page.screenshot(path=path)


async def _shoot_bodies(page: "Page", url: str, path: Path) -> None:
    await page.goto(f"{url}/request?id=r-rejected")
    await page.get_by_text("Bodies: what was sent").click()
    await page.get_by_role("button", name="Show personal data").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Reason").fill("the customer asks where it goes")
    await dialog.get_by_role("button", name="Show personal data").click()
    await dialog.get_by_text("NewStore sent").wait_for()
    await page.screenshot(path=path)


if __name__ == "__main__":
    into = Path(sys.argv[1] if len(sys.argv) > 1 else "screenshots")
    into.mkdir(parents=True, exist_ok=True)
    asyncio.run(main(into))
