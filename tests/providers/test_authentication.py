import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

import aiohttp
import pytest
from aiohttp import web

from gateway.call_errors import NotSent
from gateway.providers.transports.authentication import (
    Authentication,
    Basic,
    ClientCredentials,
    Key,
    Signature,
    call,
    sign,
)
from gateway.settings import Secret
from tests.listening import listening

SECRET = Secret("s3cret-of-the-client")


@dataclass
class Provider:
    """A provider with a token endpoint, whose tokens are good until it says otherwise."""

    url: str = ""
    tokens: list[str] = field(default_factory=list)
    asked: list[tuple[str, dict[str, list[str]]]] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)
    answer: Any = None
    lifetime: float = 3600

    async def token(self, request: web.Request) -> web.Response:
        self.asked.append((request.headers.get("Authorization", ""), parse_qs(await request.text())))
        if self.answer is not None:
            return web.json_response(self.answer[1], status=self.answer[0])
        self.tokens.append(f"token-{len(self.tokens) + 1}")
        return web.json_response({"access_token": self.tokens[-1], "expires_in": self.lifetime})

    async def order(self, request: web.Request) -> web.Response:
        self.shown.append(request.headers.get("Authorization", ""))
        return web.Response(status=401 if self.shown[-1].removeprefix("Bearer ") in self.refused else 201)


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    there = Provider()
    async with listening(web.post("/token", there.token), web.post("/orders", there.order)) as there.url:
        yield there


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def client(session: aiohttp.ClientSession, provider: Provider, **more: Any) -> ClientCredentials:
    return ClientCredentials(session, f"{provider.url}/token", "the client", SECRET, **more)


async def status(session: aiohttp.ClientSession, provider: Provider, shown_by: Authentication) -> int:
    return (await call(session, shown_by, "POST", f"{provider.url}/orders", headers={}, body=b"{}", seconds=5))[0]


async def test_a_key_is_a_bearer_or_stands_alone_in_a_header_of_the_providers_own() -> None:
    assert await Key(SECRET).headers(b"") == {"Authorization": f"Bearer {SECRET.reveal()}"}
    assert await Key(SECRET, "X-Api-Key", "").headers(b"") == {"X-Api-Key": SECRET.reveal()}


async def test_a_name_and_password_are_utf_8() -> None:
    said = (await Basic("müller", Secret("pässword")).headers(b""))["Authorization"]
    assert base64.b64decode(said.removeprefix("Basic ")).decode() == "müller:pässword"


@pytest.mark.parametrize(("encoding", "written"), [("hex", bytes.hex), ("base64", base64.b64encode)])
async def test_a_signature_is_the_hmac_of_what_is_sent(encoding: str, written: Any) -> None:
    digest = written(hmac.new(SECRET.reveal().encode(), b'{"a":1}', hashlib.sha512).digest())
    expected = f"v1={digest if isinstance(digest, str) else digest.decode()}"
    shown = await Signature(SECRET, "X-Signature", "sha512", encoding, "v1=").headers(b'{"a":1}')
    assert shown == {"X-Signature": expected}
    assert sign(SECRET, b'{"a":2}', "sha512", encoding, "v1=") != expected


async def test_a_token_is_got_once_for_many_calls(session: aiohttp.ClientSession, provider: Provider) -> None:
    shown_by = client(session, provider, scope="orders")
    for _ in range(3):
        assert await status(session, provider, shown_by) == 201
    [(basic, form)] = provider.asked
    assert base64.b64decode(basic.removeprefix("Basic ")) == b"the+client:" + SECRET.reveal().encode()
    assert form == {"grant_type": ["client_credentials"], "scope": ["orders"]}


async def test_an_endpoint_may_want_the_secret_in_its_form(session: aiohttp.ClientSession, provider: Provider) -> None:
    await status(session, provider, client(session, provider, in_body=True))
    [(basic, form)] = provider.asked
    assert (basic, form["client_id"], form["client_secret"]) == ("", ["the client"], [SECRET.reveal()])


async def test_a_token_that_expires_in_the_middle_is_renewed_once(
    session: aiohttp.ClientSession, provider: Provider
) -> None:
    shown_by = client(session, provider)
    await status(session, provider, shown_by)
    provider.refused.add("token-1")
    assert await status(session, provider, shown_by) == 201
    assert provider.shown == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


async def test_a_client_that_is_refused_with_each_token_asks_for_one_more_and_no_others(
    session: aiohttp.ClientSession, provider: Provider
) -> None:
    provider.refused |= {f"token-{n}" for n in range(9)}
    assert await status(session, provider, client(session, provider)) == 401
    assert len(provider.tokens) == 2


async def test_a_token_is_renewed_before_its_end(session: aiohttp.ClientSession, provider: Provider) -> None:
    provider.lifetime = 1e-9
    shown_by = client(session, provider)
    for _ in range(2):
        await status(session, provider, shown_by)
    assert provider.shown == ["Bearer token-1", "Bearer token-2"]


@pytest.mark.parametrize(
    "answer", [(500, {}), (401, {"error": "invalid_client"}), (200, []), (200, {}), (200, {"access_token": "a\nb"})]
)
async def test_an_order_without_a_token_was_never_sent(
    session: aiohttp.ClientSession, provider: Provider, answer: Any
) -> None:
    provider.answer = answer
    with pytest.raises(NotSent, match="no token") as raised:
        await status(session, provider, client(session, provider))
    assert provider.shown == []
    assert SECRET.reveal() not in str(raised.value)
