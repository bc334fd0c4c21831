"""Other processes for tests: real ones."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

from tests.forked import WARM

T = TypeVar("T")


async def in_processes(count: int, work: Callable[..., T], *arguments: object) -> list[T]:
    """Do the same work in so many processes at once."""
    with ProcessPoolExecutor(count, mp_context=WARM, initializer=_meet, initargs=(WARM.Barrier(count),)) as pool:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(pool, work, *arguments) for _ in range(count)))


def _meet(barrier: object) -> None:
    """Start together: the slowest to import would find the work done."""
    barrier.wait(30)  # type: ignore[attr-defined]
