"""How far a process has brought the database, as it remembers it and as `state_dir` keeps it outside the database."""

import json
import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

_SUFFIX = ".json"


class UnusableStateDir(Exception):  # said of a folder, not of the code
    """`state_dir` can't be read or written; the text says where, why, and what to do."""


@dataclass(slots=True)
class Position:
    """What one connection counts up in each transaction of its own; a database that holds less is older."""

    name: str = ""
    number: int = 0


@dataclass(slots=True)
class Seen:
    """What one process knows of a database; `alive_at` is its newest heartbeat, by the database's clock."""

    process: str = field(default_factory=lambda: secrets.token_hex(8))
    incarnation: int = 0
    alive_at: datetime | None = None
    commits: Position = field(default_factory=Position)
    claims: Position = field(default_factory=Position)
    heartbeats: Position = field(default_factory=Position)

    def __post_init__(self) -> None:
        for name, each in (("commits", self.commits), ("claims", self.claims), ("heartbeats", self.heartbeats)):
            each.name = f"{self.process}/{name}"

    @property
    def positions(self) -> dict[str, int]:
        """The number of each position, by its name in the database."""
        return {each.name: each.number for each in (self.commits, self.claims, self.heartbeats)}


@dataclass(frozen=True, slots=True)
class Kept:
    """What a process that may be gone has left of that in `state_dir`."""

    process: str
    incarnation: int
    alive_at: datetime | None
    positions: dict[str, int]


class StateDir:
    """A folder with a file for each process, which keeps its own up to date."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self) -> list[Kept]:
        """Give what all processes have left there. Raises `UnusableStateDir`."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return [_read(each) for each in sorted(self.folder.glob(f"*{_SUFFIX}"))]
        except OSError as error:
            raise UnusableStateDir(
                f"state_dir: {self.folder} can't be read ({error.strerror}); name a folder where the gateway may write"
            ) from error

    def write(self, seen: Kept) -> None:
        """Put one process's file in the place of its last one, on the disk. Raises `UnusableStateDir`."""
        text = json.dumps(
            {
                "incarnation": seen.incarnation,
                "alive_at": seen.alive_at.isoformat() if seen.alive_at else None,
                "positions": seen.positions,
            }
        )
        fresh = self.folder / f"{seen.process}.new"
        try:
            with fresh.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self.folder / f"{seen.process}{_SUFFIX}")
        except OSError as error:
            raise UnusableStateDir(
                f"state_dir: {self.folder} can't be written to ({error.strerror}); let the gateway write there"
            ) from error

    def forget(self, processes: Iterable[str]) -> None:
        """Remove what others left, once a newer file knows more; whoever of them lives writes its own again."""
        for each in processes:
            (self.folder / f"{each}{_SUFFIX}").unlink(missing_ok=True)


def _read(path: Path) -> Kept:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        alive_at = datetime.fromisoformat(kept["alive_at"]) if kept["alive_at"] else None
        positions = {str(name): int(number) for name, number in kept["positions"].items()}
        return Kept(path.stem, int(kept["incarnation"]), alive_at, positions)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise UnusableStateDir(
            f"state_dir: {path} is not what a gateway wrote; remove it, and start once with `gateway serve --paused`"
        ) from error
