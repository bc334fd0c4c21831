"""Secrets and personal data are in no log, no metric and no span, whatever comes in and whatever answers."""

import asyncio
import json
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import orjson
from aiohttp import web

from gateway.routes import ROUTES
from gateway.telemetry.logs import EVENTS
from tests.processes import LONG, gateway

from .collector import collecting
from .outside import Call, reachable

CONFIG = """
public_url = "http://127.0.0.1:8080"
public = {{ port = 0 }}
internal = {{ port = 0 }}
body_limit = 4_096

[telemetry]
otlp_endpoint = "{collector}"
sample_ratio = 1

[newstore]
url = "{outside}/newstore"
token_url = "{outside}/token"
client_id = "gateway"
client_secret = "env:SECRET"

[[operators]]
name = "vera"
role = "viewer"
token = "env:TOKEN"

[[operators]]
name = "otto"
role = "admin"
token = "env:ACTING"

[providers.acme]
adapter = "http"
url = "{outside}/acme"
api_key = "env:API"
callback_key = "env:CALLBACK"

[locations.DC01]
provider = "acme"
api_keys = ["env:KEY"]
"""
KEYS = {name: f"MARKED-secret-{name}-{'x' * 16}" for name in ("SECRET", "TOKEN", "ACTING", "API", "CALLBACK", "KEY")}
PERSON = {
    "shipping_address": {"name": "MARKED Ada Lovelace", "street": "MARKED Lane 1", "phone": "MARKED 555"},
    "customer_email": "MARKED@example.com",
    "note": "MARKED",
}
# As if a fault of ours, or of the database, repeated in an error what was stored.
REPEAT = """
CREATE FUNCTION repeat_it() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'MARKED %', NEW; END $$;
CREATE TRIGGER repeat_it BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION repeat_it()
"""


def repeats(status: int) -> Any:
    def answer(call: Call) -> web.Response:
        secret = call.headers.get("Authorization", "")
        told = {"error_code": "MARKED", "message": f"MARKED {secret}", "error_description": call.body.decode()}
        return web.json_response({**told, "person": PERSON}, status=status, headers={"X-Person": "MARKED"})

    return answer


def order(request_id: str) -> bytes:
    return orjson.dumps({"id": request_id, "items": [{"product_id": "TEE"}, {"product_id": "CAP"}], **PERSON})


def said(kind: str, request_id: str, **more: Any) -> bytes:
    return orjson.dumps({"type": kind, "fulfillment_request_id": request_id, **more, **PERSON})


@dataclass
class Child:
    """`gateway serve` in a process of its own, and all that it writes."""

    process: Process
    session: aiohttp.ClientSession
    public: str
    internal: str
    written: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)

    async def logs(self, **least: int) -> None:
        """Read until so many of each event were written; `_` stands for the dot."""
        assert self.process.stderr is not None
        while any(self.seen[name] < count for name, count in least.items()):
            line = (await self.process.stderr.readline()).decode()
            assert line, self.written
            self.written.append(line)
            self.seen[json.loads(line)["event"].replace(".", "_")] += 1

    async def post(self, path: str, key: str, body: bytes, **headers: str) -> int:
        headers |= {"Authorization": f"Bearer {key}"}
        async with self.session.post(f"{self.public}{path}", data=body, headers=headers) as answer:
            return answer.status

    async def receive(self, body: bytes, key: str = KEYS["KEY"], location: str = "DC01", **headers: str) -> int:
        return await self.post(f"/newstore/{location}/fulfillment_requests", key, body, **headers)

    async def say(self, body: bytes, key: str = KEYS["CALLBACK"], provider: str = "acme") -> int:
        return await self.post(f"/providers/{provider}/callbacks", key, body)

    async def reveal(self, request_id: str) -> tuple[str, str]:
        """Look at the bodies of a request, first masked and then whole."""
        url, headers = f"{self.internal}/v1/requests/{request_id}", {"Authorization": f"Bearer {KEYS['ACTING']}"}
        async with self.session.get(f"{url}/bodies", headers=headers) as answer:
            masked = await answer.text()
        async with self.session.post(f"{url}/reveal", headers=headers, json={"reason": "MARKED asked"}) as answer:
            return masked, await answer.text()

    async def read_all(self) -> dict[str, str]:
        """Read as a viewer all that the operations API tells of what has come and was answered."""
        lists = {each.path for each in ROUTES if each.method == "get" and each.path.startswith("/v1/")}
        paths = {path: await self._read(path) for path in lists if "{id}" not in path}
        for each in orjson.loads(paths["/v1/requests"])["requests"]:
            for path in ("/v1/requests/{id}", "/v1/requests/{id}/bodies"):
                paths[f"{path} {each['id']}"] = await self._read(path.replace("{id}", each["id"]))
        for each in orjson.loads(paths["/v1/quarantine"])["quarantine"]:
            path = f"/v1/quarantine/{each['id']}"
            paths[path] = await self._read(path)
        return paths

    async def _read(self, path: str) -> str:
        headers = {"Authorization": f"Bearer {KEYS['TOKEN']}"}
        async with self.session.get(f"{self.internal}{path}", headers=headers) as answer:
            assert answer.status == 200, path
            return await answer.text()

    async def metrics(self) -> str:
        async with self.session.get(f"{self.internal}/metrics") as answer:
            return await answer.text()


@asynccontextmanager
async def served(config: Path, database: str) -> AsyncIterator[Child]:
    async with (
        asyncio.timeout(LONG),
        aiohttp.ClientSession() as session,
        gateway(config, {**KEYS, "DATABASE_URL": database}, stderr=PIPE) as served,
    ):
        assert isinstance(served.process, Process)
        child = Child(served.process, session, served.public_url, served.internal_url)
        yield child
        child.process.terminate()
        _, errors = await child.process.communicate()
        child.written += errors.decode().splitlines()


@asynccontextmanager
async def repeated_by_the_database(pool: asyncpg.Pool, table: str) -> AsyncIterator[None]:
    await pool.execute(REPEAT.format(table=table))
    try:
        yield
    finally:
        await pool.execute(f"DROP TRIGGER repeat_it ON {table}; DROP FUNCTION repeat_it")


async def come_in(child: Child) -> None:
    assert await child.receive(order("r-2")) == 200
    assert await child.receive(b'{"id": "r-3", "MARKED": MARKED') == 400
    assert await child.receive(b"MARKED" * 1000) == 413
    assert await child.receive(order("r-4"), "MARKED-wrong") == 401
    assert await child.receive(order("r-4"), location="MARKED") == 404
    assert await child.post("/MARKED?name=MARKED", KEYS["KEY"], b"MARKED") == 404
    parcel = {"carrier": "UPS", "tracking_number": "MARKED-1Z", "tracking_url": "https://x/MARKED"}
    assert await child.say(said("shipped", "r-2", items=[{"product_id": "TEE"}], shipment=parcel)) == 200
    assert await child.say(said("MARKED", "r-2")) == 202
    assert await child.say(said("rejected", "r-2", reason="MARKED")) == 202
    assert await child.say(said("accepted", "r-none")) == 202
    assert await child.say(b'{"type": "MARKED"') == 400
    assert await child.say(b"MARKED" * 1000) == 413
    assert await child.say(said("accepted", "r-2"), "MARKED-wrong") == 401
    assert await child.say(b"MARKED", provider="MARKED") == 404


async def test_marked_personal_data_and_secrets_stay_inside(database: str, pool: asyncpg.Pool, tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    async with reachable() as outside, collecting() as collector:
        config.write_text(CONFIG.format(outside=outside.url, collector=collector.url))
        async with served(config, database) as child:
            outside.answers = {"/acme": repeats(400)}
            assert await child.receive(order("r-1"), traceparent="MARKED", Person="MARKED") == 200
            await child.logs(attempt_failed=1, request_failed=1)

            outside.answers = {"/acknowledgement": repeats(400), "/shipment": repeats(500)}
            await come_in(child)
            await child.logs(attempt_failed=3, message_quarantined=5)

            masked, whole = await child.reveal("r-1")
            async with repeated_by_the_database(pool, "audit"):
                assert "MARKED" not in (await child.reveal("r-1"))[1]

            async with repeated_by_the_database(pool, "quarantine"):
                assert await child.say(b'{"type": "MARKED too"') == 500
            async with repeated_by_the_database(pool, "attempts"):
                assert await child.receive(order("r-5")) == 200
                await child.logs(request_crashed=2, call_broke=1, command_unstorable=1)
            metrics = await child.metrics()

    assert child.process.returncode == 0
    assert {json.loads(line)["event"] for line in child.written} <= set(EVENTS)
    assert any(span.is_error for span in collector.spans)
    assert "gateway_attempts_total" in metrics
    assert ("MARKED" in masked, "Lovelace" in masked, "Lovelace" in whole) == (False, False, True)
    everything = [*child.written, metrics, *(body.decode("latin-1") for body in collector.bodies)]
    assert [text for text in everything if "MARKED" in text or "Lovelace" in text] == []
    assert KEYS["API"] in str([call.headers for call in outside.calls])


def refuses_a_unit(call: Call) -> web.Response:
    if call.method == "POST":
        return web.json_response({"message": "MARKED"}, status=201)
    failed = {"product_id": "TEE", "carrier": "UPS", "tracking_code": "1Z", "error_code": "MARKED Ada", **PERSON}
    return web.json_response({"successful_shipments": [], "failed_shipments": [failed | {"message": "MARKED"}]})


async def test_a_viewer_reads_no_personal_data_whatever_others_answer(
    database: str, pool: asyncpg.Pool, tmp_path: Path
) -> None:
    config = tmp_path / "gateway.toml"
    async with reachable() as outside, collecting() as collector:
        config.write_text(CONFIG.format(outside=outside.url, collector=collector.url))
        async with served(config, database) as child:
            outside.answers = {"/acme": repeats(400)}
            assert await child.receive(order("r-1")) == 200
            await child.logs(request_failed=1)

            outside.answers = {"/r-4/acknowledgement": repeats(400), "/shipment": refuses_a_unit}
            for request_id in ("r-2", "r-4"):
                assert await child.receive(order(request_id)) == 200
            assert await child.say(said("accepted", "r-4", items=[{"product_id": "TEE", "quantity": 1}])) == 200
            parcel = {"carrier": "UPS", "tracking_number": "1Z"}
            assert await child.say(said("shipped", "r-2", items=[{"product_id": "TEE"}], shipment=parcel)) == 200
            await child.logs(request_failed=3)
            assert await child.say(said("rejected", "r-2", reason="MARKED Ada moved")) == 202
            assert await child.say(said("accepted", "r-none")) == 202
            assert await child.say(b'{"type": "MARKED Ada"') == 400
            assert await child.receive(b'{"id": "r-3", "note": "MARKED"}') == 400
            told = await child.read_all()
            whole = (await child.reveal("r-2"))[1]

    assert len(told) >= 8 + 3 * 2 + 4
    assert {path: text for path, text in told.items() if "MARKED" in text or "Lovelace" in text} == {}
    assert ("refused" in told["/v1/failures"], "MARKED Ada" in whole) == (True, True)
