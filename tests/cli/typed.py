"""A person who types commands: each in a process of its own."""

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.forked import Forked, run
from tests.processes import without_database


async def typed(*words: str, answer: str = "", **environ: str) -> tuple[int, str]:
    """Type a command, and what it asks for; gives its exit code and all that it printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").write_text(answer)
        (folder / "out").touch()
        process = Forked(_type, folder, words, {**without_database(), **environ})
        try:
            code = await process.wait()
        finally:
            process.kill()
        return code, (folder / "out").read_text()


def _type(folder: Path, words: tuple[str, ...], environ: Mapping[str, str]) -> None:
    os.dup2(os.open(folder / "in", os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(os.open(folder / "out", os.O_WRONLY | os.O_APPEND), number)
    sys.stdin = os.fdopen(0)
    run(words, environ)
