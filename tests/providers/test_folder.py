import asyncio
import errno
import os
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from gateway.call_errors import NotSent, Unknown
from gateway.providers.transports.folder import Entry, LocalFolder, NotThere, Unfit, marked, whole
from gateway.sending import NotDispatched, may_leave
from tests.processes import until


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.fixture
def shared(tmp_path: Path) -> LocalFolder:
    for name in ("in", "out"):
        (tmp_path / "shared" / name).mkdir(parents=True)
    return LocalFolder(tmp_path / "shared", seconds=5)


@pytest.fixture
def stuck(shared: LocalFolder, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], threading.Event]]:
    """Lets a call of the file system wait as on a disk that is away, until the test ends."""
    freed = threading.Event()
    shared.seconds = 0.05

    def at(name: str) -> threading.Event:
        reached, real = threading.Event(), getattr(Path, name, None) or getattr(os, name)

        def wait(*arguments: object) -> object:
            reached.set()
            freed.wait(30)
            return real(*arguments)

        monkeypatch.setattr(Path if hasattr(Path, name) else os, name, wait)
        return reached

    yield at
    freed.set()
    for each in threading.enumerate():
        if each.name == "folder":
            each.join()


async def test_a_file_appears_whole_under_its_name_and_leaves_nothing_beside_it(shared: LocalFolder) -> None:
    await shared.write("out", "NS1.csv", b"a,b\n")
    assert [(each.name, each.size) for each in await shared.entries("out")] == [("NS1.csv", 4)]
    assert await shared.read("out", "NS1.csv", 100) == b"a,b\n"


async def test_a_file_has_another_name_while_it_is_written(
    shared: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(os, "fsync", lambda _: seen.append(names(shared.root / "out")))

    await shared.write("out", "NS1.csv", b"a,b\n")

    [while_written, *_] = seen
    [name] = while_written
    assert name.startswith(".NS1.csv.")
    assert name.endswith(".tmp")


async def test_a_file_that_was_moved_keeps_what_has_its_name_there(shared: LocalFolder) -> None:
    await shared.write("in", "a.csv", b"1")
    assert await shared.move("in", "a.csv", "archive") == "a.csv"
    await shared.write("in", "a.csv", b"2")
    assert await shared.move("in", "a.csv", "archive") == "a.csv~2"
    assert [each.name for each in await shared.entries("archive")] == ["a.csv", "a.csv~2"]


async def test_a_file_that_is_gone_is_said_to_be(shared: LocalFolder) -> None:
    with pytest.raises(NotThere):
        await shared.read("in", "a.csv", 1)
    with pytest.raises(NotThere):
        await shared.move("in", "a.csv", "archive")


@pytest.mark.parametrize("name", ["../out/a.csv", "..", ".", "", "a/b.csv", "/etc/hostname", "a\0b"])
async def test_a_name_that_leads_elsewhere_is_none(shared: LocalFolder, name: str) -> None:
    with pytest.raises(Unfit):
        await shared.read("in", name, 1)
    with pytest.raises(Unfit):
        await shared.write("out", name, b"")


async def test_a_link_that_leads_out_of_the_folder_is_not_followed(shared: LocalFolder, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (shared.root / "in" / "a.csv").symlink_to(tmp_path / "secret")
    (shared.root / "elsewhere").symlink_to(tmp_path)
    with pytest.raises(Unfit, match="leads out of"):
        await shared.read("in", "a.csv", 100)
    with pytest.raises(NotSent, match="leads out of"):
        await shared.entries("elsewhere")
    with pytest.raises(NotSent, match="leads out of"):
        await shared.write("elsewhere", "a.csv", b"")


async def test_a_link_inside_of_the_folder_is_followed(shared: LocalFolder) -> None:
    (shared.root / "kept").write_text("inside")
    (shared.root / "in" / "a.csv").symlink_to(shared.root / "kept")
    assert await shared.read("in", "a.csv", 100) == b"inside"


async def test_a_pipe_is_no_file_and_nobody_waits_for_it(shared: LocalFolder) -> None:
    os.mkfifo(shared.root / "in" / "a.csv")
    assert await shared.entries("in") == []
    with pytest.raises(Unfit):
        await shared.read("in", "a.csv", 1)


async def test_a_folder_that_is_away_is_named_with_what_to_do_and_not_made(shared: LocalFolder) -> None:
    (shared.root / "out").rmdir()
    with pytest.raises(NotSent, match=r"shared/out is not there: create it, or mount"):
        await shared.write("out", "NS1.csv", b"")
    with pytest.raises(NotSent, match=r"shared/out is not there"):
        await shared.move("out", "NS1.csv", "withdrawn")
    assert names(shared.root) == ["in"]


@pytest.mark.parametrize(
    ("number", "remedy"), [(errno.ENOSPC, "is full: make room"), (errno.EROFS, "can only be read")]
)
async def test_a_folder_that_takes_nothing_is_named_with_what_to_do(
    shared: LocalFolder, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def fail(_: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(NotSent, match=f"shared/out {remedy}"):
        await shared.write("out", "NS1.csv", b"")
    assert names(shared.root / "out") == []


async def test_a_rename_that_fails_without_saying_why_may_have_happened(
    shared: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(Unknown, match="it may have done it"):
        await shared.write("out", "NS1.csv", b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_may_not_be_written_is_found_by_the_check(shared: LocalFolder) -> None:
    (shared.root / "out").chmod(0o555)
    await shared.check("out", writable=False)
    with pytest.raises(NotSent, match="give its user the right"):
        await shared.check("out", writable=True)


async def test_the_check_of_a_folder_that_is_there_changes_nothing(shared: LocalFolder) -> None:
    before = (shared.root / "out").stat()
    await shared.check("out", writable=True)
    assert (shared.root / "out").stat() == before
    with pytest.raises(NotSent, match="is not there"):
        await shared.check("archive", writable=False)


async def test_a_disk_that_does_not_answer_before_the_file_appears_was_sent_nothing(
    shared: LocalFolder, stuck: Callable[[str], threading.Event]
) -> None:
    reached = stuck("fsync")
    with pytest.raises(NotSent, match=r"did not answer in 0\.05 s"):
        await shared.write("out", "NS1.csv", b"")
    assert reached.is_set()


async def test_a_file_that_was_given_up_does_not_appear_later(
    shared: LocalFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, done = threading.Event(), asyncio.Event()
    loop, real = asyncio.get_running_loop(), Path.unlink
    monkeypatch.setattr(os, "fsync", lambda _: go_on.wait(30))

    def unlink(path: Path, *, missing_ok: bool = False) -> None:
        real(path, missing_ok=missing_ok)
        loop.call_soon_threadsafe(done.set)

    monkeypatch.setattr(Path, "unlink", unlink)
    shared.seconds = 0.05
    with pytest.raises(NotSent):
        await shared.write("out", "NS1.csv", b"")
    go_on.set()
    await done.wait()
    assert names(shared.root / "out") == []


async def test_a_disk_that_does_not_answer_to_the_rename_may_have_done_it(
    shared: LocalFolder, stuck: Callable[[str], threading.Event]
) -> None:
    stuck("rename")
    with pytest.raises(Unknown, match=r"did not answer in 0\.05 s: it may have done it"):
        await shared.write("out", "NS1.csv", b"")


async def test_a_disk_that_never_answers_holds_up_no_more_than_its_own_calls(
    shared: LocalFolder, stuck: Callable[[str], threading.Event]
) -> None:
    stuck("scandir")
    shared.seconds = 60.0  # a thread that begins later than that has nothing left to do
    calls = [asyncio.create_task(shared.entries("in")) for _ in range(40)]
    await until(_in_the_folder_are(16))
    await asyncio.wait_for(asyncio.to_thread(lambda: None), 5)
    assert await _in_the_folder_are(16)()
    for each in calls:
        each.cancel()
    await asyncio.gather(*calls, return_exceptions=True)


def _in_the_folder_are(count: int) -> Callable[[], Awaitable[bool]]:
    async def are() -> bool:
        return sum(each.name == "folder" for each in threading.enumerate()) == count

    return are


async def test_a_call_that_may_not_leave_any_more_changes_nothing(shared: LocalFolder) -> None:
    token = may_leave.set(lambda: False)
    try:
        with pytest.raises(NotDispatched):
            await shared.write("out", "NS1.csv", b"")
    finally:
        may_leave.reset(token)
    assert names(shared.root / "out") == []


HALF, WHOLE = Entry("a.csv", 10, 1), Entry("a.csv", 20, 2)


@pytest.mark.parametrize(
    ("before", "after", "found"),
    [
        ([WHOLE], [WHOLE], [WHOLE]),
        ([HALF], [WHOLE], []),
        ([Entry("a.csv", 20, 1)], [WHOLE], []),
        ([], [WHOLE], []),
        ([WHOLE], [], []),
    ],
)
def test_a_file_is_whole_once_two_looks_find_it_as_it_was(
    before: list[Entry], after: list[Entry], found: list[Entry]
) -> None:
    assert whole(before, after) == found


def test_a_file_with_its_marker_is_whole_and_one_without_is_not() -> None:
    there = [Entry("a.csv", 10, 1), Entry("a.csv.done", 0, 1), Entry("b.csv", 10, 1)]
    assert marked(there, ".done") == [Entry("a.csv", 10, 1)]


@pytest.mark.parametrize("name", ["a.csv.tmp", "a.csv.PART", "a.filepart", ".a.csv", "a.csv.why"])
def test_what_somebody_still_writes_is_never_whole(name: str) -> None:
    there = [Entry(name, 10, 1), Entry(f"{name}.done", 0, 1)]
    assert [each for each in whole(there, there) if each.name == name] == marked(there, ".done") == []
