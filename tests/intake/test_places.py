"""What an adapter serves below its own place: several paths, greetings, answers in its own words, its messages."""

import json
from collections.abc import AsyncIterator, Sequence
from typing import ClassVar

import asyncpg
import msgspec
import pytest

from gateway.providers.http import Http
from gateway.providers.port import Heard, Message, Place, Reply, Use
from tests.served import ACME, Served, event, order, serve


class Teleported(msgspec.Struct, tag_field="type", tag="teleported"):
    """A word that no other provider has."""

    to: str


class Polite(Http):
    """Is asked whether it is there, and says thank you."""

    understood = Teleported
    examples: ClassVar = {"teleported": {"type": "teleported", "to": "Mars"}}
    places = (Place(), Place(method="HEAD", use=Use.GREETS), Place(path="{kind}/news"))

    def answer(self, message: Message, heard: Sequence[Heard]) -> Reply | None:
        said = {"Status": "Success", "of": message.path, "results": [each.receipt.result for each in heard]}
        return Reply(status=200, body=json.dumps(said).encode(), headers={"X-Thanks": "yes"})


class Odd(Http):
    """What it understands has no schema."""

    understood = complex


@pytest.fixture
async def gateway(database: str, pool: asyncpg.Pool) -> AsyncIterator[Served]:
    async with serve(pool, lambda: asyncpg.connect(database), kinds={"acme": Polite, "zen": Odd}) as served:
        yield served


async def test_an_adapter_answers_in_its_own_words_once_all_is_stored(gateway: Served) -> None:
    await gateway.receive(order())
    said = json.dumps(event("accepted", "e1"))
    for path, result in (("callbacks", "applied"), ("orders/news", "duplicate")):
        answer = await gateway.public.post(f"/providers/acme/{path}", data=said, headers=ACME)
        assert (answer.status, answer.headers["X-Thanks"]) == (200, "yes")
        assert await answer.json() == {"Status": "Success", "of": path, "results": [result]}
    assert await gateway.pool.fetchval("SELECT accepted_at FROM requests") is not None


async def test_an_adapter_without_words_for_a_refusal_leaves_them_to_the_gateway(gateway: Served) -> None:
    answer = await gateway.public.post("/providers/acme/callbacks", headers={"Authorization": "Bearer x"})
    assert (answer.status, answer.content_type) == (401, "application/problem+json")


async def test_whoever_asks_whether_something_is_here_hears_yes(gateway: Served) -> None:
    assert (await gateway.public.head("/providers/acme/callbacks")).status == 200
    for method, path, allowed in (
        ("HEAD", "zen/callbacks", "POST"),
        ("GET", "acme/callbacks", "HEAD, POST"),
        ("GET", "acme/orders/news", "POST"),
    ):
        answer = await gateway.public.request(method, f"/providers/{path}")
        assert (answer.status, answer.headers["Allow"]) == (405, allowed)


@pytest.mark.parametrize("path", ["acme/orders", "acme/news", "acme/orders/news/", "acme/a/b/news", "acme/callbacks/x"])
async def test_what_an_adapter_does_not_serve_is_404(gateway: Served, path: str) -> None:
    answer = await gateway.public.post(f"/providers/{path}", headers=ACME)
    assert answer.status == 404
    assert "openapi.json" in (await answer.json())["detail"]


async def test_the_document_has_the_messages_of_every_adapter_in_use(gateway: Served) -> None:
    document = await (await gateway.internal.get("/openapi.json")).json()
    callbacks = document["paths"]["/providers/{provider}/callbacks"]
    content = callbacks["post"]["requestBody"]["content"]["application/json"]
    assert {"$ref": "#/components/schemas/Teleported"} in content["schema"]["anyOf"]
    assert content["examples"]["teleported"] == {"value": {"type": "teleported", "to": "Mars"}}
    assert content["examples"]["accepted"]
    assert "security" not in callbacks["head"]
    [parameter, kind] = document["paths"]["/providers/{provider}/{kind}/news"]["post"]["parameters"]
    assert (parameter["name"], kind["name"]) == ("provider", "kind")
    assert document["paths"]["/providers/{provider}/v0/d/fulfillment_requests/{id}/shipment"].keys() == {"get", "post"}
