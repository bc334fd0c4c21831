"""What was sent and answered: masked for everybody, whole for an admin who says why."""

from collections.abc import Callable, Sequence

import streamlit as st

from dashboard import frame
from dashboard.api import Failed
from dashboard.escaping import count, lines, shown
from dashboard.person import here
from dashboard.shapes import BodyList, BodyStory, RequestStory
from dashboard.times import clock

_MOST = 20_000


def show(story: RequestStory, zone: str) -> None:
    """Put an expander here; the gateway is asked only once it is open."""
    box = st.expander("Bodies: what was sent and answered", on_change="rerun")
    if not box.open:
        return
    with box:
        offer(lambda reason: here().api.reveal(story.id, reason), zone)
        _list(here().api.bodies(story.id).bodies, zone)


def offer(reveal: Callable[[str], BodyList], zone: str) -> None:
    """Put a button here for whoever may see bodies whole."""
    if not here().may_see_people:
        st.caption("Personal data is masked. An admin may see it.")
    elif st.button("Show personal data", icon=":material/visibility:"):
        frame.busy()
        st.dialog("Show personal data", width="large", on_dismiss=frame.idle)(_reveal)(reveal, zone)


def text_of(text: str | None) -> None:
    """Show the text of a body as far as a page has room for it."""
    if text is None:
        st.text("Not JSON: it can't be shown without personal data.")
        return
    st.code(lines(text, _MOST), language=None, wrap_lines=True)
    if len(text) > _MOST:
        st.caption(f"These are its first {_MOST:,} characters; the API and the command line give it whole.")


def _reveal(reveal: Callable[[str], BodyList], zone: str) -> None:
    st.info(
        "What follows: the bodies are shown here as they came, until you close this. "
        "The audit keeps your name and the reason.",
        icon=":material/arrow_forward:",
    )
    if reason := frame.reason_for("Show personal data", ":material/visibility:"):
        try:
            _list(reveal(reason).bodies, zone)
        except Failed as error:
            frame.refused(error)


def _list(bodies: Sequence[BodyStory], zone: str) -> None:
    if not bodies:
        frame.empty("No body of this request is kept any more.")
    for each in bodies:
        did, about = "answered" if each.is_answer else "sent", each.about.replace("_", " ")
        with st.container(gap="xxsmall"):
            st.text(shown(f"{each.sender.replace('newstore', 'NewStore')} {did}: {about}", 200))
            st.caption(f"{clock(each.at, zone)} · {count(each.bytes, 'byte')}")
        text_of(each.text)
