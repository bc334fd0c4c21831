"""Mappings by the API: what is said, by whom, what waits for it, and what can't be said."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import asyncpg
import pytest

from gateway.domain.mappings import MappedKind
from gateway.providers.http_settings import HttpSettings
from tests.cli import typed as a_person
from tests.served import SETTINGS, Served, event, order, serve

PARCEL = {"carrier": "dpd classic", "tracking_number": "1Z1"}
SHIPPED = event("shipped", "e-1", items=[{"product_id": "TEE", "quantity": 1}], shipment=PARCEL)


@dataclass(frozen=True)
class _Sku(HttpSettings):
    """Of a provider with words of its own for products, too."""

    maps: ClassVar = frozenset(MappedKind)


@pytest.fixture
async def gateway(pool: asyncpg.Pool, database: str) -> AsyncIterator[Served]:
    acme, zen = SETTINGS.providers["acme"], SETTINGS.providers["zen"]
    providers = {
        **SETTINGS.providers,
        "acme": replace(acme, must_map=(MappedKind.CARRIER,), carriers={"ups": "UPS"}),
        "zen": _Sku(**{each.name: getattr(zen, each.name) for each in fields(zen)} | {"skus": {"TEE": "10045"}}),
    }
    async with serve(
        pool, lambda: asyncpg.connect(database), settings=replace(SETTINGS, providers=providers)
    ) as served:
        yield served


async def listed(gateway: Served, who: str = "otto") -> dict[str, Any]:
    found: dict[str, Any] = await (await gateway.ask("/v1/mappings", who)).json()
    return found


def mapping(**changes: str) -> dict[str, str]:
    words = {"provider": "acme", "kind": "carrier", "ours": "DPD", "theirs": "dpd classic", "reason": "they told us"}
    return words | changes


async def test_what_waits_for_a_word_is_counted_and_goes_on_once_it_is_said(gateway: Served) -> None:
    await gateway.receive(order())
    assert (await gateway.say(SHIPPED)).status == 202
    assert (await listed(gateway))["unmapped"] == [
        {"provider": "acme", "kind": "carrier", "unmapped": "dpd classic", "side": "theirs", "orders": 0, "messages": 1}
    ]
    assert "dpd classic" not in str((await listed(gateway, "vera"))["unmapped"])  # a viewer reads that it is there
    answer = await gateway.do("/v1/mappings", mapping())
    assert answer.status == 201
    added = await answer.json()
    assert (added["id"], added["who"]) == (1, "otto")

    found = await listed(gateway)
    said = [(each["id"], each["provider"], each["ours"], each["theirs"]) for each in found["mappings"]]
    assert (found["version"], found["unmapped"]) == (1, [])
    assert said == [(1, "acme", "DPD", "dpd classic"), (None, "acme", "UPS", "ups"), (None, "zen", "TEE", "10045")]
    story = await (await gateway.ask("/v1/requests/r-1", "otto")).json()
    assert [(each["carrier"], each["carrier_said"]) for each in story["parcels"]] == [("DPD", "dpd classic")]
    audit = await (await gateway.ask("/v1/audit", "otto")).json()
    assert {(each["who"], each["action"]) for each in audit["audit"]} == {("otto", "map"), ("gateway", "replay")}


async def test_what_was_said_is_taken_back_once(gateway: Served) -> None:
    await gateway.do("/v1/mappings", mapping(theirs="ups", ours="United Parcel"))
    assert [each["ours"] for each in (await listed(gateway))["mappings"]] == ["United Parcel", "TEE"]
    answers = [await gateway.do("/v1/mappings/1/remove", {"reason": "wrong"}) for _ in range(2)]
    assert [each.status for each in answers] == [200, 404]
    assert [each["ours"] for each in (await listed(gateway))["mappings"]] == ["UPS", "TEE"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"provider": "nobody"}, "no provider 'nobody'"),
        ({"kind": "product"}, "acme maps no 'product'; choose one of carrier"),
        ({"kind": "colour", "provider": "zen"}, "choose one of service_level, product, carrier"),
        ({"ours": ""}, "ours or theirs is empty"),
        ({"theirs": "dpd\nclassic"}, "control characters"),
        ({"theirs": "n/a"}, "stands for no carrier"),
        ({"theirs": "a\0b"}, "NUL"),
        ({"reason": " "}, "needs a reason"),
        ({"provider": "zen", "kind": "product", "ours": "CAP", "theirs": "10045"}, "is the SKU of 'TEE' already"),
    ],
)
async def test_what_can_not_be_said_is_refused_with_what_to_do(
    gateway: Served, changes: dict[str, str], told: str
) -> None:
    answer = await gateway.do("/v1/mappings", mapping(**changes))
    assert answer.status == 400
    assert told in (await answer.json())["detail"]


async def test_a_viewer_says_nothing(gateway: Served) -> None:
    assert (await gateway.do("/v1/mappings", mapping(), token="the-token-of-vera")).status == 403
    assert (await gateway.do("/v1/mappings/1/remove", {"reason": "x"}, token="the-token-of-vera")).status == 403


async def test_an_operator_types_it(gateway: Served) -> None:
    await gateway.receive(order())
    await gateway.say(SHIPPED)
    told = {"GATEWAY_URL": str(gateway.internal.make_url("")), "GATEWAY_TOKEN": "the-token-of-otto", "COLUMNS": "200"}
    assert (
        "1 message(s) of acme wait: gateway mappings add acme carrier OURS 'dpd classic'"
        in (await a_person.typed("mappings", "list", **told))[1]
    )
    words = ("mappings", "add", "acme", "carrier", "DPD", "dpd classic")
    assert (await a_person.typed(*words, **told))[0] == 2  # it says no reason
    code, printed = await a_person.typed(*words, "--reason", "they told us", **told)
    assert (code, printed) == (0, "mapping 1: acme calls carrier DPD dpd classic\n")
    assert "Nothing waits for a mapping." in (await a_person.typed("mappings", "list", **told))[1]
    code, printed = await a_person.typed("mappings", "remove", "1", "--reason", "wrong", **told)
    assert (code, printed) == (0, "removed: acme carrier DPD = dpd classic\n")
