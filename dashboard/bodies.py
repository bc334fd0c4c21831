"""What was sent and answered: masked for everybody, whole for whoever may act and says why."""

from collections.abc import Sequence

import streamlit as st

from dashboard import frame
from dashboard.api import Failed
from dashboard.person import here
from dashboard.plain import count, lines
from dashboard.shapes import Body, RequestStory
from dashboard.times import clock

_MOST = 20_000


def show(story: RequestStory, zone: str) -> None:
    """Put an expander here; the gateway is asked only once it is open."""
    box = st.expander("Bodies: what was sent and answered", on_change="rerun")
    if not box.open:
        return
    with box:
        if not here().may_act:
            st.caption("Personal data is masked. An operator may see it.")
        elif st.button("Show personal data", icon=":material/visibility:"):
            frame.busy()
            st.dialog("Show personal data", width="large", on_dismiss=frame.idle)(_reveal)(story.id, zone)
        _list(here().api.bodies(story.id).bodies, zone)


def _reveal(request_id: str, zone: str) -> None:
    st.info(
        "What follows: the bodies are shown here as they came, until you close this. "
        "The audit keeps your name and the reason.",
        icon=":material/arrow_forward:",
    )
    with st.form("reveal", border=False):
        reason = st.text_input("Reason (it goes into the audit)", max_chars=1000)
        pressed = st.form_submit_button("Show personal data", type="primary", icon=":material/visibility:")
    if pressed and not reason.strip():
        st.warning("Write a reason first.", icon=":material/edit:")
    elif pressed:
        try:
            _list(here().api.reveal(request_id, reason.strip()).bodies, zone)
        except Failed as error:
            frame.refused(error)


def _list(bodies: Sequence[Body], zone: str) -> None:
    if not bodies:
        frame.empty("No body of this request is kept any more.")
    for each in bodies:
        did, about = "answered" if each.is_answer else "sent", each.about.replace("_", " ")
        with st.container(gap="xxsmall"):
            st.text(f"{each.sender.replace('newstore', 'NewStore')} {did}: {about}")
            st.caption(f"{clock(each.at, zone)} · {count(each.bytes, 'byte')}")
        if each.text is None:
            st.text("Not JSON: it can't be shown without personal data.")
        else:
            st.code(lines(each.text, _MOST), language=None, wrap_lines=True)
        if len(each.text or "") > _MOST:
            st.caption(f"These are its first {_MOST:,} characters; the API and `gateway show` give it whole.")
