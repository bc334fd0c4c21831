"""How late the event loop is: what holds it up holds up every answer."""

import asyncio
from time import perf_counter

from . import metrics

_EVERY = 0.25


async def watch() -> None:
    """Measure until cancelled."""
    while True:
        started = perf_counter()  # not the loop's own time, which is as old as its last turn
        await asyncio.sleep(_EVERY)
        metrics.LOOP_LAG.observe(max(0.0, perf_counter() - started - _EVERY))
