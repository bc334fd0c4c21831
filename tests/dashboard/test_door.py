# ruff: noqa: E402 - imports that only the extra has come after the look for it

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import pytest

from dashboard import sessions
from gateway.demo.world import World
from tests.dashboard import stand

httpx = pytest.importorskip("httpx", reason="the extra is not installed: pip install -e '.[dashboard]'")
pytest.importorskip("starlette", reason="the extra is not installed: pip install -e '.[dashboard]'")

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from dashboard.sign_in import Doorkeeper, sign_in, sign_out

if TYPE_CHECKING:
    from httpx import AsyncClient

PAGE = {"Accept": "text/html"}


@pytest.fixture
async def door(stage: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator["AsyncClient"]:
    monkeypatch.setenv("GATEWAY_URL", stage.internal_url)
    routes = [
        Route("/sign-in", sign_in, methods=["GET", "POST"]),
        Route("/sign-out", sign_out),
        Route("/{page:path}", lambda _: PlainTextResponse("inside")),
    ]
    served = httpx.ASGITransport(app=Starlette(routes=routes, middleware=[Middleware(Doorkeeper)]))
    async with httpx.AsyncClient(transport=served, base_url="http://door") as client:
        yield client


async def test_a_stranger_is_led_to_the_form_and_then_to_the_page(door: "AsyncClient") -> None:
    sent = await door.get("/shipments?status=failed&dc=DC01", headers=PAGE)
    assert (sent.status_code, sent.headers["location"]) == (
        303,
        "/sign-in?then=/shipments%3Fstatus%3Dfailed%26dc%3DDC01",
    )
    assert 'value="/shipments?status=failed&amp;dc=DC01"' in (await door.get(sent.headers["location"])).text
    answer = await door.post("/sign-in", data={"token": stand.TOKENS["vera"], "then": "/shipments?status=failed"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/shipments?status=failed")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert stand.TOKENS["vera"] not in cookie
    assert (await door.get("/shipments", headers=PAGE)).text == "inside"
    assert (await door.get("/sign-out", headers=PAGE)).headers["location"] == "sign-in"
    assert (await door.get("/shipments", headers=PAGE)).status_code == 303


@pytest.mark.parametrize("then", ["https://evil.example", "//evil.example", "/\\evil.example", "x", "/a\r\nb"])
async def test_nobody_is_sent_elsewhere(door: "AsyncClient", then: str) -> None:
    answer = await door.post("/sign-in", data={"token": stand.TOKENS["vera"], "then": then})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")


async def test_a_form_of_another_site_is_refused(door: "AsyncClient") -> None:
    answer = await door.post(
        "/sign-in", data={"token": stand.TOKENS["vera"]}, headers={"Origin": "https://evil.example"}
    )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_form_that_is_too_long_is_refused_before_it_is_read_whole(door: "AsyncClient") -> None:
    taken: list[int] = []

    async def long() -> AsyncIterator[bytes]:
        for number in range(1_000):
            taken.append(number)
            yield b"x" * 1_024

    answer = await door.post("/sign-in", content=long())
    assert (answer.status_code, "too long for a token" in answer.text) == (413, True)
    assert len(taken) < 10


def test_a_session_ends_and_the_oldest_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "_MOST", 2)
    kept = sessions.Sessions()
    first, second, third = (kept.begin(token) for token in ("a", "b", "c"))
    assert [kept.token(name) for name in (first, second, third, None)] == [None, "b", "c", None]
    kept.end(second)
    assert kept.token(second) is None
    monkeypatch.setattr(sessions, "SECONDS", -1)
    assert kept.token(kept.begin("d")) is None
