"""What a person does about requests: chosen, counted by a dry run, reasoned, confirmed."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from dashboard import cached, frame, tables
from dashboard.api import Api, Failed
from dashboard.escaping import count, markdown, shown
from dashboard.person import here
from dashboard.shapes import ActResult, ActStory, AskedStory

_COUNTING = "counting what would follow"
_UNDO = "Nothing takes this back."
_ICONS = {
    "recheck": ":material/search:",
    "redrive": ":material/replay:",
    "reroute": ":material/alt_route:",
    "reject": ":material/block:",
    "discard": ":material/undo:",
    "close": ":material/task_alt:",
    "take": ":material/front_hand:",
    "note": ":material/edit_note:",
}
_ANY_ICON = ":material/play_arrow:"


@dataclass(frozen=True)
class Targets:
    """These requests, or all that a filter finds; `name` is what a person calls them."""

    name: str
    ids: tuple[str, ...] = ()
    filters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Counted:
    """What would follow, or did."""

    matching: int
    done: int
    results: Sequence[ActResult]
    consequence: str


def buttons(targets: Targets | None, key: str) -> None:
    """Put the buttons here; none for those who may only look."""
    known = cached.acts()
    if here().role not in known.roles:
        return
    with st.container(horizontal=True, key=f"acts-{key}"):
        for act in known.acts:
            is_offered = targets is not None and (bool(targets.ids) or act.many is not None)
            pressed = st.button(
                markdown(act.label),
                icon=_icon(act),
                help=markdown(act.help),
                key=f"{key}-{act.action}",
                disabled=not is_offered,
            )
            if pressed and targets is not None:
                ask(act, targets)


def _icon(act: ActStory) -> str:
    return _ICONS.get(act.action, _ANY_ICON)


def ask(act: ActStory, targets: Targets) -> None:
    """Open the dialog of an act."""
    st.session_state["action_id"] = secrets.token_hex(8)
    frame.busy()
    title = f"{act.label} · {shown(targets.name, 60)}"
    st.dialog(markdown(title), width="medium", on_dismiss=frame.idle)(_dialog)(act, targets)


def _dialog(act: ActStory, targets: Targets) -> None:
    try:
        order = _options(act, targets)
        counted = _apply(here().api, act, targets, {**order, "reason": _COUNTING, "dry_run": True}) if order else None
    except Failed as error:
        frame.refused(error)
        return
    if order is None or counted is None:
        return
    _show_count(act, counted)
    if counted.done:
        _confirm(act, targets, order, counted)


def _options(act: ActStory, targets: Targets) -> dict[str, Any] | None:
    """Ask what the act needs to know; None until it is known."""
    needed = {each.name: _told(each) for each in act.asks if each.is_required}
    if not all(needed.values()):
        return None
    optional = {each.name: _told(each) for each in act.asks if not (each.is_required or each.aside)}
    asides = _asides(act) if len(targets.ids) == 1 else {}
    told = {name: word for name, word in {**needed, **optional, **asides}.items() if word}
    return {"action_id": st.session_state["action_id"], **told}


def _told(asked: AskedStory) -> str | None:
    """Ask for one parameter; the question is our own words, which a label reads out as they are."""
    if asked.choices:
        means = {each.value: each.means for each in asked.choices}
        return st.radio(asked.question, _values(asked), index=None, format_func=means.__getitem__)
    if asked.names == "provider":
        return st.selectbox(asked.question, _providers(), index=None, placeholder="Choose one")
    return st.text_input(asked.question, help=asked.hint or None, max_chars=asked.most).strip()


def _values(asked: AskedStory) -> list[str]:
    return [each.value for each in asked.choices]


def _providers() -> list[str]:
    return sorted({each.provider for each in cached.locations() if each.provider})


def _asides(act: ActStory) -> dict[str, str | None]:
    """Ask, folded away, for what is seldom told."""
    told = dict[str, str | None]()
    for aside in dict.fromkeys(each.aside for each in act.asks if each.aside):
        with st.expander(aside.question):
            told |= {each.name: _told(each) for each in act.asks if each.aside == aside}
            st.caption(aside.hint)
    return told


def _show_count(act: ActStory, counted: Counted) -> None:
    looked = len(counted.results)
    declined = [each for each in counted.results if not each.done]
    if counted.done:
        st.markdown(f"**{markdown(act.label)} would work on {counted.done:,} of {count(looked, 'request')}.**")
        if counted.matching > looked:
            st.caption(f"Of {counted.matching:,} that match, the first {looked:,} were counted.")
    else:
        st.warning("There is nothing that this would do here.", icon=":material/do_not_disturb_on:")
    if counted.consequence:
        follows = f"{counted.consequence}."
        if act.is_final:
            st.warning(f"What follows: {markdown(follows, 400)} {_UNDO}", icon=":material/arrow_forward:")
        else:
            st.info(f"What follows: {markdown(follows, 400)}", icon=":material/arrow_forward:")
    if declined:
        st.caption(f"Left as they are: {len(declined)}")
        tables.show([{"request": shown(each.id, 40), "why": shown(each.outcome, 200)} for each in declined], "Declined")


def _confirm(act: ActStory, targets: Targets, order: Mapping[str, Any], counted: Counted) -> None:
    number = counted.matching if targets.filters else counted.done
    with st.form("confirm", border=False):
        reason = st.text_input(act.content or "Reason (it goes into the story and the audit)", max_chars=1000)
        sure = not targets.filters or st.checkbox(f"I mean all {count(number, 'request')} that match the filter")
        if not st.form_submit_button(
            f"{markdown(act.label)} {count(number, 'request')}", type="primary", icon=_icon(act)
        ):
            return
    if not reason.strip():
        st.warning("Write a reason first: whoever comes next reads it.", icon=":material/edit:")
    elif not sure:
        st.warning("Tick the box first: this is for all that match.", icon=":material/check_box:")
    else:
        _do(act, targets, {**order, "reason": reason.strip()})


def _do(act: ActStory, targets: Targets, order: Mapping[str, Any]) -> None:
    try:
        with st.spinner(f"{markdown(act.label)} …"):
            told = _apply(here().api, act, targets, order)
    except Failed as error:
        cached.forget()
        frame.refused(error)
        return
    cached.forget()
    declined = next((f" {each.outcome}" for each in told.results if not each.done), "")
    frame.flash(f"{act.label} is done for {told.done:,} of {count(len(told.results), 'request')}.{declined}")
    frame.idle()
    st.rerun()


def _apply(api: Api, act: ActStory, targets: Targets, order: Mapping[str, Any]) -> Counted:
    """Do it, or count it where the order is a dry run: then the first page of a filter is enough."""
    if targets.filters:
        return _apply_to_all(api, act, targets.filters, order)
    results = [api.act(act.action, each, order) for each in targets.ids]
    consequence = next((each.consequence for each in results if each.consequence), "")
    return Counted(len(results), sum(each.done for each in results), results, consequence)


def _apply_to_all(api: Api, act: ActStory, filters: Mapping[str, str], order: Mapping[str, Any]) -> Counted:
    results: list[ActResult] = []
    matching, after = None, None
    while True:
        page = api.act_on_all(act.many or "", {**order, "filter": filters, "after": after})
        results += page.results
        matching = page.matching if matching is None else matching
        after = page.next_page
        if after is None or order.get("dry_run"):
            return Counted(matching, sum(each.done for each in results), results, page.consequence)
