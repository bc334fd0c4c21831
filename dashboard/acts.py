"""What a person does about requests: chosen, counted by a dry run, reasoned, confirmed."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import streamlit as st

from dashboard import cached, frame, tables
from dashboard.api import BULK, Api, Failed
from dashboard.escaping import count, markdown, shown
from dashboard.person import here
from dashboard.shapes import ActResult

_COUNTING = "counting what would follow"
_REASONS = {
    "cannot_fulfill": "This DC can't fulfill this order (only this order avoids this DC)",
    "no_inventory": "No inventory (NewStore sets this DC's stock of these products to zero)",
}
_UNDO = "Nothing takes this back."


@dataclass(frozen=True)
class Act:
    """One thing to do; `word` names its button."""

    name: str
    word: str
    icon: str
    help: str
    is_final: bool = False


ACTS = (
    Act("recheck", "Recheck", ":material/search:", "Ask NewStore and the provider what became of it; sends nothing."),
    Act(
        "redrive", "Redrive", ":material/replay:", "Owe what failed again, after a look wherever it may have happened."
    ),
    Act("reroute", "Reroute", ":material/alt_route:", "Give it to another provider.", is_final=True),
    Act("reject", "Reject upstream", ":material/block:", "Let NewStore reroute the open units.", is_final=True),
    Act("discard", "Discard rejection", ":material/undo:", "Open again what was rejected and never told to NewStore."),
    Act("close", "Close", ":material/task_alt:", "It was settled elsewhere: nothing is owed any more.", is_final=True),
    Act("take", "Take", ":material/front_hand:", "Say that you see to it."),
    Act(
        "note",
        "Note",
        ":material/edit_note:",
        "Write something into the story; it also answers a conflict or a refused callback.",
    ),
)


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
    if not here().may_act:
        return
    with st.container(horizontal=True, key=f"acts-{key}"):
        for act in ACTS:
            is_offered = targets is not None and (bool(targets.ids) or act.name in BULK)
            pressed = st.button(
                markdown(act.word),
                icon=act.icon,
                help=markdown(act.help),
                key=f"{key}-{act.name}",
                disabled=not is_offered,
            )
            if pressed and targets is not None:
                ask(act, targets)


def ask(act: Act, targets: Targets) -> None:
    """Open the dialog of an act."""
    st.session_state["action_id"] = secrets.token_hex(8)
    frame.busy()
    title = f"{act.word} · {shown(targets.name, 60)}"
    st.dialog(markdown(title), width="medium", on_dismiss=frame.idle)(_dialog)(act, targets)


def _dialog(act: Act, targets: Targets) -> None:
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


def _options(act: Act, targets: Targets) -> dict[str, Any] | None:
    """Ask what the act needs to know; None until it is known."""
    order: dict[str, Any] = {"action_id": st.session_state["action_id"]}
    if act.name == "reroute":
        providers = sorted({each.provider for each in cached.locations() if each.provider})
        order["to"] = st.selectbox("To which provider?", providers, index=None, placeholder="Choose one")
    if act.name == "reject":
        order["rejection_reason"] = st.radio("Why?", list(_REASONS), index=None, format_func=_REASONS.__getitem__)
    if None in order.values():
        return None
    if act.name in {"reroute", "reject"}:
        order["provider_stopped"] = st.text_input(
            "Did the provider tell you that it will not ship it? Who, and how?",
            help="Leave it empty where nobody did: the gateway then asks the provider to stop, and waits for its word.",
            max_chars=200,
        )
    if act.name == "redrive" and len(targets.ids) == 1:
        order |= _corrections()
    return order


def _corrections() -> dict[str, str]:
    """Ask what NewStore shall be told instead of the words that it refused."""
    with st.expander("Did NewStore refuse the carrier or the tracking number?"):
        words = {
            "carrier": st.text_input("Carrier, as NewStore calls it", max_chars=500),
            "tracking_code": st.text_input("Tracking number", max_chars=500),
        }
        st.caption("What stays empty is told as before. Only a shipment that NewStore definitely refused is corrected.")
    return {name: word.strip() for name, word in words.items() if word.strip()}


def _show_count(act: Act, counted: Counted) -> None:
    looked = len(counted.results)
    declined = [each for each in counted.results if not each.done]
    if counted.done:
        st.markdown(f"**{markdown(act.word)} would work on {counted.done:,} of {count(looked, 'request')}.**")
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


def _confirm(act: Act, targets: Targets, order: Mapping[str, Any], counted: Counted) -> None:
    number = counted.matching if targets.filters else counted.done
    with st.form("confirm", border=False):
        reason = st.text_input(
            "The note" if act.name == "note" else "Reason (it goes into the story and the audit)", max_chars=1000
        )
        sure = not targets.filters or st.checkbox(f"I mean all {count(number, 'request')} that match the filter")
        if not st.form_submit_button(f"{markdown(act.word)} {count(number, 'request')}", type="primary", icon=act.icon):
            return
    if not reason.strip():
        st.warning("Write a reason first: whoever comes next reads it.", icon=":material/edit:")
    elif not sure:
        st.warning("Tick the box first: this is for all that match.", icon=":material/check_box:")
    else:
        _do(act, targets, {**order, "reason": reason.strip()})


def _do(act: Act, targets: Targets, order: Mapping[str, Any]) -> None:
    try:
        with st.spinner(f"{markdown(act.word)} …"):
            told = _apply(here().api, act, targets, order)
    except Failed as error:
        cached.forget()
        frame.refused(error)
        return
    cached.forget()
    declined = next((f" {each.outcome}" for each in told.results if not each.done), "")
    frame.flash(f"{act.word} is done for {told.done:,} of {count(len(told.results), 'request')}.{declined}")
    frame.idle()
    st.rerun()


def _apply(api: Api, act: Act, targets: Targets, order: Mapping[str, Any]) -> Counted:
    """Do it, or count it where the order is a dry run: then the first page of a filter is enough."""
    if targets.filters:
        return _apply_to_all(api, act, targets.filters, order)
    results = [api.act(act.name, each, order) for each in targets.ids]
    consequence = next((each.consequence for each in results if each.consequence), "")
    return Counted(len(results), sum(each.done for each in results), results, consequence)


def _apply_to_all(api: Api, act: Act, filters: Mapping[str, str], order: Mapping[str, Any]) -> Counted:
    results: list[ActResult] = []
    matching, after = None, None
    while True:
        page = api.act_on_all(act.name, {**order, "filter": filters, "after": after})
        results += page.results
        matching = page.matching if matching is None else matching
        after = page.next_page
        if after is None or order.get("dry_run"):
            return Counted(matching, sum(each.done for each in results), results, page.consequence)
