"""What the pages say, without a browser: the script runs in this process, the gateway in its own."""

import asyncio
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import asyncpg
import msgspec
import pytest

import dashboard
from gateway.demo.world import World
from tests.dashboard import stand
from tests.ledger.owed import owe

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

MAIN = Path(dashboard.__file__).with_name("main.py")
ACTS = {"Recheck", "Redrive", "Reroute", "Reject upstream", "Discard rejection", "Close", "Take", "Note"}


@pytest.fixture
def person(stage: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Otto looks, unless a test says otherwise."""
    import streamlit as st  # noqa: PLC0415 - not everywhere

    monkeypatch.setenv("GATEWAY_URL", stage.internal_url)
    monkeypatch.setenv("GATEWAY_DASHBOARD_TOKEN", stand.TOKENS["otto"])
    # The script takes the place of the main program, and whatever is forked later would read it anew.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    st.cache_data.clear()
    yield
    from dashboard.person import _connections  # noqa: PLC0415 - it needs streamlit

    _connections(stage.internal_url).close()
    st.cache_resource.clear()


async def look(page: str, **query: str) -> "AppTest":
    from streamlit.testing.v1 import AppTest  # noqa: PLC0415 - not everywhere
    from streamlit.util import calc_hash  # noqa: PLC0415

    shown = AppTest.from_file(str(MAIN), default_timeout=60)
    # Its own switch_page knows pages that are files alone.
    shown._page_hash = calc_hash("" if page == "now" else page)  # noqa: SLF001
    for name, value in query.items():
        shown.query_params[name] = value
    await asyncio.to_thread(shown.run)
    assert not shown.exception, shown.exception
    return shown


def said(shown: "AppTest") -> str:
    kinds: tuple[Any, ...] = (
        shown.title, shown.header, shown.subheader, shown.text, shown.caption, shown.markdown, shown.error,
        shown.warning, shown.info, shown.success, shown.code,
    )  # fmt: skip
    return "\n".join(str(each.value) for kind in kinds for each in kind)


def buttons(shown: "AppTest") -> set[str]:
    return {button.label for button in shown.button}


async def test_the_first_screen_says_what_is_broken(person: None, stage: World) -> None:
    await stand.refused(stage, "r-broken")
    shown = await look("now")
    assert "to act on" in shown.error[0].value
    assert "NewStore refused it" in said(shown)


@pytest.mark.parametrize("page", ["now", "shipments", "failures", "places", "audit", "request"])
async def test_every_page_is_shown(person: None, page: str) -> None:
    shown = await look(page)
    assert len(shown.title) == 1
    assert "otto · operator" in said(shown)


async def test_an_operator_is_offered_every_act_and_a_viewer_none(
    person: None, stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.refused(stage, "r-offered")
    assert buttons(await look("request", id="r-offered")) >= ACTS
    assert buttons(await look("failures")) >= ACTS
    monkeypatch.setenv("GATEWAY_DASHBOARD_TOKEN", stand.TOKENS["vera"])
    for page in ("request", "failures", "places"):
        shown = await look(page, id="r-offered")
        assert not buttons(shown) & {*ACTS, "Hold back", "Hold back …", "Release"}
        assert "A viewer looks; an operator acts." in said(shown)


async def test_what_may_not_be_done_to_many_is_offered_for_chosen_rows_alone(person: None, stage: World) -> None:
    await stand.refused(stage, "r-chosen")
    shown = await look("failures")
    await asyncio.to_thread(shown.checkbox(key="everything").check().run)
    offered = {button.label: not button.disabled for button in shown.button if button.label in ACTS}
    assert offered == {label: label not in {"Take", "Note"} for label in ACTS}


async def test_what_a_page_offers_by_mistake_is_refused_by_the_api(
    person: None, stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.refused(stage, "r-mistaken")
    monkeypatch.setenv("GATEWAY_DASHBOARD_TOKEN", stand.TOKENS["vera"])
    from dashboard.api import Api, client  # noqa: PLC0415 - it needs the extra

    with client(stage.internal_url) as http:
        acts = await asyncio.to_thread(Api(http, stand.TOKENS["vera"]).acts)
    monkeypatch.setattr("dashboard.cached.acts", lambda: msgspec.structs.replace(acts, roles=["viewer"]))
    shown = await look("request", id="r-mistaken")
    await asyncio.to_thread(shown.button(key="one-redrive").click().run)
    assert "vera is a viewer and may only read" in said(shown)


async def test_filters_come_from_the_address(person: None, stage: World) -> None:
    await stage.newstore.place(stand.order("r-filtered", "TEE", service_level="SLED"), "DC02")
    await stand.until(stage, lambda rows: any(row["id"] == "r-filtered" and row["settled_at"] for row in rows))
    shown = await look("shipments", status="all", service="SLED", dc="DC02")
    assert list(shown.dataframe[0].value["request"]) == ["r-filtered"]
    shown = await look("shipments", status="all", service="SLED", dc="DC01")
    assert "No request matches" in said(shown)
    for found in ("r-filtered", "TEE"):
        shown = await look("shipments", status="all", find=found)
        assert "r-filtered" in list(shown.dataframe[0].value["request"])


async def test_rows_are_tall_enough_to_read_what_they_wait_for(person: None, stage: World) -> None:
    await stand.refused(stage, "r-tall")
    shown = await look("shipments", status="failed", find="r-tall")
    assert shown.dataframe[0].value["waits for"][0].endswith("or settle it by hand and “Close”")
    assert shown.dataframe[0].proto.row_height > 4 * 16  # Streamlit breaks lines in no lower row


async def test_what_is_empty_says_what_that_means(person: None) -> None:
    assert "Quarantine is empty" in said(await look("failures", show="Quarantine"))
    assert "Nothing is held back" in said(await look("places"))
    assert "Every DC has a provider" in said(await look("shipments", status="unroutable"))


async def test_a_queue_that_nobody_counted_to_its_end_is_said_to_be_longer(person: None, stage_database: str) -> None:
    async with asyncpg.create_pool(stage_database, min_size=1, max_size=1) as pool:
        for destination, count in (("newstore", 5_001), ("flaky", 5_000)):
            # Due in an hour: nobody makes these calls.
            await owe(pool, f"w-{destination}-", destination=destination, count=count, age=-3_600)
        shown = await look("places")
        await pool.execute("DELETE FROM deliveries WHERE request_id LIKE 'w-%'")
    rows = shown.dataframe[0].value
    waiting = dict(zip(rows["name"], rows["waiting"], strict=True))
    assert (waiting["newstore"], waiting["flaky"], waiting["quick"]) == ("5,000+", "5,000", "0")


async def test_an_unknown_request_says_what_to_do(person: None) -> None:
    assert "look it up by order" in said(await look("request", id="r-404"))


async def test_requests_and_calls_lead_to_their_traces(
    person: None, stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stand.refused(stage, "r-traced")
    shown = await look("request", id="r-traced")
    assert not shown.get("link_button")
    monkeypatch.setenv("GATEWAY_TRACE_URL", "https://traces.example/{trace_id}?x")
    shown = await look("request", id="r-traced")
    (link,) = shown.get("link_button")
    assert re.fullmatch("https://traces.example/[0-9a-f]{32}[?]x", link.proto.url)
    (calls,) = [table.value for table in shown.dataframe if "trace" in table.value]
    assert link.proto.url in list(calls["trace"])


async def test_the_demo_signs_in_by_itself_and_says_so(person: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DASHBOARD_DEMO", "1")
    assert "signed you in by itself" in said(await look("now"))


async def test_a_stranger_sees_nothing(person: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_DASHBOARD_TOKEN", "nobody's")
    shown = await look("now")
    assert "You are signed out" in said(shown)
    assert not shown.title


async def test_a_gateway_that_is_away_is_said_to_be(person: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_URL", "http://127.0.0.1:9")
    assert "The gateway does not answer" in said(await look("now"))


async def test_a_tracking_url_that_is_no_link_is_a_text(person: None, stage: World) -> None:
    request_id = f"{stand.SILENT}-link"
    await stage.newstore.place(stand.order(request_id, "TEE"), "DC01")
    shipment = {"carrier": "UPS", "tracking_number": "1Z", "tracking_url": "javascript:alert(1)"}
    items = [{"product_id": "TEE"}]
    assert await stand.say(
        stage, type="shipped", event_id="e-link", fulfillment_request_id=request_id, items=items, shipment=shipment
    ) == 200  # fmt: skip
    shown = await look("request", id=request_id)
    (parcels,) = [table.value for table in shown.dataframe if "carrier" in table.value]
    assert parcels.to_dict("records") == [{"carrier": "UPS", "tracking code": "1Z", "no link": "javascript:alert(1)"}]


async def shipped(stage: World, name: str) -> str:
    """Place a request whose parcel has a link that asks for something, and of which a callback was refused."""
    request_id = f"{stand.SILENT}-{name}"
    about = {"fulfillment_request_id": request_id}
    warehouse = stage.warehouses["DC01"]
    was, warehouse.temperament = warehouse.temperament, replace(warehouse.temperament, pause=(60, 60))
    await stage.newstore.place(stand.order(request_id, "TEE", "CAP"), "DC01")
    await stand.until(stage, lambda rows: any(row["id"] == request_id and row["submitted_at"] for row in rows))
    warehouse.temperament = was
    parcel = {"carrier": "UPS", "tracking_number": "1Z", "tracking_url": "https://ups.example/1Z?to=marked"}
    items = [{"product_id": "TEE"}]
    assert await stand.say(stage, type="shipped", event_id=f"{name}-1", items=items, shipment=parcel, **about) == 200
    marked = [{"product_id": "marked"}]
    assert await stand.say(stage, type="accepted", event_id=f"{name}-2", items=marked, **about) == 422
    return request_id


async def test_a_viewer_sees_where_a_link_leads_and_an_operator_follows_it(
    person: None, stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = await shipped(stage, "linked")
    shown = await look("request", id=request_id)
    (parcels,) = [table.value for table in shown.dataframe if "carrier" in table.value]
    assert list(parcels["link"]) == ["https://ups.example/1Z?to=marked"]
    assert "hides what others wrote" not in said(shown)

    monkeypatch.setenv("GATEWAY_DASHBOARD_TOKEN", stand.TOKENS["vera"])
    shown = await look("request", id=request_id)
    (parcels,) = [table.value for table in shown.dataframe if "carrier" in table.value]
    shown_link = {"carrier": "UPS", "tracking code": "1Z", "no link": "https://ups.example/1Z?•••"}
    assert parcels.to_dict("records") == [shown_link]
    assert "••• hides what others wrote. An operator may see it." in said(shown)
    assert "marked" not in said(shown) + "".join(each.value.to_csv() for each in shown.dataframe)


async def test_answers_are_shared_by_those_alone_who_may_see_the_same(
    person: None, stage: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dashboard import cached, tables  # noqa: PLC0415 - they need streamlit
    from dashboard.api import Api, client  # noqa: PLC0415
    from dashboard.person import Person  # noqa: PLC0415

    request_id = await shipped(stage, "shared")

    def read(name: str, role: str) -> str:
        who = Person(name, role, Api(http, stand.TOKENS[name]))
        monkeypatch.setattr(cached, "here", lambda: who)
        (parcel,) = cached.request(request_id).parcels
        return f"{parcel.tracking_url} {tables.as_csv(tables.of_requests(cached.requests(text=request_id).requests))}"

    def read_all() -> list[str]:
        return [read(*who) for who in (("otto", "operator"), ("vera", "viewer"), ("ada", "admin"))]

    with client(stage.internal_url) as http:
        ottos, veras, adas = await asyncio.to_thread(read_all)
    assert ["marked" in told for told in (ottos, veras, adas)] == [True, False, True]
    assert ("https://ups.example/1Z?••• " in veras, "which was refused: ••• is not in the request" in veras) == (
        True,
        True,
    )
