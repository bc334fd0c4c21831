"""Other processes for tests: real ones, started afresh."""

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

T = TypeVar("T")


async def in_processes(count: int, work: Callable[..., T], *arguments: object) -> list[T]:
    """Do the same work in so many processes at once."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_meet, initargs=(context.Barrier(count),)) as pool:
        loop = asyncio.get_running_loop()
        return await asyncio.gather(*(loop.run_in_executor(pool, work, *arguments) for _ in range(count)))


def _meet(barrier: object) -> None:
    """Start together: the slowest to import would find the work done."""
    barrier.wait(30)  # type: ignore[attr-defined]
