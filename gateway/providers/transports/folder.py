"""A folder that we share with a provider: files are written whole or not at all, and picked up once they stand still.

`FileStore` is all that an adapter asks of a folder, so that it may as well lie on an SFTP server.
"""

import asyncio
import errno
import os
import secrets
import stat
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from gateway.call_errors import NotSent, Unknown
from gateway.sending import NotDispatched, may_leave

T = TypeVar("T")

UNFINISHED = (".tmp", ".part", ".filepart", ".why")
"""How names end that somebody is still writing, or that we have written beside a file."""

_MOST_AT_ONCE = 16  # threads, also of those that wait for a disk which never answers
_REMEDY = {
    errno.ENOENT: "is not there: create it, or mount what it is on",
    errno.ENOTDIR: "is no folder: correct the setting",
    errno.EACCES: "may not be read or written by this process: give its user the right to",
    errno.EPERM: "may not be read or written by this process: give its user the right to",
    errno.EROFS: "can only be read: mount it so that it can be written",
    errno.ENOSPC: "is full: make room",
    errno.EDQUOT: "is full for this user: make room, or raise the quota",
    errno.ESTALE: "was unmounted: mount it again",
}


class Unfit(Exception):
    """A file that can't be had as it is; the text says why. The rest of its folder can."""


class NotThere(Exception):
    """There is no such file, or there is none any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file as a listing shows it."""

    name: str
    size: int
    modified: int  # nanoseconds since 1970, by the clock of the folder


class FileStore(Protocol):
    """A tree of files. All but `Unfit` and `NotThere` fails as `gateway/call_errors.py` says."""

    async def entries(self, folder: str) -> Sequence[Entry]:
        """Give the files in a folder, sorted by name."""

    async def read(self, folder: str, name: str, most: int) -> bytes:
        """Read a file; of one that is longer, as many bytes. Raises `NotThere` or `Unfit`."""

    async def write(self, folder: str, name: str, body: bytes) -> None:
        """Let a file appear whole, under a name that nothing has."""

    async def move(self, folder: str, name: str, to: str) -> str:
        """Move a file to another folder, which is made where it is missing, and tell its name there.

        Raises `NotThere`.
        """

    async def check(self, folder: str, *, writable: bool) -> None:
        """See that a folder is there and may be used, without changing anything. Raises `NotSent`."""


class LocalFolder:
    """A folder of this machine, or of a network that is mounted here.

    Its calls run in threads of their own. What a disk does not answer in time holds up neither other calls, nor the
    end of the process.
    """

    def __init__(self, root: Path, seconds: float) -> None:
        self.root = root
        self.seconds = seconds
        self._free = asyncio.Semaphore(_MOST_AT_ONCE)

    async def entries(self, folder: str) -> Sequence[Entry]:
        return await self._within(lambda _: self._entries(folder), f"{self.root / folder}")

    async def read(self, folder: str, name: str, most: int) -> bytes:
        return await self._within(lambda _: self._read(folder, name, most), f"{self.root / folder}")

    async def write(self, folder: str, name: str, body: bytes) -> None:
        await self._within(lambda call: self._write(call, folder, name, body), f"{self.root / folder}")

    async def move(self, folder: str, name: str, to: str) -> str:
        return await self._within(lambda call: self._move(call, folder, name, to), f"{self.root / folder}")

    async def check(self, folder: str, *, writable: bool) -> None:
        def look(_: _Call) -> None:
            at = self._folder(folder)
            os.scandir(at).close()
            if not os.access(at, os.R_OK | os.X_OK | (os.W_OK if writable else 0)):
                raise PermissionError(errno.EACCES, "no access", str(at))

        await self._within(look, f"{self.root / folder}")

    def _folder(self, name: str) -> Path:
        """Find a folder of the tree, whatever links are on its way."""
        path = self.root / name
        if not self._is_inside(path):
            raise NotSent(f"{path} is a link that leads out of {self.root}: make it a folder")
        return path

    def _is_inside(self, path: Path) -> bool:
        return path.resolve().is_relative_to(self.root.resolve(strict=True))

    def _entries(self, folder: str) -> list[Entry]:
        found = []
        with os.scandir(self._folder(folder)) as entries:
            for each in entries:
                try:
                    told = each.stat()
                except OSError:  # it went away meanwhile, or is a link to nothing
                    continue
                if stat.S_ISREG(told.st_mode):
                    found.append(Entry(each.name, told.st_size, told.st_mtime_ns))
        return sorted(found, key=lambda entry: entry.name)

    def _read(self, folder: str, name: str, most: int) -> bytes:
        path = self._folder(folder) / plain(name)
        if not self._is_inside(path):
            raise Unfit(f"{path} is a link that leads out of {self.root}: put the file itself there")
        try:
            with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK), "rb") as file:  # a pipe would wait for a writer
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise Unfit(f"{path} is no file")
                return file.read(most)
        except FileNotFoundError as error:
            raise NotThere(name) from error
        except PermissionError as error:
            raise Unfit(f"{path} may not be read by this process: give its user the right to") from error

    def _write(self, call: "_Call", folder: str, name: str, body: bytes) -> None:
        at = self._folder(folder)
        path = at / plain(name)
        unfinished = at / f".{name}.{secrets.token_hex(4)}.tmp"
        try:
            with unfinished.open("xb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            call.begin()
            unfinished.rename(path)
        finally:
            unfinished.unlink(missing_ok=True)
        _outlives(at)

    def _move(self, call: "_Call", folder: str, name: str, to: str) -> str:
        source, target = self._folder(folder), self._folder(to)
        source.stat()  # of a folder that is away nothing is moved, and nothing made in its place
        target.mkdir(parents=True, exist_ok=True)
        call.begin()
        free = _free(target, plain(name))
        try:
            (source / name).rename(free)
        except FileNotFoundError as error:
            raise NotThere(name) from error
        _outlives(target)
        return free.name

    async def _within(self, work: "Callable[[_Call], T]", where: str) -> T:
        """Do this in a thread, for so long. Raises what it raises, in the words of `gateway/call_errors.py`."""
        call = _Call(may_leave.get())
        try:
            async with asyncio.timeout(self.seconds):
                await self._free.acquire()
                return await self._in_thread(work, call)
        except TimeoutError as error:
            if call.abandon():
                raise NotSent(f"{where} did not answer in {self.seconds:g} s: see to what it is on") from error
            raise Unknown(f"{where} did not answer in {self.seconds:g} s: it may have done it") from error
        except asyncio.CancelledError:
            call.abandon()
            raise
        except OSError as error:
            raise _failed(error, where, begun=call.begun) from error

    def _in_thread(self, work: "Callable[[_Call], T]", call: "_Call") -> "asyncio.Future[T]":
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()

        def settle(end: Callable[[], None]) -> None:
            self._free.release()
            if not done.done():
                end()

        def run() -> None:
            try:
                end = partial(done.set_result, work(call))
            except Exception as error:  # noqa: BLE001 - raised to whoever waits for it
                end = partial(done.set_exception, error)
            with suppress(RuntimeError):  # the program has ended
                loop.call_soon_threadsafe(settle, end)

        threading.Thread(target=run, name="folder", daemon=True).start()
        return done


class _Call:
    """A call in its thread: it changes something only while somebody waits for it and it may leave."""

    def __init__(self, is_allowed: Callable[[], bool]) -> None:
        self._is_allowed = is_allowed
        self._lock = threading.Lock()
        self._abandoned = False
        self.begun = False

    def begin(self) -> None:
        with self._lock:
            if self._abandoned or not self._is_allowed():
                raise NotDispatched("this process stops, or may have lost the call, before it left")
            self.begun = True

    def abandon(self) -> bool:
        """Keep it from changing anything; False where that is too late."""
        with self._lock:
            self._abandoned = True
            return not self.begun


def _failed(error: OSError, where: str, *, begun: bool) -> NotSent | Unknown:
    """Name a failure by what to do; what can be read from it is that nothing was done, or not."""
    known = _REMEDY.get(error.errno or 0)
    if known is None and begun:
        return Unknown(f"{where}: {error.strerror or type(error).__name__}: it may have done it")
    return NotSent(f"{where} {known}" if known else f"{where}: {error.strerror or type(error).__name__}: see to it")


def _free(folder: Path, name: str) -> Path:
    """Find a name under which nothing lies in a folder of ours."""
    path, number = folder / name, 1
    while path.exists():
        number += 1
        path = folder / f"{name}~{number}"
    return path


def _outlives(folder: Path) -> None:
    """Have the names in a folder outlive a loss of power, where its file system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        return
    finally:
        os.close(descriptor)


def plain(name: str) -> str:
    """Give a name that is one of a file in its folder. Raises `Unfit` for any other."""
    if name in {"", ".", ".."} or any(each in name for each in ("\0", os.sep, os.altsep or os.sep)):
        raise Unfit(f"{name!a} is no name of a file")
    return name


def whole(before: Iterable[Entry], after: Iterable[Entry]) -> list[Entry]:
    """Give the files that stood still between two looks: those with the same size and time in both."""
    known = set(before)
    return [each for each in after if each in known and is_meant(each.name)]


def marked(entries: Iterable[Entry], marker: str) -> list[Entry]:
    """Give the files beside which their marker lies."""
    there = {each.name: each for each in entries}
    return [each for name, each in there.items() if is_meant(name) and f"{name}{marker}" in there]


def is_meant(name: str) -> bool:
    """Tell whether a name is one of a file that is meant to be read, and not of one that is being written."""
    return not name.startswith(".") and not name.lower().endswith(UNFINISHED)
