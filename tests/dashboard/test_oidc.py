"""Sign-in by an identity provider: a real one on this machine, with discovery, keys and signed tokens."""

import json
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from typing import TYPE_CHECKING

import aiohttp
import pytest

from gateway.demo.world import World
from tests.dashboard import stand
from tests.dashboard.test_browser import confirm_note
from tests.dashboard.test_policy import cookies_of, saved, status
from tests.processes import free_port, running

if TYPE_CHECKING:
    from playwright.async_api import Page

SECRETS = """
[auth]
redirect_uri = "SITE/oauth2callback"
cookie_secret = "a-secret-of-this-test-alone"
client_id = "dashboard"
client_secret = "of-this-test"
server_metadata_url = "{provider}/.well-known/openid-configuration"

[tokens]
"otto@example.com" = "{otto}"
"vera@example.com" = "{vera}"
"""


@pytest.fixture(scope="module")
async def provider(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    if find_spec("oidc_provider_mock") is None:
        pytest.skip("no identity provider: pip install oidc-provider-mock")
    port = free_port()
    people = [
        {"sub": name, "email": f"{name}@example.com", "email_verified": is_verified}
        for name, is_verified in (("otto", True), ("vera", True), ("nora", True))
    ]
    people.append({"sub": "mallory", "email": "otto@example.com", "email_verified": False})
    words = [sys.executable, "-m", "oidc_provider_mock", f"--port={port}"]
    words += [f"--user-claims={json.dumps(each)}" for each in people]
    url, log = f"http://127.0.0.1:{port}", tmp_path_factory.mktemp("provider") / "log"
    async with running(*words, log=log, answers_at=f"{url}/.well-known/openid-configuration"):
        yield url


@pytest.fixture(scope="module")
async def site(stage: World, provider: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    secrets = SECRETS.format(provider=provider, **stand.TOKENS)
    async with stand.dashboard(stage.internal_url, tmp_path_factory.mktemp("oidc") / "log", secrets) as url:
        yield url


@pytest.fixture
async def page(strangers_page: "Page", site: str) -> "Page":
    await strangers_page.goto(site)
    await strangers_page.get_by_role("button", name="Sign in").click()
    return strangers_page


async def test_a_person_signs_in_acts_under_their_name_and_signs_out(page: "Page", site: str, stage: World) -> None:
    await stand.refused(stage, "r-signed")
    await page.get_by_role("button", name="otto", exact=True).click()
    await page.get_by_text("otto · operator").wait_for()
    await page.goto(f"{site}/request?id=r-signed")
    await page.get_by_role("button", name="Note").click()
    await confirm_note(page, "asked NewStore")
    headers = {"Authorization": f"Bearer {stage.token}"}
    url = f"{stage.internal_url}/v1/audit?subject=r-signed"
    async with aiohttp.ClientSession(headers=headers) as session, session.get(url) as answer:
        (entry,) = (await answer.json())["audit"]
    assert (entry["who"], entry["action"], entry["reason"]) == ("otto", "note", "asked NewStore")
    await page.get_by_role("button", name="Sign out").click()
    await page.get_by_role("button", name="End session").click()
    await page.get_by_role("button", name="Sign in").wait_for()
    await page.goto(f"{site}/request?id=r-signed")
    await page.get_by_role("button", name="Sign in").wait_for()
    assert await page.get_by_text("r-signed").count() == 0


async def test_a_person_comes_to_the_page_that_was_asked_for(page: "Page", site: str) -> None:
    asked = f"{site}/shipments?status=failed&text=SO%2F1%26x"
    await page.get_by_role("button", name="otto", exact=True).wait_for()
    await page.goto(asked)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name="otto", exact=True).click()
    await page.get_by_role("heading", name="Shipments").wait_for()
    assert page.url == asked


async def test_a_person_has_the_role_of_their_token(page: "Page") -> None:
    await page.get_by_role("button", name="vera", exact=True).click()
    await page.get_by_text("vera · viewer").wait_for()
    await page.get_by_text("A viewer looks").wait_for()


@pytest.mark.parametrize("stranger", ["nora", "mallory"])
async def test_a_person_without_a_token_and_one_with_anothers_unproved_address_see_nothing(
    page: "Page", stranger: str
) -> None:
    await page.get_by_role("button", name=stranger, exact=True).click()
    await page.get_by_text("has no token here").wait_for()
    assert await page.get_by_role("heading", name="Now", exact=True).count() == 0


async def test_a_file_is_given_to_whom_the_identity_provider_and_we_know(page: "Page", site: str, stage: World) -> None:
    await stand.refused(stage, "r-listed")
    await page.get_by_role("button", name="vera", exact=True).click()
    await page.get_by_text("vera · viewer").wait_for()
    await page.goto(f"{site}/shipments?status=all")
    url = await saved(page)
    assert [await status(url, await cookies_of(page)), await status(url)] == [200, 403]
    await page.context.clear_cookies()
    await page.goto(site)
    await page.get_by_role("button", name="Sign in").click()
    await page.get_by_role("button", name="nora", exact=True).click()
    await page.get_by_text("has no token here").wait_for()
    assert await status(url, await cookies_of(page)) == 403
