"""The script that Streamlit runs for each viewer: who is it, and which page."""

from base64 import b64encode
from html import escape
from pathlib import Path

import streamlit as st

from dashboard import frame, links, person
from dashboard.escaping import HIDDEN, shown
from dashboard.settings import settings
from dashboard.views import audit, failures, mappings, now, places, request, shipments

# One of Streamlit's names would be fetched from outside, and a file is given to nobody who has not signed in.
_ICON = f"data:image/png;base64,{b64encode(Path(__file__).with_name('icon.png').read_bytes()).decode()}"
# Streamlit's own export of a table writes formulas as they came; ours does not.
_LOOKS = """<style>
[data-testid=stMainBlockContainer] { padding: 2.5rem 3rem }
[data-testid=stCaptionContainer] { opacity: .8 }
[data-testid=stMain] h2 { font-size: 1.75rem }
.st-key-by-dc [data-testid=stText] { font-size: .875rem }
.st-key-alarms [data-testid=stIconMaterial] { color: #d6404d }
[data-testid=stBaseButton-primary], [data-testid=stBaseButton-primaryFormSubmit] { background: #c62f3c }
[data-testid=stMain] [data-testid=stPageLink] a { padding-left: 0 }
[data-testid=stElementToolbarButton]:has([aria-label^="Download as CSV"]) { display: none }
[data-testid=stMain] [data-testid=stPageLink] p { text-decoration: underline; text-underline-offset: 3px }
</style>"""
_VIEWS = {
    "now": (now.show, "Now", ":material/monitor_heart:"),
    "shipments": (shipments.show, "Shipments", ":material/package_2:"),
    "failures": (failures.show, "Failures", ":material/error:"),
    "places": (places.show, "DCs and providers", ":material/warehouse:"),
    "mappings": (mappings.show, "Mappings", ":material/translate:"),
    "audit": (audit.show, "Audit", ":material/history:"),
    "request": (request.show, "Request", ":material/receipt_long:"),
}


def main() -> None:
    st.set_page_config(page_title="Fulfillment gateway", page_icon=_ICON, layout="wide", initial_sidebar_state=230)
    st.html(_LOOKS)
    pages = {
        name: st.Page(show, title=title, icon=icon, url_path=name, default=name == "now")
        for name, (show, title, icon) in _VIEWS.items()
    }
    links.register(pages)
    frame.idle()
    page = st.navigation(list(pages.values()))

    def body() -> None:
        st.session_state["person"] = person.find()
        _who()
        frame.show_flashes()
        page.run()

    if person.has_oidc() and not settings().token and not st.user.is_logged_in:
        _ask_to_log_in()
    else:
        frame.guarded(body)


def _who() -> None:
    who = person.here()
    with st.sidebar:
        if settings().is_demo:
            st.info("This is the demo: it has signed you in by itself.", icon=":material/science:")
        st.text(f"{shown(who.name)} · {shown(who.role)}")
        if not who.may_act:
            st.caption("A viewer looks; an operator acts.")
            st.caption(f"{HIDDEN} hides what others wrote. An operator may see it.")
        if person.has_oidc() and not settings().token:
            st.button("Sign out", on_click=st.logout)
        elif not settings().token:
            st.html(f'<a href="{escape(settings().base)}/sign-out" target="_self">Sign out</a>')


def _ask_to_log_in() -> None:
    st.title("Fulfillment gateway")
    st.write("Sign in to see what is pending, failed or rejected, and to do something about it.")
    st.button("Sign in", type="primary", on_click=st.login, icon=":material/login:")


main()
