"""The two roads of settling and of dispatching: through the gateway, and bare."""

import asyncio
import secrets
import time
from typing import Any

import aiohttp
import asyncpg
import orjson

from gateway.sending import FencedRequest
from gateway.settings import Settings

from .limits import Unstored
from .served import KEYS

AT_ONCE = 128  # as many as the gateway may make at the provider
_TIMEOUT = 60


def body(request_id: str) -> bytes:
    """Make a request of about 1 KB with three units."""
    address = {"first_name": "Ana", "last_name": "Ruiz", "address_line_1": "12 Elm St", "zip_code": "78701"}
    return orjson.dumps(
        {
            "id": request_id,
            "order_id": "SO-100482",
            "billing_address": address,
            "shipping_address": address,
            "shipping_options": {"carrier": "UPS", "service_level": "GROUND"},
            "created_at": "2026-03-05T09:14:22Z",
            "items": [{"product_id": f"SKU-{n}", "extended_attributes": []} for n in range(3)],
            "extended_attributes": [{"name": "note", "value": "x" * 400}],
        }
    )


async def post_all(url: str, key: str, count: int) -> None:
    """Post `count` requests, 128 at once."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    prefix = secrets.token_hex(6)
    numbers = iter(range(count))

    async def work(session: aiohttp.ClientSession) -> None:
        for number in numbers:
            async with session.post(url, data=body(f"{prefix}-{number:06}")) as answer:
                assert answer.status < 300, await answer.text()
                await answer.read()

    async with aiohttp.ClientSession(headers=headers, connector=aiohttp.TCPConnector(limit=0)) as session:
        await asyncio.gather(*(work(session) for _ in range(AT_ONCE)))


async def counts(stub: str) -> dict[str, int]:
    """Ask the stub what it saw."""
    async with aiohttp.ClientSession() as session, session.get(f"{stub}/counts") as answer:
        found: dict[str, int] = await answer.json()
        return found


async def reset(stub: str, calls_back_at: str) -> None:
    """Forget what was seen; an empty URL means that nobody is called back."""
    query = {"calls_back_at": calls_back_at} if calls_back_at else {}
    async with aiohttp.ClientSession() as session, session.post(f"{stub}/reset", params=query):
        pass


async def until(stub: str, name: str, count: int) -> tuple[int, float]:
    """Wait until the stub saw so many calls of a kind; gives how many, and when."""
    async with asyncio.timeout(_TIMEOUT), aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{stub}/counts") as answer:
                seen: int = (await answer.json()).get(name, 0)
            if seen >= count:
                return seen, time.perf_counter()
            await asyncio.sleep(0.02)


async def rate(stub: str, count: int) -> float:
    """Creates per second, from the first that the stub saw to the last."""
    before, began = await until(stub, "create", 1)
    after, ended = await until(stub, "create", count)
    return (after - before) / (ended - began)


async def bare_lifecycles(stub: str, relay: str, count: int) -> float:
    """Lifecycles per second of a relay that stores nothing."""
    await reset(stub, relay)
    started = time.perf_counter()
    await post_all(f"{relay}/newstore/DC01/fulfillment_requests", KEYS["KEY"], count)
    return count / ((await until(stub, "read", count))[1] - started)


async def lifecycles(stub: str, public: str, internal: str, count: int) -> tuple[float, float]:
    """Settled requests per second of the gateway, and its NewStore calls for each."""
    await reset(stub, public)
    started = time.perf_counter()
    await post_all(f"{public}/newstore/DC01/fulfillment_requests", KEYS["KEY"], count)
    await until(stub, "read", count)
    await _settled(internal)
    took = time.perf_counter() - started
    seen = await counts(stub)
    return count / took, sum(seen[name] for name in ("acknowledgement", "shipment", "read")) / count


async def _settled(internal: str) -> None:
    headers = {"Authorization": f"Bearer {KEYS['TOKEN']}"}
    async with asyncio.timeout(_TIMEOUT), aiohttp.ClientSession(headers=headers) as session:
        while True:
            async with session.get(f"{internal}/v1/summary") as answer:
                told: dict[str, Any] = await answer.json()
            if not any(row["pending"] for row in told["locations"]):
                return
            await asyncio.sleep(0.02)


async def bare_calls(stub: str, count: int) -> float:
    """Posts per second of the same client, from this process, to the same server."""
    await reset(stub, "")
    started = time.perf_counter()
    await post_all(f"{stub}/orders", KEYS["API"], count)
    return count / (time.perf_counter() - started)


async def unstored_calls(stub: str, loaded: Settings, count: int) -> float:
    """Creates per second through the same dispatcher, from this process, with nothing stored."""
    await reset(stub, "")
    prefix = secrets.token_hex(6)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, request_class=FencedRequest) as session:
        dispatcher = Unstored(session, loaded, [body(f"{prefix}-{number:06}") for number in range(count)])
        running = asyncio.create_task(dispatcher.run())
        found = await rate(stub, count)
        dispatcher.stop()
        await running
        await dispatcher.settled()
    return found


async def dispatched(pool: asyncpg.Pool, stub: str, public: str, count: int) -> float:
    """Creates per second through dispatch: all wait under a hold, which is then released."""
    await reset(stub, "")
    hold = await pool.fetchval(
        "INSERT INTO holds (scope, name, reason, who) VALUES ('destination', 'wms', 'bench', 'bench') RETURNING id"
    )
    await post_all(f"{public}/newstore/DC01/fulfillment_requests", KEYS["KEY"], count)
    await pool.execute("VACUUM ANALYZE deliveries")
    await pool.execute("UPDATE holds SET released_at = now(), released_by = 'bench' WHERE id = $1", hold)
    return await rate(stub, count)


async def backlog(pool: asyncpg.Pool, count: int) -> None:
    """Let others wait: a third held, a third not yet due, a third behind an open breaker."""
    await pool.execute("INSERT INTO holds (scope, name, reason, who) VALUES ('location', 'HELD', 'bench', 'bench')")
    await pool.execute(
        """
        INSERT INTO destinations (name, is_open, opened_at, half_open_at)
        VALUES ('broken', true, now(), now() + interval '1 h')
        ON CONFLICT (name) DO UPDATE SET is_open = true, opened_at = now(), half_open_at = now() + interval '1 h'
        """
    )
    await pool.execute(
        """
        INSERT INTO deliveries (request_id, operation, seq, destination, location, month, is_read, ready, due_at)
        SELECT 'waiting-' || n, 'create', 1, CASE n % 3 WHEN 2 THEN 'broken' ELSE 'wms' END,
            CASE n % 3 WHEN 0 THEN 'HELD' ELSE 'DC01' END, date_trunc('month', now())::date, false, true,
            now() + CASE n % 3 WHEN 1 THEN interval '1 day' ELSE interval '-1 hour' END
        FROM generate_series(1, $1::int) AS n
        """,
        count,
    )
