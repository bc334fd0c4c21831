"""The warehouse's callbacks: one event a POST, authenticated by a key or a Standard Webhooks signature."""

import base64
import hmac
import json
import time
from dataclasses import dataclass
from typing import Protocol

import aiohttp

from gateway.simulator.served import JSON


class Tells(Protocol):
    """Whoever tells the other end what became of an order."""

    url: str
    secret: str | None

    async def post(self, session: aiohttp.ClientSession, event: JSON) -> int | str: ...


@dataclass(slots=True)
class Callback:
    """Where events go, and with which proof of who sends them."""

    url: str
    key: str | None
    secret: str | None

    async def post(self, session: aiohttp.ClientSession, event: JSON) -> int | str:
        """The status answered, or the name of the error that kept it from arriving."""
        body = json.dumps(event).encode()
        headers = {"Content-Type": "application/json"} | self._proof(event["event_id"], body)
        try:
            timeout = aiohttp.ClientTimeout(total=15)
            async with session.post(self.url, data=body, headers=headers, timeout=timeout) as response:
                await response.read()
                return response.status
        except (aiohttp.ClientError, TimeoutError) as error:
            return type(error).__name__

    def _proof(self, event_id: str, body: bytes) -> dict[str, str]:
        if self.secret is None:
            return {"Authorization": f"Bearer {self.key}"} if self.key else {}
        timestamp = str(int(time.time()))
        key = base64.b64decode(self.secret.removeprefix("whsec_"))
        signed = hmac.digest(key, f"{event_id}.{timestamp}.".encode() + body, "sha256")
        return {
            "webhook-id": event_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }
