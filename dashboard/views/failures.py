"""Failures: what waits for a person, by its cause; chosen, and acted on."""

from datetime import datetime

import streamlit as st

from dashboard import acts, cached, frame, links, quarantine, tables, words
from dashboard.escaping import count, shown
from dashboard.person import here
from dashboard.shapes import FailureCause, RequestPage
from dashboard.times import age, clock

_ANY = "any"
_KINDS = {"shipments": "Failed shipments", "quarantine": "Quarantine"}
_PAGE = "100"


def show() -> None:
    st.title("Failures")
    kind = st.segmented_control(
        "Kind", list(_KINDS), default="shipments", key="show", bind="query-params", format_func=_KINDS.__getitem__,
        label_visibility="collapsed", required=True,
    )  # fmt: skip
    if kind == "quarantine":
        quarantine.show()
    else:
        _shipments()


def _shipments() -> None:
    causes = cached.failures()
    if not causes:
        frame.empty("Nothing failed. What fails shows up here within seconds, with its cause and what to do.")
        frame.watch(_digest)
        return
    _causes(causes)
    filters = {"status": "failed", **_filters(causes)}
    after = st.query_params.get("after", "")
    page = cached.requests(**filters, limit=_PAGE, **({"after": after} if after else {}))
    chosen = _choose(page)
    everything = here().may_act and st.checkbox(
        "All that match the filters, not only the chosen rows", key="everything"
    )
    targets = acts.Targets("all that match", filters=filters) if everything else _targets(chosen)
    with st.container(horizontal=True):
        acts.buttons(targets, "failed")
    if here().may_act and targets is None:
        st.caption("Choose rows by the boxes at their left; then the buttons work on them.")
    _open(chosen)
    with st.container(horizontal=True):
        tables.turn(after, page.next_page)
    frame.watch(_digest, chosen=bool(chosen) or everything)


def _digest() -> object:
    return [(each.failure, each.location, each.requests, each.untaken, each.newest) for each in cached.failures()]


def _causes(causes: list[FailureCause]) -> None:
    st.header("By cause")
    rows = [
        {
            "requests": each.requests,
            "nobody has taken": each.untaken,
            "cause": words.failure(each.failure),
            "DC": each.location,
            "provider": shown(each.provider, 40),
            "oldest": age(each.oldest),
            "newest": age(each.newest),
            "ended as": shown(each.why, 40),
            "for example": shown(each.said, 200),
        }
        for each in causes
    ]
    key = tables.key_of("causes", [(each.failure, each.location, each.provider, each.why) for each in causes])
    for row in tables.chosen(key, rows, "Failures by cause", "single-row"):
        links.go("failures", cause=words.failure(causes[row].failure), dc=causes[row].location)


def _filters(causes: list[FailureCause]) -> dict[str, str]:
    st.header("The requests")
    left, right, third = st.columns((2, 1, 1), vertical_alignment="bottom")
    asked_code = {code for code in words.FAILURES if words.failure(code) == st.query_params.get("cause")}
    asked_place = {each.id for each in cached.locations() if each.id == st.query_params.get("dc")}
    # What the URL asks for is among the options, also when nothing of it is left.
    codes = [_ANY, *sorted({each.failure for each in causes} | asked_code)]
    places = [_ANY, *sorted({each.location for each in causes} | asked_place)]
    code = left.selectbox("Cause", codes, key="cause", bind="query-params", format_func=words.failure)
    place = right.selectbox("DC", places, key="dc", bind="query-params")
    found = {"failure": code, "location": place, "changed_since": _since(third)}
    return {name: value for name, value in found.items() if value not in {_ANY, ""}}


def _since(place: "st.delta_generator.DeltaGenerator") -> str:
    asked = st.query_params.get("since", "")
    try:
        moment = datetime.fromisoformat(asked)
    except ValueError:
        return ""
    if place.button(f"Changed since {clock(moment)}", icon=":material/close:"):
        del st.query_params["since"]
        st.rerun()
    return asked if moment.tzinfo else ""


def _choose(page: RequestPage) -> list[tuple[str, str]]:
    if not page.requests:
        frame.empty("Nothing that failed matches these filters any more.")
        return []
    key = tables.key_of("failed", [each.id for each in page.requests])
    rows = tables.chosen(key, tables.of_requests(page.requests), "Failed requests", "multi-row")
    labels = cached.labels()
    return [(page.requests[row].id, tables.waits(page.requests[row], labels)) for row in rows]


def _targets(chosen: list[tuple[str, str]]) -> acts.Targets | None:
    if not chosen:
        return None
    ids = tuple(request_id for request_id, _ in chosen)
    return acts.Targets(f"request {shown(ids[0], 40)}" if len(ids) == 1 else count(len(ids), "request"), ids)


def _open(chosen: list[tuple[str, str]]) -> None:
    if len(chosen) == 1:
        request_id, waits = chosen[0]
        st.text(shown(waits, 400))
        links.to("request", f"Open {shown(request_id, 60)}", icon=":material/receipt_long:", id=request_id)
