"""NewStore's call to the URL configured for a DC, with its retries and its stop-watch."""

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field

import aiohttp

from gateway.simulator.memory import KEEP
from gateway.simulator.served import JSON


@dataclass(frozen=True, slots=True)
class Configuration:
    """Where the requests of one DC go."""

    url: str
    api_key: str | None


@dataclass(slots=True)
class Webhook:
    """The DCs in routing order, and the last attempts made to reach them."""

    backoff: tuple[float, ...]
    timeout: float
    configured: dict[str, Configuration] = field(default_factory=dict)
    attempts: deque[JSON] = field(default_factory=lambda: deque(maxlen=KEEP))
    ack_ms: deque[float] = field(default_factory=lambda: deque(maxlen=KEEP))

    async def send(self, session: aiohttp.ClientSession, location: str, body: JSON) -> bool:
        """True at the first 2xx, False once the retries are spent."""
        for number, pause in enumerate((*self.backoff, None), start=1):
            started = time.perf_counter()
            answer = await self._post(session, self.configured[location], body)
            elapsed = (time.perf_counter() - started) * 1000
            self.attempts.append(
                {"id": body["id"], "location": location, "attempt": number, "answer": answer, "ms": round(elapsed, 3)}
            )
            if isinstance(answer, int) and 200 <= answer < 300:
                self.ack_ms.append(elapsed)
                return True
            if pause is not None:
                await asyncio.sleep(pause)
        return False

    async def _post(self, session: aiohttp.ClientSession, to: Configuration, body: JSON) -> int | str:
        headers = {"Authorization": f"Bearer {to.api_key}"} if to.api_key else {}
        timeout = aiohttp.ClientTimeout(total=self.timeout)
        try:
            async with session.post(to.url, json=body, headers=headers, timeout=timeout) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__
