"""Child processes that end with us, whatever became of us."""

import shutil
import sys


def dies_with_us(signal: str) -> tuple[str, ...]:
    """The words before a command that let Linux send it this signal when the thread that started it ends.

    A change of user undoes it, so they come last before the command. No other system can do this: there they are none.
    """
    setpriv = shutil.which("setpriv") if sys.platform == "linux" else None
    return (setpriv, "--pdeathsig", signal) if setpriv else ()
