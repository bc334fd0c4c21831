"""What every page does alike: it refreshes in parts, says what is wrong, and recovers by itself."""

from collections.abc import Callable
from itertools import count

import streamlit as st

from dashboard import person
from dashboard.api import Failed, SignedOut, Unreachable
from dashboard.escaping import markdown, shown
from dashboard.settings import settings

_EVERY = 3.0
_LONG = 2000  # characters of what the gateway says
_BUSY = "busy"
_FLASH = "flash"


def guarded(body: Callable[[], None]) -> None:
    """Show a part of a page, or what keeps it from being shown."""
    try:
        body()
    except Unreachable as error:
        _unreachable(error)
    except SignedOut as error:
        signed_out(error)
    except Failed as error:
        refused(error)


def live(body: Callable[[], None], every: float = _EVERY) -> None:
    """Show a part of a page that is shown anew every few seconds."""

    @st.fragment(run_every=every)
    def part() -> None:
        try:
            st.session_state["person"] = person.find()
            body()
        except SignedOut:
            st.rerun()
        except Unreachable as error:
            _say_unreachable(error)
        except Failed as error:
            refused(error)

    part()


def watch(digest: Callable[[], object], *, chosen: bool = False) -> None:
    """Show the whole page anew when this changes, but not under the hands of somebody who has chosen or acts."""
    was = digest()

    @st.fragment(run_every=_EVERY)
    def look() -> None:
        try:
            st.session_state["person"] = person.find()
            is_new = digest() != was
        except Failed:
            st.rerun()
        if is_new and not is_busy():
            if not chosen:
                st.rerun()
            st.caption("The list has changed since. Clear your selection to see it as it is now.")

    look()


def is_busy() -> bool:
    """Tell whether a dialog is open."""
    return bool(st.session_state.get(_BUSY))


def busy() -> None:
    """A dialog opens; call it before."""
    st.session_state[_BUSY] = True


def idle() -> None:
    """The dialog is closed."""
    st.session_state[_BUSY] = False


def flash(text: str) -> None:
    """Say this once the page is shown anew."""
    st.session_state.setdefault(_FLASH, []).append(text)


def show_flashes() -> None:
    for text in st.session_state.pop(_FLASH, []):
        st.toast(markdown(text, 300), icon=":material/check_circle:", duration="long")


def empty(text: str) -> None:
    """Say what it means that there is nothing."""
    st.info(text, icon=":material/inbox:")


def reason_for(button: str, icon: str) -> str:
    """Ask why; empty until somebody has said so and pressed the button."""
    with st.form("reason", border=False):
        reason = st.text_input("Reason (it goes into the audit)", max_chars=1000).strip()
        pressed = st.form_submit_button(button, type="primary", icon=icon)
    if pressed and not reason:
        st.warning("Write a reason first.", icon=":material/edit:")
    return reason if pressed else ""


def refused(error: Failed) -> None:
    st.error("The gateway refused this:", icon=":material/block:")
    st.text(shown(str(error), _LONG))


def signed_out(error: Failed) -> None:
    """Say how to come in."""
    st.warning("**You are signed out.** Reload this page to sign in.", icon=":material/lock:")
    if str(error):
        st.text(shown(str(error), _LONG))


def _unreachable(error: Unreachable) -> None:
    looks = count()

    @st.fragment(run_every=2.0)
    def again() -> None:
        _say_unreachable(error)
        if next(looks):  # not at once: it has just been asked
            _rerun_if_awake()

    again()


def _rerun_if_awake() -> None:
    try:
        person.find().api.wake()
    except Unreachable:
        return
    except Failed:
        pass
    st.rerun()


def _say_unreachable(error: Unreachable) -> None:
    st.error(
        "**The gateway does not answer.** This page asks again every few seconds and goes on by itself. "
        "If it stays so: is the gateway running, and is this its internal listener?",
        icon=":material/cloud_off:",
    )
    st.text(shown(f"{settings().url}: {error}", _LONG))
