"""Writes the lists of columns and documents that the SQL of this package repeats: `make sql`.

A list stands in its statement, below the comment `-- make sql: NAME` and above `-- end`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from gateway.ledger.columns import CHANGING, ONCE, READ
from gateway.ledger.write.commit import DOCUMENTS

_LIST: Final = re.compile(r"^( *)-- make sql: (\w+)\n.*?^\1-- end$", re.MULTILINE | re.DOTALL)
_WIDTH: Final = 120

LISTS: Final[Mapping[str, Iterable[str]]] = {
    "documents": [f"document[{number}] AS {name}" for number, name in enumerate(DOCUMENTS, 1)],
    "incoming": [f"{name} {kind}" for name, kind in {**ONCE, **CHANGING}.items()],
    "inserted": [*ONCE, *CHANGING],
    "updates": [f"{name} {kind}" for name, kind in CHANGING.items()],
    "set": [f"{name} = w.{name}" for name in CHANGING],
    "read": [f"r.{name}" for name in READ],
}


def files() -> Iterator[Path]:
    """Find the files that have SQL."""
    for path in sorted(Path(__file__).parent.rglob("*")):
        if path.suffix in {".py", ".sql"}:
            yield path


def names(text: str) -> list[str]:
    """Name the lists that stand in a file."""
    return [found[2] for found in _LIST.finditer(text)]


def rendered(text: str) -> str:
    """Give a file's text with its lists as they must be."""
    return _LIST.sub(_rendered, text)


def _rendered(found: re.Match[str]) -> str:
    indent, name = found.groups()
    lines = [f"{indent}-- make sql: {name}", indent]
    for each in LISTS[name]:
        if len(lines[-1]) + len(each) + 2 > _WIDTH:
            lines.append(indent)
        lines[-1] += f"{each}, "
    return "\n".join(line.rstrip() for line in lines).removesuffix(",") + f"\n{indent}-- end"


if __name__ == "__main__":
    for path in files():
        path.write_text(rendered(path.read_text(encoding="utf-8")), encoding="utf-8")
