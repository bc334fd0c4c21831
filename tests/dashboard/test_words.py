import re
from datetime import UTC, datetime, timedelta

import pytest

from dashboard import times, words
from dashboard.escaping import cell, count, lines, markdown, shown
from gateway.domain.acts import ACTS
from gateway.domain.waiting import _FAILED

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def test_strangers_text_names_what_hides_or_turns_and_is_not_too_long() -> None:
    assert shown("a\u202eb\0c\nd") == "a⟨202E⟩b⟨0000⟩c d"
    assert shown("x" * 10_000, 20) == "x" * 19 + "…"
    assert shown(None) == "—"
    assert shown("עברית") == "עברית"
    assert lines('{\n  "a": "\u202eb"\n}', 100) == '{\n  "a": "⟨202E⟩b"\n}'
    assert lines("ab\ncd", 4) == "ab\nc"


def test_strangers_text_is_no_markdown() -> None:
    assert markdown("[x](javascript:1) **b** <b> :red[r] $a$") == (
        "\\[x\\]\\(javascript\\:\u20601\\) \\*\\*b\\*\\* \\<b\\> \\:\u2060red\\[r\\] \\$a\\$"
    )


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("www.evil.example", "www\u2060\\.evil\\.example"),
        ("ada@evil.example", "ada\\@\u2060evil\\.example"),
        ("https://evil.example", "https\\:\u2060\\/\\/evil\\.example"),
        ("a -> b", "a \\-\u2060\\> b"),
        ("R-1", "R\\-1"),
    ],
)
def test_strangers_text_is_no_link_and_no_arrow_where_these_need_no_sign(text: str, escaped: str) -> None:
    assert markdown(text) == escaped


BLANKS = ["", " ", "  ", "\t", "\r", "\n", "\r\n ", "\u00a0", "\u3000", "\u200b", "\ufeff"]
SIGNS = ["=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\ufe66", "\ufe62", "\ufe63", "\ufe6b"]


@pytest.mark.parametrize("blank", BLANKS, ids=ascii)
@pytest.mark.parametrize("sign", SIGNS, ids=ascii)
def test_a_spreadsheet_takes_no_cell_for_a_formula(blank: str, sign: str) -> None:
    assert cell(f"{blank}{sign}1+1") == f"'{blank}{sign}1+1"


@pytest.mark.parametrize("text", ["\tx", "\rx", "\t", "="])
def test_a_cell_that_begins_with_a_turn_of_the_carriage_is_a_text(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["SO-1", "", " ", "a=b", "  x", "…", "—", "12", "ada@example.com"])
def test_any_other_cell_is_saved_as_it_is(text: str) -> None:
    assert cell(text) == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.04, "0.0 s"),
        (9.96, "10.0 s"),
        (59, "59 s"),
        (61, "1 min"),
        (3_700, "1 h 1 min"),
        (3_600, "1 h"),
        (90_000, "1 d 1 h"),
    ],
)
def test_a_duration_is_told_by_its_largest_units(seconds: float, words: str) -> None:
    assert times.lasted(seconds) == words


def test_a_time_is_told_in_the_zone_of_its_dc_and_by_its_age() -> None:
    assert times.clock(NOW, "Europe/Berlin") == "2026-03-05 13:00:00 CET"
    assert times.clock(NOW, "America/New_York") == "2026-03-05 07:00:00 EST"
    assert times.age(NOW - timedelta(minutes=5), NOW) == "5 min ago"
    assert times.age(NOW + timedelta(hours=2), NOW) == "in 2 h"
    assert times.before(60, NOW.replace(second=31)) == "2026-03-05T11:00:00+00:00"


def test_a_number_has_its_noun() -> None:
    assert (count(1, "request"), count(1_200, "request")) == ("1 request", "1,200 requests")


def test_every_failure_has_words_and_every_advice_names_a_button() -> None:
    assert _FAILED.keys() == words.FAILURES.keys()
    labels = {name: act.label for name, act in ACTS.items()}
    for advice in _FAILED.values():
        told = words.here(advice, labels)
        assert "`" not in told, advice
        assert set(re.findall("“(.*?)”", told)) <= set(labels.values()), advice
    assert words.here("`gateway reroute ID --to PROVIDER`", labels) == "“Reroute”"
    assert words.here("`gateway reject ID` lets it go", labels) == "“Reject upstream” lets it go"
