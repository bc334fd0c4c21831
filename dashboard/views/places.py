"""DCs and providers: what flows where, what is held back, and what a destination can take."""

from datetime import UTC, datetime

import streamlit as st

from dashboard import cached, frame, holding, links, tables
from dashboard.escaping import shown
from dashboard.person import here
from dashboard.shapes import DestinationStory, HoldStory, LocationStory
from dashboard.times import age, clock, lasted


def show() -> None:
    st.title("DCs and providers")
    _holds()
    st.header("NewStore and the providers")
    frame.live(_destinations)
    st.header("DCs")
    frame.live(_locations)
    frame.watch(_digest)


def _digest() -> object:
    return [hold.id for hold in cached.summary().holds]


def _holds() -> None:
    held = cached.summary().holds
    st.header("Held back")
    if not held:
        frame.empty("Nothing is held back: every call goes out as soon as budgets allow.")
    for hold in held:
        _held(hold)
    if here().may_act and st.button("Hold back …", icon=":material/pause_circle:"):
        holding.ask_to_hold()


def _held(hold: HoldStory) -> None:
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        with st.container(gap="xxsmall"):
            st.text(f"Hold on {shown(holding.name_of(hold))}")
            ends = f"ends {age(hold.expires_at)}" if hold.expires_at else "until released"
            st.text(f"{shown(hold.who, 40)}, {age(hold.at)}, {shown(ends)}: {shown(hold.reason, 300)}")
        if here().may_act and st.button("Release", key=f"release-{hold.id}", icon=":material/play_circle:"):
            holding.ask_to_release(hold)


def _destinations() -> None:
    rows = [
        {
            "name": each.name,
            "breaker": _breaker(each),
            "waiting": f"{each.waiting:,}{'+' * each.more_waiting}",
            "the first since": age(each.oldest_due) if each.waiting else "—",
            "in the air": f"{each.flying} of {each.concurrency}",
            "failed of late": f"{each.failures} of {each.calls} calls",
            "asked for news": _polled(each),
            "budget": f"{each.calls_per_second:,.0f} a second",
            "left of five minutes": _left(each),
            "adapter": each.adapter or "NewStore's API",
            "it can": ", ".join(each.can).replace("_", " ") or "—",
        }
        for each in cached.destinations()
    ]
    tables.show(rows, "Destinations")


def _breaker(each: DestinationStory) -> str:
    if each.breaker == "open":
        return f"✕ open since {age(each.shut_at)}; tries one call {age(each.probe_at)}"
    if each.not_before and age(each.not_before).startswith("in"):
        return f"… asked us to wait; goes on {age(each.not_before)}"
    return "✓ closed"


def _polled(each: DestinationStory) -> str:
    if each.poll is None:
        return "—"
    if each.poll.failing_since:
        return f"✕ fails since {age(each.poll.failing_since)}: {shown(each.poll.detail, 200)}"
    return f"✓ {age(each.poll.polled_at)}" if each.poll.polled_at else "not yet"


def _left(each: DestinationStory) -> str:
    if each.calls_left is None:
        return "not called yet"
    most = each.calls_per_five_minutes
    return f"{each.calls_left:,} now" + (f", {most:,.0f} in all" if most else "")


def _locations() -> None:
    counts = {(each.location, each.provider): each for each in cached.summary().locations}
    rows = []
    for each in cached.locations():
        found = [count for (location, _), count in counts.items() if location == each.id]
        rows.append(
            {
                "DC": each.id,
                "a new request goes": _goes(each),
                "pending": sum(count.pending for count in found),
                "failed": sum(count.failed for count in found),
                "oldest pending": age(min((c.oldest_pending for c in found if c.oldest_pending), default=None)),
                "its clock": clock(datetime.now(UTC), each.time_zone),
                "accepted": "once it is taken" if each.accept_when == "taken" else "once the provider says so",
                "the provider's own “cancelled”": each.on_provider_cancel,
                "back orders": _back_orders(each),
            }
        )
    tables.show(rows, "DCs")
    links.to("shipments", "All pending shipments", icon=":material/package_2:", status="pending")


def _back_orders(place: LocationStory) -> str:
    if place.backorder == "reject":
        return "rejected, once the provider has stopped"
    then = "rejected" if place.after_backorder_grace == "reject" else "a person decides"
    return f"wait for {lasted(place.backorder_grace)}, then {then}"


def _goes(place: LocationStory) -> str:
    """Tell where a test request would go, and why."""
    if place.provider is None:
        return "nowhere: the settings name no provider; it is parked as unroutable"
    to = f"to {place.provider} ({place.adapter}), as the settings say"
    stops = [hold for hold in place.holds if hold.scope in {"everything", "provider", "location"}]
    return f"{to}; a hold on {shown(holding.name_of(stops[0]))} keeps it" if stops else to
