"""Tables of what the API lists."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from dashboard import cached, words
from dashboard.escaping import cell, shown
from dashboard.shapes import QuarantineEntry, RequestSummary
from dashboard.times import age, clock

_WIDTHS = {"waits for": st.column_config.TextColumn(width=340), "order": st.column_config.TextColumn(width=150)}
_ROW, _MOST_HEIGHT = 35, 738
_TALL_ROW = 66  # more than 4rem, from where on Streamlit breaks lines: room for three
_LONGEST = 10_000  # characters of a cell; a link is not cut
_LINE = 48  # letters of "waits for" that one line shows


def state(request: RequestSummary) -> str:
    """Write the state of a request: a sign and words, so that no colour is needed."""
    if request.failure:
        return f"✕ failed: {words.failure(request.failure)}"
    if request.closed:
        return "⊘ closed by a person"
    if request.provider is None and request.pending:
        return "? unroutable"
    if not request.pending:
        return "✓ settled"
    return f"… {request.status.replace('_', ' ')}" + (", rejected units" if request.rejected else "")


def waits(request: RequestSummary, labels: Mapping[str, str]) -> str:
    """Write who has to move, and what comes next by the labels of buttons."""
    waiting = request.waiting_for
    return f"{waiting.who}: {words.here(waiting.next, labels)}" if waiting else "nobody"


def of_requests(requests: Sequence[RequestSummary]) -> list[dict[str, str]]:
    """Make a table of requests."""
    labels = cached.labels()
    return [
        {
            "state": state(each),
            "DC": each.location,
            "provider": shown(each.provider),
            "age": age(each.received_at),
            "taken by": shown(each.taken_by, 20),
            "waits for": shown(waits(each, labels), 160),
            "order": shown(each.order_id, 40),
            "request": shown(each.id, 40),
            "service": shown(each.service_level, 20),
            "received": clock(each.received_at, cached.zone(each.location)),
            "reference": each.reference,
        }
        for each in requests
    ]


def of_quarantine(messages: Sequence[QuarantineEntry]) -> list[dict[str, str]]:
    return [
        {
            "no.": str(each.id),
            "from": shown(each.source, 40),
            "why": words.QUARANTINE.get(each.reason, each.reason.replace("_", " ")),
            "detail": shown(each.detail, 120),
            "request": shown(each.request_id, 40),
            "age": age(each.at),
        }
        for each in messages
    ]


def show(rows: Sequence[Mapping[str, Any]], alt: str, **config: Any) -> None:
    """Show a table that nobody can choose from."""
    row = _row_of(rows)
    st.dataframe(
        _plain(rows), hide_index=True, alt=alt, column_config={**_WIDTHS, **config},
        row_height=row, height=_height(rows, row),
    )  # fmt: skip


def chosen(key: str, rows: Sequence[Mapping[str, Any]], alt: str, mode: Any) -> list[int]:
    """Show a table, and tell which of its rows are chosen. Other rows must have another key: a choice is a place."""
    row = _row_of(rows)
    event: Any = st.dataframe(
        _plain(rows), hide_index=True, alt=alt, key=key, on_select="rerun", selection_mode=mode,
        column_config=_WIDTHS, row_height=row, height=_height(rows, row),
    )  # fmt: skip
    return [int(each) for each in event.selection.rows if each < len(rows)]


def key_of(name: str, ids: Sequence[object]) -> str:
    """Name a table after its rows."""
    return f"{name}:{hash(tuple(ids))}"


def turn(
    here: str, next_page: str | None, key: str = "after", first: str = "Page 1", further: str = "Next page"
) -> None:
    """Put buttons here that turn to the first page and to the next; `key` holds the place in the address."""
    if here and st.button(first, icon=":material/first_page:"):
        del st.query_params[key]
        st.rerun()
    if next_page and st.button(further, icon=":material/chevron_right:", icon_position="right"):
        st.query_params[key] = next_page
        st.rerun()


def refresh_or_save(rows: Sequence[Mapping[str, str]], file: str) -> None:
    """Put buttons here that ask anew, and that give these rows to a spreadsheet."""
    if st.button("Refresh", icon=":material/refresh:"):
        cached.forget()
        st.rerun()
    if rows:
        st.download_button("CSV of these", as_csv(rows), file, "text/csv", icon=":material/download:")


def as_csv(rows: Sequence[Mapping[str, str]]) -> str:
    """Write rows for a spreadsheet."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(rows[0].keys() if rows else ())
    writer.writerows([cell(value) for value in row.values()] for row in rows)
    return text.getvalue()


def _plain(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Name in every cell what hides, whoever wrote it; shorter than this it is cut where a row is made."""
    return [
        {name: shown(value, _LONGEST) if isinstance(value, str) else value for name, value in row.items()}
        for row in rows
    ]


def _row_of(rows: Sequence[Mapping[str, Any]]) -> int:
    """Make rows as tall as it takes to read what they wait for."""
    return _TALL_ROW if any(len(each.get("waits for", "")) > _LINE for each in rows) else _ROW


def _height(rows: Sequence[object], row: int) -> int:
    return min(len(rows) * row + _ROW + 3, _MOST_HEIGHT)
