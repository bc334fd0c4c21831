"""What the pages say, without a browser: the script runs in this process, the gateway in its own."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dashboard
from gateway.demo.world import World
from tests.dashboard import stand

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

MAIN = Path(dashboard.__file__).with_name("main.py")
ACTS = {"Recheck", "Redrive", "Reroute", "Reject upstream", "Close", "Take", "Note"}


@pytest.fixture
def person(stage: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Otto looks, unless a test says otherwise."""
    import streamlit as st  # noqa: PLC0415 - not everywhere

    monkeypatch.setenv("GATEWAY_URL", stage.internal_url)
    monkeypatch.setenv("GATEWAY_DASHBOARD_TOKEN", stand.TOKENS["otto"])
    st.cache_data.clear()
    yield
    from dashboard.person import _connections  # noqa: PLC0415 - it needs streamlit

    _connections(stage.internal_url).close()
    st.cache_resource.clear()


async def look(page: str, **query: str) -> "AppTest":
    from streamlit.testing.v1 import AppTest  # noqa: PLC0415 - not everywhere

    shown = AppTest.from_file(str(MAIN), default_timeout=20)
    for name, value in query.items():
        shown.query_params[name] = value
    await asyncio.to_thread(shown.run)
    if page != "now":
        await asyncio.to_thread(shown.switch_page, page)
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
