"""Mappings: what providers call things, and what waits because nobody has said it."""

from collections.abc import Callable

import streamlit as st

from dashboard import cached, frame, tables
from dashboard.api import Failed
from dashboard.escaping import markdown, shown
from dashboard.person import here
from dashboard.shapes import MappingStory, UnmappedStory
from dashboard.times import age

_KINDS = {"service_level": "service level", "product": "product", "carrier": "carrier"}


def show() -> None:
    st.title("Mappings")
    found = cached.mappings()
    chosen = _waiting(found.unmapped)
    if here().may_act and st.button("Add a mapping", icon=":material/add:", key="map"):
        frame.busy()
        st.dialog("Add a mapping", on_dismiss=frame.idle)(_add)(chosen)
    st.header("What providers call things")
    if not found.mappings:
        frame.empty("Nothing is mapped: everything goes as it is.")
    else:
        _mapped(found.mappings)
    frame.watch(_digest)


def _digest() -> object:
    found = cached.mappings()
    return found.version, [(each.provider, each.unmapped, each.orders, each.messages) for each in found.unmapped]


def _waiting(unmapped: list[UnmappedStory]) -> UnmappedStory | None:
    """Show what waits, and give the word that was chosen, else the one that most wait for."""
    if not unmapped:
        frame.empty("Nothing waits for a mapping.")
        return None
    st.header("What waits")
    rows = [
        {
            "provider": shown(each.provider, 40),
            "kind": _KINDS.get(each.kind, each.kind),
            "word": shown(each.unmapped, 200),
            "whose word": "NewStore's" if each.side == "ours" else "the provider's",
            "orders that wait": each.orders,
            "messages that wait": each.messages,
        }
        for each in unmapped
    ]
    key = tables.key_of("unmapped", [(each.provider, each.kind, each.unmapped) for each in unmapped])
    rows_chosen = tables.chosen(key, rows, "Words that are not mapped", "single-row")
    return unmapped[rows_chosen[0] if rows_chosen else 0]


def _mapped(mappings: list[MappingStory]) -> None:
    rows = [
        {
            "provider": shown(each.provider, 40),
            "kind": _KINDS.get(each.kind, each.kind),
            "NewStore's word": shown(each.ours, 200),
            "the provider's": shown(each.theirs, 200),
            "said by": shown(each.who, 40) if each.who else "the settings",
            "since": age(each.at),
        }
        for each in mappings
    ]
    key = tables.key_of("mappings", [(each.id, each.provider, each.ours) for each in mappings])
    for row in tables.chosen(key, rows, "Mappings", "single-row"):
        each = mappings[row]
        if each.id is None:
            st.caption("The settings say this: change it there, or add another one over it.")
        elif here().may_act and st.button("Remove", icon=":material/delete:", key="unmap"):
            frame.busy()
            st.dialog("Remove a mapping", on_dismiss=frame.idle)(_remove)(each)


def _add(waits: UnmappedStory | None) -> None:
    st.info("What follows: what waited for it goes on by itself.", icon=":material/arrow_forward:")
    providers = sorted({each.name for each in cached.destinations() if each.adapter})
    with st.form("mapping", border=False):
        provider = st.selectbox("Provider", providers, index=providers.index(waits.provider) if waits else 0)
        kind = st.selectbox(
            "What", list(_KINDS), index=list(_KINDS).index(waits.kind) if waits else 0, format_func=_KINDS.__getitem__
        )
        ours = st.text_input("NewStore's word", value=waits.unmapped if waits and waits.side == "ours" else "")
        theirs = st.text_input("The provider's word", value=waits.unmapped if waits and waits.side == "theirs" else "")
        reason = st.text_input("Reason (it goes into the audit)", max_chars=1000)
        pressed = st.form_submit_button("Add", type="primary", icon=":material/add:")
    if pressed and not (ours.strip() and theirs.strip() and reason.strip()):
        st.warning("Write both words and a reason first.", icon=":material/edit:")
    elif pressed:
        order = {"provider": provider, "kind": kind, "ours": ours.strip(), "theirs": theirs.strip()}
        _done(lambda: here().api.add_mapping({**order, "reason": reason.strip()}), "Mapped")


def _remove(each: MappingStory) -> None:
    st.text(f"{shown(each.provider, 40)}: {shown(each.ours, 200)} = {shown(each.theirs, 200)}")
    st.info("What follows: what the settings say of it counts again.", icon=":material/arrow_forward:")
    if reason := frame.reason_for(markdown("Remove"), ":material/delete:"):
        _done(lambda: here().api.remove_mapping(each.id or 0, reason), "Removed")


def _done(act: Callable[[], MappingStory], word: str) -> None:
    try:
        mapping = act()
    except Failed as error:
        frame.refused(error)
        return
    cached.forget()
    frame.flash(f"{word}: {mapping.ours} = {mapping.theirs}")
    frame.idle()
    st.rerun()
