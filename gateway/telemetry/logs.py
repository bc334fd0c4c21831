"""Every log event, declared once: `noun.verb` with facts as fields. One JSON line each, or text for a terminal.

Facts are ours: names from the settings, ids, counts, words of our own, the address of whoever gave a wrong key. What
else came from outside, and the text of an error, which may repeat it, is never one.
"""

import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Literal, TextIO, get_args

import orjson

from . import trace

Event = Literal[
    "gateway.started",
    "gateway.draining",
    "gateway.stopped",
    "credentials.refused",  # at the first, second, fourth … failure of an address
    "settings.reloaded",
    "settings.faulty",  # one line for each fault; the old settings stay in force
    "settings.needs_restart",  # this has changed in the file and stays as it was
    "database.awaited",  # it is away, and the start waits for it
    "process.broke",  # a part that must always run has died; the process ends
    "postgres.ended",  # the one we had started, by itself; the process ends
    "request.crashed",  # an HTTP request met a fault of the gateway and was answered with 500
    "request.failed",  # a fulfillment request needs a person from now on
    "message.quarantined",
    "command.unstorable",  # the database will never take it
    "attempt.failed",  # a call was not taken
    "poll.failed",  # a provider was asked for news and did not give them
    "call.broke",  # a call met a fault of the gateway; its claim runs out and is taken as unknown
    "calls.cut",  # at a stop: they were allowed to take longer than that waits
    "claims.taken_over",
    "breaker.opened",
    "breaker.closed",
    "brake.tripped",
    "hold.placed",  # by the gateway itself, on a destination or an operation
    "newstore.deprecated",  # its answers say that an operation will be dropped
    "read_back.found",  # where this tenant shows a kind of report
    "read_back.missing",  # it seems to show it nowhere: nobody looks for a day
    "membership.lost",
    "membership.expired",  # the others count this process as dead
    "restore.paused",  # the database is older than what was known of it
    "state.unwritten",  # what is kept outside the database is not up to date
    "commit.interrupted",  # the database is away
    "dispatch.interrupted",  # likewise
    "sweep.interrupted",  # likewise
    "restore.compared",  # so many requests that a restore left open have been compared with NewStore
    "numbers.unread",  # likewise, at a scrape
    "collector.refused",  # its name leads where no destination can be: spans are lost
    "library.spoke",  # of a library only the fixed part of what it says
]
_INFO = frozenset(
    {
        "gateway.started", "gateway.draining", "gateway.stopped", "settings.reloaded", "breaker.closed",
        "read_back.found", "restore.compared",
    }
)  # fmt: skip
_ERRORS = frozenset({"process.broke", "postgres.ended", "request.crashed", "call.broke", "command.unstorable"})

_log = logging.getLogger("gateway")
_PLACES = 4  # of a traceback: where it happened, and how it came there
_MOST = 200  # characters of what a library says


def log(event: Event, error: BaseException | None = None, /, **facts: str | float | None) -> None:
    """Say that something happened."""
    level = logging.INFO if event in _INFO else logging.ERROR if event in _ERRORS else logging.WARNING
    if not _log.isEnabledFor(level):
        return
    if here := trace.context():
        facts["trace_id"] = here.trace_id
    _log.log(level, event, extra={"facts": {**facts, **(_told(error) if error else {})}})


def setup(stream: TextIO) -> None:
    """Write the events of this process, and what its libraries say, to a stream."""
    is_terminal = stream.isatty()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_Text() if is_terminal else _Json())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    logging.captureWarnings(capture=True)
    if not is_terminal:
        sys.excepthook = _broke


def _broke(_: type[BaseException], error: BaseException, __: TracebackType | None) -> None:
    log("process.broke", error)


def _told(error: BaseException) -> dict[str, str]:
    """Say what broke and where, without a word of the error's own."""
    frames = traceback.extract_tb(error.__traceback__)[-_PLACES:]
    where = " < ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    causes = [type(each).__name__ for each in _chain(error)]
    return {"error": " from ".join(causes), **({"where": where} if where else {})}


def _chain(error: BaseException | None) -> list[BaseException]:
    found: list[BaseException] = []
    while error is not None and error not in found:
        found.append(error)
        error = error.__cause__
    return found


def _facts(record: logging.LogRecord) -> tuple[str, dict[str, Any]]:
    """Give the event of a record; a library's own arguments, further lines and error texts stay out."""
    facts = getattr(record, "facts", None)
    if facts is not None:
        return str(record.msg), facts
    said = str(record.msg).split("\n", 1)[0][:_MOST] if isinstance(record.msg, str) else type(record.msg).__name__
    if record.name == "py.warnings":
        said = "warning"
    error = record.exc_info[1] if record.exc_info else None
    return "library.spoke", {"library": record.name, "said": said, **(_told(error) if error else {})}


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event, facts = _facts(record)
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line = {"at": at, "level": record.levelname.lower(), "event": event, **facts}
        return orjson.dumps(line, default=str).decode()


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        event, facts = _facts(record)
        at = datetime.fromtimestamp(record.created).astimezone().strftime("%H:%M:%S")
        told = "  ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
        return _visible(f"{at} {record.levelname.lower():8} {event:22} {told}".rstrip())


def _visible(line: str) -> str:
    """Name the characters that would steer a terminal: a request's id may hold any."""
    return line if line.isprintable() else "".join(each if each.isprintable() else ascii(each)[1:-1] for each in line)


EVENTS: tuple[Event, ...] = get_args(Event)
