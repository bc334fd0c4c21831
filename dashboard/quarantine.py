"""Quarantine: messages that could not be applied, and their two ways out."""

import streamlit as st

from dashboard import bodies, cached, frame, links, tables
from dashboard.api import Failed
from dashboard.escaping import HIDDEN, count, markdown, shown
from dashboard.person import here
from dashboard.shapes import QuarantineEntry

_WAYS = {
    "replay": (":material/replay:", "It is read again, as the settings and adapters are now, and applied."),
    "discard": (
        ":material/delete:",
        "It is let go without being applied. Its bytes are kept. Nothing takes this back.",
    ),
}


def show() -> None:
    after = st.query_params.get("after", "")
    page = cached.quarantine(after)
    if not page.quarantine:
        frame.empty("Quarantine is empty: every message of every provider was understood and applied.")
        frame.watch(_digest)
        return
    key = tables.key_of("quarantine", [each.id for each in page.quarantine])
    rows = tables.chosen(key, tables.of_quarantine(page.quarantine), "Messages in quarantine", "multi-row")
    chosen = [page.quarantine[row] for row in rows]
    if here().may_act:
        _buttons(chosen)
    if len(chosen) == 1:
        _one(chosen[0])
    with st.container(horizontal=True):
        tables.turn(after, page.next_page)
    frame.watch(_digest, chosen=bool(chosen))


def _digest() -> object:
    return [each.id for each in cached.quarantine().quarantine]


def _buttons(chosen: list[QuarantineEntry]) -> None:
    with st.container(horizontal=True):
        for way, (icon, help_text) in _WAYS.items():
            pressed = st.button(
                markdown(way.capitalize()),
                icon=icon,
                help=markdown(help_text),
                disabled=not chosen,
                key=f"quarantine-{way}",
            )
            if pressed:
                frame.busy()
                title = f"{way.capitalize()} {count(len(chosen), 'message')}"
                st.dialog(markdown(title), on_dismiss=frame.idle)(_dialog)(way, chosen)


def _one(message: QuarantineEntry) -> None:
    story = here().api.quarantined(message.id)
    st.text(f"{shown(message.reason, 60)}: {shown(message.detail, 1000)}")
    if story.request_id and story.request_id != HIDDEN:
        links.to("request", f"Open {shown(story.request_id, 60)}", icon=":material/receipt_long:", id=story.request_id)
    st.caption(f"{count(story.bytes, 'byte')} came")
    bodies.offer(lambda reason: here().api.reveal_quarantined(message.id, reason), "UTC")
    bodies.text_of(story.text)


def _dialog(way: str, chosen: list[QuarantineEntry]) -> None:
    icon, consequence = _WAYS[way]
    st.info(f"What follows: {markdown(consequence)}", icon=":material/arrow_forward:")
    if reason := frame.reason_for(f"{markdown(way.capitalize())} {count(len(chosen), 'message')}", icon):
        _decide(way, chosen, reason)


def _decide(way: str, chosen: list[QuarantineEntry], reason: str) -> None:
    for number, message in enumerate(chosen):
        try:
            result = here().api.decide(message.id, way, reason)
        except Failed as error:
            cached.forget()
            st.text(f"{number:,} of {len(chosen)} done, then:")
            frame.refused(error)
            return
        became = result.outcome if result.done else f"not applied: {result.why}"
        frame.flash(f"{way.capitalize()} {message.id}: {became}")
    cached.forget()
    frame.idle()
    st.rerun()
