"""What a process may not send any more does not leave it, and calls lead to whom the settings mean, or nowhere."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from gateway import sending
from gateway.addresses import forbidden
from gateway.call_errors import NotSent, Unknown
from gateway.dispatch.outcomes import is_failure
from gateway.domain.orders import Order
from gateway.newstore.client import Client
from gateway.providers.http import Http
from gateway.providers.http_settings import HttpSettings
from gateway.sending import FencedRequest, NotDispatched, may_leave
from gateway.settings import NewStore, Secret
from tests.certificates import Authority, Issued

METADATA = "0xA9FEA9FE"
"""Resolves to 169.254.169.254 everywhere, and is no address that anybody could see in the settings."""
ORDER = Order(request_id="r-1", reference="NS123", idempotency_key="NS123.1.create.0", body=b"{}")


async def test_the_last_look_comes_after_the_connection_stands() -> None:
    seen: list[str] = []
    answers = {"is_ours": True}

    async def answer(request: web.Request) -> web.Response:
        seen.append(await request.text())
        return web.Response()

    async def connected(*_: object) -> None:
        answers["is_ours"] = len(seen) == 0

    app = web.Application()
    app.router.add_post("/", answer)
    tracing = aiohttp.TraceConfig()
    tracing.on_connection_create_end.append(connected)
    tracing.on_connection_reuseconn.append(connected)
    ours = may_leave.set(lambda: answers["is_ours"])
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession(request_class=FencedRequest, trace_configs=[tracing]) as session,
    ):
        async with session.post(server.make_url("/"), data=b"one"):
            pass
        with pytest.raises(NotDispatched):
            await session.post(server.make_url("/"), data=b"two")
    may_leave.reset(ours)
    assert seen == ["one"]


def provider(url: str, ca: Path | None = None, shown: Issued | None = None) -> HttpSettings:
    made = HttpSettings("acme", "http", url, Secret("a" * 20), (Secret("c" * 20),), timeout=5.0, ca=ca)
    return replace(made, client_certificate=shown.certificate, client_key=shown.key) if shown else made


def newstore(url: str, ca: Path | None = None) -> NewStore:
    return NewStore(url, f"{url}/token", "gateway", Secret("s" * 20), timeout=5.0, ca=ca)


@asynccontextmanager
async def warehouse(issued: Issued, clients_of: Path | None = None) -> AsyncIterator[tuple[str, list[str]]]:
    """A provider behind TLS, which may ask who calls; gives its URL by name, and what it was asked."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=clients_of)
    context.load_cert_chain(*issued)
    if clients_of:
        context.verify_mode = ssl.CERT_REQUIRED
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=404)

    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://localhost:{runner.addresses[0][1]}", asked
    finally:
        await runner.cleanup()


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "fd00:ec2::254", "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "fd20:ce::254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
    ],
)  # fmt: skip
def test_no_destination_is_at_an_address_of_this_link_or_of_a_clouds_metadata(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "::1",
        "10.0.0.1",
        "192.168.1.1",
        "fd12:3456::1",
        "8.8.8.8",
        "2001:db8::1",
        "::ffff:10.0.0.1",
        "name",
    ],
)
def test_a_destination_may_be_at_any_other_address(address: str) -> None:
    assert not forbidden(address)


async def test_a_name_that_leads_to_a_clouds_metadata_is_not_called() -> None:
    told = "0xa9fea9fe leads to 169.254.169.254, where a cloud keeps a machine's own keys: correct the URL"
    async with sending.session(provider("")) as session:
        for call in (
            Http(provider(f"http://{METADATA}/orders"), session).create(ORDER, ORDER.body),
            Http(provider(f"https://{METADATA}/orders"), session).check(),
            Client(session, newstore(f"http://{METADATA}")).check(),
        ):
            with pytest.raises(NotSent, match=told) as refused:
                await call
            assert is_failure(refused.value)


async def test_a_certificate_that_is_no_good_is_named_as_the_reason_and_nothing_is_asked(tmp_path: Path) -> None:
    ours, another = Authority(tmp_path), Authority(tmp_path, "another")
    for issued, why in (
        (ours.issue("expired", "localhost", lasts=timedelta(days=-1)), "has expired: whoever runs it must renew it"),
        (ours.issue("other", "wms.example"), "is for another name: correct the URL, or have that name put into"),
        (another.issue("strange", "localhost"), "is of an issuer unknown here"),
    ):
        async with warehouse(issued) as (url, asked), sending.session(provider(url, ours.file)) as session:
            told = f"the certificate of {url.removeprefix('https://')} {why}"
            for call in (
                Http(provider(url), session).create(ORDER, ORDER.body),
                Client(session, newstore(url)).check(),
            ):
                with pytest.raises(NotSent, match=told) as refused:
                    await call
                assert is_failure(refused.value)
            assert asked == []


async def test_a_private_ca_is_trusted_where_the_settings_name_it_and_nowhere_else(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    async with warehouse(authority.issue("wms", "localhost")) as (url, asked):
        async with sending.session(provider(url, authority.file)) as session:
            await Http(provider(url), session).check()
        async with sending.session(provider(url)) as session:
            with pytest.raises(NotSent, match=r"is of an issuer unknown here .*: name its CA in the settings as ca"):
                await Http(provider(url), session).check()
    assert len(asked) == 1


async def test_who_asks_for_our_certificate_is_shown_it(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    ours = authority.issue("gateway", "gateway.example")
    async with warehouse(authority.issue("wms", "localhost"), clients_of=authority.file) as (url, asked):
        async with sending.session(provider(url, authority.file, ours)) as session:
            await Http(provider(url), session).check()
        assert len(asked) == 1
        for wrong in (None, Authority(tmp_path, "another").issue("stranger", "gateway.example")):
            async with sending.session(provider(url, authority.file, wrong)) as session:
                with pytest.raises((NotSent, Unknown)):
                    await Http(provider(url), session).create(ORDER, ORDER.body)
        assert len(asked) == 1


async def test_who_misses_our_certificate_is_named_with_the_settings_that_show_it(tmp_path: Path) -> None:
    async with (
        answered_by(tmp_path, misses_our_certificate) as (url, ca),
        sending.session(provider(url, ca)) as session,
    ):
        told = "^no TLS with localhost .*HANDSHAKE_FAILURE.*: check the URL, client_certificate and client_key$"
        with pytest.raises(NotSent, match=told):
            await Http(provider(url), session).create(ORDER, ORDER.body)


async def test_who_misses_our_certificate_after_the_handshake_is_said_to_want_it(tmp_path: Path) -> None:
    async with (
        answered_by(tmp_path, misses_our_certificate_later) as (url, ca),
        sending.session(provider(url, ca)) as session,
    ):
        told = "^localhost wants to see a certificate of ours: name one as client_certificate and client_key$"
        with pytest.raises(Unknown, match=told):
            await Http(provider(url), session).create(ORDER, ORDER.body)


async def test_who_turns_our_tls_away_when_it_has_the_order_leaves_it_in_doubt(tmp_path: Path) -> None:
    async with answered_by(tmp_path, speaks_nonsense) as (url, ca), sending.session(provider(url, ca)) as session:
        with pytest.raises(Unknown, match=r"^no TLS with localhost .*: check the URL, client_certificate and"):
            await Http(provider(url), session).create(ORDER, ORDER.body)


Serve = Callable[[socket.socket, ssl.SSLContext], None]


@asynccontextmanager
async def answered_by(folder: Path, serve: Serve) -> AsyncIterator[tuple[str, Path]]:
    """A server of OpenSSL's own, as asyncio's hangs up before it says why, for one caller."""
    authority = Authority(folder)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    context.load_cert_chain(*authority.issue("wms", "localhost"))
    with socket.create_server(("127.0.0.1", 0)) as door:
        serving = asyncio.create_task(asyncio.to_thread(serve, door, context))
        yield f"https://localhost:{door.getsockname()[1]}", authority.file
        await serving


def misses_our_certificate(door: socket.socket, context: ssl.SSLContext) -> None:
    context.verify_mode, context.maximum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_2
    connection, _ = door.accept()
    with connection, suppress(ssl.SSLError):
        context.wrap_socket(connection, server_side=True)


def misses_our_certificate_later(door: socket.socket, context: ssl.SSLContext) -> None:
    context.verify_mode, context.minimum_version = ssl.CERT_REQUIRED, ssl.TLSVersion.TLSv1_3
    connection, _ = door.accept()
    with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as encrypted:
        with suppress(ssl.SSLError):
            encrypted.do_handshake()
        with socket.socket(fileno=encrypted.detach()) as bare:
            while bare.recv(65_536):  # what is left unread would reset the connection, and overtake the word
                pass


def speaks_nonsense(door: socket.socket, context: ssl.SSLContext) -> None:
    connection, _ = door.accept()
    with context.wrap_socket(connection, server_side=True) as encrypted:
        while not encrypted.recv(65_536).endswith(ORDER.body):
            pass
        with socket.socket(fileno=encrypted.detach()) as bare:
            bare.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
