"""Charts; whatever a colour says, a place or a dash says too."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import altair as alt
import streamlit as st

from dashboard.escaping import shown
from dashboard.shapes import RequestStory, Trends
from dashboard.times import lasted

_COLOURS = ["#8c8c8c", "#3a6fc4", "#7ba7e0", "#c9473f"]  # what waits for a person stands out in both themes


def flow(trends: Trends) -> None:
    """Draw how many requests came and how many shipped."""
    values = [
        {"at": each["at"], "what": what, "requests": number}
        for each in _summed(trends)
        for what, number in (("received", each["received"]), ("shipped", each["shipped"]))
    ]
    chart = (
        _of(values)
        .mark_line(point=True)
        .encode(
            x=alt.X("at:T", title=None),
            y=alt.Y("requests:Q", title=f"requests in {lasted(trends.bucket_seconds)}"),
            color=alt.Color("what:N", title=None, legend=alt.Legend(orient="top")),
            strokeDash=alt.StrokeDash("what:N", title=None),
            shape=alt.Shape("what:N", title=None),
            tooltip=["at:T", "what:N", "requests:Q"],
        )
        .properties(height=260)
    )
    st.altair_chart(chart, alt="Requests received and shipped over time")


def _summed(trends: Trends) -> list[dict[str, Any]]:
    totals: dict[datetime, dict[str, Any]] = {}
    for each in trends.flow:
        row = totals.setdefault(each.at, {"at": each.at.isoformat(), "received": 0, "shipped": 0})
        row["received"] += each.received
        row["shipped"] += each.shipped
    return list(totals.values())


def waiting(story: RequestStory) -> None:
    """Draw who waited for whom, and each call and message on the row of whom it concerns."""
    provider = story.provider or "no provider"
    names = {"gateway": "gateway", "provider": provider, "newstore": "NewStore", "operations": "a person"}
    spans = _spans(story, names)
    base = _of(spans)
    rows = [shown(name) for name in names.values()]
    row = alt.Y("who:N", title=None, scale=alt.Scale(domain=rows), axis=alt.Axis(labelOverlap=False))
    bars = base.mark_bar(height=12, cornerRadius=3).encode(
        x=alt.X("start:T", title=None, axis=alt.Axis(format="%H:%M:%S", labelOverlap=True)), x2="end:T", y=row,
        color=alt.Color("who:N", legend=None, scale=alt.Scale(domain=rows, range=_COLOURS)),
        tooltip=["who:N", "after:N", "lasted:N"],
    )  # fmt: skip
    calls = (
        _of(_calls(story))
        .mark_point(size=70, filled=True)
        .encode(
            x="start:T", y=row, shape=alt.Shape("outcome:N", title="calls", legend=alt.Legend(orient="bottom")),
            color=alt.value("gray"), tooltip=["call:N", "outcome:N", "lasted:N", "said:N"],
        )
    )  # fmt: skip
    chart = (bars + calls).properties(height=220)
    st.altair_chart(chart, alt="Who had to move when, and the calls that were made; the tables below say the same")


def _spans(story: RequestStory, names: Mapping[str, str]) -> list[dict[str, str]]:
    found: list[dict[str, str]] = []
    who, since, after = "gateway", story.received_at, "request_received"
    for event in [*story.events[1:], None]:
        ends = event.at if event else _end(story)
        if found and found[-1]["who"] == who:
            found[-1]["end"] = ends.isoformat()
        elif ends > since:
            lasting = lasted((ends - since).total_seconds())
            found.append(
                {"who": who, "start": since.isoformat(), "end": ends.isoformat(), "after": after, "lasted": lasting}
            )
        if event:
            who = names[event.hands_to] if event.hands_to else who
            since, after = event.at, event.kind.replace("_", " ")
    return found


def _end(story: RequestStory) -> datetime:
    if story.pending or story.failure:
        return datetime.now(UTC)
    return story.settled_at or story.events[-1].at


def _calls(story: RequestStory) -> list[dict[str, str]]:
    return [
        {
            "who": "NewStore" if each.destination == "newstore" else each.destination,
            "start": each.at.isoformat(),
            "call": f"{each.operation.replace('_', ' ')} {each.attempt}",
            "outcome": each.outcome,
            "lasted": lasted(each.seconds),
            "said": each.detail,
        }
        for each in story.attempts
    ]


def _of(values: Sequence[Mapping[str, Any]]) -> alt.Chart:
    plain = [{name: shown(each) if isinstance(each, str) else each for name, each in row.items()} for row in values]
    return alt.Chart(alt.Data(values=plain))  # type: ignore[no-untyped-call]
