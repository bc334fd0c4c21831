"""The pages of this repository, as their readers see them."""

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
_FOLDERS = [ROOT, ROOT / ".github", *(each for each in ROOT.glob("[a-z]*") if each.is_dir())]
PAGES = {
    str(file.relative_to(ROOT)): file.read_text()
    for folder in _FOLDERS
    for file in sorted({*folder.glob("*.md"), *(folder.glob("[a-z]*/*.md") if folder != ROOT else ())})
}
"""Path -> text."""


def commands(page: str) -> Iterator[str]:
    """Give each line of code, indented or between fences; one that ends with a backslash goes on."""
    is_fenced = False
    for line in PAGES[page].replace("\\\n", " ").splitlines():
        if line.startswith("```"):
            is_fenced = not is_fenced
        elif (is_fenced or line.startswith("    ")) and line.strip():
            yield line.strip()
