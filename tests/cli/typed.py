"""A person who types commands: each in a process of its own, forked from one that has read all that commands import."""

import asyncio
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path

_WARM = multiprocessing.get_context("forkserver")
# Not the commands: they look at their environment as they are imported.
_WARM.set_forkserver_preload(["gateway.app", "gateway.demo.run", "rich.markdown", "rich.progress", "typer", "uvloop"])


async def typed(*words: str, answer: str = "", **environ: str) -> tuple[int, str]:
    """Type a command, and what it asks for; gives its exit code and all that it printed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "in").write_text(answer)
        (folder / "out").touch()
        process = _WARM.Process(target=_type, args=(folder, words, environ))
        process.start()
        await asyncio.to_thread(process.join)
        return process.exitcode or 0, (folder / "out").read_text()


def _type(folder: Path, words: tuple[str, ...], environ: dict[str, str]) -> None:
    os.dup2(os.open(folder / "in", os.O_RDONLY), 0)
    for number in (1, 2):
        os.dup2(os.open(folder / "out", os.O_WRONLY | os.O_APPEND), number)
    os.environ.update(environ)
    sys.stdin, sys.argv = os.fdopen(0), ["gateway", *words]
    from gateway.__main__ import main  # noqa: PLC0415 - see above

    main()
