"""What no route takes, on both listeners of a running gateway."""

import asyncio
import json
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from tests.world import running

ALIVE = "GET /livez HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n\r\n"
WRONG = {
    ALIVE.replace("livez", "nowhere"): 404,
    ALIVE.replace("livez", "x" * 4_000): 404,
    ALIVE.replace("GET", "DELETE"): 405,
}


async def answered(url: str, sent: str) -> tuple[int, dict[str, str], bytes]:
    """Send these bytes, and read all that comes until the gateway hangs up."""
    at = urlsplit(url)
    reader, writer = await asyncio.open_connection(at.hostname, at.port)
    writer.write(sent.encode())
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    first, *lines = head.decode().split("\r\n")
    return int(first.split()[1]), {k.lower(): v for k, _, v in (line.partition(": ") for line in lines)}, body


@pytest.mark.parametrize("table", ["public", "internal"])
async def test_what_no_route_takes_gets_a_problem_and_no_version(
    tmp_path: Path, database: str, pool: asyncpg.Pool, table: str
) -> None:
    async with running(tmp_path, database) as road:
        url = road.gateway.public_url if table == "public" else road.gateway.internal_url
        for sent, status in WRONG.items():
            got, headers, body = await answered(url, sent)
            assert (got, headers["server"]) == (status, "gateway")
            assert headers["content-type"] == "application/problem+json"
            problem = json.loads(body)
            assert (problem["status"], len(problem["detail"]) < 400) == (status, True)
            assert status != 404 or "of the internal listener" in problem["detail"]
        got, headers, _ = await answered(url, ALIVE)
        assert (got, headers["server"]) == (200, "gateway")
