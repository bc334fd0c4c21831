"""What those can do who belong to nobody: little, and nothing that costs the others."""

import asyncio
import gzip
import json
import zlib
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from aiohttp import web
from standardwebhooks import Webhook

from gateway.intake.hearing import Hearing
from gateway.ledger.write.writer import Writer
from gateway.listeners import internal_app, public_app
from gateway.providers.http import Http
from gateway.settings import Listener
from gateway.telemetry import metrics
from gateway.web.listening import MOST, listen
from tests.loading import http_provider
from tests.processes import Gateway, gateway
from tests.served import ACME, SETTINGS, SIGNING_SECRET, Served

KEYS = {name: name.ljust(24, "k") for name in ("KEY", "SECRET", "DC")} | {"SIGNS": SIGNING_SECRET}
CONFIG = """
public_url = "http://127.0.0.1:8080"
public = { port = 0 }
internal = { port = 0 }
[newstore]
url = "http://127.0.0.1:9"
token_url = "http://127.0.0.1:9/token"
client_id = "gateway"
client_secret = "env:SECRET"
[providers.sig]
adapter = "http"
url = "http://127.0.0.1:9/orders"
api_key = "env:KEY"
callback_secret = "env:SIGNS"
[locations.DC01]
provider = "sig"
api_keys = ["env:DC"]
"""
STALLING = 1_000_000  # bytes, of which one never comes
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Listens = Callable[..., "asyncio.Future[str]"]


class Strangers:
    """Connections to one listener, opened by hand."""

    def __init__(self, url: str) -> None:
        self.host, port = url.removeprefix("http://").split(":")
        self.port = int(port)
        self.open: list[Connection] = []

    async def one(self, sent: bytes = b"") -> Connection:
        connection = await asyncio.open_connection(self.host, self.port)
        connection[1].write(sent)
        self.open.append(connection)
        return connection

    async def says(self, sent: bytes) -> bytes:
        reader, _ = await self.one(sent)
        return await heard(reader)

    async def go(self) -> None:
        for _, writer in self.open:
            writer.close()


async def heard(reader: asyncio.StreamReader) -> bytes:
    """All that is answered until the connection ends."""
    async with asyncio.timeout(8):
        return await reader.read()


@asynccontextmanager
async def strangers_to(url: str) -> AsyncIterator[Strangers]:
    strangers = Strangers(url)
    try:
        yield strangers
    finally:
        await strangers.go()


@asynccontextmanager
async def at(name: str, app: web.Application, head_seconds: float = 10.0) -> AsyncIterator[Strangers]:
    async with AsyncExitStack() as stack:
        runner, url = await listen(app, name, Listener("127.0.0.1", 0), 0.1, head_seconds=head_seconds)
        stack.push_async_callback(runner.cleanup)
        yield await stack.enter_async_context(strangers_to(url))


def app_of(name: str, pool: asyncpg.Pool, body_seconds: float = 10.0) -> web.Application:
    no_session: Any = None
    writer = Writer(lambda: asyncio.sleep(3600))  # type: ignore[return-value,arg-type]  # no stranger gets there
    if name == "internal":
        return internal_app(SETTINGS, pool, writer, {}, body_seconds=body_seconds)
    adapters = {name: Http(http_provider(SETTINGS, name), no_session) for name in SETTINGS.providers}
    return public_app(SETTINGS, writer, pool, Hearing(SETTINGS, pool, writer, adapters, no_session), body_seconds)


def dropped(listener: str, why: str) -> float:
    labels = {"listener": listener, "why": why}
    return metrics.REGISTRY.get_sample_value("gateway_connections_dropped_total", labels) or 0


@pytest.mark.parametrize("name", ["public", "internal"])
@pytest.mark.parametrize("sent", [b"", b"GET /livez HTTP/1.1\r\nHost:"])
async def test_who_does_not_finish_a_head_is_let_go(name: str, sent: bytes, pool: asyncpg.Pool) -> None:
    before = dropped(name, "silent")
    async with at(name, app_of(name, pool), head_seconds=0.1) as strangers:
        assert await strangers.says(sent) == b""
    assert dropped(name, "silent") == before + 1


async def test_who_finished_a_head_in_time_may_rest_and_ask_again(pool: asyncpg.Pool) -> None:
    async with at("public", app_of("public", pool), head_seconds=0.1) as strangers:
        patient, ask = await strangers.one(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        assert await patient.readuntil(b"alive\n")
        assert await strangers.says(b"") == b""  # so much time has passed
        ask.write(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"alive" in await heard(patient)


async def test_a_slow_body_ends_on_the_internal_listener_too(pool: asyncpg.Pool) -> None:
    async with at("internal", app_of("internal", pool, 0.1)) as strangers:
        head = "POST /v1/holds HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer the-token-of-otto\r\n"
        assert (await strangers.says(f"{head}Content-Length: 9\r\n\r\n{{".encode())).startswith(b"HTTP/1.1 408 ")


async def test_where_all_places_are_taken_the_oldest_that_asked_for_nothing_makes_room(pool: asyncpg.Pool) -> None:
    async with at("internal", app_of("internal", pool)) as strangers:
        silent = [await strangers.one() for _ in range(MOST["internal"])]
        assert b"alive" in await strangers.says(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert await heard(silent[0][0]) == b""
        assert not silent[1][0].at_eof()


async def test_who_rests_after_an_answer_makes_room_when_nobody_is_silent(pool: asyncpg.Pool) -> None:
    async with at("internal", app_of("internal", pool)) as strangers:
        for _ in range(MOST["internal"]):
            reader, _ = await strangers.one(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            await reader.readuntil(b"alive\n")
        assert b"alive" in await strangers.says(b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert await heard(strangers.open[0][0]) == b""


async def test_nobody_whose_request_is_under_way_makes_room(pool: asyncpg.Pool) -> None:
    before = dropped("internal", "full")
    head = "POST /v1/holds HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer the-token-of-otto\r\n"
    async with at("internal", app_of("internal", pool)) as strangers:
        for _ in range(MOST["internal"]):
            reader, _ = await strangers.one(f"{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n".encode())
            await reader.readuntil(b"100 Continue\r\n\r\n")
        assert await strangers.says(b"") == b""
        reader, writer = strangers.open[0]
        writer.write(b"{}")
        assert b"HTTP/1.1 400 " in await reader.readline()
    assert dropped("internal", "full") == before + 1


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip", "rot13"])
@pytest.mark.parametrize("path", ["/newstore/DC01/fulfillment_requests", "/providers/acme/callbacks"])
async def test_an_encoding_that_is_not_understood_is_told_which_ones_are(
    path: str, encoding: str, pool: asyncpg.Pool
) -> None:
    key = "the-key-of-DC01" if "newstore" in path else "the-callback-key-of-acme"
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nContent-Encoding: {encoding}\r\n"
    async with at("public", app_of("public", pool)) as strangers:
        told = await strangers.says(f"{head}Content-Length: 4\r\n\r\n\x0b\x01\x80a".encode("latin-1"))
    assert told[8:13] == b" 415 "
    assert b"Accept-Encoding: gzip, deflate\r\n" in told
    assert b"one of gzip, deflate" in told


async def test_a_compressed_body_is_understood(gateway: Served) -> None:
    said = b'{"type":"accepted","event_id":"e1","fulfillment_request_id":"nobodys"}'
    for encoding, body in (("gzip", gzip.compress(said)), ("deflate", zlib.compress(said))):
        assert (await gateway.say(body, headers=ACME | {"Content-Encoding": encoding})).status == 202


@pytest.fixture
async def site(tmp_path: Path, database: str, pool: asyncpg.Pool) -> AsyncIterator[tuple[Gateway, Path]]:
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG)
    async with gateway(config, {**KEYS, "DATABASE_URL": database}) as served:
        yield served, config.with_suffix(".log")


NO_HTTP = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    b"GET / HTTP/9.9\r\n\r\n",
    b"SSH-2.0-x\r\n\r\n",
    b"G" * 9_000,
]


async def test_what_is_not_http_learns_nothing_and_leaves_no_traceback(site: tuple[Gateway, Path]) -> None:
    served, log = site
    for url in (served.public_url, served.internal_url):
        async with strangers_to(url) as strangers:
            for sent in NO_HTTP:
                told = await strangers.says(sent)
                assert told[8:13] == b" 400 ", sent
                assert b"Content-Type: application/problem+json" in told
                assert b"Server: gateway\r\n" in told
                assert not {word for word in (b"aiohttp", b"Python", b"SSH") if word in told}
    events = [json.loads(line)["event"] for line in log.read_text().splitlines()]
    assert events == ["gateway.started"]


def stalling(bytes_sent: int = STALLING - 1) -> bytes:
    now = str(int(datetime.now(UTC).timestamp()))
    head = f"POST /providers/sig/callbacks HTTP/1.1\r\nHost: x\r\nwebhook-timestamp: {now}\r\nwebhook-id: m\r\n"
    return f"{head}Content-Length: {STALLING}\r\n\r\n".encode() + b"x" * bytes_sent


def memory(served: Gateway) -> float:
    """Megabytes that the process holds."""
    status = Path(f"/proc/{served.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


async def test_unproved_bodies_hold_little_memory_together_and_do_not_shut_out_who_can_prove_his(
    site: tuple[Gateway, Path],
) -> None:
    served, _ = site
    before = memory(served)
    async with strangers_to(served.public_url) as strangers:
        for _ in range(100):
            _, writer = await strangers.one(stalling())
            await writer.drain()
        first, _ = strangers.open[0]
        assert (await heard(first)).startswith(b"HTTP/1.1 408 ")
        body, now = b'{"type":"accepted","event_id":"e","fulfillment_request_id":"nobodys"}', datetime.now(UTC)
        proof = (
            f"webhook-id: m-1\r\nwebhook-timestamp: {int(now.timestamp())}\r\n"
            f"webhook-signature: {Webhook(SIGNING_SECRET).sign('m-1', now, body.decode())}\r\n"
        )
        head = f"POST /providers/sig/callbacks HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{proof}"
        told = await strangers.says(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        assert told.startswith(b"HTTP/1.1 202 ")
        grown = memory(served) - before
        assert grown < 60
