"""Times as people read them: in the zone of the DC, and how long ago."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def age(moment: datetime | None, now: datetime | None = None) -> str:
    """Tell how long ago it was, or how long it is until then."""
    if moment is None:
        return "—"
    seconds = ((now or datetime.now(UTC)) - moment).total_seconds()
    return f"{lasted(seconds)} ago" if seconds >= 0 else f"in {lasted(-seconds)}"


def lasted(seconds: float | None) -> str:
    """Write a duration by its largest unit, and the next one where it tells something."""
    if seconds is None:
        return "—"
    if seconds < 10:
        return f"{seconds:.1f} s"
    for size, unit in _STEPS:
        if seconds >= size:
            whole, rest = divmod(seconds, size)
            smaller = {"d": (3_600, "h"), "h": (60, "min")}.get(unit)
            part = f" {int(rest // smaller[0])} {smaller[1]}" if smaller and rest >= smaller[0] else ""
            return f"{int(whole)} {unit}{part}"
    return f"{int(seconds)} s"


def clock(moment: datetime | None, zone: str = "UTC") -> str:
    """Write a time in a zone; one that sorts as it reads."""
    if moment is None:
        return "—"
    there = moment.astimezone(ZoneInfo(zone))
    return f"{there:%Y-%m-%d %H:%M:%S} {there.tzname()}"


def both(moment: datetime | None, zone: str = "UTC") -> str:
    return f"{clock(moment, zone)} · {age(moment)}" if moment else "—"


def before(minutes: int, now: datetime | None = None) -> str:
    """Name the time so many minutes ago, to the minute, as a filter writes it."""
    moment = (now or datetime.now(UTC)).replace(second=0, microsecond=0) - timedelta(minutes=minutes)
    return moment.isoformat()
