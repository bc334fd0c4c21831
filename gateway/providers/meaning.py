"""Find what of a message was read over and may change what it means: whatever nobody understood says nothing else."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from gateway.call_errors import as_code
from gateway.domain.commands import Word

_HARMLESS = frozenset(
    {
        "occurredat", "sentat", "createdat", "updatedat", "publishedat", "timestamp", "eventtime", "date", "time",
        "id", "messageid", "deliveryid", "webhookid", "correlationid", "traceid", "traceparent", "attempt", "sequence",
        "version", "apiversion", "schemaversion", "source", "sender", "tenant", "environment", "provider", "warehouse",
        "location", "orderid", "ordernumber", "externalid", "reference",
    }
)  # fmt: skip
"""Names of fields that tell when, by whom and of which order something is said, and never of which units."""
_COUNT = re.compile("qty|quant|count|piece|unit|amount", re.IGNORECASE)


def unread(
    document: Mapping[str, Any], word: Word | None, read: Collection[str], read_of_a_line: Collection[str]
) -> str:
    """Say which field makes the meaning of a message uncertain; empty where none does.

    `read` are the names that the adapter reads of a message and of a line. Beside lines that were understood a further
    field is harmless. Without lines a message means all open units, so nothing else may be left in it; as an acceptance
    takes nothing away, only what could be a list of units is left to a person there.
    """
    if lines := document.get("items"):
        return next(_uncounted(lines, read_of_a_line), "")
    for name, value in document.items():
        is_list = isinstance(value, list | dict)
        if is_list or (word is not Word.ACCEPTED and not _is_harmless(name, value, read)):
            return f"without items it would mean all open units, and {_cut(name)} was not understood: name the items"
    return ""


def _is_harmless(name: str, value: object, read: Collection[str]) -> bool:
    if name in read:
        return name != "items" or value is not None
    return re.sub("[_-]", "", name).lower() in _HARMLESS


def _uncounted(lines: Sequence[Mapping[str, Any]], read: Collection[str]) -> Iterator[str]:
    """Find lines without a quantity in which something else seems to be one."""
    for number, line in enumerate(lines):
        if "quantity" in line:
            continue
        for name, value in line.items():
            is_several = isinstance(value, list | dict) and len(value) > 1
            if name not in read and (is_several or (_COUNT.search(name) and value not in (1, None))):
                yield f"$.items[{number}] has no quantity, and {_cut(name)} was not understood: send quantity"


def counted_twice(place: str, line: Mapping[str, Any], read: Collection[str]) -> str:
    """Say which field beside units that are listed one by one may count them too; empty where none does."""
    for name, value in line.items():
        if name not in read and _COUNT.search(name) and value is not None:
            return f"{place} lists its units, and {_cut(name)} was not understood: send an entry for each unit alone"
    return ""


def _cut(name: str) -> str:
    return repr(name[:100])


def unknown(field: str, said: str | None, known: Iterable[str]) -> str:
    """Say what is not in the tables, as long as it is a code: a person's name may stand in a sentence."""
    if said is None:
        what = "is missing"
    else:
        what = f"{said!r} is unknown" if as_code(said) else "is unknown, and no code (see the body)"
    return f"{field} {what}: send one of {', '.join(known)}"
