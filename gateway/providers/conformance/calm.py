"""What stands where calls would be made, for who makes none."""

from typing import NoReturn


class NoSession:
    """Raises at whatever is asked of it, and notes that: who asks may read over what is raised."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> NoReturn:
        self.asked.append(f"its session is used ({name}), and composing and reading are pure")
        raise TypeError(self.asked[-1])
