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
    code, printed, _ = await _typed(words, answer, environ, errors="out")
    return code, printed


async def piped(*words: str, **environ: str) -> tuple[int, str, str]:
    """Type a command as somebody whose programs read it; gives its exit code, what it printed, and its errors."""
    return await _typed(words, "", environ, errors="errors")


async def _typed(words: tuple[str, ...], answer: str, environ: Mapping[str, str], errors: str) -> tuple[int, str, str]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").write_text(answer)
        printed, complained = folder / "out", folder / errors
        process = Forked(_type, folder / "in", printed, complained, words, {**without_database(), **environ})
        try:
            code = await process.wait()
        finally:
            process.kill()
        return code, printed.read_text(), complained.read_text()


def _type(answer: Path, printed: Path, errors: Path, words: tuple[str, ...], environ: Mapping[str, str]) -> None:
    os.dup2(os.open(answer, os.O_RDONLY), 0)
    for number, path in ((1, printed), (2, errors)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), number)
    sys.stdin = os.fdopen(0)
    run(words, environ)
