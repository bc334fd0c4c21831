"""Processes seen from outside: which are there, and that they end."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

GATEWAY = (sys.executable, "-m", "gateway")


def of_folder(folder: Path) -> set[int]:
    """Every process whose command names the folder or that works in it, except ourselves."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if os.fsencode(folder) in command or (process / "cwd").readlink().is_relative_to(folder):
                found.add(int(process.name))
    return found - {os.getpid()}


@contextmanager
def command(*words: str) -> Iterator["subprocess.Popen[str]"]:
    """Run `gateway` with these words, as a shell's foreground job would be."""

    def hear_ctrl_c() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with subprocess.Popen(
        [*GATEWAY, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - a runner in the background passes on that it ignores it
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def read_until(process: "subprocess.Popen[str]", words: str) -> str:
    """Everything printed up to the line that begins with these words."""
    said = []
    for line in process.stdout or ():
        said.append(line)
        if line.startswith(words):
            return "".join(said)
    raise AssertionError("".join([*said, process.stderr.read() if process.stderr else ""]))


@contextmanager
def watched(pids: set[int]) -> Iterator[list[int]]:
    """Handles that stay with these processes, whoever gets their numbers later; what is left is killed at the end."""
    handles = [os.pidfd_open(pid) for pid in pids]
    try:
        yield handles
    finally:
        for handle in handles:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGKILL)
            os.close(handle)


def all_end(handles: list[int], seconds: float = 30) -> bool:
    return all(select.select([handle], [], [], seconds)[0] for handle in handles)
