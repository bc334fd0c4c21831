"""Drive load with wrk, which costs the machine far less than a client in Python would."""

import asyncio
import re
import secrets
from dataclasses import dataclass
from pathlib import Path

CONNECTIONS = 64
_SCRIPT = Path(__file__).with_name("load.lua")
_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Round:
    """What one round of load saw."""

    per_second: float
    p50_ms: float
    p99_ms: float


async def load(url: str, seconds: int, pause_ms: int = 0) -> Round:
    """Post unique requests from 64 connections; with a pause, each waits that long before its next one."""
    process = await asyncio.create_subprocess_exec(
        "wrk", "--threads", "1", "--connections", str(CONNECTIONS), "--duration", f"{seconds}s", "--latency",
        "--script", str(_SCRIPT), url, "--", secrets.token_hex(8), str(pause_ms),
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output = (await process.communicate())[0].decode()
    if process.returncode or "Non-2xx" in output or "Socket errors" in output:
        raise SystemExit(f"the load on {url} went wrong:\n{output}")
    return Round(float(_find(r"Requests/sec:\s+([\d.]+)", output)), _latency("50", output), _latency("99", output))


def _latency(percent: str, output: str) -> float:
    found = re.search(rf"{percent}%\s+([\d.]+)(us|ms|s)\b", output)
    if found is None:
        raise SystemExit(f"wrk printed no {percent} % latency:\n{output}")
    return float(found[1]) * _MS[found[2]]


def _find(pattern: str, output: str) -> str:
    found = re.search(pattern, output)
    if found is None:
        raise SystemExit(f"wrk printed something else than expected:\n{output}")
    return found[1]
