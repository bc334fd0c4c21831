from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from gateway.call_errors import as_code, retry_after


@pytest.mark.parametrize("code", ["already_shipped", "dc-17.full", "OUT_OF_STOCK", "E_1", "a" * 60])
def test_a_code_is_repeated_as_it_is(code: str) -> None:
    assert as_code(code) == code


@pytest.mark.parametrize(
    "said", ["ADA", "Ada", "ADA LOVELACE", "MARY-JANE", "O_", "_A", "Ada_Lovelace", "A_B\n", "a" * 61, "", None, 7]
)
def test_what_may_be_a_persons_name_is_not(said: object) -> None:
    assert as_code(said) == ""


def later(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("9", 9), (" 9 ", 9), ("1.5", 1.5), ("0", 1), ("0.2", 1), ("7200", 7200), ("86400", 86_400),
        ("172800", 172_800), ("", 5), ("soon", 5), ("-3", 5), ("9s", 5), ("nan", 5), ("1e3", 5), ("9" * 40, 5),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 1), ("Thu, 99 Jan 2026", 5),
    ],
)  # fmt: skip
def test_a_wait_is_read_as_it_is_written(said: str, seconds: float) -> None:
    assert retry_after(said) == seconds


@pytest.mark.parametrize("write", [lambda at: format_datetime(at, usegmt=True), format_datetime, datetime.isoformat])
def test_a_wait_may_be_a_date(write: Callable[[datetime], str]) -> None:
    assert 6_998 < retry_after(write(later(7_000))) <= 7_000


def test_a_date_without_a_zone_is_utc() -> None:
    assert 6_998 < retry_after(later(7_000).replace(tzinfo=None).isoformat()) <= 7_000
