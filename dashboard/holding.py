"""Holds: keep calls from going out, and let them go."""

from collections.abc import Callable

import streamlit as st

from dashboard import cached, frame, words
from dashboard.api import Failed
from dashboard.escaping import markdown, shown
from dashboard.person import here
from dashboard.shapes import HoldStory
from dashboard.times import age

_SPANS = {30: "30 minutes", 120: "2 hours", 480: "8 hours", 1440: "1 day", 0: "until somebody releases it"}


def name_of(hold: HoldStory) -> str:
    """Write what a hold lies on."""
    word = words.SCOPES.get(hold.scope, hold.scope)
    return f"{word} {hold.name}".strip().replace("DC DC", "DC")


def ask_to_hold(scope: str = "", name: str = "") -> None:
    """Open the dialog that places a hold."""
    frame.busy()
    st.dialog("Hold back", width="medium", on_dismiss=frame.idle)(_hold)(scope, name)


def ask_to_release(hold: HoldStory) -> None:
    """Open the dialog that releases a hold."""
    frame.busy()
    st.dialog(f"Release · {markdown(name_of(hold), 60)}", on_dismiss=frame.idle)(_release)(hold)


def _hold(scope: str, name: str) -> None:
    if not scope:
        scopes = [each for each in words.SCOPES if each != "request"]
        scope = st.selectbox("What?", scopes, index=scopes.index("location"), format_func=words.SCOPES.__getitem__)
    if not name and scope not in {"everything", "newstore"}:
        name = st.selectbox("Which?", _names(scope)) or ""
    st.warning(
        f"What follows: {words.HOLDING[scope]}. Requests are still taken in. When it ends, what waited goes out "
        "within the budgets; NewStore may reroute by itself what waits too long.",
        icon=":material/arrow_forward:",
    )
    with st.form("hold", border=False):
        minutes = st.selectbox("How long?", list(_SPANS), format_func=_SPANS.__getitem__)
        reason = st.text_input("Reason (whoever comes next reads it)", max_chars=1000)
        pressed = st.form_submit_button("Hold back", type="primary", icon=":material/pause_circle:")
    if pressed and not reason.strip():
        st.warning("Write a reason first.", icon=":material/edit:")
    elif pressed:
        _done(lambda: here().api.hold(scope, name, reason.strip(), minutes or None), "Held back")


def _release(hold: HoldStory) -> None:
    st.text(f"Held by {shown(hold.who, 40)}, {age(hold.at)}: {shown(hold.reason, 400)}")
    st.info("What follows: what waited goes out now, within the budgets.", icon=":material/arrow_forward:")
    if reason := frame.reason_for("Release", ":material/play_circle:"):
        _done(lambda: here().api.release(hold.id, reason), "Released")


def _names(scope: str) -> list[str]:
    if scope == "provider":
        return sorted({each.provider for each in cached.locations() if each.provider})
    if scope == "operation":
        return list(words.OPERATIONS)
    return [each.id for each in cached.locations()]


def _done(act: Callable[[], HoldStory], word: str) -> None:
    try:
        hold = act()
    except Failed as error:
        frame.refused(error)
        return
    cached.forget()
    frame.flash(f"{word}: {name_of(hold)}")
    frame.idle()
    st.rerun()
