"""The translator of the page: in front of Acme it is what the adapter `http` wants."""

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict

from gateway.domain.orders import Order
from gateway.providers.conformance import CASES, Happening, Result, Switch, Target, attempt
from gateway.providers.example import acme_target, translator
from gateway.providers.example.acme_target import AcmeTarget
from gateway.providers.http import Http
from gateway.providers.port import Message
from tests.pages import PAGES

ENV = {
    "ACME_KEY": "the-key-of-the-translator",
    "ACME_SECRET": acme_target.SECRET,
    "API_KEY": "the-key-of-the-gateway",
    "CALLBACK_KEY": "the-key-of-the-translator-there",
}


class Translated(Target):
    """Acme behind the translator, as the gateway sees both."""

    settings = 'url = "{url}/orders"\napi_key = "env:API_KEY"\ncallback_key = "env:KEY"\ntimeout = 0.6'
    environ: ClassVar = {"API_KEY": ENV["API_KEY"], "KEY": ENV["CALLBACK_KEY"]}
    switches = AcmeTarget.switches - {Switch.OVERSIZED}  # it is the translator that reads Acme's answers

    def __init__(self) -> None:
        super().__init__()
        self.acme = AcmeTarget()
        self.ids: dict[str, str] = {}
        self.orders, self.stopped = self.acme.orders, self.acme.stopped

    async def start(self) -> None:
        await self.acme.start()
        self.server = TestServer(translator.app(ENV | {"ACME_URL": self.acme.url}, self.ids))
        await self.server.start_server()
        self.url = str(self.server.make_url("")).rstrip("/")

    async def stop(self) -> None:
        await self.acme.stop()
        await self.server.close()

    def switch(self, what: Switch) -> None:
        self.acme.switch(what)

    def pick(self, order: Order) -> None:
        self.acme.pick(order)

    def happen(self, *what: Happening) -> Sequence[Message]:
        return self._translated(self.acme.happen(*what))

    def unknown_word(self, order: Order) -> Sequence[Message]:
        return self._translated(self.acme.unknown_word(order))

    def _translated(self, messages: Sequence[Message]) -> list[Message]:
        headers = CIMultiDict({"Authorization": f"Bearer {ENV['CALLBACK_KEY']}"})
        return [
            Message(json.dumps(translator.callback_of(event, self.ids)).encode(), message.at, headers=headers)
            for message in messages
            for event in json.loads(message.body)["events"]
        ]


def test_the_page_shows_the_translator_as_it_is() -> None:
    text = Path(translator.__file__).read_text()
    assert f"```python\n{text}```\n" in PAGES["gateway/providers/README.md"]


@pytest.mark.parametrize("case", CASES)
async def test_the_translator_conforms(case: str) -> None:
    outcome = await attempt(Http, Translated, case)
    assert outcome.result is not Result.FAILED, outcome.why


class Gateway:
    """What callbacks come to."""

    def __init__(self) -> None:
        self.heard: list[dict[str, Any]] = []
        self.status = 200

    async def hear(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == f"Bearer {ENV['CALLBACK_KEY']}"
        self.heard.append(await request.json())
        return web.Response(status=self.status)


@pytest.fixture
async def gateway() -> AsyncIterator[tuple[Gateway, Any]]:
    there = Gateway()
    app = web.Application()
    app.router.add_post("/callbacks", there.hear)
    async with TestServer(app) as server:
        env = ENV | {"CALLBACK_URL": str(server.make_url("/callbacks")), "ACME_URL": "http://127.0.0.1:9"}
        async with TestServer(translator.app(env, {"NS1": "r-1"})) as translating:
            yield there, translating


EVENT = {"id": "e-1", "order": "NS1", "what": "TAKEN", "lines": [], "why": "", "carrier": "", "tracking": ""}


async def posted(server: Any, *messages: Message) -> list[int]:
    async with aiohttp.ClientSession() as session:
        return [
            (await session.post(server.make_url("/webhook"), data=each.body, headers=each.headers)).status
            for each in messages
        ]


async def test_a_webhook_is_told_event_by_event_under_newstores_id(gateway: tuple[Gateway, Any]) -> None:
    there, server = gateway
    assert await posted(server, acme_target.signed([EVENT, {**EVENT, "id": "e-2", "what": "LOST"}])) == [200]
    assert [(each["type"], each["event_id"], each["fulfillment_request_id"]) for each in there.heard] == [
        ("accepted", "e-1", "r-1"),
        ("LOST", "e-2", "r-1"),
    ]


async def test_a_webhook_that_the_gateway_can_not_keep_comes_again(gateway: tuple[Gateway, Any]) -> None:
    there, server = gateway
    there.status = 503
    assert await posted(server, acme_target.signed([EVENT])) == [503]


async def test_a_webhook_of_a_stranger_is_nobodys(gateway: tuple[Gateway, Any]) -> None:
    there, server = gateway
    assert await posted(server, Message(b"{}", acme_target.signed([]).at, headers={"X-Acme-Signature": "00"})) == [401]
    assert there.heard == []
