"""Strangers' text: shown as text, wherever it stands."""

import re
import unicodedata

_MARKDOWN = re.compile(r"([!-/:-@\[-`{-~])")
# What is read as a link, a name of an emoji or an arrow also where each of its signs is escaped.
_READ_ANYWAY = re.compile(r"\\[:@]|www(?=\\\.)|(?<=[-<>~])(?=\\[-=>])", re.IGNORECASE)
_FORMULA = frozenset("=+-@")
HIDDEN = "•••"
"""What the API writes in place of what somebody may not read."""
_SKIPPED = re.compile(r"^[\s\u200b-\u200f\u2060\ufeff]*")


def shown(text: str | None, most: int = 80) -> str:
    """Give text for a table or a plain text: characters that hide or turn others are named, and it is not too long."""
    if text is None:
        return "—"
    visible = text if text.isprintable() else "".join(_visible(letter) for letter in text[: most + 1])
    return visible if len(text) <= most else f"{visible[: most - 1]}…"


def lines(text: str, most: int) -> str:
    """Give text of several lines for a block of code."""
    return "\n".join(shown(line, most) for line in text[:most].split("\n"))


def markdown(text: str | None, most: int = 200) -> str:
    """Give text for a place that reads Markdown, such as a label or an error."""
    escaped = _MARKDOWN.sub(r"\\\1", shown(text, most))
    return _READ_ANYWAY.sub(lambda found: f"{found[0]}\u2060", escaped)


def cell(text: str) -> str:
    """Give text for a CSV file, which a spreadsheet must not take for a formula."""
    begins = _SKIPPED.sub("", text)[:1]
    is_one = text.startswith(("\t", "\r")) or unicodedata.normalize("NFKC", begins) in _FORMULA
    return f"'{text}" if is_one else text


def count(number: int, noun: str) -> str:
    """Write a number and its noun."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def _visible(letter: str) -> str:
    if letter in "\n\t":
        return " "
    return f"⟨{ord(letter):04X}⟩" if unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else letter
