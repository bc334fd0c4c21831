"""Links from page to page: a number leads to the list behind it."""

from collections.abc import Mapping
from typing import Any

import streamlit as st

from dashboard.escaping import markdown

_PAGES = "pages"


def register(pages: Mapping[str, Any]) -> None:
    """Let links find these pages."""
    st.session_state[_PAGES] = pages


def to(page: str, label: str, icon: str = "", **query: str) -> None:
    """Put a link here; the label may be a stranger's text."""
    st.page_link(
        st.session_state[_PAGES][page], label=markdown(label), icon=icon, query_params=query or None, width="content"
    )


def go(page: str, **query: str) -> None:
    """Go there now."""
    st.switch_page(st.session_state[_PAGES][page], query_params=query or None)
