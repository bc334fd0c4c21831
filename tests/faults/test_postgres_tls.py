"""A Postgres over a network is encrypted and proves who it is, or it is told nothing."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.ledger.database.servers import NoServer, Servers
from gateway.postgres import PostgresUnavailable, find_binaries
from tests.certificates import Authority, Issued
from tests.processes import free_port

from .false_servers import NETWORK, FalseServer
from .proxies import Proxy
from .servers import Server, server
from .site import site


def _presents(issued: Issued) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*issued)
    return context


@pytest.mark.parametrize("command", ["serve", "migrate", "check-config --online"])
async def test_no_command_tells_the_password_to_a_server_without_tls(folder: Path, command: str) -> None:
    async with FalseServer().running() as postgres, site(folder, "") as at:
        code, said = await at.said(*command.split(), dsn=postgres.dsn())
    assert (code, postgres.asked > 0, postgres.told) == (1, True, b"")
    assert "rejected SSL upgrade (it has no TLS: give it a certificate, or name it in database.plain_hosts)" in said
    assert "hunter2" not in said


async def test_every_host_of_a_url_is_told_the_password_by_tls_alone() -> None:
    async with FalseServer().running() as one, FalseServer().running() as two:
        dsn = f"postgresql://gateway:hunter2@{NETWORK}:{one.port},{NETWORK}:{two.port}/gateway"
        with pytest.raises(NoServer):
            await Servers(dsn).connect()
    assert (one.asked, two.asked, one.told + two.told) == (1, 1, b"")


async def test_a_host_of_the_environment_is_told_the_password_by_tls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FalseServer().running() as postgres:
        monkeypatch.setenv("PGHOST", NETWORK)
        monkeypatch.setenv("PGSSLMODE", "disable")
        with pytest.raises(NoServer):
            await Servers(f"postgresql:///db?user=gateway&password=hunter2&port={postgres.port}").connect()
    assert (postgres.asked, postgres.told) == (1, b"")


async def test_a_host_that_the_settings_name_is_told_the_password_in_clear() -> None:
    async with FalseServer().running() as postgres:
        with pytest.raises(NoServer):
            await Servers(postgres.dsn(), [NETWORK]).connect()
    assert b"hunter2" in postgres.told


async def test_who_proves_to_be_somebody_else_is_not_told_the_password(tmp_path: Path) -> None:
    ours, another = Authority(tmp_path), Authority(tmp_path, "another")
    for issued, why in (
        (another.issue("of-another", NETWORK), "unable to get local issuer certificate"),
        (ours.issue("for-another", "db.example"), "certificate is not valid for '127.1'"),
        (ours.issue("expired", NETWORK, lasts=timedelta(days=-1)), "certificate has expired"),
    ):
        for query, ca in ((f"?sslrootcert={ours.file}", None), ("", ours.file)):
            async with FalseServer(_presents(issued)).running() as postgres:
                with pytest.raises(NoServer, match=r"its certificate must name it, and come from database\.ca") as told:
                    await Servers(postgres.dsn(query=query), (), ca).connect()
            assert (why in str(told.value), told.value.passes, postgres.told) == (True, False, b"")


async def test_whom_the_system_does_not_trust_is_not_told_the_password(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("server", NETWORK)
    for query in ("", "?sslmode=verify-full", "?sslrootcert=system"):
        async with FalseServer(_presents(issued)).running() as postgres:
            with pytest.raises(NoServer, match="unable to get local issuer certificate"):
                await Servers(postgres.dsn(query=query)).connect()
        assert (postgres.asked, postgres.told) == (1, b"")


async def test_who_proves_who_it_is_is_told_the_password(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours = Authority(tmp_path)
    for query, ca, trusted in (
        (f"?sslrootcert={ours.file}", None, ""),
        ("", ours.file, ""),
        ("", None, str(ours.file)),  # as the system would
    ):
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", trusted)
            monkeypatch.setattr("gateway.settings.database_url._shared", ssl.create_default_context)
        async with FalseServer(_presents(ours.issue("server", NETWORK))).running() as postgres:
            with pytest.raises(NoServer):
                await Servers(postgres.dsn(query=query), (), ca).connect()
        assert b"hunter2" in postgres.told


async def test_a_mode_that_checks_nobody_is_taken_where_it_is_written(tmp_path: Path) -> None:
    issued = Authority(tmp_path).issue("server", "db.example")
    async with FalseServer(_presents(issued)).running() as postgres:
        with pytest.raises(NoServer):
            await Servers(postgres.dsn(query="?sslmode=require")).connect()
    assert b"hunter2" in postgres.told


async def test_no_parameter_of_libpq_reaches_the_server() -> None:
    query = (
        "?sslmode=disable&channel_binding=require&connect_timeout=10&keepalives=1&gssencmode=prefer&options=-c%20a.b=c"
    )
    async with FalseServer().running() as postgres:
        with pytest.raises(NoServer):
            await Servers(postgres.dsn("127.0.0.1", query)).connect()
    named = postgres.told.split(b"\0")
    assert b"-c a.b=c" in named
    assert not {b"sslmode", b"channel_binding", b"connect_timeout", b"keepalives", b"gssencmode"} & set(named)


async def test_a_connect_timeout_shortens_ours_and_does_not_prolong_it() -> None:
    loop = asyncio.get_running_loop()
    async with Proxy(lambda: asyncio.open_connection("127.0.0.1", free_port())).running() as silent:
        silent.cut()
        began = loop.time()
        with pytest.raises(NoServer, match="TimeoutError"):
            await Servers(f"postgresql://u:p@127.0.0.1:{silent.port}/db?connect_timeout=1").connect()
        assert 0.9 < loop.time() - began < 3


async def test_a_parameter_that_the_server_refuses_is_named(folder: Path) -> None:
    async with server(folder / "a") as postgres, site(folder, "") as at:
        code, said = await at.said("check-config", "--online", dsn=f"{postgres.dsn}&colour=blue")
    assert code == 1
    assert 'unrecognized configuration parameter "colour"; mend it, or database.url or DATABASE_URL' in said


@asynccontextmanager
async def _with_tls(folder: Path, authority: Authority) -> AsyncIterator[Server]:
    """A server that takes nothing but TLS from a network."""
    try:
        capable = b"libssl" in (find_binaries(prefer_system=True) / "postgres").read_bytes()
    except PostgresUnavailable:
        capable = False
    if not capable:
        pytest.skip("no Postgres with TLS is installed")
    async with server(folder / "a", prefer_system=True):
        pass
    cluster = folder / "a" / "cluster"
    issued = authority.issue("postgres", NETWORK)
    for file, name in zip(issued, ("server.crt", "server.key"), strict=True):
        (cluster / name).write_bytes(file.read_bytes())
        (cluster / name).chmod(0o600)
    rules = cluster / "pg_hba.conf"
    rules.write_text(rules.read_text().replace("host ", "hostssl "))
    settings = {"listen_addresses": "127.0.0.1", "port": str(free_port()), "ssl": "on"}
    there = Server(folder / "a", settings, prefer_system=True)
    await there.start()
    try:
        yield there
    finally:
        await there.stop()


async def test_every_command_reaches_a_postgres_that_proves_by_a_private_ca_who_it_is(folder: Path) -> None:
    authority = Authority(folder)
    async with _with_tls(folder, authority) as postgres, site(folder, "") as at:
        dsn = postgres.dsn_by(int(postgres.settings["port"])).replace("127.0.0.1", NETWORK)
        code, said = await at.said("check-config", "--online", dsn=dsn)
        assert (code, "unable to get local issuer certificate" in said) == (1, True)
        at.config.write_text(f'{at.config.read_text()}\n[database]\nca = "{authority.file}"\n')
        assert await at.said("migrate", dsn=dsn) == (0, "nothing to apply: the schema is this program's\n")
        code, said = await at.said("check-config", "--online", dsn=dsn)
        assert "database: reached" in said
        at.dsn = dsn
        await at.start()
        connection = await Servers(dsn, (), authority.file).connect()
        try:
            kinds = "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE client_addr IS NOT NULL"
            assert {row["ssl"] for row in await connection.fetch(kinds)} == {True}
        finally:
            await connection.close()
        await at.stack.aclose()
