"""Now: is anything broken that I must act on? Then what is open, and how it flows."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import streamlit as st

from dashboard import cached, charts, frame, holding, links, tables, words
from dashboard.escaping import count, markdown, shown
from dashboard.shapes import LocationSummary, Speed, Summary
from dashboard.times import age, clock, lasted

_OLD = timedelta(hours=1)
_SOON = timedelta(minutes=15)
_COLUMNS = (2, 1, 1, 1, 2, 2, 2, 1)


def show() -> None:
    st.title("Now")
    frame.live(_alarms)
    frame.live(_places)
    left, right = st.columns(2, gap="large")
    with left:
        frame.live(_flow, 15)
    with right:
        frame.live(_shift, 5)


def _alarms() -> None:
    summary = cached.summary()
    now = datetime.now(UTC)
    lines = [*_failures(summary), *_stuck(summary), *_aged(summary, now), *_held(summary, now), *_restored(summary)]
    broken = sum(is_alarm for is_alarm, *_ in lines)
    if broken:
        st.error(f"**{count(broken, 'thing')} to act on.** The worst comes first.", icon=":material/warning:")
    else:
        st.success("**Nothing is broken.** Nothing waits for a person.", icon=":material/check_circle:")
    with st.container(key="alarms", gap="xsmall"):
        _show([each for each in lines if each[0]])
    known = [each for each in lines if not each[0]]
    if known:
        st.caption("Known, and nobody has to act:")
        _show(known)
    st.caption(f"Looked at {now:%H:%M:%S} UTC, and again every 3 seconds.")


_Line = tuple[bool, str, str, str, dict[str, str]]


def _show(lines: list[_Line]) -> None:
    for is_alarm, label, why, page, query in lines:
        with st.container(horizontal=True, vertical_alignment="center", gap="small"):
            links.to(page, label, icon=":material/error:" if is_alarm else ":material/info:", **query)
            st.caption(markdown(why, 300))


def _failures(summary: Summary) -> list[_Line]:
    causes: Counter[tuple[str, str]] = Counter()
    for place in summary.locations:
        for code, number in place.failures.items():
            causes[code, place.location] += number
    return [
        (True, f"{number:,} failed at {dc}", words.failure(code), "failures", {"cause": words.failure(code), "dc": dc})
        for (code, dc), number in causes.most_common(12)
    ]


def _stuck(summary: Summary) -> list[_Line]:
    lines: list[_Line] = []
    if summary.quarantined:
        lines.append(
            (True, f"{count(summary.quarantined, 'message')} in quarantine", "could not be applied; replay or discard",
             "failures", {"show": "Quarantine"})
        )  # fmt: skip
    lines += [
        (True, f"{each.unroutable:,} unroutable at {each.location}", "no provider serves this DC",
         "shipments", {"status": "unroutable", "dc": each.location})
        for each in summary.locations if each.unroutable
    ]  # fmt: skip
    return lines + [
        (True, f"The breaker of {name} is open", "its calls failed; the gateway tries one now and then", "places", {})
        for name in summary.shut
    ]


def _aged(summary: Summary, now: datetime) -> list[_Line]:
    oldest: dict[str, datetime] = {}
    for each in summary.locations:
        if each.oldest_pending and now - each.oldest_pending > _OLD:
            oldest[each.location] = min(each.oldest_pending, oldest.get(each.location, each.oldest_pending))
    return [
        (True, f"Oldest pending at {dc}: {age(moment, now)}", "ask its provider", "shipments",
         {"status": "pending", "dc": dc, "age": "older than 1 hour"})
        for dc, moment in sorted(oldest.items(), key=lambda item: item[1])
    ]  # fmt: skip


def _held(summary: Summary, now: datetime) -> list[_Line]:
    lines: list[_Line] = []
    for hold in summary.holds:
        ends_soon = hold.expires_at is not None and hold.expires_at - now < _SOON
        by_brake = hold.who == "gateway"
        ends = f"runs out {age(hold.expires_at, now)}" if hold.expires_at else "until released"
        why = f"{ends}; by {shown(hold.who, 30)}: {shown(hold.reason, 120)}"
        lines.append((ends_soon or by_brake, f"Hold on {holding.name_of(hold)}", why, "places", {}))
    return lines


def _restored(summary: Summary) -> list[_Line]:
    done = summary.comparison
    if done is None or done.compared == done.of:
        return []
    label = f"{done.compared:,} of {done.of:,} restored requests compared with NewStore"
    why = "what it shows beyond the log is taken over; it begins when the hold on everything is released"
    return [(False, label, why, "shipments", {"status": "pending"})]


def _places() -> None:
    summary, trends = cached.summary(), cached.trends()
    speeds = {each.location: each for each in trends.speeds}
    st.header("By DC")
    names = sorted({each.location for each in summary.locations} | speeds.keys())
    if not names:
        frame.empty("No request has come yet. Give NewStore the URL of each DC: `gateway check-config` prints them.")
        return
    heads = ("DC", "pending", "failed", "rejected", "oldest pending", "to accept", "to ship", "shipped")
    with st.container(border=True, gap="xxsmall", key="by-dc"):
        for column, head in zip(st.columns(_COLUMNS), heads, strict=True):
            column.caption(markdown(head))
        for name in names:
            _place(name, [each for each in summary.locations if each.location == name], speeds.get(name))
    if trends.since:
        st.caption(f"Times are half and nine tenths of the newest requests, since {age(trends.since)} (5,000 at most).")


def _place(dc: str, open_work: list[LocationSummary], speed: Speed | None) -> None:
    columns = st.columns(_COLUMNS, vertical_alignment="center")
    with columns[0]:
        links.to("shipments", dc, status="all", dc=dc)
    for column, status in zip(columns[1:4], ("pending", "failed", "rejected"), strict=True):
        number = sum(int(getattr(each, status)) for each in open_work)
        with column:
            sign = "✕ " if status == "failed" and number else ""
            links.to("shipments", f"{sign}{number:,}", status=status, dc=dc)
    oldest = min((each.oldest_pending for each in open_work if each.oldest_pending), default=None)
    columns[4].text(age(oldest))
    columns[5].text(shown(_times(speed.accept_p50, speed.accept_p90) if speed else None))
    columns[6].text(shown(_times(speed.ship_p50, speed.ship_p90) if speed else None))
    with columns[7]:
        links.to("shipments", f"{speed.shipped if speed else 0:,}", status="shipped", dc=dc)


def _times(half: float | None, most: float | None) -> str:
    return f"{lasted(half)} / {lasted(most)}" if half is not None else "—"


def _flow() -> None:
    trends = cached.trends()
    st.header("Coming in, going out")
    if trends.flow:
        charts.flow(trends)
    else:
        frame.empty("No request came within the last day.")


def _shift() -> None:
    summary = cached.summary()
    st.header("This shift")
    links.to(
        "failures", f"{summary.newly_failed:,} failed within 8 hours", icon=":material/fiber_new:",
        since=summary.since.replace(minute=0, second=0, microsecond=0).isoformat(),
    )  # fmt: skip
    for name, number in sorted(summary.taken.items()):
        label = f"{shown(name, 40)} has taken {number:,}"
        links.to("shipments", label, icon=":material/front_hand:", status="pending", taken=name)
    if not summary.taken:
        st.caption("Nobody has taken anything that is open.")
    entries = cached.audit(limit="8").audit
    if not entries:
        st.caption("Nobody has done or noted anything yet.")
        return
    rows = [
        {"when": age(each.at), "who": shown(each.who, 30), "did": each.action, "to": shown(each.subject, 40),
         "why": shown(each.reason, 120), "at": clock(each.at)}
        for each in entries
    ]  # fmt: skip
    tables.show(rows, "What people did and noted last")
    links.to("audit", "All that people did", icon=":material/history:")
