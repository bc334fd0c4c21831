"""Audit: who did what to which subject, why, and what followed."""

import streamlit as st

from dashboard import cached, frame, links, tables
from dashboard.escaping import shown
from dashboard.shapes import AuditEntry
from dashboard.times import age, clock

_ANY = "any"
_ACTIONS = (
    "recheck", "redrive", "reroute", "reject", "close", "take", "note", "hold", "release", "replay", "discard",
    "reveal",
)  # fmt: skip


def show() -> None:
    st.title("Audit")
    who, action, subject = st.columns(3)
    asked = {
        "who": who.text_input("Who", key="who", bind="query-params").strip(),
        "action": action.selectbox("Did what", [_ANY, *_ACTIONS], key="action", bind="query-params"),
        "subject": subject.text_input(
            "To what", key="subject", bind="query-params", placeholder="a request's id"
        ).strip(),
    }
    filters = {name: value for name, value in asked.items() if value not in {"", _ANY}}
    before = st.query_params.get("before", "")
    page = cached.audit(**filters, limit="100", **({"before": before} if before else {}))
    rows = [_row(each) for each in page.audit]
    if not rows:
        frame.empty("Nobody has done anything that matches. Every act, hold, replay and note is listed here.")
    else:
        key = tables.key_of("audit", [each.id for each in page.audit])
        for row in tables.chosen(key, rows, "Audit, newest first", "single-row"):
            _one(page.audit[row])
    with st.container(horizontal=True):
        tables.turn(before, page.next_page, "before", "Newest", "Older")
        tables.refresh_or_save(rows, "audit.csv")


def _row(entry: AuditEntry) -> dict[str, str]:
    return {
        "at": clock(entry.at),
        "age": age(entry.at),
        "who": shown(entry.who, 40),
        "did": shown(entry.action, 20),
        "to": shown(entry.subject, 60),
        "why": shown(entry.reason, 200),
        "what followed": shown(entry.outcome, 200),
    }


def _one(entry: AuditEntry) -> None:
    st.text(f"{shown(entry.who, 60)}: {shown(entry.reason, 2000)}")
    st.text(shown(entry.outcome, 2000))
    if not entry.subject.startswith(("hold ", "quarantine ")):
        links.to("request", f"Open {shown(entry.subject, 60)}", icon=":material/receipt_long:", id=entry.subject)
