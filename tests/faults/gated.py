"""A warehouse whose answers wait for the test."""

import asyncio
from typing import Any

from aiohttp import web

from gateway.simulator.warehouse import Warehouse


class Gated(Warehouse):
    """Takes an order only when the gate is open, and keeps the caller waiting until then."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.gate = asyncio.Event()
        self.waiting = 0

    async def _answer(self, http: web.Request) -> web.Response:
        self.waiting += 1
        self._change()
        await self.gate.wait()
        return await super()._answer(http)
