"""How events are written."""

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest

from gateway.telemetry import logs
from gateway.telemetry.logs import log


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root, hook = logging.getLogger(), sys.excepthook
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], sys.excepthook = handlers, hook
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def broken() -> Exception:
    try:
        json.loads('"MARK')
    except ValueError as cause:
        error = KeyError("MARK")
        error.__cause__ = cause
        return error.with_traceback(cause.__traceback__)
    raise AssertionError


def test_an_event_is_one_line_of_json_with_its_facts_as_fields() -> None:
    stream = io.StringIO()
    logs.setup(stream)
    log("claims.taken_over", count=3)
    log("gateway.started")
    (taken, started) = lines(stream)
    assert taken.pop("at")
    assert taken == {"level": "warning", "event": "claims.taken_over", "count": 3}
    assert started["level"] == "info"


def test_on_a_terminal_it_is_text() -> None:
    stream = Terminal()
    logs.setup(stream)
    log("claims.taken_over", count=3)
    assert stream.getvalue().split()[1:] == ["warning", "claims.taken_over", "count=3"]


def test_on_a_terminal_no_fact_steers_it() -> None:
    stream = Terminal()
    logs.setup(stream)
    log("request.failed", request_id="r-1\x1b]0;owned\a\n12:00:00 info \u202eé")
    assert stream.getvalue().endswith(r" request_id=r-1\x1b]0;owned\x07\n12:00:00 info \u202eé" + "\n")


def test_an_error_is_told_by_its_kind_and_place_and_never_by_its_text() -> None:
    stream = io.StringIO()
    logs.setup(stream)
    log("call.broke", broken())
    (line,) = lines(stream)
    assert (line["level"], line["error"]) == ("error", "KeyError from JSONDecodeError")
    assert "decoder.py" in str(line["where"])
    assert "test_logs.py" in str(line["where"])
    assert "MARK" not in stream.getvalue()


def test_of_a_library_only_the_fixed_part_is_written() -> None:
    stream = io.StringIO()
    logs.setup(stream)
    logging.getLogger("aiohttp.server").error("Error handling %s", "MARK", exc_info=broken())
    logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: MARK")
    told = [(line["event"], line["library"], line["said"]) for line in lines(stream)]
    assert told == [
        ("library.spoke", "aiohttp.server", "Error handling %s"),
        ("library.spoke", "asyncio", "Task exception was never retrieved"),
    ]
    assert "MARK" not in stream.getvalue()


def test_what_ends_the_process_is_told_without_its_text() -> None:
    stream = io.StringIO()
    logs.setup(stream)
    error = broken()
    sys.excepthook(type(error), error, error.__traceback__)
    assert lines(stream)[0]["event"] == "process.broke"
    assert "MARK" not in stream.getvalue()
