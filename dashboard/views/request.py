"""Request: one request's whole story, and what can be done about it."""

import json
from collections.abc import Mapping, Sequence

import streamlit as st

from dashboard import acts, bodies, cached, charts, frame, holding, links, tables, words
from dashboard.escaping import HIDDEN, count, markdown, shown
from dashboard.person import here
from dashboard.settings import settings
from dashboard.shapes import OwedCall, ParcelStory, RequestStory
from dashboard.times import age, both, clock, lasted

_WEB = ("https://", "http://")
_LONG = 200


def show() -> None:
    st.title("Request")
    request_id = st.query_params.get("id", "")
    if not request_id:
        _ask_for_one()
        return
    story = cached.request(request_id)
    st.code(shown(story.id, 255), language=None, wrap_lines=True)
    with st.container(horizontal=True):
        acts.buttons(acts.Targets(f"request {shown(story.id, 40)}", (story.id,)), "one")
        _hold(story)
    frame.live(lambda: _head(cached.request(request_id)))
    units, calls, events, related = st.tabs(("Units and parcels", "Calls", "Events", "Same order"))
    with units:
        frame.live(lambda: _units(cached.request(request_id)))
    with calls:
        frame.live(lambda: _calls(cached.request(request_id)))
    with events:
        frame.live(lambda: _events(cached.request(request_id)))
    with related:
        _same_order(story)
    bodies.show(story, cached.zone(story.location))


def _ask_for_one() -> None:
    with st.form("open", border=False):
        asked = st.text_input("Request, order, reference, tracking code or product")
        if st.form_submit_button("Find", icon=":material/search:") and asked.strip():
            links.go("shipments", status="all", find=asked.strip())
    frame.empty("No request is open here. Find one, or choose a row under Shipments.")


def _hold(story: RequestStory) -> None:
    if not here().may_act:
        return
    held = next((each for each in cached.summary().holds if (each.scope, each.name) == ("request", story.id)), None)
    if held is None and st.button("Hold back", icon=":material/pause_circle:"):
        holding.ask_to_hold("request", story.id)
    if held is not None and st.button("Release", icon=":material/play_circle:", type="primary"):
        holding.ask_to_release(held)


def _head(story: RequestStory) -> None:
    zone = cached.zone(story.location)
    with st.container(border=True, gap="xsmall"):
        st.text(shown(tables.state(story)))
        st.text(f"Waits for {shown(tables.waits(story, cached.labels()), _LONG)}")
        if story.waiting_for:
            st.caption(f"since {both(story.waiting_for.since, zone)}")
    _say_held(story)
    _facts(
        {
            "DC": story.location, "provider": shown(story.provider), "order": shown(story.order_id),
            "reference": story.reference, "service level": shown(story.service_level),
            "taken by": shown(story.taken_by),
        }
    )  # fmt: skip
    times = {
        f"received {age(story.received_at)}": story.received_at, "at the provider": story.submitted_at,
        "accepted": story.accepted_at, "shipped": story.shipped_at, "settled": story.settled_at,
    }  # fmt: skip
    _facts({name: clock(moment, zone) for name, moment in times.items()})
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption("Who had to move, and the calls that were made (in the time zone of your browser)")
        if at := settings().trace(story.trace_id):
            st.link_button("Open the trace", at, icon=":material/timeline:", type="tertiary")
    charts.waiting(story)


def _say_held(story: RequestStory) -> None:
    for held in cached.summary().holds:
        if (held.scope, held.name) == ("request", story.id):
            st.warning("This request is held back:", icon=":material/pause_circle:")
            st.text(f"{shown(held.who, 40)}: {shown(held.reason, _LONG)}")


def _facts(facts: Mapping[str, str]) -> None:
    for column, (name, value) in zip(st.columns(len(facts)), facts.items(), strict=True):
        with column.container(gap="xxsmall"):
            st.caption(markdown(name))
            st.text(shown(value))


def _units(story: RequestStory) -> None:
    parcels = {each.reported_by: each for each in story.parcels}
    zone = cached.zone(story.location)
    rows = [
        {
            "unit": number,
            "product": shown(each.product_id),
            "the provider said": "back order" if each.backordered else words.SIGNS.get(each.said, each.said),
            "NewStore confirmed": words.SIGNS.get(each.confirmed, each.confirmed),
            "accepted": clock(each.accepted_at, zone),
            "parcel": _parcel(parcels.get(each.reported_by or -1)),
        }
        for number, each in enumerate(story.units, 1)
    ]
    tables.show(rows, "Units")
    _parcels(story.parcels)
    for product in sorted({each.product_id for each in story.units if len(each.product_id) > 80}):
        with st.expander(f"A product id of {count(len(product), 'character')}"):
            st.code(shown(product, 20_000), language=None, wrap_lines=True)


def _parcels(parcels: Sequence[ParcelStory]) -> None:
    if not parcels:
        st.caption("No parcel yet.")
        return
    rows = [
        {
            "carrier": shown(each.carrier, 40),
            "tracking code": shown(each.tracking_code, 60),
            **_said(each),
            **_address(each.tracking_url or ""),
        }
        for each in parcels
    ]
    tables.show(rows, "Parcels", link=st.column_config.LinkColumn("link", display_text="Follow it"))


def _said(parcel: ParcelStory) -> dict[str, str]:
    """Name the provider's own words, where NewStore was told others."""
    words = [shown(said, 60) for said in (parcel.carrier_said, parcel.code_said) if said]
    return {"the provider said": " ".join(words)} if words else {}


def _address(url: str) -> dict[str, str]:
    """Link to what a browser may follow; anything else is a text, as is a link of which a part is hidden."""
    is_web = url.lower().startswith(_WEB) and url.isprintable() and HIDDEN not in url
    return {"link": url} if is_web else {"no link": shown(url, 120)} if url else {}


def _parcel(parcel: ParcelStory | None) -> str:
    return f"{shown(parcel.carrier, 20)} {shown(parcel.tracking_code, 40)}" if parcel else "—"


def _calls(story: RequestStory) -> None:
    zone = cached.zone(story.location)
    for each in story.owed:
        owed = f"Owed: {each.operation.replace('_', ' ')} at {each.destination}{_why_not_yet(each)}"
        st.text(shown(owed, _LONG))
    if not story.attempts:
        frame.empty("No call was made yet.")
        return
    rows = [
        {
            "at": clock(each.at, zone),
            "call": each.operation.replace("_", " "),
            "to": each.destination,
            "try": each.attempt,
            "status": str(each.status) if each.status else "no answer",
            "outcome": each.outcome + (" (late)" if each.is_late else ""),
            "took": lasted(each.seconds),
            "answer": shown(each.detail, _LONG),
            **({"trace": settings().trace(each.trace_id)} if settings().trace_url else {}),
        }
        for each in reversed(story.attempts)
    ]
    tables.show(rows, "Calls, newest first", trace=st.column_config.LinkColumn("trace", display_text="Open"))


def _why_not_yet(owed: OwedCall) -> str:
    after = f", after the {owed.waits_for.replace('_', ' ')}" if owed.waits_for else ""
    return after + (f", kept back by hold {owed.hold}" if owed.hold else "")


def _events(story: RequestStory) -> None:
    zone = cached.zone(story.location)
    rows = [
        {
            "no.": each.version,
            "at": clock(each.at, zone),
            "what": each.kind.replace("_", " "),
            "cause": shown(each.cause, 60),
            "facts": shown(json.dumps(each.fact, ensure_ascii=False), 400),
        }
        for each in reversed(story.events)
    ]
    tables.show(rows, "Events, newest first")


def _same_order(story: RequestStory) -> None:
    if story.order_id is None:
        st.caption("NewStore sent no order with it.")
        return
    others = [each for each in cached.requests(order=story.order_id).requests if each.id != story.id]
    if not others:
        frame.empty("This order has no other request: NewStore has not rerouted any part of it to another DC of ours.")
        return
    key = tables.key_of("same-order", [each.id for each in others])
    for row in tables.chosen(key, tables.of_requests(others), "Requests of the same order", "single-row"):
        links.go("request", id=others[row].id)
