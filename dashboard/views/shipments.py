"""Shipments: any list of requests, filtered by its URL, a page at a time."""

from collections.abc import Mapping

import streamlit as st

from dashboard import cached, frame, links, tables, words
from dashboard.times import before

_STATUSES = ("pending", "failed", "rejected", "unroutable", "shipped", "cancelled", "all")
_AGES = {
    "any": "any age",
    "newer_1h": "of the last hour",
    "newer_1d": "of the last day",
    "newer_7d": "of the last 7 days",
    "older_1h": "older than 1 hour",
    "older_4h": "older than 4 hours",
    "older_1d": "older than 1 day",
    "older_7d": "older than 7 days",
}
_MINUTES = {"1h": 60, "4h": 240, "1d": 1440, "7d": 10_080}
_ANY = "any"
_PAGE = "50"
_EMPTY = {
    "pending": "Nothing is pending here: every request is settled, or was closed.",
    "failed": "Nothing failed here. A failed request shows up within seconds, and stays until somebody acts.",
    "rejected": "No rejection is open here: all that were rejected are proved at NewStore.",
    "unroutable": "Every DC has a provider: nothing is parked.",
}
_OPEN = frozenset({"pending", "failed", "rejected", "unroutable"})


def show() -> None:
    st.title("Shipments")
    filters = _filters()
    _restart_if_other(filters)
    after = st.query_params.get("after", "")
    page = cached.requests(**filters, limit=_PAGE, **({"after": after} if after else {}))
    rows = tables.of_requests(page.requests)
    if not rows:
        frame.empty(_EMPTY.get(filters.get("status", ""), "No request matches. Widen the filters, or go to page 1."))
    else:
        st.caption("Choose a row to open it. The address of this page holds the filters: share it as it is.")
        key = tables.key_of("shipments", [each.id for each in page.requests])
        for row in tables.chosen(key, rows, "Requests", "single-row"):
            links.go("request", id=page.requests[row].id)
    with st.container(horizontal=True):
        tables.turn(after, page.next_page)
        tables.refresh_or_save(rows, "requests.csv")


def _filters() -> dict[str, str]:
    """Ask for filters, each bound to the URL."""
    places = cached.locations()
    status = st.segmented_control(
        "Status", _STATUSES, default="pending", key="status", bind="query-params", label_visibility="collapsed",
        required=True,
    )  # fmt: skip
    columns = st.columns((2, 2, 2, 3))
    found: dict[str, str | None] = {"status": None if status == "all" else status}
    with columns[0]:
        found["location"] = _one_of("DC", "dc", [each.id for each in places])
    with columns[1]:
        found["provider"] = _one_of("Provider", "provider", sorted({each.provider for each in places if each.provider}))
    with columns[2]:
        age = st.selectbox("Age", list(_AGES), format_func=_AGES.__getitem__, key="age", bind="query-params")
    with columns[3]:
        found["text"] = _text("Find", "find", "request, order, reference, tracking code or product")
    _more(found, status)
    return {name: value for name, value in {**found, **_window(age)}.items() if value}


def _more(found: dict[str, str | None], status: str | None) -> None:
    with st.popover("More filters", icon=":material/tune:"):
        found["order"] = _text("Order", "order")
        found["product"] = _text("Product", "product")
        found["tracking_code"] = _text("Tracking code", "tracking")
        found["service_level"] = _text("Service level", "service", "EXPRESS")
        cause = _one_of("Cause of failure", "cause", list(words.FAILURES))
        taken = _text("Taken by", "taken")
    if status in _OPEN:
        found |= {"failure": cause, "taken_by": taken}
    elif cause or taken:
        st.caption("Cause and taken by are asked of open requests only.")


def _one_of(label: str, key: str, options: list[str]) -> str | None:
    chosen = st.selectbox(label, [_ANY, *options], key=key, bind="query-params", format_func=_word)
    return None if chosen == _ANY else chosen


def _word(option: str) -> str:
    return words.FAILURES.get(option, option)


def _text(label: str, key: str, placeholder: str = "") -> str:
    return st.text_input(label, key=key, bind="query-params", placeholder=placeholder, max_chars=10_000).strip()


def _window(age: str) -> Mapping[str, str]:
    kind, _, span = age.partition("_")
    return {{"newer": "since", "older": "until"}[kind]: before(_MINUTES[span])} if span else {}


def _restart_if_other(filters: Mapping[str, str]) -> None:
    """Other filters begin at their first page."""
    asked = {name: value for name, value in filters.items() if name not in {"since", "until"}}
    if st.session_state.get("asked", asked) != asked:
        st.query_params.pop("after", None)
    st.session_state["asked"] = asked
